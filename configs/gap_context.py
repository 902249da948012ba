"""Global average pooling at the small scale, where CAMs over-activate."""

_base_ = ["_base_/synthetic_small_context.py"]
name = "gap_context"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
