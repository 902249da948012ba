"""ACoL (Zhang et al., CVPR 2018) on VOC 2012, on VGG-16.

    wsssbench run configs/methods/acol_voc.py --set data.root=VOCdevkit/VOC2012

The paper localises single objects (ILSVRC, CUB), and there is no published number on VOC segmentation: what is the
method's comes from [C] the authors' code, https://github.com/xiaomengyc/ACoL at 8b59d00, and the rest is this toolkit's
baseline on the paper's network, _base_/vgg16_largefov.py.
"""

_base_ = ["../_base_/voc12.py", "../_base_/vgg16_largefov.py"]
name = "acol_voc"
classifier = dict(
    erasing=[dict(type="ACoL", threshold=0.6, width=1024, weight=1.0)],  # [C]
    schedule=dict(
        lr=1e-3,  # [C] the code's default; its script has 1e-4
        momentum=0.9,  # [C] there Nesterov's
        weight_decay=5e-4,  # [C]
        batch_size=20,  # [C]
        new_layers_lr=10.0,  # [C]
        bias_lr=2.0,  # [C]
        bias_weight_decay=0.0,  # [C]
    ),
)
