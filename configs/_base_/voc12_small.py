"""Real photos on a small machine: EfficientNet-Lite0 at 192 x 192. Not comparable with published numbers."""

_base_ = ["voc12.py"]
classifier = dict(
    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16, frozen_stages=2),
    transform=dict(resize_long=(192, 288), crop=192),
    schedule=dict(batch_size=16, epochs=12, lr=0.01, momentum=0.9, weight_decay=1e-4),
)
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0), flip=True)
refine = dict(
    crf=dict(type="DenseCRF", input="cam", preset="psa", alpha=4.0),
    rw=dict(
        type="AffinityWalk",
        input="cam",
        backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
        alpha=(4.0, 16.0),
        stride=8,
        steps=64,
        crop=224,
        schedule=dict(batch_size=8, epochs=3, lr=0.01, weight_decay=5e-4),
    ),
)
label = dict(input="rw")
segmenter = dict(
    type="DeepLab",
    head="v3plus",
    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
    channels=128,
    crop=256,
    resize=(0.5, 1.0),
    schedule=dict(batch_size=8, epochs=5, lr=0.01, weight_decay=5e-4),
)
