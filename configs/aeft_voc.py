"""AEFT on VOC 2012: the paper's experiment (Yoon et al., ECCV 2022). Four GPUs:

    torchrun --nproc_per_node=4 -m wsssbench run configs/aeft_voc.py --set data.root=VOCdevkit/VOC2012

Values without a remark are the paper's; where it is silent, the released code's or the lineage's, as remarked.
"""

_base_ = ["_base_/voc12.py", "_base_/segmenters/largefov_resnet38d.py"]
name = "aeft_voc"
classifier = dict(
    backbone=dict(type="ResNet38d", weights="resnet_38d.pth"),  # ImageNet weights as a state dict
    pooling=dict(type="GPP", bins=(2, 4, 8, 16)),  # eq. 2-5
    erasing=[
        dict(
            type="AEFT",  # eq. 6-11
            attract=0.15,
            repel=0.15,
            margin=0.5,
            t_high=0.6,  # released code
            t_low=0.2,  # released code
        )
    ],
    transform=dict(
        resize_long=(256, 512),  # released code
        crop=320,  # released code: a 40 x 40 map at stride 8
        jitter=(0.4, 0.4, 0.4, 0.1),  # released code
        jitter_probability=0.8,  # released code
    ),
    schedule=dict(
        batch_size=32,
        epochs=40,  # released code
        lr=0.01,
        power=0.9,
        momentum=5e-4,  # the lineage's optimiser passes the weight decay as the momentum
        weight_decay=5e-4,  # released code
        new_layers_lr=1.0,  # released code: one learning rate for all layers
    ),
)
cam = dict(type="MultiScaleCAM", scales=(0.5, 1.0, 1.5, 2.0), flip=True)  # released code
refine = dict(
    crf=dict(
        type="DenseCRF", input="cam", preset="psa", alpha=9.0
    ),  # released README, best for CRF
    rw=dict(
        type="AffinityWalk",
        input="cam",
        backbone=dict(type="ResNet38d", weights="resnet_38d.pth"),
        alpha=(2.0, 21.0),  # released README
        background_alpha=19.0,  # released README
        stride=8,
        radius=5,
        beta=8.0,
        steps=64,  # released code: 2^6
        crop=448,
        schedule=dict(batch_size=8, epochs=8, lr=0.01, power=0.9, momentum=5e-4, weight_decay=5e-4),
    ),
    rw_crf=dict(type="DenseCRF", input="rw", preset="psa_rw"),
)
label = dict(input="rw_crf")
reference = {  # the paper's Tables 4 and 5
    "CAM": 56.0,
    "+ CRF": 63.5,
    "+ random walk + CRF": 71.0,
    "DeepLab val": 70.9,
}
