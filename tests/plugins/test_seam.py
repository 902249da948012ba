"""SEAM against its released code's outputs, a version in loops, and what its losses may reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch import Tensor, nn
from torch.nn import functional as F
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.objectives.seam import SEAM, PixelCorrelation, guide, hot, least, resized

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Output
from wsssbench.ops.cam import normalise_range
from wsssbench.plugins import load

SEEDS = pytest.mark.parametrize("seed", [0, 1])


def case(name: str, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Any]:
    """Inputs, outputs and parameters of a case of the released code, as tensors."""
    given, wanted, parameters = golden(f"seam-{name}-{seed}")
    given, wanted = ({k: torch.from_numpy(v) for k, v in one.items()} for one in (given, wanted))
    return given, wanted, parameters


def close(seen: Tensor | None, wanted: Tensor) -> None:
    assert seen is not None
    torch.testing.assert_close(seen.detach(), wanted, rtol=2e-6, atol=1e-6)


@SEEDS
def test_the_normalisation_is_the_released_one(seed: int) -> None:
    given, wanted, _ = case("norm", seed)
    maps = given["f"].requires_grad_()
    a = normalise_range(maps)
    close(a, wanted["a"])
    close(normalise_range(maps[1]), wanted["a_without_batch"])
    (a * given["cotangent"]).sum().backward()
    close(maps.grad, wanted["grad_f"])


@SEEDS
def test_hot_keeps_the_strongest_class(seed: int) -> None:
    given, wanted, _ = case("hot", seed)
    seen = hot(given["a"][:, 1:])
    close(seen[:, 1:], wanted["hot"][:, 1:])
    close(seen[:, 0], 1 - given["a"][:, 1:].amax(1))


@SEEDS
def test_the_lowest_quarter(seed: int) -> None:
    given, wanted, _ = case("min-pooling", seed)
    v = given["v"].requires_grad_()
    loss = least(v, given["labels"], tuple(v.shape[-2:]))
    close(loss, wanted["loss"])
    loss.backward()
    close(v.grad, wanted["grad_v"])


class Given(nn.Module):
    """In place of PCM and of the classifier: v and f are given, v as the only features."""

    def __init__(self, second: Output | None = None) -> None:
        super().__init__()
        self.second = second

    def forward(self, given: Any, labels: Tensor | None = None) -> Any:
        return given.features[0] if self.second is None else self.second


def pass_of(f: Tensor, v: Tensor, labels: Tensor) -> Output:
    images = torch.zeros(len(f), 3, *f.shape[-2:])
    return Output((v,), f[:, 1:], f[:, 1:].mean(dim=(2, 3)), images=images, labels=labels)


@SEEDS
@pytest.mark.parametrize("name", ["loss", "loss-5-planes"])
def test_the_losses_are_the_released_ones(name: str, seed: int) -> None:
    given, wanted, parameters = case(name, seed)
    leaves = {key: given[key].requires_grad_() for key in ("f1", "v1", "f2", "v2")}
    labels = given["labels"]
    one, other = (
        pass_of(leaves["f1"], leaves["v1"], labels),
        pass_of(leaves["f2"], leaves["v2"], labels),
    )
    objective = SEAM(
        labels.shape[1], (6, 8), scale=parameters["scale"], hardest=parameters["share"]
    )
    objective.pcm = Given()  # type: ignore[assignment]
    assert one.images is not None
    losses = objective.losses(Given(other), Batch(one.images, labels), one).terms  # type: ignore[arg-type]

    own = objective.classification_weight * F.binary_cross_entropy_with_logits(one.logits, labels)
    close(own + losses["cls"], wanted["loss_cls"])
    for term in ("er", "ecr", "min"):
        close(losses[term], wanted[f"loss_{term}"])
    losses["ecr"].backward(retain_graph=True)
    for key in ("1", "2"):
        assert leaves[f"f{key}"].grad is None or not leaves[f"f{key}"].grad.any()
        close(leaves[f"v{key}"].grad, wanted[f"grad_v{key}_of_ecr"])
        leaves[f"v{key}"].grad = leaves[f"f{key}"].grad = None
    total = own + sum(losses.values())
    close(total, wanted["loss"])
    total.backward()
    for key, leaf in leaves.items():
        close(leaf.grad, wanted[f"grad_{key}"])


@SEEDS
def test_pixel_correlation_is_the_released_one(seed: int) -> None:
    given, wanted, _ = case("pcm", seed)
    leaves = {key: given[key].requires_grad_() for key in ("image", "conv4", "conv5", "conv6")}
    conv4, conv5, conv6 = (leaves[key] for key in ("conv4", "conv5", "conv6"))
    module = PixelCorrelation((6, 7, 8), (4, 5))
    weights = {"f8_3": module.reduce[0], "f8_4": module.reduce[1], "f9": module.embed}
    for name, layer in weights.items():
        layer.weight = nn.Parameter(given[f"weight_{name}"][:, :, None, None])
    head = nn.Parameter(given["weight_fc8"])
    maps = F.conv2d(conv6, head[:, :, None, None])
    close(guide(maps[:, 1:]), wanted["guide"])
    v = module(Output((conv4, conv5, conv6), maps[:, 1:], maps[:, 1:, 0, 0], images=given["image"]))
    close(v, wanted["pcm"])

    size = given["image"].shape[-2:]
    f, v = resized(maps, tuple(size)), resized(v, tuple(size))
    close(f, wanted["f"])
    close(v, wanted["v"])
    ((f * given["cotangent_f"]).sum() + (v * given["cotangent_v"]).sum()).backward()
    assert conv4.grad is None and conv5.grad is None
    assert not wanted["grad_conv4"].any() and not wanted["grad_conv5"].any()
    close(conv6.grad, wanted["grad_conv6"])
    close(given["image"].grad / 10, wanted["grad_image"] / 10)  # of values up to 20, in float32
    close(head.grad, wanted["grad_weight_fc8"])
    for name, layer in weights.items():
        gradient = wanted[f"grad_weight_{name}"]
        close(layer.weight.grad[:, :, 0, 0] / gradient.abs().max(), gradient / gradient.abs().max())


@SEEDS
def test_cams_are_normalised_as_in_the_released_inference(seed: int) -> None:
    """Where a value is at its map's minimum, the released code has a negative value, and ours 0."""
    given, wanted, _ = case("inference", seed)
    size = tuple(given["size"].tolist())
    total = torch.zeros(wanted["normalised"].shape)
    for i in range(4):
        view = F.interpolate(given[f"view{i}"][None, 1:], size, mode="bilinear")[0]
        total += view.flip(-1) if i % 2 else view
    close(normalise_range(total), wanted["normalised"].clamp(min=0))


