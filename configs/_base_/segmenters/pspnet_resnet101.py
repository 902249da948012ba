"""PSPNet (Zhao et al., CVPR 2017) on ResNet-101, trained as in PMM (Li et al., ICCV 2021).

Values without a remark: Eli-YiLi/WSSS_MMSeg at 2cbb54e, configs/pspnet_wsss, where the backbone is ScaleNet-101 or
Res2Net-101, which have other ImageNet weights; [M] mmsegmentation's PSPNet and VOC configs, which it derives from.
PMM's loss is no part of this file.

Not the same here: there is no auxiliary head on the last stage but one (there with a weight of 0.4); the learning rate
ends at 0 (there at 1e-4); images are scaled from their own size (there they first fit into 2048 x 512); prediction is
in windows of 512 that are two thirds of it apart (there 480); with several ranks on CPUs, each normalises its images.
"""

segmenter = dict(
    type="DeepLab",
    head="psp",
    backbone=dict(
        type="TorchvisionBackbone",
        name="resnet101",
        pretrained=True,  # ImageNet, IMAGENET1K_V1
        output_stride=8,
        frozen_norm=False,
    ),
    channels=512,  # [M]
    dropout=0.1,  # [M]
    crop=512,
    resize=(0.5, 2.0),  # [M]
    photometric=True,  # [M]
    cat_max_ratio=0.75,  # [M]
    schedule=dict(
        batch_size=16,  # 8 GPUs with 2 each
        iterations=20000,
        lr=0.005,
        new_layers_lr=1.0,  # [M]
        momentum=0.9,  # [M]
        weight_decay=5e-4,
        power=0.9,  # [M]
    ),
    test=dict(
        scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75),  # [M]
        flip=True,
        slide=True,
        crf="deeplab",
    ),
)
