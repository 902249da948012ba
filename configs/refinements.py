"""All methods that change what becomes of CAMs, on the same CAMs of a plain classifier, up to the pseudo-labels.

wsssbench sweep configs/refinements.py                                          # part: CAMs under-activate
wsssbench sweep configs/refinements.py --base context --only threshold --only IRNet
wsssbench sweep configs/refinements.py --base voc_small --set data.root=VOCdevkit/VOC2012
wsssbench sweep configs/refinements.py --base my_config.py --only PAMR          # on an experiment of yours

The classifier and its CAMs are the same entry of the cache for every row. CRF, random walk and the networks behind them
are the base's, so that a row differs from the next by its idea. The labels of the row `threshold` are cut at the base's
`evaluate.threshold`, not at the one that its CAMs are scored at, which is chosen on the masks of val; the other rows
have their papers' constants, except where a remark says why not: the bases have images of 128 to 192 pixels. Each
paper's own recipe is configs/methods/NAME_voc.py. Compare labels: wsssbench compare refinements --rung pseudo-label.
"""

_base_ = ["_base_/plain.py"]
title = "Refinements, labellings and losses"
until = "label"
set = {"+refine.rw_crf": "DenseCRF(input='rw', preset='deeplab')"}  # not every base has one
rows = {
    "threshold": dict(set={"refine": "none", "label": "FromScores(input='cam')"}),
    # The base's own, each alone.
    "DenseCRF": dict(
        set={"refine.rw": "none", "refine.rw_crf": "none", "label": "FromScores(input='crf')"}
    ),
    "AffinityNet": dict(
        set={"refine.crf": "none", "refine.rw_crf": "none", "label": "FromScores(input='rw')"}
    ),
    "AffinityNet + CRF": dict(
        set={
            "refine.crf": "none",
            "refine.rw_crf": "DenseCRF(input='rw', preset='deeplab')",
            "label": "FromScores(input='rw_crf')",
        },
        on=dict(
            voc={"refine.rw_crf": "DenseCRF(input='rw', preset='psa_rw')"},
            voc_small={"refine.rw_crf": "DenseCRF(input='rw', preset='psa_rw')"},
        ),
    ),
    "PAMR": dict(
        set={
            "refine": dict(_delete_=True, pamr=dict(type="PAMR", input="cam")),
            "label": "FromScores(input='pamr')",
        },
    ),
    "IRNet": dict(
        set={
            "+stages.seeds": "ConfidentSeeds(input='cam')",
            "refine": dict(
                _delete_=True,
                irn=dict(
                    type="IRNet",
                    input="cam",
                    seeds="seeds",
                    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
                    radius=(5, 5),  # 10 of VOC's 125 cells are as much as 2 or 3 of these 32
                    steps=64,
                    crop=128,
                    schedule=dict(
                        batch_size=16, epochs=3, lr=0.03, momentum=0.9, weight_decay=1e-4
                    ),
                ),
            ),
            "label": "FromScores(input='irn')",
        },
        on=dict(
            voc={  # as irn_voc.py
                "refine.irn.backbone": "TorchvisionBackbone(name='resnet50', pretrained=True, output_stride=16)",
                "refine.irn.radius": (10, 5),
                "refine.irn.steps": 256,
                "refine.irn.crop": 512,
                "refine.irn.schedule": dict(
                    batch_size=32, lr=0.1, momentum=1e-4, new_layers_lr=1.0
                ),
            },
            voc_small={"refine.irn.crop": 224},  # as the base's random walk
        ),
    ),
    "BES": dict(
        set={
            "+stages.seeds": "ConfidentSeeds(input='cam', background=0.07)",
            "refine": dict(
                _delete_=True,
                bes=dict(
                    type="BES",
                    input="cam",
                    seeds="seeds",
                    backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
                    window=5,  # 13 of VOC's 500 pixels are as much as 3 of these 128
                    steps=64,
                    crop=128,
                    schedule=dict(
                        batch_size=16, epochs=3, lr=0.03, momentum=0.9, weight_decay=1e-4
                    ),
                ),
                bes_crf=dict(type="DenseCRF", input="bes", preset="bes"),
            ),
            "label": "FromScores(input='bes_crf')",
        },
        on=dict(
            voc={  # as bes_voc.py
                "refine.bes.backbone": "TorchvisionBackbone(name='resnet50', pretrained=True, output_stride=16)",
                "refine.bes.window": 13,
                "refine.bes.steps": 256,
                "refine.bes.crop": 512,
                "refine.bes.schedule": dict(
                    batch_size=16, lr=0.1, momentum=1e-4, new_layers_lr=1.0
                ),
            },
            voc_small={"refine.bes.window": 13, "refine.bes.crop": 224},
        ),
    ),
    "SSDD": dict(
        set={
            "refine.crf": "none",
            "refine.rw_crf": "none",
            "+refine.ssdd": dict(
                type="SSDD",
                input="rw",
                backbone=dict(type="EfficientNetLite0", weights="imagenet", output_stride=16),
                hidden=128,
                width=64,
                dilation=2,  # 12 of VOC's 56 cells are as much as 2 of these 8
                crop=128,
                schedule=dict(batch_size=16, epochs=3, lr=0.003, momentum=0.9, weight_decay=2e-4),
            ),
            "label": "FromScores(input='ssdd')",
        },
        on=dict(
            voc={  # as ssdd_voc.py
                "refine.ssdd.backbone": "ResNet38d(weights='resnet_38d.params')",
                "refine.ssdd.preset": "psa",
                "refine.ssdd.hidden": 512,
                "refine.ssdd.width": 256,
                "refine.ssdd.dilation": 12,
                "refine.ssdd.crop": 448,
                "refine.ssdd.schedule": dict(batch_size=8, epochs=16, lr=1e-3, new_layers_lr=10.0),
            },
            voc_small={"refine.ssdd.crop": 224, "refine.ssdd.dilation": 3},  # of 14 cells
        ),
    ),
    # Its loss, which changes no label:
    # --set "segmenter.loss=BalancedCrossEntropy(over='batch')" --until evaluate.predict
    "RRM's labels": dict(set={"refine": "none", "label": "ReliableLabels(input='cam')"}),
    "PPMG": dict(set={"refine": "none", "label": "PPMG(input='cam')"}),
    # PMM's cycle: what a first network, trained on PPMG's masks, predicts of its own images.
    "PPMG + pretended under-fitting, cyclic": dict(
        set={
            "refine": "none",
            "+before.once": dict(
                label=dict(type="PPMG", input="cam"),
                segmenter=dict(loss=dict(type="PretendedUnderfitting")),
            ),
            "label": "PredictedLabels(labels='once.predict.train')",
        },
    ),
}
baseline = "threshold"
