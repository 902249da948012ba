"""Global max pooling (Oquab et al., CVPR 2015) on VOC 2012, on VGG-16.

    wsssbench run configs/methods/max_voc.py --set data.root=VOCdevkit/VOC2012

The paper localises objects by single points and segments nothing, so there is no published number, and its training was
not verified [?]. The pooling has no constant; all else is this toolkit's baseline on a network of that time,
_base_/vgg16_largefov.py. The same pooling on another base is a row of configs/methods.py.
"""

_base_ = ["../_base_/voc12.py", "../_base_/vgg16_largefov.py"]
name = "max_voc"
classifier = dict(pooling=dict(type="MaxPooling"))
