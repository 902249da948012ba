"""IRNet and IRN's seeds against formulas by loops, and what the released code computed (tests/golden/irnet-*.npz)."""

from __future__ import annotations

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_irnet
import torch
from golden import golden
from tiny_irnet import PARAMETERS, SIZES, disc, write_items
from torch import nn
from warm_processes import run_ranks
from wsssbench_baselines.labellings.confident_seeds import ConfidentSeeds, agreed
from wsssbench_baselines.refinements import irnet
from wsssbench_baselines.refinements.edge_network import (
    EdgeNet,
    SeedCrops,
    edge_affinities,
    reduced,
)
from wsssbench_baselines.refinements.edge_refinement import edges_of_views
from wsssbench_baselines.refinements.edge_walk import path, path_affinities, walk_between_edges
from wsssbench_baselines.refinements.irnet import IRNet

from wsssbench.errors import UserError
from wsssbench.experiment.config import read_config, resolve
from wsssbench.files.artefacts import read_cam, read_label
from wsssbench.files.images import read_image, write_label
from wsssbench.interfaces import Cam, FitItem, RunContext, photo_of
from wsssbench.ops.affinity import affinity_loss, pair_offsets, pair_targets
from wsssbench.ops.random_walk import random_walk, transition
from wsssbench.plugins import load
from wsssbench.progress import Silent

CONFIGS = Path(__file__).parents[2] / "configs" / "methods"
seeds_of_cases = pytest.mark.parametrize("seed", [0, 1])


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Any:
    tiny_irnet.register()
    yield
    del load().registries.backbone.components["FixedFilters"]


# seeds


@seeds_of_cases
def test_seeds_are_the_released_ones(seed: int) -> None:
    given, wanted, _ = golden(f"irnet-seeds-{seed}")
    classes = (given["keys"] + 1).astype(np.uint8)
    rule = agreed(given["fg_after_crf"], given["bg_after_crf"], classes)
    np.testing.assert_array_equal(rule, wanted["label"])
    cam = Cam(classes, given["cam"], given["cam"].shape[1:])
    label = ConfidentSeeds(()).label(photo_of(given["image"]), cam)
    assert (label == wanted["label"]).mean() > 0.995  # the CRF's build may decide ties otherwise


def test_seeds_need_a_foreground_above_the_background() -> None:
    with pytest.raises(UserError, match=r"background=0\.4 has to be less than foreground=0\.3"):
        load().registries.labelling.build(
            {"type": "ConfidentSeeds", "background": 0.4, "foreground": 0.3}, ("a",)
        )


@seeds_of_cases
def test_labels_of_cells_are_the_released_ones(seed: int) -> None:
    given, wanted, _ = golden(f"irnet-label-at-quarter-{seed}")
    np.testing.assert_array_equal(reduced(given["label"], 4), wanted["reduced"])


# pairs and lines


@seeds_of_cases
@pytest.mark.parametrize("radius", [5, 10])
def test_pairs_and_lines_are_the_released_ones(seed: int, radius: int) -> None:
    _, wanted, _ = golden(f"irnet-path-index-{seed}")
    ends = [tuple(one) for one in wanted[f"r{radius}_displacements"].tolist()]
    assert sorted(ends) == sorted(pair_offsets(radius))
    points = np.split(
        wanted[f"r{radius}_path_points"], np.cumsum(wanted[f"r{radius}_path_lengths"])
    )
    for end, line in zip(ends, points, strict=False):
        assert sorted(map(tuple, line.tolist())) == sorted(path(end))


@pytest.mark.parametrize("size", [(5, 6), (2, 9), (1, 1)])
def test_affinities_by_the_formula(size: tuple[int, int]) -> None:
    offsets = pair_offsets(4)
    edges = torch.rand(2, *size, dtype=torch.float64)
    got = path_affinities(edges, offsets)
    for n, p, y, x in np.ndindex(*got.shape):
        dy, dx = offsets[p]
        expected = 0.0
        if y + dy < size[0] and 0 <= x + dx < size[1]:
            line = [
                edges[n, y + a, x + b].item()
                for a in range(dy + 1)
                for b in range(min(dx, 0), max(dx, 0) + 1)
                if abs(dy * b - dx * a) / np.hypot(dy, dx) < 1 - 1e-9
            ]
            expected = 1 - max(line)
        assert got[n, p, y, x].item() == pytest.approx(expected)


def test_the_gradient_goes_to_the_largest_of_a_line() -> None:
    edges = torch.rand(1, 3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda e: path_affinities(e, pair_offsets(3)), edges)


def sources(offsets: list[tuple[int, int]], size: tuple[int, int], radius: int) -> torch.Tensor:
    """(P, h, w) bool: the first ends from which every pair of the radius stays on the grid, the released code's."""
    inside = torch.zeros(len(offsets), *size, dtype=torch.bool)
    inside[:, : size[0] - radius + 1, radius - 1 : size[1] - radius + 1] = True
    return inside


