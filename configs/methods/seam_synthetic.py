"""SEAM at the small scale, where CAMs under-activate. To compare with: configs/gap_part.py, the same without SEAM.

The second view is half as large, not 0.3 as on photos: of a crop of 112 pixels that would leave maps of 5 x 5.
"""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "seam_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="SEAM", scale=0.5)])
cam = dict(normalisation="range")
