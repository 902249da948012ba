"""DeepLab-LargeFOV on ResNet38d, with the recipe of the AffinityNet lineage (SEAM, CPN and others share it)."""

segmenter = dict(
    type="DeepLab",
    head="largefov",
    backbone=dict(type="ResNet38d", weights="resnet_38d.pth"),
    channels=512,
    crop=448,
    resize=(0.5, 1.5),
    schedule=dict(
        batch_size=10, iterations=20000, lr=1e-3, momentum=0.9, weight_decay=5e-4, power=0.9
    ),
    test=dict(scales=(0.5, 0.75, 1.0, 1.25, 1.5, 1.75), flip=True, crf="seg_test"),
)
