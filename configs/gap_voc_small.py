"""The plain CAM baseline on VOC photos, for a laptop."""

_base_ = ["_base_/voc12_small.py"]
name = "gap_voc_small"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