@pytest.mark.parametrize("channels", [(6,), (5, 6), (3, 5, 6)])
def test_pixel_correlation_in_loops(channels: tuple[int, ...]) -> None:
    """Of whatever features there are before the last ones, here of the size of the maps."""
    generator = torch.Generator().manual_seed(0)
    features = tuple(
        torch.randn(2, c, 3, 4, generator=generator, dtype=torch.float64) for c in channels
    )
    maps, images = (
        torch.randn(2, c, 3, 4, generator=generator, dtype=torch.float64) for c in (K, 3)
    )
    torch.manual_seed(0)
    module = PixelCorrelation(channels, (4, 7)).double()
    seen = module(Output(features, maps, maps[:, :, 0, 0], images=images))
    spread = guide(maps)
    places = [(y, x) for y in range(3) for x in range(4)]
    for n, (y, x) in [(n, place) for n in range(2) for place in places]:

        def embedded(y: int, x: int, n: int = n) -> Tensor:
            parts = [images[n, :, y, x]]
            for layer, f in zip(module.reduce, features[:-1][-2:], strict=True):
                parts.append(F.relu(layer.weight[:, :, 0, 0] @ f[n, :, y, x]))
            return module.embed.weight[:, :, 0, 0] @ torch.cat(parts)

        alike = [
            F.cosine_similarity(embedded(y, x), embedded(*other), dim=0).clamp(min=0)
            for other in places
        ]
        mean = sum(a * spread[n, :, i, j] for a, (i, j) in zip(alike, places, strict=True))
        torch.testing.assert_close(seen[n, :, y, x], mean / sum(alike), rtol=1e-3, atol=1e-4)


def test_the_module_and_the_classifier_learn_apart() -> None:
    """V trains PCM alone, ER the classifier alone: their gradients do not meet."""
    classifier, given = recorder(GAP(K)), batch()
    objective = SEAM(K, (6,)).double()
    terms = objective.losses(classifier, given, classifier(given.images, given.labels)).terms
    (terms["ecr"] + terms["min"]).backward(retain_graph=True)
    assert all(p.grad is None for p in classifier.parameters())
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())
    objective.zero_grad()
    terms["er"].backward()
    assert classifier.head.weight.grad.any()
    assert all(p.grad is None for p in objective.parameters())
    assert [tuple(seen.shape[-2:]) for seen in classifier.seen] == [(24, 20), (7, 6)]


def test_the_loss_of_a_batch_is_the_mean_of_its_halves() -> None:
    """So that two ranks, whose gradients are averaged, learn what one does."""
    classifier, given = recorder(GAP(K)), batch()
    objective = SEAM(K, (6,)).double()

    def terms(part: slice) -> dict[str, float]:
        images, labels = given.images[part], given.labels[part]
        found = objective.losses(classifier, Batch(images, labels), classifier(images, labels))
        return {name: value.item() for name, value in found.terms.items()}

    whole, halves = terms(slice(None)), (terms(slice(2)), terms(slice(2, None)))
    assert set(whole) == {"cls", "er", "ecr", "min"}
    for name, value in whole.items():
        assert value == pytest.approx((halves[0][name] + halves[1][name]) / 2, rel=1e-9)


def test_without_the_module_it_is_equivariant_regularisation_alone() -> None:
    classifier, given = recorder(GAP(K)), batch()
    objective = SEAM(K, (6,), correction=False)
    output = classifier(given.images, given.labels)
    assert set(objective.losses(classifier, given, output).terms) == {"cls", "er"}
    assert objective.maps(classifier, output) is output.maps
    with pytest.raises(UserError, match="set correction=False"):
        load().registries.objective.build({"type": "SEAM", "cross": 0, "minimum": 0}, K, (6,))
