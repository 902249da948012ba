"""AEFT on ResNet38d, pseudo-labels and DeepLab included: the method as the paper has it (Yoon et al., ECCV 2022).

resnet_38d.params are ademxapp's ImageNet weights of ResNet38 "A1"; `wsssbench weights check FILE` knows them.

Where a value comes from: [P] the paper, section 4 and equations; [C] the paper says nothing, so its authors' code,
https://github.com/KAIST-vilab/AEFT (train.py, train_aff.py and README; its losses differ, see aeft_voc_released.py);
[L] neither does, so the AffinityNet lineage; [T] this toolkit's choice.
"""

_base_ = ["segmenters/largefov_resnet38d.py"]
classifier = dict(
    backbone=dict(
        type="ResNet38d",  # [P]
        weights="resnet_38d.params",  # [P] ImageNet
        frozen_stages=2,  # [C] [L] up to b2
        frozen_norm=True,  # [C] [L]
        dropout=(0.2, 0.2),  # [C]; [L] has 0.3 and 0.5
    ),
    pooling=dict(type="GPP", bins=(2, 4, 8, 16)),  # [P] eq. 2-5, Table 1
    erasing=[
        dict(
            type="AEFT",  # [P] eq. 6-11
            attract=0.15,  # [P] lambda_1
            repel=0.15,  # [P] lambda_2
            margin=0.5,  # [P] epsilon
            t_high=0.6,  # [C]
            t_low=0.2,  # [C]
        )
    ],
    transform=dict(
        resize_long=(256, 512),  # [C]
        crop=320,  # [P] without a size; [C] 320, hence maps of 40 x 40
        flip=True,  # [P]
        jitter=(0.4, 0.4, 0.4, 0.1),  # [P] without strengths; [C]
        jitter_probability=0.8,  # [C]
    ),
    schedule=dict(
        batch_size=32,  # [P] 8 on each of 4 GPUs
        epochs=40,  # [C]
        lr=0.01,  # [P]
        power=0.9,  # [P] poly
        optimizer="SGD",  # [C] [L]
        momentum=5e-4,  # [C] [L] as it really is: their optimiser passes the weight decay as the momentum
        weight_decay=5e-4,  # [C] [L]
        new_layers_lr=1.0,  # [C] one rate for all layers; [L] has 10
    ),
)
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0, 1.5, 2.0), flip=True)  # [C] [L]
refine = dict(
    crf=dict(
        type="DenseCRF",
        input="cam",
        preset="psa",  # [C] [L]
        alpha=9.0,  # [C] README: best for the CAMs with CRF
    ),
    rw=dict(
        type="AffinityWalk",  # [P] AffinityNet's
        input="cam",
        backbone=dict(type="ResNet38d", weights="resnet_38d.params"),  # [L]; [C] a VOC classifier
        alpha=(2.0, 21.0),  # [C] README: low and high
        background_alpha=19.0,  # [C] README: dup
        crf_preset="psa",  # [C] [L]
        stride=8,  # [C] [L]
        radius=5,  # [C] [L]
        beta=8.0,  # [C] [L]
        steps=64,  # [C] 2^6; AffinityNet has 2^8
        crop=448,  # [C] [L]
        schedule=dict(
            batch_size=8,  # [C] [L]
            epochs=8,  # [C] [L]
            lr=0.01,  # [C]; AffinityNet has 0.1
            power=0.9,  # [C] [L]
            momentum=5e-4,  # [C] [L] as above
            weight_decay=5e-4,  # [C] [L]
            new_layers_lr=10.0,  # [C] [L]
        ),
    ),
    rw_crf=dict(type="DenseCRF", input="rw", preset="psa_rw"),  # [C] one iteration
)
label = dict(input="rw_crf")  # [P] Table 4, last column
# [P] DeepLab-LargeFOV on ResNet38d, without a recipe: [L], in the base. Its batch of 10 cannot be shared by 4 GPUs.
segmenter = dict(
    backbone=dict(weights="resnet_38d.params"),
    schedule=dict(batch_size=12),  # [T]
)
# --smoke also takes random weights and small crops, so that it needs neither a download nor a GPU.
smoke = {
    "classifier.backbone.weights": None,
    "classifier.backbone.frozen_stages": 0,
    "classifier.backbone.frozen_norm": False,
    "classifier.pooling.bins": (2, 4, 8),  # a crop of 64 has a map of 8 x 8
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "cam.scales": (0.25,),
    "refine.rw.backbone.weights": None,
    "refine.rw.backbone.frozen_stages": 0,
    "refine.rw.backbone.frozen_norm": False,
    "refine.rw.crop": 96,
    "refine.rw.schedule.batch_size": 2,
    "segmenter.backbone.weights": None,
    "segmenter.backbone.frozen_stages": 0,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.batch_size": 4,
    "segmenter.test.scales": (0.25,),
    "segmenter.test.crf": None,
}
