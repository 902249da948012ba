"""RRM's reliable labels on VOC 2012, ResNet38d (Zhang B. et al., AAAI 2020), made once of CAMs that are done.

    wsssbench run configs/methods/rrm_voc.py --set data.root=VOCdevkit/VOC2012

This is not the paper's training, in which one network makes the CAMs, gets labels by this rule in every step, and
learns from them, with a dense energy beside the cross-entropy. Here a classifier, the labels and a network follow one
another, by the released code's values, [C] https://github.com/zbf1991/RRM at 6d4191c (tool/myTool.py; of its README the
training that starts from classification weights). The classifier is _base_/psa_resnet38d.py, and the network starts
from ImageNet.
"""

_base_ = [
    "../_base_/voc12.py",
    "../_base_/psa_resnet38d.py",
    "../_base_/segmenters/largefov_resnet38d.py",
]
name = "rrm_voc"
refine = dict(_delete_=True)
label = dict(
    _delete_=True,
    type="ReliableLabels",
    input="cam",
    low=4.0,  # [C]
    high=32.0,  # [C]
    quantile=0.6,  # [C]
    floor=0.1,  # [C]
    background=0.8,  # [C]
    probability=0.8,  # [C]
    preset="psa",  # [C]
)
segmenter = dict(
    _delete_=True,
    type="DeepLab",
    head="dilated",  # [C] 3 x 3 at dilation 12 to 512 channels, and to the classes
    backbone=dict(type="ResNet38d", weights="resnet_38d.params", frozen_stages=0),  # [C]
    channels=512,  # [C]
    loss=dict(type="BalancedCrossEntropy", over="batch"),  # [C]
    crop=321,  # [C]
    resize=(0.7, 1.3),  # [C]
    photometric=False,
    cat_max_ratio=1.0,
    schedule=dict(
        batch_size=4,  # [C]
        iterations=20000,  # [C]
        lr=7e-4,  # [C]
        power=0.9,
        weight_decay=1e-5,  # [C]
        momentum=1e-5,  # [C] as it really is: its optimiser passes the weight decay as the momentum
        new_layers_lr=10.0,
    ),
    test=dict(scales=(1.0,), flip=False, crf="rrm"),  # [C]
)
smoke = {
    "segmenter.backbone.weights": None,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.batch_size": 2,
    "segmenter.test.crf": None,
}
# Published for the paper's own training, so not comparable: 62.6 on val in one step, 66.3 in two.
