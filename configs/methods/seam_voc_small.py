"""SEAM on VOC photos, for a laptop. To compare with: configs/gap_voc_small.py, the same without SEAM."""

_base_ = ["../_base_/voc12_small.py"]
name = "seam_voc_small"
classifier = dict(pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="SEAM", scale=0.5)])
cam = dict(normalisation="range")
