"""Table 1 of the AEFT paper (Yoon et al., ECCV 2022): the bins of Gated Pyramid Pooling, and how they are aggregated.

The rows that aggregate take the bins of the base: (2, 4, 8, 16) on VOC, as the paper; (2, 4) on the generated scenes,
whose maps are 8 x 8. There, a bin of 8 is the map itself, and one of 16 only repeats it.
"""

_base_ = ["_aeft_paper.py"]
title = "Table 1: Gated Pyramid Pooling"
until = "cam"
set = {"classifier.erasing": "none"}
rows = {
    "GAP": dict(set={"classifier.pooling": "GAP"}, paper={"CAM": 48.4}),  # section 4.3
    "2 x 2": dict(set={"classifier.pooling": "GPP(bins=(2,))"}, paper={"CAM": 49.9}),
    "4 x 4": dict(set={"classifier.pooling": "GPP(bins=(4,))"}, paper={"CAM": 51.6}),
    "8 x 8": dict(set={"classifier.pooling": "GPP(bins=(8,))"}, paper={"CAM": 52.9}),
    "16 x 16": dict(set={"classifier.pooling": "GPP(bins=(16,))"}, paper={"CAM": 53.1}),
    "averaged": dict(set={"classifier.pooling.aggregation": "average"}, paper={"CAM": 53.3}),
    "gated, fine to coarse": dict(
        set={"classifier.pooling.aggregation": "fine_to_coarse"}, paper={"CAM": 51.3}
    ),
    "gated, coarse to fine": dict(paper={"CAM": 54.2}),
}
baseline = "GAP"
paper = dict(source="Yoon et al., ECCV 2022, Table 1 and section 4.3")
