"""The weights a segmentation network starts from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from wsssbench.errors import UserError
from wsssbench.files.weights import load_into, load_state_dict_file
from wsssbench.interfaces import Backbone
from wsssbench.models.classifier import without_weights
from wsssbench.plugins import load
from wsssbench.segmenters.settings import InitSettings

if TYPE_CHECKING:
    from wsssbench.segmenters.heads import DeepLabV2Head, LargeFOVHead

_BACKBONE = "backbone.network."  # where the tensors are in a network trained here
_HEAD = "decode_head."
_WHERE = "segmenter.backbone"


def build_backbone(
    config: Mapping[str, Any], init: InitSettings | None, pretrained: bool
) -> Backbone:
    """A registered backbone, with its own weights or those of `init`.

    Args:
        config: of the backbone.
        init: replaces the backbone's own weights, if given.
        pretrained: False leaves out all weights, where the backbone can be built without: they are loaded afterwards.

    Raises:
        UserError: a weight file that is missing, unreadable or of another architecture.
    """
    registry = load().registries.backbone
    if pretrained and init is None:
        return _built(config)
    blank = without_weights(config, _WHERE)
    if not pretrained or init is None:
        return _built(blank)
    state = load_state_dict_file(init.weights)
    own = _part(state, _BACKBONE)
    if not own and "weights" in registry.parameters(config["type"]):
        return _built({**blank, "weights": init.weights})
    network = _built(blank)
    load_into(network, own or state, f"segmenter.init: weight file {init.weights}")
    return network


def load_head(head: nn.Module, init: InitSettings) -> None:
    """Give the decode head its weights from a network trained here (``part='network'``).

    Raises:
        UserError: the file holds no such network, or its head is another one.
    """
    state = _part(load_state_dict_file(init.weights), _HEAD)
    if not state:
        raise UserError(
            f"segmenter.init: weight file {init.weights} holds no whole network (no tensor named {_HEAD}*): give the "
            "weights.pth of a trained segmenter, or part='backbone'"
        )
    load_into(head, state, f"segmenter.init: weight file {init.weights}")


def load_vgg(head: LargeFOVHead | DeepLabV2Head, config: Mapping[str, Any]) -> None:
    """Give fc6 and fc7 of `head` the weights of VGG's fully connected layers, thinned as DeepLab-LargeFOV's.

    Args:
        head: a LargeFOV head without norm, or a v2 head with channels, at VGG's width.
        config: of the backbone, a VGG of torchvision's with pretrained weights.
    """
    if config["weights"] is not None:
        state = load_state_dict_file(config["weights"])
    else:
        # here, since torchvision takes long to import
        from wsssbench.models.torchvision_backbone import fetch_weights

        chosen = "IMAGENET1K_V1" if config["pretrained"] is True else config["pretrained"]
        state = fetch_weights(config["name"], chosen)
    if "classifier.3.weight" not in state:
        raise UserError(
            f"segmenter.fc_from_vgg: weight file {config['weights']} has no fully connected layers (classifier.0 and "
            "classifier.3): give VGG's whole state dict, or fc_from_vgg=False"
        )
    fc6, fc7 = head.fc6_fc7()[0]
    thinned = thin(state, fc6.out_channels, fc7.out_channels)
    for pair in head.fc6_fc7():
        for layer, (weight, bias) in zip(pair, thinned, strict=True):
            layer.load_state_dict({"weight": weight, "bias": bias})


def thin(
    state: Mapping[str, Tensor], fc6: int, fc7: int
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Random filters of VGG's first two fully connected layers, as 3 x 3 and 1 x 1 convolutions.

    Chen et al., ICLR 2015, Section 3.1, and TPAMI 2018, Section 4.1.1. Every third row and column of the 7 x 7 kernel
    is kept: at dilation 12 these see what they saw when VGG is applied at stride 8, that is at dilation 4.

    Args:
        state: VGG's state dict in torchvision's names.
        fc6: how many filters of ``classifier.0`` (drawn from torch's global generator).
        fc7: how many of ``classifier.3``.

    Returns:
        Weight and bias of fc6 (fc6, C, 3, 3) and of fc7 (fc7, fc6, 1, 1).
    """
    first, second = state["classifier.0.weight"], state["classifier.3.weight"]
    kernels = first.reshape(len(first), -1, 7, 7)[:, :, ::3, ::3]
    kept6, kept7 = (torch.randperm(len(w))[:n] for w, n in ((first, fc6), (second, fc7)))
    return (
        (kernels[kept6], state["classifier.0.bias"][kept6]),
        (second[kept7][:, kept6, None, None], state["classifier.3.bias"][kept7]),
    )


def _built(config: Mapping[str, Any]) -> Backbone:
    network: Backbone = load().registries.backbone.build(config, where=_WHERE)
    return network


def _part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
