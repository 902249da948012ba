"""AdvCAM (CVPR 2021) at the small scale, where CAMs under-activate: the image climbs, so that more of an object shows.

The classifier is that of gap_part, from the cache if it is there. Eight steps, as the author has for ResNet38, at one
scale; a `restraint` of 7 belongs to a head with about 1000 positive weights for a class, and here there are about 50.
"""

_base_ = ["../gap_part.py"]
name = "advcam_synthetic"
cam = dict(_delete_=True, type="AdvCAM", steps=8, restraint=0.35, scales=(1.0,), multiple=8)
