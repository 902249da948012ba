"""SeeNet at the small scale, where CAMs over-activate. To compare with: configs/gap_context.py.

Its branches are as wide as the last features, not 512 channels.
"""

_base_ = ["../_base_/synthetic_small_context.py"]
name = "seenet_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[dict(type="SeeNet", width=96)])
