"""The user's parameters of a DeepLab that come as plain dicts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wsssbench.errors import unknown
from wsssbench.ops.crf import PRESETS
from wsssbench.registry import check_parameters


@dataclass(frozen=True, kw_only=True)
class TestSettings:
    """How a trained DeepLab predicts.

    Attributes:
        scales: the image is seen at these sizes; the probabilities are averaged.
        flip: also mirrored at each scale.
        crf: a preset of `wsssbench.ops.crf` that refines the averaged probabilities, or None.
        slide: in overlapping windows of the training crop (two thirds of it apart) instead of as a whole.
    """

    __test__ = False  # pytest: this is no test

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    crf: str | None = None
    slide: bool = False

    def __post_init__(self) -> None:
        if not self.scales or min(self.scales) <= 0:
            raise ValueError(
                f"test.scales={self.scales}: give at least one scale, all greater than 0"
            )
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
        photometric: random brightness, contrast, saturation and hue, as in SSD.
        cat_max_ratio: crops with more than this share of one class are drawn again, up to ten times.
    """

    crop: int
    resize: tuple[float, float]
    flip: bool
    photometric: bool
    cat_max_ratio: float

    def __post_init__(self) -> None:
        if self.crop < 1:
            raise ValueError(f"crop={self.crop} has to be at least 1")
        if not 0 < self.resize[0] <= self.resize[1]:
            raise ValueError(f"resize={self.resize} has to be (smallest, largest) factor, both > 0")
        if not 0 < self.cat_max_ratio <= 1:
            raise ValueError(f"cat_max_ratio={self.cat_max_ratio} has to be in (0, 1]")


@dataclass(frozen=True)
class HeadSettings:
    """The decode head; None stands for the published value.

    Attributes:
        type: ``"largefov"``, ``"v2"`` or ``"v3plus"``.
        channels: of the hidden layers; largefov 512, v3plus 256; v2 has no hidden layer.
        dropout: before the last layer; largefov 0.5, v3plus 0.1; v2 has none.
        dilations: of the atrous convolutions, in cells of the backbone's last map.
    """

    type: str
    channels: int | None = None
    dropout: float | None = None
    dilations: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        for name in ("channels", "dropout"):
            if self.type == "v2" and getattr(self, name) is not None:
                raise ValueError(
                    f"{name}={getattr(self, name)}: head 'v2' is one layer and has no {name}; leave it out"
                )
        if self.channels is not None and self.channels < 1:
            raise ValueError(f"channels={self.channels} has to be at least 1")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise ValueError(f"dropout={self.dropout} has to be in [0, 1)")
        if self.dilations is not None and (not self.dilations or min(self.dilations) < 1):
            raise ValueError(f"dilations={self.dilations} has to be one or more numbers >= 1")
        if self.type == "largefov" and self.dilations is not None and len(self.dilations) > 1:
            raise ValueError(
                f"dilations={self.dilations}: head 'largefov' has one atrous convolution"
            )
