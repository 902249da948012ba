"""P-NOC at the small scale, where CAMs under-activate: Puzzle-CAM, and erasing with a judge that learns."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "p_noc_synthetic"
# What the judge starts from: configs/gap_part.py.
before = dict(ordinary=dict(classifier=dict(erasing=[], objectives=[])))
classifier = dict(
    pooling=dict(type="GAP"),
    erasing=[dict(type="NOC", judge="ordinary.classify")],
    objectives=[dict(type="PuzzleCAM", weight=4.0, ramp=0.5)],
)
