"""SC-CAM on VOC photos, for a laptop: round 1 is gap_voc_small.py's classifier."""

_base_ = ["../gap_voc_small.py"]
name = "sc_cam_voc_small"
rounds = 4  # the plain classifier, then three rounds on sub-categories
stages = dict(clusters=dict(type="ClusterFeatures", classifier="classify", k=4))
classifier = dict(objectives=[dict(type="SubCategory", clusters="previous.clusters")])
