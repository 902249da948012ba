"""The segmentation network: mmseg's EncoderDecoder around one of our backbones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mmseg.models  # noqa: F401 - registers the heads and losses
from mmengine.config import ConfigDict
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.segmentors import EncoderDecoder

from wsssbench import ranks
from wsssbench.data.transforms import IMAGENET_MEAN, IMAGENET_STD
from wsssbench.interfaces import IGNORE, Backbone
from wsssbench.plugins import load
from wsssbench.segmenters import backbone as _backbone  # noqa: F401 - registers it
from wsssbench.segmenters import heads as _heads  # noqa: F401 - registers them
from wsssbench.segmenters.settings import HeadSettings

# Atrous rates as published, for a map at stride 8; at another stride they cover the same part of the image.
_RATES = {"largefov": (12,), "v2": (6, 12, 18, 24), "v3plus": (1, 12, 24, 36)}


def build_network(
    backbone: Mapping[str, Any],
    head: HeadSettings,
    num_labels: int,
    crop: int,
    slide: bool,
    device: str,
) -> EncoderDecoder:
    """Backbone with its pretrained weights, head with random ones (from torch's global generator).

    Args:
        backbone: config of a registered backbone.
        head: the decode head.
        num_labels: classes and background.
        crop: training images are padded to this side.
        slide: predict in windows of `crop`.
        device: where it will run; decides how several ranks normalise batches.
    """
    network: Backbone = load().registries.backbone.build(backbone, where="segmenter.backbone")
    model = EncoderDecoder(
        backbone={"type": "WsssbenchBackbone", "network": network},
        decode_head=_head(head, network, num_labels, device),
        data_preprocessor=SegDataPreProcessor(
            mean=[255 * value for value in IMAGENET_MEAN],
            std=[255 * value for value in IMAGENET_STD],
            bgr_to_rgb=True,
            size=(crop, crop),
            pad_val=0,  # after normalisation: the mean colour
            seg_pad_val=IGNORE,
        ),
        test_cfg=_test_mode(crop, slide),
    )
    model.decode_head.init_weights()
    return model


def _head(head: HeadSettings, network: Backbone, num_labels: int, device: str) -> dict[str, Any]:
    stride = network.strides[-1]
    scaled = tuple(rate if rate == 1 else max(1, rate * 8 // stride) for rate in _RATES[head.type])
    dilations = head.dilations or scaled
    common: dict[str, Any] = {
        "in_channels": network.channels[-1],
        "num_classes": num_labels,
        "norm_cfg": _norm(device),
        "ignore_index": IGNORE,
        # the mean over the pixels that have a label, however many have none
        "loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True},
    }
    if head.type == "v2":
        return {"type": "WsssbenchDeepLabV2Head", "dilations": dilations, **common}
    common["channels"] = head.channels or {"largefov": 512, "v3plus": 256}[head.type]
    default = {"largefov": 0.5, "v3plus": 0.1}[head.type]
    common["dropout_ratio"] = default if head.dropout is None else head.dropout
    if head.type == "largefov":
        return {"type": "WsssbenchLargeFOVHead", "dilation": dilations[0], **common}
    fine = network.channels[0] if len(network.channels) > 1 else 0
    return {
        "type": "DepthwiseSeparableASPPHead",
        "dilations": dilations,
        "c1_in_channels": fine,
        "c1_channels": 48 if fine else 0,  # Chen et al., ECCV 2018, Table 1
        **common,
    }


def _norm(device: str) -> dict[str, Any]:
    """Statistics over all ranks where that exists; torch has it for GPUs only."""
    together = ranks.world_size() > 1 and device == "cuda"
    return {"type": "SyncBN" if together else "BN", "requires_grad": True}


def _test_mode(crop: int, slide: bool) -> ConfigDict:
    if not slide:
        return ConfigDict(mode="whole")
    step = max(1, 2 * crop // 3)
    return ConfigDict(mode="slide", crop_size=(crop, crop), stride=(step, step))
