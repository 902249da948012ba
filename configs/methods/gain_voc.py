"""GAIN on VOC 2012 (Li et al., CVPR 2018), on VGG-16.

    wsssbench run configs/methods/gain_voc.py --set data.root=VOCdevkit/VOC2012

There is no released code. [3] several re-implementations; [?] not verified. The paper's own schedule was not found in
public: values without a remark are those of _base_/vgg16_largefov.py. In the paper the attention guides SEC [?], a
segmentation network with a loss of its own; here pseudo-labels come straight from the CAMs, so that its number is not
comparable.
"""

_base_ = ["../_base_/voc12.py", "../_base_/vgg16_largefov.py"]
name = "gain_voc"
classifier = dict(erasing=[dict(type="GAIN", weight=1.0, omega=10.0, sigma=0.5)])  # [3]
reference = {"DeepLab val": 55.3}  # as other papers quote it [?]; test: 56.8
