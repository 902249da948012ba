"""A small AEFT on VOC photos, for a laptop."""

_base_ = ["_base_/voc12_small.py"]
name = "aeft_voc_small"
classifier = dict(
    pooling=dict(type="GPP", bins=(2, 4, 8)),  # a 192 x 192 crop has a 12 x 12 map
    erasing=[dict(type="AEFT", present_only=True, start=0.4)],  # as the released code does,
)
