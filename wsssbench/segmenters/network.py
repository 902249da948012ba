"""The segmentation network: mmseg's EncoderDecoder around one of our backbones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import mmseg.models  # noqa: F401 - registers the heads and losses
from mmengine.config import ConfigDict
from mmseg.models.data_preprocessor import SegDataPreProcessor
from mmseg.models.segmentors import EncoderDecoder
from torch import nn

from wsssbench.interfaces import IGNORE, Backbone
from wsssbench.models.preprocess import IMAGENET_MEAN, IMAGENET_STD
from wsssbench.parallel import ranks
from wsssbench.segmenters import backbone as _backbone  # noqa: F401 - registers it
from wsssbench.segmenters import heads as _heads  # noqa: F401 - registers them
from wsssbench.segmenters.initial import build_backbone, load_head, load_vgg
from wsssbench.segmenters.loss import head_loss
from wsssbench.segmenters.multi_scale import MultiScaleEncoderDecoder
from wsssbench.segmenters.settings import HeadSettings, InitSettings, LossSettings

# Atrous rates as published, for a map at stride 8; at another stride they cover the same part of the image.
_RATES = {"largefov": (12,), "dilated": (12,), "v2": (6, 12, 18, 24), "v3plus": (1, 12, 24, 36)}
_DROPOUT = {"largefov": 0.5, "v2": 0.5, "v3plus": 0.1, "psp": 0.1}


def build_network(
    backbone: Mapping[str, Any],
    head: HeadSettings,
    num_labels: int,
    device: str,
    *,
    crop: int,
    slide: bool = False,
    losses: LossSettings | None = None,
    init: InitSettings | None = None,
    pretrained: bool = True,
) -> EncoderDecoder:
    """Backbone with its pretrained weights, head with random ones (from torch's global generator).

    Args:
        backbone: config of a registered backbone.
        head: the decode head.
        num_labels: classes and background.
        device: where it will run; decides how several ranks normalise batches.
        crop: training images are padded to this side.
        slide: predict in windows of `crop`.
        losses: the loss, its input scales and its resolution.
        init: replaces the pretrained weights.
        pretrained: False: no pretrained weights, since others are loaded afterwards.
    """
    network = build_backbone(backbone, init, pretrained)
    losses = losses or LossSettings()
    model = MultiScaleEncoderDecoder(
        losses,
        backbone={"type": "WsssbenchBackbone", "network": network},
        decode_head={
            **_head(head, network, num_labels, device),
            "align_corners": losses.align_corners,
        },
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
    if losses.component is not None:
        model.decode_head.loss_decode = head_loss(losses.component)
    if head.last_layer == "kaiming":
        last = model.decode_head.conv_seg
        last.reset_parameters()  # of the bias, PyTorch's own
        nn.init.kaiming_normal_(last.weight, mode="fan_out", nonlinearity="relu")
    if pretrained and init is not None and init.part == "network":
        load_head(model.decode_head, init)
    elif pretrained and head.fc_from_vgg:
        load_vgg(model.decode_head, backbone)
    return model


def _head(head: HeadSettings, network: Backbone, num_labels: int, device: str) -> dict[str, Any]:
    stride, rates = network.strides[-1], _RATES.get(head.type, ())
    scaled = tuple(rate if rate == 1 else max(1, rate * 8 // stride) for rate in rates)
    dilations = head.dilations or scaled
    dropout = _DROPOUT.get(head.type, 0.0) if head.dropout is None else head.dropout
    common: dict[str, Any] = {
        "in_channels": network.channels[-1],
        "num_classes": num_labels,
        "ignore_index": IGNORE,
        # the mean over the pixels that have a label, however many have none
        "loss_decode": {"type": "CrossEntropyLoss", "avg_non_ignore": True},
    }
    if head.type == "v2":
        hidden = {"hidden": head.channels, "dropout": dropout}
        return {"type": "WsssbenchDeepLabV2Head", "dilations": dilations, **hidden, **common}
    common["channels"] = head.channels or {"v3plus": 256}.get(head.type, 512)
    common["dropout_ratio"] = dropout
    if head.type == "dilated":
        return {"type": "WsssbenchDilatedHead", "dilation": dilations[0], **common}
    common["norm_cfg"] = None if head.norm is False else _norm(device, head.norm_momentum)
    if head.type == "largefov":
        return {"type": "WsssbenchLargeFOVHead", "dilation": dilations[0], **common}
    if head.type == "psp":
        return {"type": "PSPHead", **common}  # pools to 1, 2, 3 and 6 cells along each side
    fine = network.channels[0] if len(network.channels) > 1 else 0
    return {
        "type": "DepthwiseSeparableASPPHead",
        "dilations": dilations,
        "c1_in_channels": fine,
        "c1_channels": 48 if fine else 0,  # Chen et al., ECCV 2018, Table 1
        **common,
    }


def _norm(device: str, momentum: float) -> dict[str, Any]:
    """Statistics over all ranks where that exists; torch has it for GPUs only."""
    together = ranks.world_size() > 1 and device == "cuda"
    kind = "SyncBN" if together else "BN"
    return {"type": kind, "momentum": momentum, "requires_grad": True}


def _test_mode(crop: int, slide: bool) -> ConfigDict:
    if not slide:
        return ConfigDict(mode="whole")
    step = max(1, 2 * crop // 3)
    return ConfigDict(mode="slide", crop_size=(crop, crop), stride=(step, step))