@seeds_of_cases
def test_loss_and_gradient_are_the_released_ones(seed: int) -> None:
    """On the pairs that these count; the terms here are weighted."""
    given, wanted, parameters = golden(f"irnet-loss-{seed}")
    offsets = pair_offsets(parameters["radius"])
    logits = torch.from_numpy(given["edge_logit"]).requires_grad_()
    affinities = path_affinities(logits[:, 0].sigmoid(), offsets)
    counted = sources(offsets, logits.shape[-2:], parameters["radius"])
    targets = pair_targets(torch.from_numpy(given["labels"]), offsets)
    terms = affinity_loss(affinities, *(pairs & counted for pairs in targets))
    names = {"loss_bg_pos": 4, "loss_fg_pos": 4, "loss_neg": 2}
    for term, (name, share) in zip(terms, names.items(), strict=True):
        assert share * term.item() == pytest.approx(wanted[name].item(), rel=1e-6)
    sum(terms).backward()
    np.testing.assert_allclose(logits.grad, wanted["grad_edge_logit"], atol=1e-8)


@seeds_of_cases
def test_pairs_are_sorted_as_in_the_released_code(seed: int) -> None:
    given, wanted, parameters = golden(f"irnet-pair-labels-{seed}")
    offsets, labels = pair_offsets(parameters["radius"]), torch.from_numpy(given["label"])[None]
    order = [offsets.index(tuple(one)) for one in given["displacements"].tolist()]
    counted = sources(offsets, labels.shape[1:], parameters["radius"])
    for pairs, name in zip(pair_targets(labels, offsets), ("bg_pos", "fg_pos", "neg"), strict=True):
        got = pairs[0][counted].view(len(offsets), -1)[order]
        np.testing.assert_array_equal(got.numpy(), wanted[name].astype(bool))


# the network


def wave(shape: tuple[int, ...], k: float, scale: float) -> torch.Tensor:
    """The values of the golden case."""
    j = np.arange(np.prod(shape))
    return torch.from_numpy(scale * np.sin(0.37 + k + 1.7 * j + 0.013 * (j % 97)).reshape(shape))


@seeds_of_cases
def test_the_edge_branch_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = golden(f"irnet-heads-{seed}")
    k, channels, sizes = given["k"].item(), parameters["channels"], parameters["sizes"]
    backbone = nn.Module()
    backbone.stage_channels, backbone.stage_strides = channels, (4, 4, 8, 16, 16)
    network = EdgeNet(backbone).double()
    taps = [
        wave((1, c, *size), k + n, 1).relu()
        for n, (c, size) in enumerate(zip(channels, sizes, strict=True))
    ]
    with torch.no_grad():
        for m, (convolution, norm) in enumerate(network.levels):
            convolution.weight.copy_(
                wave(convolution.weight.shape, k + 10 + m, channels[m] ** -0.5)
            )
            norm.weight.copy_(1 + wave((32,), k + 70 + m, 0.3))
            norm.bias.copy_(wave((32,), k + 100 + m, 0.2))
        network.edge.weight.copy_(wave(network.edge.weight.shape, k + 15, 160**-0.5))
        network.edge.bias.copy_(wave((1,), k + 45, 0.5))
        logits = network.edges(taps, tuple(sizes[1]))
    np.testing.assert_allclose(logits, wanted["edge_logit"], atol=1e-10)


@seeds_of_cases
def test_both_views_are_merged_as_in_the_released_code(seed: int) -> None:
    given, wanted, _ = golden(f"irnet-edge-inference-{seed}")
    logits = torch.from_numpy(given["edge_logit_of_padded"])[:, 0]
    merged = edges_of_views(logits, wanted["edge"].shape[1:])
    np.testing.assert_allclose(merged[None], wanted["edge"], atol=1e-7)


def test_the_backbone_learns_nothing() -> None:
    network = EdgeNet(tiny_irnet.FixedFilters(), channels=8).train()
    assert not network.backbone.training and network.levels.training
    logits = network(torch.randn(2, 3, 33, 42))
    assert logits.shape == (2, 1, 9, 11)
    edge_affinities(logits, pair_offsets(3)).sum().backward()
    learned = {name for name, p in network.named_parameters() if p.grad is not None}
    assert learned == {n for n, _ in network.named_parameters() if not n.startswith("backbone.")}


# the walk


@seeds_of_cases
def test_the_walk_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = golden(f"irnet-walk-{seed}")
    offsets = pair_offsets(parameters["radius"])
    walked = walk_between_edges(
        given["cam"], given["edge"][0], offsets, parameters["beta"], 2 ** parameters["exp_times"]
    )
    np.testing.assert_allclose(walked[:, None], wanted["walk"], atol=5e-5)


