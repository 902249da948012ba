"""DeepLab-v2 on ResNet-101 as AdvCAM (CVPR 2021) and RIB (NeurIPS 2021) train it.

What differs from deeplabv2_resnet101.py is told by their author in jbeomlee93/AdvCAM#9; RIB's users have been given the
same (jbeomlee93/RIB#5). The loss is "similar to DSRG", and not released [?].
"""

_base_ = ["deeplabv2_resnet101.py"]
segmenter = dict(
    loss=dict(type="BalancedCrossEntropy"),
    resize=(0.5, 2.0),
    schedule=dict(iterations=30000),
)
