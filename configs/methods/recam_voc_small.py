"""ReCAM on VOC photos, for a laptop. It starts from the classifier of configs/gap_voc_small.py."""

_base_ = ["../_base_/voc12_small.py"]
name = "recam_voc_small"
before = dict(
    plain=dict(
        classifier=dict(init=None, objectives=[], schedule=dict(epochs=12, lr=0.01)),
    )
)
classifier = dict(
    pooling=dict(type="GAP"),
    erasing=[],
    init="plain.classify",
    objectives=[dict(type="ReCAM", weight=1.0)],
    schedule=dict(epochs=4, lr=0.001),
)
