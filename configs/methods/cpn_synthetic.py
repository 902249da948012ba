"""CPN at the small scale, where CAMs over-activate. To compare with: configs/gap_context.py, the same without CPN.

Cells are a quarter and a half of the crop's side. Those of the released code are a half and all of it, which leaves
nothing to one image of the pair.

A class has to be recognised in a part of the image, by its body, as here. Where a small badge is all that tells, it is
often hidden: with _base_/synthetic_small_part.py the mAP was 79 after 10 epochs (one seed).
"""

_base_ = ["../_base_/synthetic_small_context.py"]
name = "cpn_synthetic"
classifier = dict(
    pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="CPN", cells=(28, 56))]
)
cam = dict(normalisation="range")
