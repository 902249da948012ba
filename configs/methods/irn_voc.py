"""IRNet's semantic part on VOC 2012 (Ahn, Cho & Kwak, CVPR 2019): confident seeds, edges, a walk between them.

    wsssbench run configs/methods/irn_voc.py --set data.root=VOCdevkit/VOC2012

Every value is that of the authors' code, https://github.com/jiwoon-ahn/irn, commit a2ece00 (run_sample.py,
step/cam_to_ir_label.py, step/train_irn.py, net/resnet50_irn.py), except where a remark says something else. The
classifier and its CAMs are _base_/irn_resnet50.py. The experiment ends with the pseudo-labels.
"""

_base_ = ["../_base_/voc12.py", "../_base_/irn_resnet50.py"]
name = "irn_voc"
# A stage of its own, so that other methods can start from the same seeds.
stages = dict(seeds=dict(type="ConfidentSeeds", input="cam", foreground=0.30, background=0.05))
refine = dict(
    irn=dict(
        type="IRNet",
        input="cam",
        seeds="seeds",
        backbone=dict(
            type="TorchvisionBackbone",
            name="resnet50",
            pretrained=True,  # ImageNet, IMAGENET1K_V1; there without dilation in the last stage
            output_stride=16,
        ),
        radius=(10, 5),  # in training, in the walk
        beta=10.0,
        steps=256,  # 8 squarings
        background=0.25,
        crop=512,
        scales=(0.5, 1.5),
        schedule=dict(
            batch_size=32,
            epochs=3,
            lr=0.1,
            power=0.9,
            momentum=1e-4,  # as it really is, see _base_/irn_resnet50.py
            weight_decay=1e-4,
            new_layers_lr=1.0,
        ),
    ),
)
label = dict(input="irn")
evaluate = dict(threshold=0.15)  # of the CAMs
# README of the released code, train. The threshold of the CAMs was chosen on those masks. The paper's network
# (DeepLab-v2 on ResNet-50) has 63.5 on val and 64.8 on test.
reference = {"CAM": 48.3, "+ IRNet": 66.5}
smoke = {
    "refine.irn.backbone.pretrained": False,
    "refine.irn.crop": 64,
    "refine.irn.schedule.batch_size": 4,
}
