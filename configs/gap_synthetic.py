"""The plain CAM baseline: global average pooling, no erasing."""

_base_ = ["_base_/synthetic.py"]
name = "gap_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
