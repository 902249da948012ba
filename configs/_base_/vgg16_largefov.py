"""VGG-16 at output stride 8, trunk of the first methods: a plain classifier, its CAMs, and DeepLab-LargeFOV.

[L] Chen et al., TPAMI 2018, whose network's layers the classifier has; [T] this toolkit's choice, which is most of it:
what AE-PSL and others of 2016 to 2018 say about the classifier's training is not verified.
"""

_base_ = ["segmenters/largefov_vgg16.py"]
classifier = dict(
    backbone=dict(
        type="TorchvisionBackbone",
        name="vgg16",
        pretrained=True,  # [L] ImageNet
        output_stride=8,  # [L]
    ),
    pooling=dict(type="GAP"),  # Zhou et al., CVPR 2016
    hidden=1024,  # [T] in the place of fc6 and fc7
    dropout=0.5,  # [L]
    transform=dict(resize_long=(321, 481), crop=321, jitter=(0.0, 0.0, 0.0, 0.0)),  # [T]; [L] crop
    schedule=dict(
        batch_size=30,  # [T]
        epochs=15,  # [T]
        lr=1e-3,  # [L]
        new_layers_lr=10.0,  # [L]
        momentum=0.9,  # [L]
        weight_decay=5e-4,  # [L]
    ),
)
cam = dict(type="MultiScaleCAM", scales=(1.0,), flip=False)  # Zhou et al.
label = dict(input="cam")
# --smoke also takes random weights and small crops, so that it needs neither a download nor a GPU.
smoke = {
    "classifier.backbone.pretrained": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "segmenter.backbone.pretrained": False,
    "segmenter.fc_from_vgg": False,
    "segmenter.crop": 96,
    "segmenter.schedule.batch_size": 4,
}
