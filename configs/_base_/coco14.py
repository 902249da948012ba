"""MS-COCO 2014: train on train (82,081 images with objects; 80 classes), score segmentation on val (40,137).

The official files have to be prepared once; give their place with --set data.root=DIR:

    wsssbench data prepare coco --coco DIR --masks stuff --stuff DIR/stuffthingmaps

Published numbers are on COCO-Stuff's masks or on painted instances (data.masks), and on the images with objects or on
all 82,783 / 40,504 (data.images): the protocol card says which. CAMs and pseudo-labels are scored on train, as on
VOC; with another list in data.lists, e.g. of 5,000 images, that takes a sixteenth of the time.
"""

data = dict(type="COCO2014", root="data/coco", images="labelled", masks="stuff")
splits = dict(train="train", evaluate="train", val="val")
evaluate = dict(threshold=0.2, thresholds=(0.0, 0.6, 0.01))  # as on VOC
