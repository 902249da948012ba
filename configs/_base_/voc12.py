"""PASCAL VOC 2012: train on train_aug (10,582), score pseudo-labels on train (1,464), segmentation on val (1,449).

Give the devkit's place with --set data.root=VOCdevkit/VOC2012. Image-level labels come from data.labels: a CSV, "xml"
(Annotations/), or AffinityNet's cls_labels.npy; `wsssbench data labels` makes a CSV from masks or XML.
"""

data = dict(type="VOC2012", root="data/VOCdevkit/VOC2012")
# With the test images in JPEGImages, --set splits.test=test predicts them, too, and
# `wsssbench export voc-submission RUN --split test` makes the archive for the evaluation server.
splits = dict(train="train_aug", evaluate="train", val="val", test="")
# Paper, Section 4: thresholds are swept on the masks of train (oracle); the fixed one is our own choice.
evaluate = dict(threshold=0.2, thresholds=(0.0, 0.6, 0.01))
