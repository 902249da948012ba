"""The embedded default: generated scenes, nothing to download, sized for two CPU cores."""

data = dict(type="SyntheticScenes", train_images=600, val_images=200, image_size=128, seed=0)
splits = dict(train="train", evaluate="train", val="val")
classifier = dict(
    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16, frozen_stages=2),
    transform=dict(crop=128, jitter=(0.3, 0.3, 0.3, 0.05), jitter_probability=0.8),
    schedule=dict(batch_size=16, epochs=6, lr=0.01, momentum=0.9, weight_decay=1e-4),
)
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0, 1.5, 2.0), flip=True)
# The background exponents, the walk and the fixed threshold suit this data: they were chosen on the truth of train,
# with seed 0 of AEFT, as the literature's were on VOC.
refine = dict(
    crf=dict(type="DenseCRF", input="cam", preset="deeplab", alpha=1.2),
    rw=dict(
        type="AffinityWalk",
        input="cam",
        backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
        alpha=(0.8, 2.5),
        crf_preset="deeplab",
        background_alpha=1.6,
        stride=4,
        steps=64,
        crop=128,
        schedule=dict(batch_size=8, epochs=1, lr=0.01, weight_decay=5e-4),
    ),
    rw_crf=dict(type="DenseCRF", input="rw", preset="deeplab"),
)
label = dict(input="rw_crf")
segmenter = dict(
    type="DeepLab",
    head="v3plus",
    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
    channels=128,
    crop=128,
    resize=(0.75, 1.5),
    schedule=dict(batch_size=8, epochs=2.5, lr=0.01, weight_decay=5e-4),
)
evaluate = dict(threshold=0.4, thresholds=(0.0, 0.6, 0.01))
