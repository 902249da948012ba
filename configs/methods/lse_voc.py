"""Log-sum-exp pooling (Pinheiro & Collobert, CVPR 2015) on VOC 2012, on VGG-16.

    wsssbench run configs/methods/lse_voc.py --set data.root=VOCdevkit/VOC2012

The paper learns from ImageNet's photos with another network, and smooths its maps by priors of segments, which are not
here. Its recipe, r included, was not verified [?], so that none of its numbers is to be compared with a rung of this
experiment. All but the pooling is this toolkit's baseline on a network of that time, _base_/vgg16_largefov.py.
"""

_base_ = ["../_base_/voc12.py", "../_base_/vgg16_largefov.py"]
name = "lse_voc"
classifier = dict(pooling=dict(type="LogSumExp", r=5.0))  # [?] what implementations have
