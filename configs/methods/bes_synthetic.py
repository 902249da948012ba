"""BES (ECCV 2020) at the small scale: boundaries with labels of their own stop the CAMs of a plain classifier."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "bes_synthetic"
classifier = dict(pooling=dict(type="AttentionPooling"), erasing=[])
# The seeds are a stage of their own, so that other methods can be compared on the same ones.
stages = dict(seeds=dict(type="ConfidentSeeds", input="cam", background=0.07))
refine = dict(
    _delete_=True,
    bes=dict(
        type="BES",
        input="cam",
        seeds="seeds",
        backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
        window=5,  # 13 of VOC's 500 pixels are as much as 3 of these 128
        steps=64,
        crop=128,
        schedule=dict(batch_size=16, epochs=3, lr=0.03, momentum=0.9, weight_decay=1e-4),
    ),
    bes_crf=dict(type="DenseCRF", input="bes", preset="bes"),
)
label = dict(input="bes_crf")
