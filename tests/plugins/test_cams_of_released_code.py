"""Our way from a network's maps to CAMs, against what released code made of the same maps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from golden import golden
from torch import Tensor, nn
from torch.nn import functional as F
from wsssbench_baselines.poolings.ngwp import NGWP, masks
from wsssbench_baselines.refinements.pamr import pamr

from wsssbench.interfaces import Cam, photo_of
from wsssbench.models.multiscale_cam import MultiScaleCAM

SEEDS = pytest.mark.parametrize("seed", [0, 1])


class Given(nn.Module):
    """A classifier whose maps are given, for each call (views, K, h, w)."""

    def __init__(self, maps: Sequence[np.ndarray]) -> None:
        super().__init__()
        self.maps = [torch.from_numpy(one) for one in maps]
        self.unused = nn.Parameter(torch.zeros(1))

    def cam_maps(self, images: Tensor, labels: Tensor) -> Tensor:
        return self.maps.pop(0)


def cam_of(
    maps: Sequence[np.ndarray], labels: np.ndarray, size: Sequence[int], **parameters: Any
) -> Cam:
    image = np.zeros((*size, 3), np.uint8)
    method = MultiScaleCAM(scales=(1.0,) * len(maps), **parameters)
    return method.infer(Given(maps), photo_of(image, labels))  # type: ignore[arg-type]


def over_maximum(maps: np.ndarray) -> np.ndarray:
    """Without the 1e-5 that released code adds to the divisor."""
    return maps / maps.max(axis=(1, 2), keepdims=True)


@SEEDS
def test_irn(seed: int) -> None:
    """Its high resolution; the mirrored view is in the given maps."""
    given, wanted, parameters = golden(f"irnet-multi-scale-cam-{seed}")
    maps = [given[f"maps_scale_{scale}"] for scale in parameters["scales"]]
    views = [np.stack([one, np.zeros_like(one)]) for one in maps]
    size = parameters["height"], parameters["width"]
    cam = cam_of(views, given["labels"], size, multiple=16)
    np.testing.assert_array_equal(cam.classes, wanted["keys"] + 1)
    np.testing.assert_allclose(cam.maps, over_maximum(wanted["cam_high_resolution"]), atol=1e-6)


@SEEDS
def test_puzzle_cam(seed: int) -> None:
    given, wanted, _ = golden(f"puzzle-inference-{seed}")
    size = given["size"].tolist()
    cam = cam_of([given["maps0"], given["maps1"]], given["labels"], size, multiple=16)
    np.testing.assert_allclose(cam.maps, over_maximum(wanted["full"]), atol=1e-6)


@SEEDS
def test_oc_cse(seed: int) -> None:
    given, wanted, parameters = golden(f"oc-cse-multiscale-cam-{seed}")
    views = [np.stack([given[f"maps_{i}"], given[f"maps_{i + 1}"]]) for i in range(0, 8, 2)]
    cam = cam_of(views, np.ones(2), parameters["size"], relu="image")
    np.testing.assert_allclose(cam.maps, over_maximum(wanted["cam"]), atol=1e-6)


@SEEDS
def test_the_single_stage_network_up_to_its_pseudo_labels(seed: int) -> None:
    """Scores, masks and refined masks; the segmentation branch that learns from them is not in."""
    given, wanted, parameters = golden(f"single-stage-tail-{seed}")
    scores, image = (torch.from_numpy(given[name]) for name in ("scores", "image_raw"))
    own = masks(scores, 1.0)
    pooled = NGWP(scores.shape[1])(scores)
    np.testing.assert_allclose(pooled.logits, wanted["scores_cls"], atol=1e-12)

    def clean(planes: Tensor) -> Tensor:
        large = F.interpolate(planes, image.shape[2:], mode="bilinear", align_corners=True)
        present = torch.from_numpy(given["labels"])[:, :, None, None]
        return torch.cat([large[:, :1], large[:, 1:] * present], dim=1)

    np.testing.assert_allclose(clean(own), wanted["masks_clean"], atol=1e-12)
    reduced = F.interpolate(image, own.shape[2:], mode="bilinear", align_corners=True)
    setting = tuple(parameters["pamr_dilations"]), parameters["pamr_iterations"]
    refined = clean(pamr(reduced, own, *setting))
    np.testing.assert_allclose(refined, wanted["masks_refined_clean"], atol=1e-12)
