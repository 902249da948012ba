"""Any convolutional torchvision classifier as a dense backbone."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path
from typing import Annotated

import torch
import torchvision
from pydantic import Field
from torch import Tensor, nn

from wsssbench.errors import UserError, unknown
from wsssbench.files.weights import load_into, load_state_dict_file
from wsssbench.models.staged import StagedBackbone

_FAMILIES = "ResNet, ResNeXt, VGG, DenseNet, MobileNet, EfficientNet, RegNet and MNASNet"
_CLASSIFIERS = ("fc.", "classifier.", "AuxLogits.")  # not part of a backbone


class TorchvisionBackbone(StagedBackbone):
    """A torchvision classifier without its classifier, at output stride 32, 16 or 8.

    ResNet, ResNeXt and Wide ResNet (all depths), VGG, DenseNet, MobileNet, EfficientNet, RegNet and
    MNASNet convert; a network that does not is refused with the reason. Strides beyond the output
    stride become dilation, except that poolings beyond it (VGG, DenseNet) are dropped. Where a
    network rounds odd sizes down (VGG's poolings), it is made to round up, so that every map is
    ceil(size / stride) large.

    Returns one feature map per resolution from stride 4 on: 256, 512, 1024 and 2048 channels for
    ResNet-50, and 256, 512 and 512 for VGG-16 (whose last pooling is dropped at output stride 16).

    Args:
        name: torchvision's name of the classifier.
        pretrained: True for the ImageNet weights the literature used (IMAGENET1K_V1), False for
            random ones, or the name of others, such as ``"IMAGENET1K_V2"``. They are fetched once
            and need the network then.
        weights: a state-dict file with torchvision's names, instead of `pretrained`.
        output_stride: 32, 16 or 8.
        frozen_stages: how many of the first resolutions stay as they are; in a ResNet the first is
            its stem, the second its layer1.
        frozen_norm: batch normalisation keeps its statistics and affine parameters.
    """

    def __init__(
        self,
        *,
        name: str = "resnet50",
        pretrained: bool | str = True,
        weights: str | None = None,
        output_stride: Annotated[int, Field(ge=8, le=32)] = 16,
        frozen_stages: Annotated[int, Field(ge=0, le=100)] = 0,
        frozen_norm: bool = False,
    ) -> None:
        known = torchvision.models.list_models(module=torchvision.models)
        if name not in known:
            raise ValueError(unknown("torchvision classifier", name, known))
        network = torchvision.models.get_model(name, weights=None)
        if weights is not None:
            state = load_state_dict_file(weights)
            load_into(network, state, f"weight file {weights}", ignore=_CLASSIFIERS)
        elif pretrained:
            choice = "IMAGENET1K_V1" if pretrained is True else pretrained
            load_into(network, fetch_weights(name, choice), f"{name} {choice}", ignore=_CLASSIFIERS)
        try:
            super().__init__(_chain(network), output_stride, frozen_stages, frozen_norm)
        except (ValueError, RuntimeError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ValueError(
                f"{name} cannot be made a dense backbone of output stride {output_stride} ({reason}): "
                f"use one of the families {_FAMILIES}"
            ) from error


def fetch_weights(name: str, choice: str) -> dict[str, Tensor]:
    """The state dict of torchvision's weights, its classifier included, from its cache or from the network."""
    allowed = {weights.name: weights for weights in torchvision.models.get_model_weights(name)}
    if choice not in allowed:
        raise ValueError(unknown(f"weights of {name}", choice, allowed))
    url = allowed[choice].url
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # torch announces the download there
            state: dict[str, Tensor] = allowed[choice].get_state_dict(
                progress=False, check_hash=True
            )
    except (OSError, RuntimeError) as error:
        cache = Path(torch.hub.get_dir()) / "checkpoints"
        raise UserError(
            f"the ImageNet weights of {name} could not be fetched ({error}): download {url} "
            f"elsewhere and put it into {cache}, or name it as weights=FILE"
        ) from error
    return state


def _chain(network: nn.Module) -> list[nn.Module]:
    """The modules whose composition is `network` up to its last feature map."""
    parts = dict(network.named_children())
    if isinstance(network, torchvision.models.ResNet):
        names = ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        return [part for name in names for part in _flat(parts[name])]
    if isinstance(network, torchvision.models.RegNet):
        return [parts["stem"], *parts["trunk_output"].children()]
    trunk = parts.get("features", parts.get("layers"))
    if not isinstance(trunk, nn.Sequential):
        raise ValueError("it is no sequence of convolutional layers")
    chain = list(trunk.children())
    if isinstance(network, torchvision.models.DenseNet):
        chain.append(nn.ReLU())  # its forward applies one after the last normalisation
    return chain


def _flat(part: nn.Module) -> list[nn.Module]:
    return list(part.children()) if isinstance(part, nn.Sequential) else [part]
