_base_ = ["_base_/synthetic_small.py"]
name = "gap_small"
classifier = dict(pooling=dict(type="GAP"), erasing=[])
