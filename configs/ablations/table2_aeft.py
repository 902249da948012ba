"""Table 2 of the AEFT paper (Yoon et al., ECCV 2022): which losses, and what is embedded.

"Indirect" embeds the pooling's attention, "direct" the class maps themselves. The paper's CRF column needs
``--until crf``. Its text has 55.0, 54.8 and 54.6 for the first three rows.
"""

_base_ = ["_aeft_paper.py"]
title = "Table 2: the losses of AEFT"
until = "cam"
rows = {
    "indirect, attract": dict(
        set={"classifier.erasing.0.repel": 0.0}, paper={"CAM": 54.9, "+ CRF": 62.2}
    ),
    "indirect, repel": dict(
        set={"classifier.erasing.0.attract": 0.0}, paper={"CAM": 54.6, "+ CRF": 61.5}
    ),
    "direct, both": dict(
        set={"classifier.erasing.0.embedding": "direct"}, paper={"CAM": 54.7, "+ CRF": 61.6}
    ),
    "indirect, both": dict(paper={"CAM": 56.0, "+ CRF": 63.5}),
    "e_A repelled": dict(  # section 4.3: instead of e_AL
        set={"classifier.erasing.0.repelled": "full"}, paper={"CAM": 54.1}
    ),
}
baseline = "indirect, both"
paper = dict(source="Yoon et al., ECCV 2022, Table 2 and section 4.3")
