"""Global average pooling at the small scale, where CAMs under-activate."""

_base_ = ["_base_/synthetic_small_part.py"]
name = "gap_part"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
