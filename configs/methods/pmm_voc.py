"""PMM on VOC 2012 (Li et al., ICCV 2021): two classifiers, pseudo-masks, two networks; on ResNet38d and ResNet-101.

    wsssbench run configs/methods/pmm_voc.py --set data.root=VOCdevkit/VOC2012

The four steps, by the authors' code, [C] https://github.com/Eli-YiLi/PMM (run.py, pipeline/, tool/data.py) and
Eli-YiLi/WSSS_MMSeg at 2cbb54e: a classifier, whose CAMs a CRF cuts out roughly; one that learns from crops which these
masks relabel; a network on its pseudo-masks, with pretended under-fitting; and another one, without that, on what the
first network predicts of its own images. [S] is SEAM's code, which the classifiers' is taken from.

Not the same here: the second classifier is ScaleNet-101 there, and ResNet38d here (the authors' issue 7 has CAMs of
53.9 with ResNet38d, 57.8 with ScaleNet-101); the networks' backbones are others, see
_base_/segmenters/pspnet_resnet101.py; the first classifier starts from SEAM's released weights there, from ImageNet
here; the first network's checkpoint is chosen on the masks of val there, and is the last one here.
"""

_base_ = ["../_base_/voc12.py", "../_base_/segmenters/pspnet_resnet101.py"]
name = "pmm_voc"
before = dict(
    rough=dict(
        classifier=dict(
            augment=[],
            transform=dict(resize_long=(448, 768)),  # [C]
            schedule=dict(batch_size=24, epochs=8),  # [C]
        ),
        cam=dict(type="MultiScaleCAM", normalisation="range"),  # [S]
        refine=dict(crf=dict(type="DenseCRF", input="cam", preset="psa", alpha=24.0)),  # [C]
    ),
    once=dict(
        label=dict(type="PPMG", input="cam", smoothing=0.3, floor=0.05, alpha=11.0),  # [C]
        segmenter=dict(loss=dict(type="PretendedUnderfitting", below=0.5, limit=0.5)),  # [C]
    ),
)
classifier = dict(
    backbone=dict(
        type="ResNet38d",
        weights="resnet_38d.params",  # ImageNet
        frozen_stages=2,  # [S]
        frozen_norm=True,  # [S]
        dropout=(0.3, 0.5),  # [S]
    ),
    pooling=dict(type="GAP"),  # [C]
    objectives=[dict(type="SEAM")],  # [C] its defaults are SEAM's
    erasing=[],
    augment=[
        dict(
            type="RelabelledCrops",
            masks="rough.crf",
            crop=448,  # [C]
            stride=300,  # [C]
            sure=0.9,  # [C]
            share=0.1,  # [C]
        )
    ],
    dropout=0.5,  # [S]
    transform=dict(
        resize_long=None,  # [C] the window as it is, which is stretched to the crop
        crop=448,  # [C]
        flip=True,  # [C]
        jitter=(0.3, 0.3, 0.3, 0.1),  # [C]
        jitter_probability=1.0,  # [C]
    ),
    schedule=dict(
        batch_size=16,  # [C]
        epochs=20,  # [C]
        lr=0.02,  # [C]
        power=0.9,  # [C]
        momentum=5e-4,  # [C] as it really is: its optimiser passes the weight decay as the momentum
        weight_decay=5e-4,  # [C]
        new_layers_lr=10.0,  # [C]
        bias_lr=2.0,  # [C]
        bias_weight_decay=0.0,  # [C]
    ),
)
cam = dict(type="MultiCropCAM", crop=448, stride=300)  # [C]
label = dict(
    type="PredictedLabels",
    labels="once.predict.train",
    present_only=False,  # [C] image-level labels are not looked at any more
)
evaluate = dict(threshold=0.1)  # [C] of the CAMs
# CAM and network as other papers quote them: on ScaleNet-101, at a threshold chosen on the masks of train. VOC's server
# scored test: 69.0.
reference = {"CAM": 58.2, "DeepLab val": 68.5}
# --smoke also takes random weights and small crops, so that it needs neither a download nor a GPU.
smoke = {
    "classifier.backbone.weights": None,
    "classifier.backbone.frozen_stages": 0,
    "classifier.backbone.frozen_norm": False,
    "classifier.augment.0.crop": 64,
    "classifier.augment.0.scales": (0.25,),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "classifier.transform.resize_long": (64, 96),
    "cam.crop": 64,
    "cam.scales": (0.25,),
    "segmenter.backbone.pretrained": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.batch_size": 4,
    "segmenter.test.scales": (0.25,),
    "segmenter.test.crf": None,
}
