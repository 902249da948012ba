"""DeepLab-v2 on ResNet-101 with multi-scale inputs: the recipe of AdvCAM, RIB, SC-CAM, AMN, ReCAM and others.

Values without a remark: kazuto1011/deeplab-pytorch, configs/voc12.yaml, main.py, libs/, read in the released code; the
network is that of Chen et al., TPAMI 2018, Section 4.1.2. Its default initial weights are MS-COCO's (`coco_init`),
which have seen pixel labels; here they are ImageNet's. To compare with results of the former:
``segmenter.init=dict(weights="FILE", trained_on="COCO")``.

Not the same here: the learning rate decays every iteration (there every 10th); the loss is the mean over the labelled
pixels of all 10 images (there of 5, twice); images are normalised by mean and deviation, for torchvision's weights
(there by the mean). AdvCAM and RIB train longer and with a balanced loss, deeplabv2_resnet101_balanced.py, RIB on
MS-COCO with crops of 481 (jbeomlee93/RIB#2); LPCAM on MS-COCO 100000 iterations at 2e-4.

The batch of 10 cannot be shared by 4 ranks: use 1, 2, 5 or 10, or --set segmenter.schedule.batch_size=12.
"""

segmenter = dict(
    type="DeepLab",
    head="v2",  # four atrous classifiers, summed
    dilations=(6, 12, 18, 24),
    backbone=dict(
        type="TorchvisionBackbone",
        name="resnet101",
        pretrained=True,  # ImageNet, IMAGENET1K_V1; see above
        output_stride=8,
        frozen_norm=True,
    ),
    multi_scale_inputs=(0.5, 0.75),
    loss_at="map",
    crop=321,
    resize=(0.5, 1.5),
    resize_step=0.25,
    photometric=False,
    cat_max_ratio=1.0,
    schedule=dict(
        batch_size=10,  # 5, accumulated twice
        iterations=20000,
        lr=2.5e-4,
        new_layers_lr=10.0,
        bias_lr=2.0,  # so 20 for new biases; ResNet has no other
        bias_weight_decay=0.0,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.9,
    ),
    test=dict(scales=(1.0,), flip=False, crf="deeplab"),  # the three input scales are the network's
)
