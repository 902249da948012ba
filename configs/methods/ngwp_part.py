"""NGWP's own masks at the small scale, where CAMs under-activate: scores with a background, which need no threshold.

The paper refines the masks by PAMR, too, but teaches a segmentation branch with them, which is not part of this.
"""

_base_ = ["../gap_part.py"]
name = "ngwp_part"
classifier = dict(pooling=dict(_delete_=True, type="NGWP"))
cam = dict(_delete_=True, type="NGWPMasks", scales=(1.0,))
refine = dict(_delete_=True, pamr=dict(type="PAMR", input="cam"))
label = dict(input="pamr")
