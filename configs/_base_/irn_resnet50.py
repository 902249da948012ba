"""IRN's classifier on ResNet-50 and its CAMs (Ahn, Cho & Kwak, CVPR 2019): what many methods start from.

Values without a remark: jiwoon-ahn/irn a2ece00 (run_sample.py, step/train_cam.py, step/make_cam.py,
net/resnet50_cam.py). Not the same here: the affine weights of batch normalisation stay as they are (there they are
trained, at fixed statistics); CAMs are made once, at full size, and IRNet's walk reduces them (there they are made from
the maps a second time, at a quarter of the size).
"""

classifier = dict(
    backbone=dict(
        type="TorchvisionBackbone",
        name="resnet50",
        pretrained=True,  # ImageNet, IMAGENET1K_V1
        output_stride=16,
        frozen_stages=3,  # what layer2 gives has no gradient
        frozen_norm=True,
    ),
    pooling=dict(type="GAP"),
    erasing=[],
    objectives=[],
    transform=dict(resize_long=(320, 640), crop=512, flip=True),  # no jitter
    schedule=dict(
        batch_size=16,
        epochs=5,
        lr=0.1,
        power=0.9,
        momentum=1e-4,  # as it really is: its optimiser passes the weight decay as the momentum
        weight_decay=1e-4,
        new_layers_lr=10.0,
    ),
)
cam = dict(type="MultiScaleCAM", scales=(1.0, 0.5, 1.5, 2.0), flip=True, multiple=16)
# --smoke also takes random weights and small crops, so that it needs neither a download nor a GPU.
smoke = {
    "classifier.backbone.pretrained": False,
    "classifier.backbone.frozen_stages": 0,
    "classifier.backbone.frozen_norm": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "cam.scales": (0.25,),
}
