"""ICD on VOC 2012, VGG-16 (Fan et al., CVPR 2020), up to the pseudo-labels.

    wsssbench run configs/methods/icd_voc.py --set data.root=VOCdevkit/VOC2012

It needs scikit-image, for superpixels: pip install "wsssbench[baselines]". Without them: --set
classifier.objectives.0.superpixels=none. [C] the authors' code, https://github.com/js-fan/ICD at f78286a (run_icd.py,
core/model/, core/data/); [T] this toolkit's choice, where its network or data differ from theirs. Which of these values
the paper names was not verified. The recipe of their segmentation network was not released, so the experiment ends with
its labels.
"""

_base_ = ["../_base_/voc12.py"]
name = "icd_voc"
classifier = dict(
    backbone=dict(
        type="TorchvisionBackbone",
        name="vgg16",  # [C] there from DeepLab's weights, which are of ImageNet, too
        pretrained=True,
        output_stride=8,  # [C]
    ),
    pooling=dict(type="GAP"),  # [C]
    erasing=[],
    hidden=1024,  # [T] there pools 3 x 3, fc6 (3 x 3, 1024) and fc7 (1024)
    dropout=0.5,  # [C]
    objectives=[
        dict(
            type="ICD",
            classification_weight=20.0,  # [C] a sum over 20 classes
            bottom_up=10.0,  # [C]
            momentum=0.9,  # [C]
            threshold=0.2,  # [C]
            warmup=0.1,  # [C] 2 of 20 epochs
            widths=(1024, 1024),  # [C]
            superpixels=64,  # [C] of a photo, here of a crop [T]
        )
    ],
    transform=dict(
        resize_long=(250, 750),  # [T] there 0.5, 0.75, 1, 1.25 or 1.5 of the photo
        crop=321,  # [C]
        flip=True,  # [C]
        jitter=(0.0, 0.0, 0.0, 0.0),  # [C]
    ),
    schedule=dict(
        batch_size=32,  # [C] "essential", says the author (issue 4)
        epochs=20,  # [C]
        lr=1e-3,  # [C]
        power=0.9,  # [C] there by epoch, here by iteration
        optimizer="SGD",  # [C]
        momentum=0.9,  # [C]
        weight_decay=5e-4,  # [C]
        new_layers_lr=10.0,  # [C]
    ),
)
cam = dict(type="ICDScores", scales=(1.0,), flip=False)  # [C]
label = dict(type="ICDSeeds", input="cam", certainty=0.5, lowest=0.1, preset="psa")  # [C]
# The author's second training (issue 4), train: 60.2 to 60.3, and 62.2 to 62.4 with the CRF. The paper's DeepLab on
# ResNet-101 has 64.1 on val and 64.3 on test, as other papers quote it.
reference = {"CAM": 60.2, "pseudo-label": 62.2}
smoke = {
    "classifier.backbone.pretrained": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
}
