"""GAIN at the small scale, where CAMs under-activate. To compare with: configs/gap_part.py, the same without GAIN."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "gain_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[dict(type="GAIN")])
