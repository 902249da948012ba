"""The user's parameters of a DeepLab, checked; nothing here imports mmsegmentation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from wsssbench.errors import unknown
from wsssbench.ops.crf import PRESETS
from wsssbench.plugins import load
from wsssbench.registry import check_parameters
from wsssbench.training.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """How a trained DeepLab predicts.

    Attributes:
        scales: the image is seen at these sizes, and what is seen is merged as `average` says.
        flip: also mirrored at each scale.
        average: ``"probabilities"``: the mean of the views' softmax; ``"logits"``: the softmax of their mean logits
            (the recipe of SEAM and CPN); ``"maximum"``: each label's largest probability (MCTformer's), which does not
            sum to 1. Logits are first upsampled to the image's size.
        crf: a preset of `wsssbench.ops.crf` that refines the merged probabilities, or None.
        slide: in overlapping windows of the training crop (two thirds of it apart) instead of as a whole.
    """

    __test__ = False  # pytest: this is no test

    scales: Annotated[tuple[Annotated[float, Field(gt=0, le=8)], ...], Field(min_length=1)] = (1.0,)
    flip: bool = False
    average: Literal["probabilities", "logits", "maximum"] = "probabilities"
    crf: str | None = None
    slide: bool = False

    def __post_init__(self) -> None:
        if self.crf is not None and self.crf not in PRESETS:
            raise ValueError(f"test.crf: {unknown('CRF preset', self.crf, PRESETS)}")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> TestSettings:
        """Check a dict; ValueError or UserError if it is wrong."""
        return cls(**check_parameters(cls, config, "segmenter.test"))


@dataclass(frozen=True)
class TrainView:
    """What a training image goes through: random size, crop, flip, colours.

    Attributes:
        crop: side of the square the network sees; smaller images are padded, the padding is ignored.
        resize: smallest and largest factor on the image's own size.
        flip: mirror half of the images.
        photometric: True: random brightness, contrast, saturation and hue, as in SSD; ``"hsv10"``: hue, saturation and
            value of OpenCV's 8-bit HSV each shifted by a random number of -10..10, as in SEAM's recipe.
        cat_max_ratio: crops with more than this share of one class are drawn again, up to ten times.
        resize_step: the factor is one of smallest, smallest + step, ..., largest; None: any between the two.
        interpolation: of the resized images: ``"bilinear"`` or ``"cubic"``.
        small_images: where an image is in a crop that is larger: ``"corner"``, at its top left, or at a ``"random"``
            place.
    """

    crop: int
    resize: tuple[float, float]
    flip: bool
    photometric: bool | str
    cat_max_ratio: float
    resize_step: float | None = None
    interpolation: str = "bilinear"
    small_images: str = "corner"

    def __post_init__(self) -> None:
        if self.crop < 1:
            raise ValueError(f"crop={self.crop} has to be at least 1")
        if not 0 < self.resize[0] <= self.resize[1]:
            raise ValueError(f"resize={self.resize} has to be (smallest, largest) factor, both > 0")
        if self.resize_step is not None and self.resize_step <= 0:
            raise ValueError(f"resize_step={self.resize_step} has to be greater than 0, or None")
        if not 0 < self.cat_max_ratio <= 1:
            raise ValueError(f"cat_max_ratio={self.cat_max_ratio} has to be in (0, 1]")


_ONE_RATE = ("largefov", "dilated")
POOLED = ("v3plus", "psp")  # they normalise what is pooled over an image


@dataclass(frozen=True)
class HeadSettings:
    """The decode head; None stands for the published value.

    Attributes:
        type: ``"largefov"``, ``"dilated"``, ``"v2"``, ``"v3plus"`` or ``"psp"``.
        channels: of the hidden layers; largefov and psp 512, v3plus 256. A v2 without has no hidden layer (on
            ResNet-101); a v2 with has two in each branch (fc6 and fc7 of VGG-16: 1024).
        dropout: largefov 0.5, v3plus and psp 0.1 before the last layer, where `norm` is False after each hidden layer;
            v2 0.5 after each hidden layer, if any.
        dilations: of the atrous convolutions, in cells of the backbone's last map; psp has none.
        norm: batch normalisation in the hidden layers; largefov, v3plus and psp True; v2 has none.
        norm_momentum: share of a batch in the running statistics of that normalisation.
        fc_from_vgg: the hidden layers start from VGG's fully connected ones, so only the last layer is new.
        last_layer: initial values of the last layer of a largefov: ``"normal"``: of deviation 0.01, bias 0;
            ``"kaiming"``: normal by He et al. (fan-out), bias uniform as PyTorch's.
    """

    type: str
    channels: int | None = None
    dropout: float | None = None
    dilations: tuple[int, ...] | None = None
    norm: bool | None = None
    norm_momentum: float = 0.1
    fc_from_vgg: bool = False
    last_layer: str = "normal"

    def __post_init__(self) -> None:
        if self.last_layer != "normal" and self.type != "largefov":
            raise ValueError(
                f"last_layer='{self.last_layer}': head '{self.type}' has its own initial values; leave it out"
            )
        if self.type == "dilated" and (
            self.dropout is not None or self.norm is not None or self.norm_momentum != 0.1
        ):
            raise ValueError("head 'dilated' has no dropout and no normalisation: leave these out")
        if self.type == "v2" and self.channels is None and self.dropout is not None:
            raise ValueError(
                f"dropout={self.dropout}: head 'v2' without channels is one layer and has no dropout; leave it out"
            )
        if self.type == "v2" and self.norm:
            raise ValueError("norm=True: head 'v2' has no batch normalisation; leave it out")
        if self.type in POOLED and self.norm is False:
            raise ValueError(
                f"norm=False: head '{self.type}' needs batch normalisation; leave it out"
            )
        if self.type == "psp" and self.dilations is not None:
            raise ValueError(
                f"dilations={self.dilations}: head 'psp' has no atrous convolution; leave it out"
            )
        alike = {"largefov": self.norm is False, "v2": self.channels is not None}
        if self.fc_from_vgg and not alike.get(self.type, False):
            raise ValueError(
                "fc_from_vgg=True needs layers like VGG's: head 'largefov' with norm=False, or 'v2' with channels"
            )
        if self.channels is not None and self.channels < 1:
            raise ValueError(f"channels={self.channels} has to be at least 1")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} has to be in [0, 1)")
        if not 0 < self.norm_momentum <= 1:
            raise ValueError(f"norm_momentum={self.norm_momentum} has to be in (0, 1]")
        if self.dilations is not None and (not self.dilations or min(self.dilations) < 1):
            raise ValueError(f"dilations={self.dilations} has to be one or more numbers >= 1")
        if self.type in _ONE_RATE and self.dilations is not None and len(self.dilations) > 1:
            raise ValueError(f"dilations={self.dilations}: head '{self.type}' has one rate")


@dataclass(frozen=True)
class LossSettings:
    """Which loss is taken, and where.

    Attributes:
        resolution: ``"image"``: the logits are upsampled to the crop (bilinear); ``"map"``: the labels are reduced to
            the size of the logits (nearest, pixel centres), as in the first two DeepLabs.
        scales: the network also sees its input at these sizes ("MSC", Chen et al., TPAMI 2018). Each scale's logits,
            and the maximum of all of them and of the original's, have a loss of their own, which are summed; the
            prediction is the maximum.
        align_corners: how logits are resized; True: the outermost values lie on the corners.
        component: config of a registered loss; None: mmseg's cross-entropy over the pixels that are not 255.
    """

    resolution: Literal["image", "map"] = "image"
    scales: tuple[float, ...] = ()
    align_corners: bool = False
    component: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if any(not 0 < scale < 1 for scale in self.scales) or len(set(self.scales)) < len(
            self.scales
        ):
            raise ValueError(
                f"multi_scale_inputs={self.scales}: give each scale beside the original once, between 0 and 1"
            )


@dataclass(frozen=True, kw_only=True)
class InitSettings:
    """Initial weights other than the backbone's own.

    Attributes:
        weights: a PyTorch state dict: one for the backbone, in the names its parameter `weights` takes, or the
            ``weights.pth`` of a network trained here.
        trained_on: the data they were trained on, for warnings and the protocol card, e.g. ``"COCO"``.
        part: ``"backbone"``: the head starts from random values; ``"network"``: the head has its weights, too, and is
            no new layer (`weights` of a network with the same labels).
    """

    weights: str
    trained_on: str
    part: Literal["backbone", "network"] = "backbone"

    def __post_init__(self) -> None:
        if not self.weights or not self.trained_on.strip():
            raise ValueError(
                f"init: weights='{self.weights}' and trained_on='{self.trained_on}' must not be empty"
            )

    @property
    def imagenet_only(self) -> bool:
        """Were they trained on nothing but ImageNet?"""
        return self.trained_on.strip().lower().replace("-", "") in ("imagenet", "imagenet1k")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> InitSettings:
        """Check a dict; ValueError or UserError if it is wrong."""
        return cls(**check_parameters(cls, config, "segmenter.init"))


@dataclass(frozen=True)
class DeepLabSettings:
    """Everything that a DeepLab is trained and tested with.

    Attributes:
        names: of all labels, background first.
        backbone: the resolved config of a registered backbone.
    """

    names: tuple[str, ...]
    backbone: dict[str, Any]
    schedule: Schedule
    head: HeadSettings
    view: TrainView
    losses: LossSettings
    init: InitSettings | None
    test: TestSettings


def initial_weights(config: Mapping[str, Any]) -> str:
    """What a network starts from, for the protocol card.

    Args:
        config: of a DeepLab, or of anything else with a `backbone`.

    Returns:
        ``"ImageNet (resnet_38d.pth)"``, ``"COCO (coco.pth), not ImageNet only"``, ``"random"``; files that a backbone
        takes as its own `weights` are ImageNet's by contract. ``"not stated"`` if there is no saying.
    """
    if config.get("init"):
        init = InitSettings.from_config(config["init"])
        origin = f"{init.trained_on} ({Path(init.weights).name})"
        return origin if init.imagenet_only else f"{origin}, not ImageNet only"
    if not isinstance(config.get("backbone"), Mapping):
        return "not stated"
    backbone = load().registries.backbone.resolve(config["backbone"], "backbone")
    weights, pretrained = backbone.get("weights"), backbone.get("pretrained")
    if weights:
        return "ImageNet" if weights == "imagenet" else f"ImageNet ({Path(weights).name})"
    if pretrained:
        chosen = "IMAGENET1K_V1" if pretrained is True else str(pretrained)
        return f"ImageNet ({chosen})" if "1K_V" in chosen else f"{chosen}, not ImageNet only"
    return "random" if {"weights", "pretrained"} & set(backbone) else "not stated"
