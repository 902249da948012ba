"""ReCAM on VOC 2012 (Chen et al., CVPR 2022): IRN's classifier, trained, then 4 epochs with a second head.

    wsssbench run configs/methods/recam_voc.py --set data.root=VOCdevkit/VOC2012

Values with a remark: [C] the authors' code, https://github.com/zhaozhengChen/ReCAM (run_sample.py, step/train_recam.py,
net/resnet50_cam.py); the others are IRN's, _base_/irn_resnet50.py. Which of them the paper names was not verified.
Their pseudo-labels come from IRNet; the experiment ends with these, since no recipe of their network was verified.
"""

_base_ = ["irn_voc.py"]
name = "recam_voc"
# The classifier that it starts from: this experiment's without what is ReCAM's.
before = dict(
    plain=dict(
        classifier=dict(init=None, objectives=[], schedule=dict(epochs=5, lr=0.1)),
    )
)
classifier = dict(
    init="plain.classify",
    objectives=[dict(type="ReCAM", weight=1.0)],  # [C]
    backbone=dict(
        frozen_stages=1
    ),  # [C] unlike IRN, all but the stem learns, also in the first training
    # [C] 5e-4 for the new head and a tenth of it for all that was trained before; 4 epochs
    schedule=dict(epochs=4, lr=5e-5, new_layers_lr=10.0),
)
stages = dict(seeds=dict(foreground=0.35, background=0.1))  # [C]
refine = dict(irn=dict(background=0.28))  # [C]
evaluate = dict(threshold=0.21)  # [C]
# Not verified; its threshold was chosen on the masks of train.
reference = {"_delete_": True, "CAM": 54.8}
