"""OC-CSE at the small scale: the guide is the plain classifier of the same experiment."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "oc_cse_part"
before = dict(ordinary=dict(classifier=dict(erasing=[])))
classifier = dict(
    pooling=dict(type="GAP"),
    erasing=[dict(type="OCCSE", guide="ordinary.classify", weight=0.3, slope=0.75)],
)
