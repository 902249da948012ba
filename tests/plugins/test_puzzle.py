"""Puzzle-CAM against its released code's outputs, and on sizes that the released code refuses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from golden import golden
from tiny_classifier import K, TinyBackbone, batch, recorder
from torch import Tensor
from torch.nn import functional as F
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.objectives.puzzle import PuzzleCAM, cut, put_together

from wsssbench.interfaces import Backbone, Batch, Classifier, Output

SEEDS = pytest.mark.parametrize("seed", [0, 1])


def case(name: str, seed: int) -> tuple[dict[str, Tensor], Any]:
    """Inputs and outputs together, as tensors, and parameters of a case of the released code."""
    given, wanted, parameters = golden(f"puzzle-{name}-{seed}")
    return {k: torch.from_numpy(v) for k, v in (given | wanted).items()}, parameters


@SEEDS
def test_tiles_are_the_released_ones(seed: int) -> None:
    arrays, _ = case("tiles", seed)
    assert torch.equal(cut(arrays["x"], 2), arrays["tiles"])
    assert torch.equal(cut(arrays["x_of_9"], 3), arrays["tiles_of_9"])
    assert torch.equal(put_together(arrays["tiles"], 2), arrays["merged"])


class Given(Backbone):
    """Features of tiles that are given, at the size of the images."""

    strides = (1,)

    def __init__(self, tiles: Tensor) -> None:
        super().__init__()
        self.tiles, self.channels = tiles, (tiles.shape[1],)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return (self.tiles,)


@SEEDS
@pytest.mark.parametrize(
    ("name", "classes"), [("masking", "present"), ("selection", "selected"), ("none", "all")]
)
def test_the_losses_are_the_released_ones(name: str, classes: Any, seed: int) -> None:
    arrays, given = case(f"loss-{name}", seed)
    f, tiles = arrays["f"].requires_grad_(), arrays["tiles"].requires_grad_()
    labels, k = arrays["labels"], arrays["f"].shape[1]
    classifier = Classifier(Given(tiles), GAP(k), k)
    with torch.no_grad():
        classifier.head.weight.copy_(torch.eye(k)[:, :, None, None])
    images = torch.zeros(len(f), 3, *f.shape[-2:])
    output = Output((f,), f, f.mean(dim=(2, 3)), images=images)
    objective = PuzzleCAM(
        k, (k,), weight=given["alpha"], ramp=given["alpha_schedule"], classes=classes
    )
    progress = given["iteration"] / given["iterations"]
    losses = objective.losses(classifier, Batch(images, labels, progress), output).terms
    close = torch.testing.assert_close
    close(losses["tiles"], arrays["loss_tiles"])
    alpha = arrays["alpha"].float()
    close(losses["reconstruction"], alpha * arrays["loss_re"], rtol=1e-6, atol=0)
    own = F.binary_cross_entropy_with_logits(output.logits, labels)
    total = own + sum(losses.values())
    close(total, arrays["loss"])
    total.backward()
    close(f.grad, arrays["grad_f"], rtol=1e-5, atol=1e-8)
    close(tiles.grad, arrays["grad_tiles"], rtol=1e-5, atol=1e-8)


def test_any_size_is_filled_up_and_cut() -> None:
    """29 x 37 pixels at stride 4, in tiles of 16 x 20: 8 x 10 maps, as the image has, of the filled image's tiles."""
    classifier = recorder(GAP(K))
    given = batch(size=(29, 37))
    output = classifier(given.images)
    puzzle = PuzzleCAM(K, (6,)).puzzle(classifier, given.images, output)
    filled = F.pad(given.images, (0, 3, 0, 3))
    rows = [filled[:, :, :16], filled[:, :, 16:]]
    maps = torch.cat(
        [
            torch.cat([classifier(r[..., :20]).maps, classifier(r[..., 20:]).maps], dim=3)
            for r in rows
        ],
        dim=2,
    )
    torch.testing.assert_close(puzzle.maps, maps[..., : output.maps.shape[2], :])
    assert puzzle.maps.shape == output.maps.shape == (4, K, 8, 10)


def test_the_weight_rises_and_the_loss_of_a_batch_is_the_mean_of_its_halves() -> None:
    classifier, given = recorder(GAP(K)), batch()
    objective = PuzzleCAM(K, (6,))

    def terms(part: slice, progress: float) -> dict[str, float]:
        images, labels = given.images[part], given.labels[part]
        found = objective.losses(classifier, Batch(images, labels, progress), classifier(images))
        return {name: value.item() for name, value in found.terms.items()}

    whole = terms(slice(None), 0.25)
    halves = terms(slice(2), 0.25), terms(slice(2, None), 0.25)
    for name, value in whole.items():
        assert value == pytest.approx((halves[0][name] + halves[1][name]) / 2, rel=1e-9)
    rising = [terms(slice(None), p)["reconstruction"] for p in (0.0, 0.25, 0.5, 0.9)]
    assert rising[0] == 0 and rising[1] == pytest.approx(rising[2] / 2) and rising[2] == rising[3]


def test_no_weight_no_term() -> None:
    classifier, given = Classifier(TinyBackbone(), GAP(K), K).double(), batch()
    output = classifier(given.images)
    only = PuzzleCAM(K, (6,), tile_weight=0).losses(classifier, given, output).terms
    assert set(only) == {"reconstruction"}
    only = PuzzleCAM(K, (6,), weight=0).losses(classifier, given, output).terms
    assert set(only) == {"tiles"}
