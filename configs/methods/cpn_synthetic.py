"""CPN at the small scale, where CAMs under-activate. To compare with: configs/gap_part.py, which is without.

Cells are a quarter and a half of the crop's side. Those of the released code are a half and all of it, which leaves
nothing to one image of the pair.
"""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "cpn_synthetic"
classifier = dict(
    pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="CPN", cells=(28, 56))]
)
cam = dict(normalisation="range")