def test_without_edges_it_is_the_plain_walk_and_a_closed_edge_lets_nothing_through() -> None:
    offsets = pair_offsets(3)
    maps = np.random.default_rng(0).random((2, 6, 9), np.float32)
    plain = random_walk(maps, transition(np.ones((len(offsets), 6, 9)), offsets, 10), 32)
    got = walk_between_edges(maps, np.zeros((6, 9)), offsets, 10, 32)
    np.testing.assert_allclose(got, plain, atol=1e-6)
    edges = np.zeros((6, 9))
    edges[:, 4] = 1
    maps[:, :, 5:] = 0
    assert not walk_between_edges(maps, edges, offsets, 10, 256)[:, :, 4:].any()


@seeds_of_cases
def test_scores_are_the_released_ones(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given, wanted, parameters = golden(f"irnet-final-labels-{seed}")
    size = (parameters["height"], parameters["width"])
    method = IRNet(backbone={"type": "FixedFilters"})
    monkeypatch.setattr(method, "edges", lambda image: given["edge"][0])
    cam = Cam((given["keys"] + 1).astype(np.uint8), given["cam"], size)
    scores = method.refine(photo_of(np.zeros((*size, 3), np.uint8)), cam)
    np.testing.assert_allclose(scores.planes, wanted["scores"], atol=1e-4)
    label = np.concatenate([[0], scores.classes])[scores.planes.argmax(axis=0)]
    assert (
        label == wanted["label"]
    ).mean() > 0.999  # scores within 1e-4 of 0.25 are on either side


def test_the_cam_is_raised_before_the_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Raised by itself or by hand, at the grid's size, so that nothing is resized before."""
    maps = np.random.default_rng(0).uniform(size=(1, 2, 2)).astype(np.float32)
    seen = []
    for exponent, given in ((1.5, maps), (1.0, maps**1.5)):
        method = IRNet(backbone={"type": "FixedFilters"}, exponent=exponent, steps=0)
        monkeypatch.setattr(method, "edges", lambda image: np.full((2, 2), 0.3, np.float32))
        cam = Cam(np.ones(1, np.uint8), given, (8, 8))
        seen.append(method.refine(photo_of(np.zeros((8, 8, 3), np.uint8)), cam).planes)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-6)
    assert seen[0][1].std() > 0.1


# crops


def test_crops_show_seeds_where_their_pixels_are(tmp_path: Path) -> None:
    items = write_items(tmp_path)
    files = []
    for k, item in enumerate(items):  # a label that can be read off the image
        image = read_image(item.image)
        files.append(tmp_path / f"label_{k}.png")
        write_label(files[-1], (image[..., 0] > image[..., 2]).astype(np.uint8))
    paths = [item.image for item in items]
    data = SeedCrops(paths, files, crop=64, stride=4, flip=True, seed=3, scales=(0.5, 1.5))
    for position in range(20):
        one = data[position % len(SIZES), position]
        pixels, labels = one["images"].numpy(), one["labels"].numpy()
        assert pixels.shape == (3, 64, 64) and labels.shape == (16, 16)
        cells = pixels.reshape(3, 16, 4, 16, 4)
        red, filled = cells[0] > cells[2], (cells != 0).any(axis=0)
        for value in (0, 1):  # cells of one label all over
            sure = ((red == value) & filled).all(axis=(1, 3))
            assert (labels[sure] == value).all()
        assert (labels[~filled.any(axis=(1, 3))] == 255).all()
        assert {0, 1} & set(np.unique(labels))


def test_seeds_of_other_images_are_told(tmp_path: Path) -> None:
    item = write_items(tmp_path)[0]
    write_label(tmp_path / "seeds.png", np.zeros((5, 5), np.uint8))
    data = SeedCrops(
        [item.image], [tmp_path / "seeds.png"], crop=64, stride=4, flip=False, seed=0, scales=(1, 1)
    )
    with pytest.raises(UserError, match=r"are 5 x 5 pixels, but their image is 64 x 64"):
        data[0, 0]


# fit, load, refine


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("items")
    write_items(directory)
    return directory


