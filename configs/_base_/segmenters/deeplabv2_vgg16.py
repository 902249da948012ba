"""DeepLab-v2 on VGG-16: ASPP-L of Chen et al., TPAMI 2018 (68.96 % on val before the CRF with full labels).

As LargeFOV on VGG-16, with the same sources and the same departures from them, but for the head.
"""

_base_ = ["largefov_vgg16.py"]
segmenter = dict(
    head="v2",  # Fig. 7: four branches fc6-fc7-fc8, summed
    dilations=(6, 12, 18, 24),  # Table 3, ASPP-L
    norm=None,  # this head has none
)
