"""WILDCAT (Durand et al., CVPR 2017) on VOC 2012, on a dilated ResNet-101.

    wsssbench run configs/methods/wildcat_voc.py --set data.root=VOCdevkit/VOC2012

[C] the authors' code, https://github.com/durandtibo/wildcat.pytorch, whose demo classifies VOC 2007; [T] this toolkit's
choice. What the paper does for segmentation on VOC 2012 was not released, and its numbers there were not verified [?]:
none is given. Of the code's eight maps per class there is one here, which is the same up to the optimisation
(`wsssbench plugins describe WILDCAT`). The experiment goes up to labels by the threshold, refined by nothing.
"""

_base_ = ["../_base_/voc12.py"]
name = "wildcat_voc"
classifier = dict(
    backbone=dict(
        type="TorchvisionBackbone",
        name="resnet101",  # [C]
        pretrained=True,  # [C] ImageNet
        output_stride=16,  # [T]; [C] 32
    ),
    pooling=dict(type="WILDCAT", kmax=0.2, kmin=None, alpha=0.7),  # [C]
    erasing=[],
    transform=dict(resize_long=(448, 448), crop=448, flip=True),  # [C] 448 pixels
    schedule=dict(
        batch_size=16,  # [C]
        epochs=20,  # [C]
        lr=1e-3,  # [C] 0.01 for the head, a tenth of it for what is pretrained; how it decays is [T]
        new_layers_lr=10.0,  # [C]
        momentum=0.9,  # [C]
        weight_decay=1e-4,  # [C]
    ),
)
cam = dict(type="MultiScaleCAM", scales=(1.0,), flip=False)  # [C] the averaged maps
label = dict(input="cam")  # [T]
smoke = {
    "classifier.backbone.pretrained": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
}
