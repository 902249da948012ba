"""AdvCAM on VOC 2012 (Lee, Kim & Yoon, CVPR 2021), with IRN's edges and walk behind it.

    wsssbench run configs/methods/advcam_voc.py --set data.root=VOCdevkit/VOC2012

Every value is that of the authors' code, https://github.com/jbeomlee93/AdvCAM, commit 2650fcd (run_sample.py,
obtain_CAM_masking.py), or of IRN's, which it starts from (irn_voc.py). It takes about a day on a large GPU (its issue
14); a killed run goes on. The experiment ends with the pseudo-labels.
"""

_base_ = ["irn_voc.py"]
name = "advcam_voc"
classifier = dict(backbone=dict(frozen_stages=1))  # layer1 and layer2 learn, too, unlike IRN's
cam = dict(
    _delete_=True,
    type="AdvCAM",
    steps=27,
    stepsize=0.08,  # of the code; the paper gives 0.008 [?]
    restraint=7.0,
    threshold=0.5,
    scales=(0.5, 1.0, 1.5, 2.0),
)
stages = dict(seeds=dict(foreground=0.35, background=0.15))
refine = dict(irn=dict(beta=10.0, exponent=1.5, background=0.25))
# Table 1 of the paper, train; the CAMs' threshold was chosen on those masks. Its network (DeepLab-v2 on ResNet-101) has
# 68.1 on val and 68.0 on test, with the recipe of its issue 9.
reference = {"CAM": 55.6, "+ IRNet": 68.0}
