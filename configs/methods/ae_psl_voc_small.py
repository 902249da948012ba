"""Adversarial erasing in rounds on VOC photos, for a laptop: round 1 is gap_voc_small.py's classifier."""

_base_ = ["../gap_voc_small.py"]
name = "ae_psl_voc_small"
rounds = 3
stages = dict(mined=dict(type="MinedRegions", input="cam", add_to="previous.mined"))
classifier = dict(augment=[dict(type="EraseRegions", regions="previous.mined")])
cam = dict(_delete_=True, type="ErasedCAM", regions="previous.mined", scales=(0.5, 1.0), flip=True)
refine = dict(_delete_=True)
label = dict(
    _delete_=True, type="MinedOrBackground", input="round1.cam", regions="mined", background=0.1
)
before = dict(round1=dict(cam=dict(type="MultiScaleCAM", scales=(0.5, 1.0), flip=True)))
