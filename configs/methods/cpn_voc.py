"""CPN on VOC 2012, ResNet38d (Zhang et al., ICCV 2021), with IRNet's pseudo-labels and DeepLab-LargeFOV.

    wsssbench run configs/methods/cpn_voc.py --set data.root=VOCdevkit/VOC2012

It needs scikit-image, for superpixels: pip install "wsssbench[baselines]". [C] the authors' code,
https://github.com/Ferenas/CPN at aca29f3 (train_cpn.py, tool/imutils.py, network/resnet38_CPN.py, infer_cam.py); [R]
its README. It is SEAM's code with another loss, so network, crops, optimiser and CAMs are those of
_base_/seam_resnet38d.py, which were compared. Which of these the paper names was not verified.
"""

_base_ = ["../_base_/voc12.py", "../_base_/seam_resnet38d.py"]
name = "cpn_voc"
classifier = dict(
    objectives=[
        dict(
            type="CPN",
            pair="superpixels",  # [C]
            superpixels=300,  # [C]
            compactness=10.0,  # [C]
            triplet=1.0,  # [C]
            cross=1.0,  # [C]
            hardest=0.2,  # [C]
            minimum=1.0,  # [C]
            widths=(64, 128),  # [C]
        )
    ],
    schedule=dict(batch_size=4),  # [C]; larger ones may do better [R]
)
# [C] evaluation_cam.py tries 0.20 to 0.59 on halved maps, and takes the best on the masks.
evaluate = dict(threshold=0.5)  # this toolkit's, since no single one was published
# [R] "IRN for the second expansion of the CAM"; these are IRN's own values (irn_voc.py), since none were published.
stages = dict(seeds=dict(type="ConfidentSeeds", input="cam", foreground=0.30, background=0.05))
refine = dict(
    _delete_=True,
    irn=dict(
        type="IRNet",
        input="cam",
        seeds="seeds",
        backbone=dict(
            type="TorchvisionBackbone", name="resnet50", pretrained=True, output_stride=16
        ),
    ),
)
label = dict(input="irn")  # [R]
# [R] the network of the base, as in SEAM. Its val as other papers quote it; VOC's server scored test: 68.5. The CAMs'
# 57.4 on train, and the 57.6 on val of issue 4 of the released code, were not verified.
reference = {"DeepLab val": 67.8}
smoke = {
    "_delete_": True,
    "classifier.backbone.weights": None,
    "classifier.backbone.frozen_stages": 0,
    "classifier.backbone.frozen_norm": False,
    "classifier.transform.resize_long": (64, 96),
    "classifier.transform.crop": 64,
    "classifier.schedule.batch_size": 4,
    "cam.scales": (0.25,),
    "refine.irn.backbone.pretrained": False,
    "refine.irn.crop": 64,
    "refine.irn.schedule.batch_size": 4,
    "segmenter.backbone.weights": None,
    "segmenter.backbone.frozen_stages": 0,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.batch_size": 4,
    "segmenter.test.scales": (0.25,),
    "segmenter.test.crf": None,
}
