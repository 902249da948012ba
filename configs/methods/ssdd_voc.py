"""SSDD's static part on VOC 2012 (Shimoda & Yanai, ICCV 2019): for or against what a CRF changes after the random walk.

    wsssbench run configs/methods/ssdd_voc.py --set data.root=VOCdevkit/VOC2012

Values without a remark: https://github.com/shimoda-uec/ssdd, commit 564c3e0 (train_sssdd.py, precompute_sssdd.py); [T]
this toolkit's choice, [?] not verified. What comes before is PSA's, _base_/psa_resnet38d.py. The experiment ends with
the pseudo-labels: the dynamic part, a segmentation network that goes on refining its labels, is not here (see
`wsssbench plugins describe SSDD`), and the published 64.9 on val and 65.5 on test (65.4 on val in the README of the
released code) are of both parts. The static part alone has no published number.
"""

_base_ = ["../_base_/voc12.py", "../_base_/psa_resnet38d.py"]
name = "ssdd_voc"
refine = dict(
    ssdd=dict(
        type="SSDD",
        input="rw",
        backbone=dict(
            type="ResNet38d", weights="resnet_38d.params"
        ),  # there PSA's classifier of VOC, res38_cls.pth
        preset="psa",  # [?]
        bias=0.1,
        background_bias=0.1,
        guard=0.5,
        stride=4,
        hidden=512,
        width=256,
        dilation=12,
        crop=448,
        schedule=dict(
            batch_size=8,  # [T]; there 2 per GPU
            epochs=16,  # there the weights of epoch 10 are used
            lr=1e-3,
            power=0.9,  # [T]; there it decays by a cosine over 1.2 times the length
            momentum=0.9,  # without effect there
            weight_decay=2e-4,
            new_layers_lr=10.0,
        ),
    ),
)
label = dict(input="ssdd")
smoke = {
    "refine.ssdd.backbone.weights": None,
    "refine.ssdd.backbone.frozen_stages": 0,
    "refine.ssdd.backbone.frozen_norm": False,
    "refine.ssdd.crop": 64,
    "refine.ssdd.hidden": 64,
    "refine.ssdd.dilation": 2,
    "refine.ssdd.schedule.batch_size": 2,
}
