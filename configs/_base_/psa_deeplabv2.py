"""The plain baseline of the AffinityNet lineage, and the network that later methods compare on, DeepLab-v2."""

_base_ = ["psa_resnet38d.py", "segmenters/deeplabv2_resnet101.py"]
smoke = {
    "segmenter.backbone.pretrained": False,
    "segmenter.backbone.frozen_norm": False,
    "segmenter.crop": 96,
    "segmenter.schedule.batch_size": 4,
}
