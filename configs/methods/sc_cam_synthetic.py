"""SC-CAM at the small scale, where CAMs under-activate: round 1 is gap_part.py's classifier."""

_base_ = ["../gap_part.py"]
name = "sc_cam_synthetic"
rounds = 4  # the plain classifier, then three rounds on sub-categories
stages = dict(clusters=dict(type="ClusterFeatures", classifier="classify", k=4))
classifier = dict(objectives=[dict(type="SubCategory", clusters="previous.clusters")])
