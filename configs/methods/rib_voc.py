"""RIB on VOC 2012 (Lee, Choi, Mok & Yoon, NeurIPS 2021), with IRN's edges and walk behind it.

    wsssbench run configs/methods/rib_voc.py --set data.root=VOCdevkit/VOC2012

Every value is that of the authors' code, https://github.com/jbeomlee93/RIB, commit 9c43b3b (run_sample.py,
obtain_RIB_CAM.py), or of IRN's, whose classifier it tunes (irn_voc.py). It takes a day or more; a killed run goes on.
The experiment ends with the pseudo-labels.
"""

_base_ = ["irn_voc.py"]
name = "rib_voc"
cam = dict(
    _delete_=True,
    type="RIB",
    photos="train",  # train_aug, as the classifier
    steps=10,
    others=20,
    lr=8e-6,
    new_layers_lr=10.0,
    weight_decay=1e-4,
    momentum=1e-4,  # as it really is, see _base_/irn_resnet50.py
    power=0.9,
    threshold=0.4,
    stop=600.0,
    spread_level=0.3,
    spread=0.7,
    scales=(0.5, 1.0, 1.5, 2.0),
    resize_long=(320, 640),
    crop=512,
)
stages = dict(seeds=dict(foreground=0.35, background=0.17))
refine = dict(irn=dict(exponent=1.3, background=0.27))
# Table 1 of the paper, train; the CAMs' threshold was chosen on those masks. Its network (DeepLab-v2 on ResNet-101) has
# 68.3 on val and 68.6 on test.
reference = {"CAM": 56.5, "+ IRNet": 70.6}
