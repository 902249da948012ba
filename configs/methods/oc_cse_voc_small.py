"""OC-CSE on VOC photos, on a laptop; the guide is the plain classifier of gap_voc_small.py."""

_base_ = ["../gap_voc_small.py"]
name = "oc_cse_voc_small"
before = dict(ordinary=dict(classifier=dict(erasing=[])))
classifier = dict(erasing=[dict(type="OCCSE", guide="ordinary.classify")])
