"""Poolings and erasing methods at the small scale, where CAMs under-activate and where they over-activate.

wsssbench sweep configs/ablations/regimes.py                   # part: high precision, low recall
wsssbench sweep configs/ablations/regimes.py --base context    # recall above precision

The threshold is chosen on the masks of val, by the same procedure for every row: at a fixed one, thresholds would be
compared. A class map of 16 x 16 has room for bins of 2, 4 and 8.
"""

bases = dict(
    part="{{ fileDirname }}/../gap_part.py",
    context="{{ fileDirname }}/../gap_context.py",
)
title = "Poolings and erasing methods, in two regimes"
until = "cam"
seeds = (0, 1, 2)
set = {"splits.heldout": "val", "evaluate.selection": "heldout"}
rows = {
    "GAP": dict(set={"classifier.pooling": "GAP()", "classifier.erasing": "none"}),
    "GPP": dict(
        set={"classifier.pooling": "GPP(bins=(2, 4, 8))", "classifier.erasing": "none"},
    ),
    "GPP + AEFT": dict(
        set={
            "classifier.pooling": "GPP(bins=(2, 4, 8))",
            "classifier.erasing": "AEFT(present_only=True, start=0.4)",
        },
    ),
    "GAP + rigid erasing": dict(
        set={"classifier.pooling": "GAP()", "classifier.erasing": "RigidErasing(start=0.4)"},
    ),
}
baseline = "GAP"
