"""ACoL at the small scale, where CAMs under-activate. To compare with: configs/gap_part.py, the same without ACoL.

Its second head is as wide as the last features, not 1024 channels.
"""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "acol_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[dict(type="ACoL", width=96)])
