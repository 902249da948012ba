"""SEAM on ResNet38d, random walk and DeepLab included (Wang et al., CVPR 2020).

resnet_38d.params are ademxapp's ImageNet weights of ResNet38 "A1"; `wsssbench weights check FILE` knows them.

Where a value comes from: [C] the authors' code, https://github.com/YudeWang/SEAM at 3212261 (train_SEAM.py,
infer_SEAM.py, train_aff.py, infer_aff.py, network/); [R] its README; [L] the AffinityNet lineage, whose code it has
taken over. Which of these the paper names, too, was not verified; `wsssbench plugins describe SEAM` has the losses.
"""

_base_ = ["segmenters/largefov_resnet38d.py"]
classifier = dict(
    backbone=dict(
        type="ResNet38d",  # [C]
        weights="resnet_38d.params",  # [C] ImageNet
        frozen_stages=2,  # [C] up to b2
        frozen_norm=True,  # [L]
        dropout=(0.3, 0.5),  # [L]
    ),
    pooling=dict(type="GAP"),  # [C]
    objectives=[
        dict(
            type="SEAM",
            scale=0.3,  # [C]
            equivariance=1.0,  # [C]
            cross=1.0,  # [C]
            hardest=0.2,  # [C]
            minimum=1.0,  # [C]
            widths=(64, 128),  # [C]
        )
    ],
    erasing=[],
    dropout=0.5,  # [C] before the head
    transform=dict(
        resize_long=(448, 768),  # [C]
        crop=448,  # [C]
        flip=True,  # [C]
        jitter=(0.3, 0.3, 0.3, 0.1),  # [C]
        jitter_probability=1.0,  # [C]
    ),
    schedule=dict(
        batch_size=8,  # [C]
        epochs=8,  # [C]
        lr=0.01,  # [C]
        power=0.9,  # [C]
        optimizer="SGD",  # [C]
        momentum=5e-4,  # [C] as it really is: its optimiser passes the weight decay as the momentum
        weight_decay=5e-4,  # [C]
        new_layers_lr=10.0,  # [C]
        bias_lr=2.0,  # [C]
        bias_weight_decay=0.0,  # [C]
    ),
)
cam = dict(
    type="MultiScaleCAM",
    scales=(0.5, 1.0, 1.5, 2.0),  # [C]
    flip=True,  # [C]
    normalisation="range",  # [C]
)
refine = dict(
    rw=dict(
        type="AffinityWalk",  # [R]
        input="cam",
        backbone=dict(type="ResNet38d", weights="resnet_38d.params"),  # [R]
        alpha=(4.0, 24.0),  # [C]
        background_alpha=6.0,  # [C]
        crf_preset="psa",  # [L]
        stride=8,  # [C]
        radius=5,  # [C]
        beta=8.0,  # [C]
        steps=64,  # [C] 2^6; AffinityNet has 2^8
        crop=448,  # [C]
        schedule=dict(
            batch_size=8,  # [C]
            epochs=8,  # [C]
            lr=0.01,  # [C]; AffinityNet has 0.1
            power=0.9,  # [C]
            momentum=5e-4,  # [C] as above
            weight_decay=5e-4,  # [C]
            new_layers_lr=10.0,  # [C]
        ),
    ),
)
label = dict(input="rw")  # [R]
segmenter = dict(backbone=dict(weights="resnet_38d.params"))  # the authors' recipe, in the base
# --smoke also takes random weights and small crops, so that it needs neither a download nor a GPU.
smoke = {
    "classifier.backbone.weights": None,
    "classifier.backbone.frozen_stages": 0,
    "classifier.backbone.frozen_norm": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "cam.scales": (0.25,),
    "refine.rw.backbone.weights": None,
    "refine.rw.backbone.frozen_stages": 0,
    "refine.rw.backbone.frozen_norm": False,
    "refine.rw.crop": 96,
    "refine.rw.schedule.batch_size": 2,
    "segmenter.backbone.weights": None,
    "segmenter.backbone.frozen_stages": 0,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.batch_size": 4,
    "segmenter.test.scales": (0.25,),
    "segmenter.test.crf": None,
}
