"""ICD on VOC photos, for a laptop, without superpixels. To compare with: configs/gap_voc_small.py."""

_base_ = ["../_base_/voc12_small.py"]
name = "icd_voc_small"
classifier = dict(
    pooling=dict(type="GAP"),
    erasing=[],
    # The paper's loss divided by 20, as in icd_synthetic.py.
    objectives=[
        dict(
            type="ICD",
            classification_weight=1.0,
            bottom_up=0.5,
            top_down=0.05,
            widths=(256, 256),
        )
    ],
)
cam = dict(_delete_=True, type="ICDScores")
refine = dict(_delete_=True)
label = dict(_delete_=True, type="ICDSeeds", input="cam")
