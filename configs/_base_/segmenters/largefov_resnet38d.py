"""DeepLab-LargeFOV on ResNet38d: the segmentation recipe of SEAM, CPN and others of the AffinityNet lineage.

Values without a remark: YudeWang/semantic-segmentation-codebase, experiment/seamv1-pseudovoc (config.py, train.py,
test.py, lib/net/deeplabv1.py), read in the released code; its transforms in a copy (YudeWang/BLPSeg and
giussepi/semantic-segmentation-codebase, lib/datasets). Not the same here: the head's normalisation is trained with the
head (there its scale and shift stay 1 and 0), test images are resized bilinearly (there bicubically), colours are
shifted after resizing (there before), and the backbone's normalisation is frozen, as its train() says there. train.py
never calls that, so conv1a, which it would freeze, is trained there as here.

The batch of 10 cannot be shared by 4 ranks: use 1, 2, 5 or 10, or --set segmenter.schedule.batch_size=12.
"""

segmenter = dict(
    type="DeepLab",
    head="largefov",  # 3 x 3 at dilation 12, 1 x 1, 1 x 1 to the classes; dropout 0.5 before the last
    backbone=dict(type="ResNet38d", weights="resnet_38d.params", frozen_stages=0),  # ImageNet
    channels=512,
    norm_momentum=3e-4,
    last_layer="kaiming",  # normal by fan-out; the bias is PyTorch's
    crop=448,
    resize=(0.5, 1.5),
    interpolation="cubic",
    photometric="hsv10",
    small_images="random",  # on the mean colour
    cat_max_ratio=1.0,
    align_corners=True,
    schedule=dict(
        batch_size=10,
        iterations=20000,  # MS-COCO: 200000 in the lineage
        lr=1e-3,
        new_layers_lr=10.0,
        bias_lr=2.0,  # so 20 for new biases
        bias_weight_decay=0.0,
        momentum=0.9,
        weight_decay=5e-4,
        power=0.9,
    ),
    test=dict(
        scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75), flip=True, average="logits", crf="seg_test"
    ),
)
