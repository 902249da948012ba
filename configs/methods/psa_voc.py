"""AffinityNet (Ahn & Kwak, CVPR 2018) on VOC 2012, on ResNet38d: a plain classifier, a random walk, a network.

    wsssbench run configs/methods/psa_voc.py --set data.root=VOCdevkit/VOC2012

The method with its values and their sources, the released code's, is _base_/psa_resnet38d.py. The paper's segmentation
network is a ResNet38, too, but its recipe was not verified [?]: here it is _base_/segmenters/largefov_resnet38d.py.
"""

_base_ = [
    "../_base_/voc12.py",
    "../_base_/psa_resnet38d.py",
    "../_base_/segmenters/largefov_resnet38d.py",
]
name = "psa_voc"
segmenter = dict(backbone=dict(weights="resnet_38d.params"))
reference = {"DeepLab val": 61.7}  # as the AEFT paper quotes it, Table 5; test: 63.7
smoke = {
    "segmenter.backbone.weights": None,
    "segmenter.backbone.frozen_stages": 0,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.resize": (0.25, 0.5),
    "segmenter.schedule.batch_size": 4,
    "segmenter.test.scales": (0.25,),
    "segmenter.test.crf": None,
}
