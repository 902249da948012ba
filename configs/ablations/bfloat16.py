"""Does bfloat16 change the small scale? GAP in float32 and in bfloat16, five seeds, in the regime `part`.

    wsssbench sweep configs/ablations/bfloat16.py

Where the processor has bfloat16 (wsssbench doctor tells), training takes about half the time.
"""

bases = dict(
    part="{{ fileDirname }}/../gap_part.py",
    context="{{ fileDirname }}/../gap_context.py",
)
title = "GAP in float32 and in bfloat16, small scale"
until = "cam"
seeds = (0, 1, 2, 3, 4)
set = {"splits.heldout": "val", "evaluate.selection": "heldout"}
rows = {
    "float32": dict(set={"classifier.schedule.amp": False, "cam.amp": "none"}),
    "bfloat16": dict(set={"classifier.schedule.amp": "bfloat16", "cam.amp": "bfloat16"}),
}
baseline = "float32"
