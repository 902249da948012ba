"""SEAM at the small scale, where CAMs over-activate. To compare with: configs/gap_context.py, the same without SEAM.

The second view is half as large, not 0.3 as on photos: of a crop of 112 pixels that would leave maps of 5 x 5. A class
has to be recognised in it, too, by its body, as here. Where a small badge is all that tells, it is not: with
_base_/synthetic_small_part.py the mAP was 64 after 24 epochs, and 93 without SEAM (one seed).
"""

_base_ = ["../_base_/synthetic_small_context.py"]
name = "seam_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="SEAM", scale=0.5)])
cam = dict(normalisation="range")
