"""nGWP, its masks and PAMR (Araslanov & Roth, CVPR 2020) on VOC 2012, on ResNet38d.

    wsssbench run configs/methods/ngwp_voc.py --set data.root=VOCdevkit/VOC2012

[C] the authors' code, https://github.com/visinf/1-stage-wseg at d905fca (configs/voc_resnet38.yaml, models/,
infer_val.py); [T] this toolkit's choice. There one network with a decoder makes the masks, PAMR refines them in every
step, and the network learns from what results. Here are the parts that stand alone: a classifier with nGWP, its masks
as scores, and PAMR after them. So the published numbers (train 66.9, val 65.3 with a CRF and image labels, README) are
those of another system, and nothing is published of this one [?]. The masks need no threshold.
"""

_base_ = ["../_base_/voc12.py"]
name = "ngwp_voc"
classifier = dict(
    backbone=dict(
        type="ResNet38d",  # [C]
        weights="resnet_38d.params",  # [C] ImageNet
        frozen_norm=True,  # [C]
    ),
    pooling=dict(
        type="NGWP",
        background=1.0,  # [C] what the masks are pooled with
        divisor=1.0,  # [C]
        focal=1.0,  # [C]
        power=3,  # [C]
        lowest=0.01,  # [C]
    ),
    erasing=[],
    transform=dict(
        resize_long=(
            321,
            481,
        ),  # [T]; [C] a random part of 0.9 to 1 of the photo, stretched to the crop
        crop=321,  # [C]
        flip=True,  # [C]
        jitter_probability=1.0,  # [C] without strengths, which are the toolkit's
    ),
    schedule=dict(
        batch_size=16,  # [C]
        epochs=24,  # [C]
        lr=1e-3,  # [C]
        power=0.0,  # [C] a constant rate
        momentum=0.9,  # [C]
        weight_decay=5e-4,  # [C]
        new_layers_lr=10.0,  # [C]
        bias_lr=2.0,  # [C]
    ),
)
cam = dict(type="NGWPMasks", scales=(1.0, 0.5, 1.5, 2.0))  # [C]
refine = dict(
    pamr=dict(
        type="PAMR",
        input="cam",
        dilations=(1, 2, 4, 8, 12, 24),  # [C]
        iterations=10,  # [C]
    ),
)
label = dict(input="pamr")  # [T]
smoke = {
    "classifier.backbone.weights": None,
    "classifier.backbone.frozen_norm": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "cam.scales": (0.25,),
}
