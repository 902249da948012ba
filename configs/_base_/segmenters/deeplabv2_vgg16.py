"""DeepLab-v2 on VGG-16: ASPP-L of Chen et al., TPAMI 2018 (68.96 % on val before the CRF with full labels).

Sources are sections of that paper.

Not the same here: the last two poolings are left out (there 3 x 3 with stride 1), and the others are VGG's own 2 x 2
(there 3 x 3).

The batch of 10 cannot be shared by 4 ranks: use 1, 2, 5 or 10, or --set segmenter.schedule.batch_size=12.
"""

segmenter = dict(
    type="DeepLab",
    head="v2",  # Fig. 7: four branches fc6-fc7-fc8, summed
    dilations=(6, 12, 18, 24),  # Table 3, ASPP-L
    backbone=dict(
        type="TorchvisionBackbone",
        name="vgg16",
        pretrained=True,  # TPAMI, Section 4.1.1: ImageNet
        output_stride=8,  # Section 3.1: no stride in the last two poolings, dilation 2 in conv5
    ),
    channels=1024,  # Section 4.1.1
    fc_from_vgg=True,  # Section 4.1.1: a random subset of 1024 of VGG's 4096 filters in fc6 and fc7
    dropout=0.5,  # VGG's; the paper does not say
    loss_at="map",  # Section 4: targets are the labels, subsampled by 8
    crop=321,  # released solver and network, not verified here
    resize=(1.0, 1.0),  # Section 4.1.2 names random scaling for ResNet-101 only
    photometric=False,
    cat_max_ratio=1.0,
    schedule=dict(
        batch_size=10,  # Section 4.1.2, Table 2; ICLR 2015: 20, lr / 10 every 2000 iterations
        iterations=20000,  # Section 4.1.2, Table 2
        lr=1e-3,  # Section 4.1.1
        new_layers_lr=10.0,  # Section 4.1.1: 0.01 for the last layer
        bias_lr=2.0,  # released network, not verified here
        bias_weight_decay=0.0,  # released network, not verified here
        momentum=0.9,  # Section 4.1.1
        weight_decay=5e-4,  # Section 4.1.1
        power=0.9,  # Section 4.1.2
    ),
    # Section 4.1.1 fits the CRF to 100 images of val, which is no option with image-level labels: the lineage's values
    test=dict(scales=(1.0,), flip=False, crf="deeplab"),
)
