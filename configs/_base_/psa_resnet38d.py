"""The plain baseline of the AffinityNet lineage on ResNet38d: classifier, CAMs, random walk (Ahn & Kwak, CVPR 2018).

Values without a remark: https://github.com/jiwoon-ahn/psa (train_cls.py, infer_cls.py, train_aff.py, infer_aff.py and
its README), which many methods start from; [T] this toolkit's choice. AffinityNet starts from ImageNet here, and from
the lineage's published classifier of VOC there (res38_cls.pth: --set refine.rw.backbone.weights=FILE). The segmentation
network is another file's: _base_/segmenters/.
"""

classifier = dict(
    backbone=dict(
        type="ResNet38d",
        weights="resnet_38d.params",  # ImageNet
        frozen_stages=2,
        frozen_norm=True,
        dropout=(0.3, 0.5),
    ),
    pooling=dict(type="GAP"),
    dropout=0.5,  # of whole channels, before the last convolution
    transform=dict(
        resize_long=(256, 512),
        crop=448,
        flip=True,
        jitter=(0.3, 0.3, 0.3, 0.1),
        jitter_probability=1.0,
    ),
    schedule=dict(
        batch_size=16,
        epochs=15,
        lr=0.01,
        power=0.9,
        momentum=5e-4,  # as it really is: their optimiser passes the weight decay as the momentum
        weight_decay=5e-4,
        new_layers_lr=10.0,
    ),
)
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0, 1.5, 2.0), flip=True)
refine = dict(
    rw=dict(
        type="AffinityWalk",
        input="cam",
        backbone=dict(type="ResNet38d", weights="resnet_38d.params"),  # see above
        alpha=(4.0, 32.0),
        background_alpha=16.0,
        crf_preset="psa",
        stride=8,
        radius=5,
        beta=8.0,
        steps=256,
        crop=448,
        schedule=dict(
            batch_size=8,
            epochs=8,
            lr=0.1,
            power=0.9,
            momentum=5e-4,  # as above
            weight_decay=5e-4,
            new_layers_lr=10.0,
        ),
    ),
)
label = dict(input="rw")
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
}
