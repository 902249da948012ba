"""The tiny network that the released CAM methods were run on: two convolutions and a head, in float64."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.contract.samples import Mean
from wsssbench.interfaces import Backbone, Classifier

SCALES = (0.5, 1.0, 1.5, 2.0)


class TwoLayers(Backbone):
    strides = (2,)

    def __init__(self, first: int, second: int) -> None:
        super().__init__()
        self.channels = (second,)
        self.conv1 = nn.Conv2d(3, first, 3, stride=2, padding=1)
        self.relu1 = nn.ReLU()
        self.conv4 = nn.Conv2d(first, second, 3, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (torch.relu(self.conv4(self.relu1(self.conv1(images)))),)


def released(given: Mapping[str, np.ndarray], second: str = "conv4") -> Classifier:
    """The network with the weights of a golden case."""
    weights = {key: torch.from_numpy(value) for key, value in given.items()}
    first, last, head = weights["conv1_weight"], weights[f"{second}_weight"], weights["head_weight"]
    classifier = Classifier(TwoLayers(len(first), len(last)), Mean(), len(head)).double()
    backbone = classifier.backbone
    with torch.no_grad():
        for layer, name in ((backbone.conv1, "conv1"), (backbone.conv4, second)):
            layer.weight.copy_(weights[f"{name}_weight"])
            layer.bias.copy_(weights[f"{name}_bias"])
        classifier.head.weight.copy_(head.reshape(classifier.head.weight.shape))
    return classifier.eval()


def views_of(given: Mapping[str, np.ndarray], scale: float) -> Tensor:
    """Both views of a golden case's image at a scale, float64."""
    image = torch.from_numpy(given[f"image_scale_{scale:g}"]).double()
    return torch.stack([image, image.flip(-1)])


def random_classifier(seed: int = 0, classes: int = 4) -> Classifier:
    """The network with random weights, float32, in evaluation mode."""
    torch.manual_seed(seed)
    return Classifier(TwoLayers(6, 8), Mean(), classes).eval()
