"""CPN on VOC photos, for a laptop. To compare with: configs/gap_voc_small.py, the same without it."""

_base_ = ["../_base_/voc12_small.py"]
name = "cpn_voc_small"
classifier = dict(
    pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="CPN", cells=(48, 96))]
)
cam = dict(normalisation="range")
