"""P-NOC on VOC 2012 (David et al., 2023), on ResNet-50, up to the CAMs.

    wsssbench run configs/methods/p_noc_voc.py --set data.root=VOCdevkit/VOC2012

[C] the authors' code, https://github.com/lucasdavid/PNOC at 6c8950a (scripts/cam/train_pnoc.py); [T] this toolkit's
choice. Other values are those of _base_/irn_resnet50.py. Theirs is a ResNeSt-269, which this toolkit does not have, and
the checkpoint and the threshold are chosen on the masks of train, so that their number (CAM 62.9, README) is not
comparable.
"""

_base_ = ["../_base_/voc12.py", "../_base_/irn_resnet50.py"]
name = "p_noc_voc"
# The ordinary classifier that the judge starts from: the same network without what is P-NOC's.
before = dict(ordinary=dict(classifier=dict(erasing=[], objectives=[])))
classifier = dict(
    backbone=dict(frozen_stages=0, frozen_norm=True),  # [T]; [C] the judge's normalisation is fixed
    erasing=[
        dict(
            type="NOC",
            judge="ordinary.classify",
            weight=0.3,  # [C]
            slope=0.7,  # [C]
            judge_weight=0.0,  # [C]
            judge_slope=0.5,  # [C]
            threshold=0.2,  # [C]
        )
    ],
    objectives=[dict(type="PuzzleCAM", weight=4.0, ramp=0.5)],  # [C]
    schedule=dict(
        batch_size=32,  # [C]
        epochs=15,  # [C]
        lr=0.1,  # [C]
        momentum=0.0,  # [C]
        weight_decay=1e-4,  # [C]
        new_layers_lr=10.0,  # [C]
        bias_lr=2.0,  # [C]
        bias_weight_decay=0.0,  # [C]
    ),
)
