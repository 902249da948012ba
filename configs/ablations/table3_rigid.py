"""Table 3 of the AEFT paper (Yoon et al., ECCV 2022): rigid or soft attraction; over- and under-activation.

Low precision is over-activation, low recall under-activation.
"""

_base_ = ["_aeft_paper.py"]
title = "Table 3: rigid and soft erasing"
until = "cam"
rows = {
    "GPP only": dict(
        set={"classifier.erasing": "none"},
        paper={"CAM": 54.2, "CAM precision": 66.5, "CAM recall": 75.6},
    ),
    "attract (rigid)": dict(
        set={"classifier.erasing.0.attraction": "rigid", "classifier.erasing.0.repel": 0.0},
        paper={"CAM": 53.4, "CAM precision": 65.1, "CAM recall": 76.1},
    ),
    "attract (soft)": dict(
        set={"classifier.erasing.0.repel": 0.0},
        paper={"CAM": 55.0, "CAM precision": 66.6, "CAM recall": 77.2},
    ),
    "attract (soft) + repel": dict(
        paper={"CAM": 56.0, "CAM precision": 68.4, "CAM recall": 76.3},
    ),
}
baseline = "GPP only"
paper = dict(source="Yoon et al., ECCV 2022, Table 3")
