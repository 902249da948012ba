"""IRNet's semantic part (CVPR 2019) at the small scale: edges between classes stop the CAMs of a plain classifier."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "irn_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
# The seeds are a stage of their own, so that other methods can be compared on the same ones.
stages = dict(seeds=dict(type="ConfidentSeeds", input="cam"))
refine = dict(
    _delete_=True,
    irn=dict(
        type="IRNet",
        input="cam",
        seeds="seeds",
        backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
        radius=(5, 5),  # 10 of VOC's 125 cells are as much as 2 or 3 of these 32
        steps=64,
        crop=128,
        schedule=dict(batch_size=16, epochs=3, lr=0.03, momentum=0.9, weight_decay=1e-4),
    ),
)
label = dict(input="irn")
