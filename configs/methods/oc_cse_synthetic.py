"""OC-CSE: class-specific erasing with an ordinary classifier as guide, on the embedded default data."""

_base_ = ["../_base_/synthetic.py"]
name = "oc_cse_synthetic"
before = dict(
    ordinary=dict(classifier=dict(erasing=[]))
)  # the guide: this classifier, without erasing
classifier = dict(
    pooling=dict(type="GAP"),
    erasing=[dict(type="OCCSE", guide="ordinary.classify", weight=0.3, slope=0.75)],
)
