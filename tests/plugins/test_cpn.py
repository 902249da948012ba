"""CPN against its released code's outputs, a version in loops, and what its losses may reach."""

from __future__ import annotations

import importlib.util
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch import Tensor, nn
from torch.nn import functional as F
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.objectives.cpn import (
    CPN,
    RegionCorrelation,
    centres,
    correlation,
    grid,
    without,
)
from wsssbench_baselines.objectives.seam import PixelCorrelation, guide, resized, spread
from wsssbench_baselines.objectives.superpixels import slic_superpixels

from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Output
from wsssbench.ops.cam import normalise_range
from wsssbench.plugins import load

SEEDS = pytest.mark.parametrize("seed", [0, 1])


def case(name: str, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Any]:
    """Inputs, outputs and parameters of a case of the released code, as tensors."""
    given, wanted, parameters = golden(f"cpn-{name}-{seed}")
    given, wanted = ({k: torch.from_numpy(v) for k, v in one.items()} for one in (given, wanted))
    return given, wanted, parameters


def close(seen: Tensor | None, wanted: Tensor) -> None:
    assert seen is not None
    torch.testing.assert_close(seen.detach(), wanted, rtol=2e-6, atol=1e-6)


@SEEDS
def test_grid_pairs_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"cpn-pair-grid-{seed}")
    size = (parameters["height"], parameters["width"])
    for j, (draws, side) in enumerate(zip(given["draws"], given["grid"].tolist(), strict=True)):
        cells = (-(-size[0] // side), -(-size[1] // side))
        shown = draws[: cells[0] * cells[1]].reshape(cells) > parameters["hide"]
        mask, share = grid(size, side, shown)
        assert (mask == wanted[f"mask{j}"]).all()
        assert (share, 1 - share) == tuple(wanted[f"share{j}"])


@SEEDS
def test_superpixel_pairs_are_the_released_ones(seed: int) -> None:
    """Of its superpixels, and of the ids it drew."""
    given, wanted, parameters = golden(f"cpn-pair-superpixels-{seed}")
    mask, share = without(given["segments"], given["drawn"])
    assert (given["image"] * mask == wanted["image1"]).all()
    assert (given["image"] * ~mask == wanted["image2"]).all()
    assert share == pytest.approx(wanted["share1"]) and 1 - share == pytest.approx(wanted["share2"])
    assert len(given["drawn"]) == parameters["draws"] == (given["segments"].max() + 1) // 2


class Given(nn.Module):
    """In place of the module and of the classifier: v and f are given, v as the only features."""

    def __init__(self, *outputs: Output) -> None:
        super().__init__()
        self.outputs = list(outputs)

    def forward(self, given: Any, labels: Tensor | None = None) -> Any:
        return self.outputs.pop(0) if self.outputs else given.features[0]


def pass_of(f: Tensor, v: Tensor, labels: Tensor) -> Output:
    images = torch.zeros(len(f), 3, *f.shape[-2:])
    return Output((v,), f[:, 1:], f[:, 1:].mean(dim=(2, 3)), images=images, labels=labels)


@SEEDS
def test_the_losses_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = case("loss", seed)
    leaves = {key: given[key].requires_grad_() for key in ("f", "v", "f1", "v1", "f2", "v2")}
    labels = given["labels"]
    whole, one, two = (pass_of(leaves[f"f{i}"], leaves[f"v{i}"], labels) for i in ("", "1", "2"))
    objective = CPN(labels.shape[1], (6, 8), hardest=parameters["share"])
    objective.module = Given()  # type: ignore[assignment]
    assert whole.images is not None
    shown = torch.ones(len(labels), *whole.images.shape[-2:], dtype=torch.bool)
    objective.pairs = lambda batch: (shown, given["share1"].float())  # type: ignore[method-assign]
    losses = objective.losses(Given(one, two), Batch(whole.images, labels), whole).terms  # type: ignore[arg-type]

    own = objective.classification_weight * F.binary_cross_entropy_with_logits(whole.logits, labels)
    close(own + losses["cls"] + losses["min"], wanted["loss_cls_and_min"])
    close(losses["min"], wanted["loss_min"])
    close(losses["tcp"], wanted["loss_tcp"] + wanted["loss_tcp_improved"])
    close(losses["cpcr"], wanted["loss_cpcr1"] + wanted["loss_cpcr2"])
    total = own + sum(losses.values())
    close(total, wanted["loss"])
    total.backward()
    for key, leaf in leaves.items():
        close(leaf.grad, wanted[f"grad_{key}"])


class ReleasedCorrelation(RegionCorrelation):
    """With the released code's bug: the matrix of the keys is read without transposing it."""

    def keys(self, centres: Tensor) -> Tensor:
        right = super().keys(centres)
        return right.transpose(1, 2).reshape(right.shape)


@SEEDS
def test_the_module_is_the_released_one_but_for_its_bug(seed: int) -> None:
    given, wanted, _ = case("improved-maps", seed)
    leaves = {key: given[key].requires_grad_() for key in ("image", "conv4", "conv5", "conv6")}
    image, conv4, conv5, conv6 = leaves.values()
    module = ReleasedCorrelation((6, 7, 8), (4, 5))
    layers = {"f8_3": module.reduce[0], "f8_4": module.reduce[1], "f9": module.embed}
    layers["f10"] = module.key
    width = given["weight_f10"].shape[
        0
    ]  # the release's toy embeds in fewer channels than it reduces to
    module.embed = layers["f9"] = nn.Conv2d(12, width, 1, bias=False)
    for name, layer in layers.items():
        layer.weight = nn.Parameter(given[f"weight_{name}"][:, :, None, None])
    head = nn.Parameter(given["weight_fc8"])
    maps = F.conv2d(conv6, head[:, :, None, None])
    output = Output((conv4, conv5, conv6), maps[:, 1:], maps[:, 1:, 0, 0], images=image)

    planes, seen = guide(output.maps), module.seen(output)
    close(planes, wanted["guide"])
    e = centres(planes, seen)
    close(e.transpose(1, 2), wanted["centres"])
    close(spread(planes, module.embed(seen)), wanted["pcm"])
    regions = correlation(module.keys(e), F.relu(module.embed(seen)))
    close(regions, wanted["prcm"])
    v = module(output)
    close(v, wanted["improved"])
    close(resized(v, tuple(image.shape[-2:])), wanted["v"])
    (v * given["cotangent"]).sum().backward()
    close(image.grad, wanted["grad_image"])
    assert conv4.grad is None and conv5.grad is None and conv6.grad is None and head.grad is None
    for name in ("conv4", "conv5", "conv6", "weight_fc8"):
        assert not wanted[f"grad_{name}"].any()
    for name, layer in layers.items():
        close(layer.weight.grad[:, :, 0, 0], wanted[f"grad_weight_{name}"])


@SEEDS
def test_cams_are_normalised_as_in_the_released_inference(seed: int) -> None:
    """It halves them; and where a value is at its map's minimum, it has a negative value, and we have 0."""
    given, wanted, _ = case("inference", seed)
    size = tuple(given["size"].tolist())
    total = torch.zeros(wanted["normalised"].shape)
    for i in range(4):
        view = F.interpolate(given[f"view{i}"][None, 1:], size, mode="bilinear")[0]
        total += view.flip(-1) if i % 2 else view
    close(normalise_range(total) / 2, wanted["normalised"].clamp(min=0))


@pytest.mark.parametrize("channels", [(6,), (5, 6), (3, 5, 6)])
def test_the_regions_in_loops(channels: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    features = tuple(
        torch.randn(2, c, 3, 4, generator=generator, dtype=torch.float64) for c in channels
    )
    maps, images = (
        torch.randn(2, c, 3, 4, generator=generator, dtype=torch.float64) for c in (K, 3)
    )
    torch.manual_seed(0)
    module = RegionCorrelation(channels, (4, 7)).double()
    output = Output(features, maps, maps[:, :, 0, 0], images=images)
    seen, planes, e = module(output), guide(maps), module.seen(output)
    pixels = PixelCorrelation.forward(module, output)
    places = [(y, x) for y in range(3) for x in range(4)]
    w9, w10 = (layer.weight[:, :, 0, 0] for layer in (module.embed, module.key))
    for n, k in [(n, k) for n in range(2) for k in range(1 + K)]:
        weights = torch.stack([planes[n, k, y, x].exp() for y, x in places])
        total = sum(w * e[n, :, y, x] for w, (y, x) in zip(weights, places, strict=True))
        key = (w10 @ (total / weights.sum())).clamp(min=0)
        alike = torch.stack(
            [key @ (w9 @ e[n, :, y, x]).clamp(min=0) / (1 + K) ** 0.5 for y, x in places]
        ).exp()
        for share, (y, x) in zip(alike / alike.sum(), places, strict=True):
            wanted = pixels[n, k, y, x] + share * planes[n, k, y, x]
            torch.testing.assert_close(seen[n, k, y, x], wanted)


def naive_losses(passes: list[tuple[Tensor, Tensor]], y: Tensor, share: float) -> dict[str, float]:
    """TCP and CPCR of an image: f and v (K, H, W) of it and of its pair, of which image 1 has the share."""

    def normalised(maps: Tensor) -> np.ndarray:
        r = np.maximum(maps.detach().numpy(), 0)
        r = [np.maximum(m - m.min() - 1e-5, 0) / (m.max() - m.min() + 1e-5) for m in r]
        return np.stack(r) * y.numpy()[:, None, None]

    a, v = (
        [c * normalised(p[i]) for p, c in zip(passes, (1, share, 1 - share), strict=True)]
        for i in (0, 1)
    )
    tcp = np.abs(a[0] - a[1] - a[2]).mean() + np.abs(v[0] - v[1] - v[2]).mean()
    a, v = ([np.concatenate([1 - m.max(0)[None], m]) for m in maps] for maps in (a, v))
    cpcr = 0.0
    for hidden, other in ((1, 2), (2, 1)):
        target = a[0] - a[hidden]
        for plane in target.transpose(1, 2, 0).reshape(-1, len(target)):
            plane[plane != plane.max()] = 0
        target[target != target.max(0)] = 0
        differences = sorted(np.abs(target - v[other]).ravel(), reverse=True)
        cpcr += np.mean(differences[: int(len(differences) * 0.2)])
    return {"tcp": tcp, "cpcr": cpcr}


def test_the_losses_in_loops() -> None:
    """On a grid of cells that the image's border cuts off."""
    classifier, given = recorder(GAP(K)), batch(torch.tensor([[0.0, 1, 0, 1]]).double())
    objective = CPN(K, (6,), cells=(9,)).double()
    output = classifier(given.images, given.labels)
    terms = objective.losses(classifier, given, output).terms
    shown, share = objective.pairs(given)
    cells = shown[0, ::9, ::9]
    assert cells.shape == (3, 3) and 0 < share.item() == cells.double().mean() < 1
    one, two = classifier.seen[1:]
    assert torch.equal(one, given.images * shown) and torch.equal(one + two, given.images)
    passes = []
    for images in (given.images, one, two):
        result = classifier(images)
        v = objective.module(result)[:, 1:]
        passes.append(tuple(resized(m, (24, 20))[0] for m in (result.maps, v)))
    for name, value in naive_losses(passes, given.labels[0], share.item()).items():
        assert terms[name].item() == pytest.approx(value, rel=1e-9)


def test_what_learns_from_what() -> None:
    """f learns as the whole image's alone, v of all three trains the module alone: their gradients do not meet."""
    classifier, given = recorder(GAP(K)), batch()
    objective = CPN(K, (6,), cells=(6, 12)).double()
    terms = objective.losses(classifier, given, classifier(given.images, given.labels)).terms
    (terms["cpcr"] + terms["min"]).backward(retain_graph=True)
    assert all(p.grad is None for p in classifier.parameters())
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())
    objective.zero_grad()
    terms["tcp"].backward()
    assert classifier.head.weight.grad.any()
    assert all(p.grad is not None and p.grad.any() for p in objective.parameters())


def test_the_loss_of_a_batch_is_the_mean_of_its_halves() -> None:
    """So that two ranks, whose gradients are averaged, learn what one does; draws are those of the positions."""
    classifier, whole = recorder(GAP(K)), batch()
    whole = replace(whole, positions=torch.arange(4) + 30, seed=5)
    objective = CPN(K, (6,), cells=(6, 12)).double()

    def terms(part: slice) -> dict[str, float]:
        positions = torch.arange(4)[part] + 30
        given = Batch(whole.images[part], whole.labels[part], positions=positions, seed=5)
        found = objective.losses(classifier, given, classifier(given.images, given.labels))
        return {name: value.item() for name, value in found.terms.items()}

    all_of_them = terms(slice(None))
    halves = terms(slice(0, None, 2)), terms(slice(1, None, 2))
    assert set(all_of_them) == {"cls", "tcp", "cpcr", "min"}
    for name, value in all_of_them.items():
        assert value == pytest.approx((halves[0][name] + halves[1][name]) / 2, rel=1e-9)


def test_sides_and_cells_are_drawn_evenly() -> None:
    objective = CPN(K, (6,), cells=(8, 16), hidden=0.25)
    given = batch(torch.zeros(400, K), size=(32, 32))
    shown, share = objective.pairs(given)
    assert share.mean().item() == pytest.approx(0.75, abs=0.03)
    # Two places 8 pixels apart are in two cells if these have a side of 8, and one if it is 16.
    apart = shown[:, 0, 0] != shown[:, 8, 0]
    assert apart.double().mean().item() == pytest.approx(0.5 * 2 * 0.25 * 0.75, abs=0.06)
    assert not (shown[:, 0, :7] != shown[:, 0, 1:8]).any()


def test_parts_of_the_paper_can_be_left_out() -> None:
    classifier, given = recorder(GAP(K)), batch()
    output = classifier(given.images, given.labels)
    plain = CPN(K, (6,), module="none")
    assert set(plain.losses(classifier, given, output).terms) == {"cls", "tcp"}
    assert plain.maps(classifier, output) is output.maps
    pixels = CPN(K, (6,), module="pcm").double()
    assert type(pixels.module) is PixelCorrelation
    assert set(pixels.losses(classifier, given, output).terms) == {"cls", "tcp", "cpcr", "min"}
    build = load().registries.objective.build
    with pytest.raises(UserError, match="set module='none'"):
        build({"type": "CPN", "cross": 0, "minimum": 0, "triplet": 0}, K, (6,))
    with pytest.raises(UserError, match="cells"):
        build({"type": "CPN", "cells": ()}, K, (6,))


def test_without_scikit_image_superpixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "wsssbench_baselines.objectives.superpixels.find_spec",
        lambda name: None if name == "skimage" else importlib.util.find_spec(name),
    )
    build = load().registries.objective.build
    with pytest.raises(UserError, match=r"pair='superpixels' needs .* \"wsssbench\[baselines\]\""):
        build({"type": "CPN", "pair": "superpixels"}, K, (6,))
    build({"type": "CPN"}, K, (6,))


def test_superpixels_follow_colours() -> None:
    """Each is hidden or shown as a whole, and none crosses the border of two colours."""
    pytest.importorskip("skimage", reason='scikit-image: pip install "wsssbench[baselines]"')
    left = torch.tensor([-1.5, -1.5, 0.0])[:, None, None].expand(3, 40, 19)
    right = torch.tensor([1.5, 0.0, 1.5])[:, None, None].expand(3, 40, 21)
    images = torch.cat([left, right], dim=2)[None].repeat(2, 1, 1, 1).double()
    images += 0.01 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    objective = CPN(K, (6,), pair="superpixels", superpixels=40)
    given = Batch(images, torch.ones(2, K).double(), positions=torch.tensor([3, 4]))
    shown, share = objective.pairs(given)
    again, _ = objective.pairs(given)
    assert torch.equal(shown, again) and not torch.equal(shown[0], shown[1])
    assert torch.allclose(share, shown.double().mean(dim=(1, 2))) and (share > 0.4).all()
    for image, mask in zip(images, shown, strict=True):
        segments = slic_superpixels(image, 40, 10.0)
        assert not np.intersect1d(segments[:, :19], segments[:, 19:]).size
        kept = np.unique(segments[mask.numpy()])
        assert 0 < len(kept) < segments.max() and not np.isin(segments[~mask.numpy()], kept).any()
    classifier = recorder(GAP(K))
    losses = objective.double().losses(classifier, given, classifier(images, given.labels))
    assert all(term.isfinite() for term in losses.terms.values())