@pytest.fixture(scope="module")
def fitted(items: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_irnet.run(items, tmp_path_factory.mktemp("fit")).parent


def test_edges_lie_on_outlines_and_the_cam_fills_the_object(fitted: Path) -> None:
    method = IRNet(**PARAMETERS)
    method.load(fitted, "cpu")
    image, inside, cam = disc(50, (80, 96))  # larger than the crop
    edges = method.edges(image)
    assert edges.shape == (20, 24)
    share = inside.reshape(20, 4, 24, 4).mean(axis=(1, 3))
    outline = (share > 0.2) & (share < 0.8)
    assert edges[outline].mean() > 3 * edges[(share == 0) | (share == 1)].mean()
    scores = method.refine(photo_of(image), cam)
    walked = scores.planes[1] > scores.planes[0]
    before = cam.maps[0].reshape(20, 4, 24, 4).mean(axis=(1, 3)) > 0.5

    def iou(mask: np.ndarray) -> float:
        return ((mask & (share > 0.5)).sum() / (mask | (share > 0.5)).sum()).item()

    assert iou(walked) > iou(before) + 0.1
    copy = pickle.loads(pickle.dumps(method))
    with pytest.raises(RuntimeError, match="load"):
        copy.refine(photo_of(image), cam)
    copy.load(fitted, "cpu")
    np.testing.assert_array_equal(copy.refine(photo_of(image), cam).planes, scores.planes)


def test_a_training_that_was_stopped_goes_on(
    fitted: Path, items: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def stopping(*given: Any) -> torch.Tensor:
        calls.append(given)
        if len(calls) == 13:
            raise KeyboardInterrupt
        return edge_affinities(*given)

    monkeypatch.setattr(irnet, "edge_affinities", stopping)
    with pytest.raises(KeyboardInterrupt):
        tiny_irnet.run(items, tmp_path)
    (tmp_path / "seeds" / "i1.png").unlink()
    weights = torch.load(tiny_irnet.run(items, tmp_path), weights_only=True)
    assert len(calls) == 13 + 20 - 8  # from its checkpoint on
    for name, value in torch.load(fitted / "weights.pth", weights_only=True).items():
        assert torch.equal(value, weights[name]), name


def test_given_seeds_give_the_same_network(fitted: Path, items: Path, tmp_path: Path) -> None:
    """Those that a stage made are read from there; its own are the labelling's."""
    for k in range(len(SIZES)):
        photo, cam = photo_of(read_image(items / f"{k}.png")), read_cam(items / f"{k}.npz")
        own = read_label(fitted / "seeds" / f"i{k}.png")
        np.testing.assert_array_equal(own, ConfidentSeeds(()).label(photo, cam))
        assert {0, 2, 255} >= set(np.unique(own)) >= {0, 2}
    handle = SimpleNamespace(path=lambda id: fitted / "seeds" / f"{id}.png")
    given = [FitItem(f"i{k}", items / f"{k}.png", tmp_path) for k in range(len(SIZES))]
    context = RunContext(tmp_path, "cpu", 0, 5, Silent())
    IRNet(**PARAMETERS, seeds=handle).fit(given, 3, context)
    assert not (tmp_path / "seeds").exists()
    one, two = (torch.load(d / "weights.pth", weights_only=True) for d in (fitted, tmp_path))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(fitted: Path, items: Path, tmp_path: Path) -> None:
    program = Path(tiny_irnet.__file__)
    run_ranks(2, program, "IRNet", items, tmp_path / "two", output=tmp_path)
    one = torch.load(fitted / "weights.pth", weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-3, atol=1e-5, msg=name)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stride": 3}, "stride=3 has to be a power of 2"),
        ({"crop": 50}, "crop=50 has to be a multiple of stride=4"),
        ({"crop": 36, "radius": (10, 5)}, "at least 40 for pairs of radius=10"),
        ({"scales": (1.5, 0.5)}, "low, high"),
        ({"confidence": (0.1, 0.2)}, "less than foreground"),
        ({"seeds": "seeds", "confidence": (0.3, 0.1)}, "has no effect"),
        ({"schedule": {"batch_size": 4, "lr": 1.0}}, "exactly one"),
    ],
)
def test_wrong_parameters_are_told_before_any_work(changed: dict, message: str) -> None:
    if "seeds" in changed:
        with pytest.raises(ValueError, match=message):
            IRNet(**{**PARAMETERS, **changed})
        return
    with pytest.raises(UserError, match=message):
        load().registries.refinement.build({"type": "IRNet", **PARAMETERS, **changed})


# configs


def test_irn_on_voc_has_the_published_values() -> None:
    config = resolve(read_config(CONFIGS / "irn_voc.py"))
    irn, seeds = config["refine"]["irn"], config["stages"]["seeds"]
    assert (seeds["foreground"], seeds["background"]) == (0.30, 0.05)
    assert (irn["radius"], irn["beta"], irn["steps"], irn["background"]) == (
        (10, 5),
        10,
        2**8,
        0.25,
    )
    schedule = irn["schedule"]
    assert (schedule["batch_size"], schedule["epochs"], schedule["lr"]) == (32, 3, 0.1)
    assert (schedule["momentum"], schedule["weight_decay"]) == (1e-4, 1e-4)
    assert config["label"]["input"] == "irn"
