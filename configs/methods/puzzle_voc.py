"""Puzzle-CAM on VOC 2012, ResNet-50 (Jo & Yu, ICIP 2021), up to the CAMs.

    wsssbench run configs/methods/puzzle_voc.py --set data.root=VOCdevkit/VOC2012

[C] the authors' code, https://github.com/shjo-april/PuzzleCAM at 659b4c1 (train_classification_with_puzzle.py, README);
other values are in _base_/irn_resnet50.py, and the same there. Not the same here: there the checkpoint is chosen on the
masks of train, and SGD has Nesterov's momentum, of 1e-4. Pseudo-labels come from AffinityNet there, with values that
were not looked up.
"""

_base_ = ["../_base_/voc12.py", "../_base_/irn_resnet50.py"]
name = "puzzle_voc"
classifier = dict(
    backbone=dict(
        frozen_stages=0, frozen_norm=False
    ),  # [C] everything learns, also the normalisation
    objectives=[dict(type="PuzzleCAM", weight=4.0, ramp=0.5)],  # [C]
    schedule=dict(
        batch_size=32,  # [C]
        epochs=15,  # [C]
        bias_lr=2.0,  # [C]
        bias_weight_decay=0.0,  # [C]
    ),
)
reference = {"CAM": 51.5}  # the paper's; the threshold was chosen on the masks of train
