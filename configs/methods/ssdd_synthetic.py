"""SSDD's static part (ICCV 2019) at the small scale: for or against what a CRF changes after the random walk."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "ssdd_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
refine = dict(
    _delete_=True,
    rw=dict(
        type="AffinityWalk",
        input="cam",
        backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
        stride=4,
        steps=64,
        crop=128,
        schedule=dict(batch_size=16, epochs=3, lr=0.03, momentum=0.9),
    ),
    ssdd=dict(
        type="SSDD",
        input="rw",
        backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
        hidden=128,
        width=64,
        dilation=2,  # 12 of VOC's 56 cells are as much as 2 of these 8
        crop=128,
        schedule=dict(batch_size=16, epochs=3, lr=0.003, momentum=0.9, weight_decay=2e-4),
    ),
)
label = dict(input="ssdd")
