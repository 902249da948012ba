"""AEFT on MS-COCO 2014 (Yoon et al., ECCV 2022, Table 5), as far as it is described. On four GPUs:

    wsssbench data prepare coco --coco DIR --masks stuff --stuff DIR/stuffthingmaps
    torchrun --nproc_per_node=4 -m wsssbench run configs/aeft_coco.py --set data.root=DIR

Of this experiment the paper says: trained on train (80k), scored on val (40k), masks of COCO-Stuff, 44.8% mIoU; and
its authors released no code for it. Where a value comes from: [P] that; everything else is as on VOC,
in _base_/aeft_resnet38d.py, which has the sources; [L] the AffinityNet lineage on MS-COCO; [T] this toolkit's choice.
"""

_base_ = ["_base_/coco14.py", "_base_/aeft_resnet38d.py"]
name = "aeft_coco"
# [P] "80k" and "40k" may be the 82,081 and 40,137 images with objects or all 82,783 and 40,504; [T] the former.
data = dict(images="labelled", masks="stuff")  # [P] COCO-Stuff
splits = dict(train="train", evaluate="train", val="val")  # [P]; [T] evaluate
refine = dict(rw=dict(alpha=(1.0, 24.0)))  # [L] hfpl on MS-COCO
segmenter = dict(schedule=dict(iterations=200000))  # [L] ten times VOC's
reference = {"DeepLab val": 44.8}  # [P] Table 5
