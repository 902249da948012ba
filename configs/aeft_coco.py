"""AEFT on MS-COCO 2014 (Yoon et al., ECCV 2022, Table 5), as far as it is described. On four GPUs:

    wsssbench data prepare coco --coco DIR --masks stuff --stuff DIR/stuffthingmaps
    torchrun --nproc_per_node=4 -m wsssbench run configs/aeft_coco.py --set data.root=DIR

Of this experiment the paper says: trained on train (80k), scored on val (40k), masks of COCO-Stuff, 44.8% mIoU; and
its authors released no code for it. Where a value comes from: [P] that; [V] everything else of the method is as in
aeft_voc.py, which has the sources; [L] the AffinityNet lineage on MS-COCO; [T] this toolkit's choice.
"""

_base_ = ["_base_/coco14.py", "_base_/segmenters/largefov_resnet38d.py"]
name = "aeft_coco"
# [P] "80k" and "40k" may be the 82,081 and 40,137 images with objects or all 82,783 and 40,504; [T] the former.
data = dict(images="labelled", masks="stuff")  # [P] COCO-Stuff
splits = dict(train="train", evaluate="train", val="val")  # [P]; [T] evaluate
classifier = dict(  # [V]
    backbone=dict(
        type="ResNet38d",
        weights="resnet_38d.params",
        frozen_stages=2,
        frozen_norm=True,
        dropout=(0.3, 0.5),
    ),
    pooling=dict(type="GPP", bins=(2, 4, 8, 16)),
    erasing=[
        dict(
            type="AEFT",
            attract=0.15,
            repel=0.15,
            margin=0.5,
            t_high=0.6,
            t_low=0.2,
        )
    ],
    transform=dict(
        resize_long=(256, 512),
        crop=320,
        flip=True,
        jitter=(0.4, 0.4, 0.4, 0.1),
        jitter_probability=0.8,
    ),
    schedule=dict(
        batch_size=32,
        epochs=40,
        lr=0.01,
        power=0.9,
        optimizer="SGD",
        momentum=5e-4,
        weight_decay=5e-4,
        new_layers_lr=1.0,
    ),
)
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0, 1.5, 2.0), flip=True)  # [V]
refine = dict(  # [V] but one
    crf=dict(
        type="DenseCRF",
        input="cam",
        preset="psa",
        alpha=9.0,
    ),
    rw=dict(
        type="AffinityWalk",
        input="cam",
        backbone=dict(type="ResNet38d", weights="resnet_38d.params"),
        alpha=(1.0, 24.0),  # [L] hfpl on MS-COCO
        background_alpha=19.0,
        crf_preset="psa",
        stride=8,
        radius=5,
        beta=8.0,
        steps=64,
        crop=448,
        schedule=dict(
            batch_size=8,
            epochs=8,
            lr=0.01,
            power=0.9,
            momentum=5e-4,
            weight_decay=5e-4,
            new_layers_lr=10.0,
        ),
    ),
    rw_crf=dict(type="DenseCRF", input="rw", preset="psa_rw"),
)
label = dict(input="rw_crf")
segmenter = dict(  # [P] DeepLab-LargeFOV on ResNet38d, as on VOC
    backbone=dict(weights="resnet_38d.params"),
    schedule=dict(
        batch_size=12,  # [V]
        iterations=200000,  # [L] ten times VOC's
    ),
)
reference = {"DeepLab val": 44.8}  # [P] Table 5
# --smoke: random weights, six images, a few steps of each training; from the root of the repository.
smoke = {
    "data.lists": dict(
        train="configs/_base_/smoke/coco14_train.txt",
        val="configs/_base_/smoke/coco14_val.txt",
    ),
    "classifier.backbone.weights": None,
    "classifier.backbone.frozen_stages": 0,
    "classifier.backbone.frozen_norm": False,
    "classifier.pooling.bins": (2, 4, 8),  # a crop of 64 has a map of 8 x 8
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.epochs": None,
    "classifier.schedule.iterations": 3,
    "classifier.schedule.batch_size": 4,
    "classifier.schedule.checkpoint_every": 1000,  # one weighs more than a gigabyte
    "cam.scales": (0.25,),
    "refine.rw.backbone.weights": None,
    "refine.rw.backbone.frozen_stages": 0,
    "refine.rw.backbone.frozen_norm": False,
    "refine.rw.crop": 96,
    "refine.rw.steps": 16,
    "refine.rw.schedule.epochs": None,
    "refine.rw.schedule.iterations": 2,
    "refine.rw.schedule.batch_size": 2,
    "refine.rw.schedule.checkpoint_every": 1000,
    "segmenter.backbone.weights": None,
    "segmenter.backbone.frozen_stages": 0,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.iterations": 3,
    "segmenter.schedule.batch_size": 4,
    "segmenter.schedule.checkpoint_every": 1000,
    "segmenter.test.scales": (0.25,),
    "segmenter.test.crf": None,
}
