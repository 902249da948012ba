"""SEAM on VOC 2012 (Wang et al., CVPR 2020).

    wsssbench run configs/methods/seam_voc.py --set data.root=VOCdevkit/VOC2012

The method with all its values and their sources is _base_/seam_resnet38d.py.
"""

_base_ = ["../_base_/voc12.py", "../_base_/seam_resnet38d.py"]
name = "seam_voc"
evaluate = dict(threshold=0.26)  # infer_SEAM.py
# CAM as other papers quote it, the random walk of the released weights (README, train), DeepLab of the paper. The
# thresholds behind the first were chosen on the masks of train. VOC's server scored test: 65.7.
reference = {"CAM": 55.4, "+ random walk": 63.6, "DeepLab val": 64.5}
