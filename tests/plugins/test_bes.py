"""BES against its formulas by loops, and what the released code computed (tests/golden/bes-*.npz)."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tiny_irnet
import torch
from golden import golden
from scipy.ndimage import distance_transform_edt
from tiny_irnet import BES_PARAMETERS, SIZES, disc, write_items
from torch import nn
from torch.nn import functional as F
from warm_processes import run_ranks
from wsssbench_baselines.poolings.attention_pooling import AttentionPooling
from wsssbench_baselines.refinements.bes import (
    BES,
    BOUNDARY,
    BoundaryRule,
    boundary_losses,
    window_shares,
)

from wsssbench.errors import UserError
from wsssbench.experiment.config import read_config, resolve
from wsssbench.files.artefacts import read_label
from wsssbench.interfaces import Cam, FitItem, RunContext, Scores, photo_of
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.refinements.dense_crf import DenseCRF

CONFIGS = Path(__file__).parents[2] / "configs" / "methods"
RELEASED = BoundaryRule(window=13, share=0.3, difference=0.1, between_classes=True)
seeds_of_cases = pytest.mark.parametrize("seed", [0, 1])


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Any:
    tiny_irnet.register()
    yield
    del load().registries.backbone.components["FixedFilters"]


def ours(labels: np.ndarray, values: dict[str, int]) -> np.ndarray:
    """The released code's label values as those here: both kinds of boundary are one."""
    table = np.full(256, 255, np.uint8)
    table[[values["BG"], values["FG"]]] = 0, 1
    table[[values["BOUNDARY_FG_FG"], values["BOUNDARY_FG_BG"]]] = BOUNDARY
    return table[labels]


# labels


@seeds_of_cases
def test_boundary_labels_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"bes-boundary-labels-{seed}")
    shares = window_shares(given["label"], parameters["window"])
    np.testing.assert_array_equal(shares[0], wanted["share_background"])
    np.testing.assert_array_equal(shares[1:], wanted["share_foreground_sorted_top2"])
    released = wanted["boundary_label"]
    expected = ours(released, parameters["values"])
    assert {0, 1, 2, 255} == set(np.unique(expected))
    np.testing.assert_array_equal(RELEASED.labels(given["label"]), expected)
    # without boundaries between classes, what is left is told by the other rules
    outlines = BoundaryRule(13, 0.3, 0.1, between_classes=False).labels(given["label"])
    between = released == parameters["values"]["BOUNDARY_FG_FG"]
    np.testing.assert_array_equal(outlines[~between], expected[~between])
    assert between.any() and (outlines[between] != BOUNDARY).any()


def naive_labels(seeds: np.ndarray, rule: BoundaryRule) -> np.ndarray:
    """The rule pixel by pixel, in fractions of whole numbers."""
    result, reach = np.full(seeds.shape, 255), rule.window // 2
    for y, x in np.ndindex(*seeds.shape):
        window = seeds[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
        share = {value: np.float32((window == value).sum()) / window.size for value in range(21)}
        p0 = share.pop(0)
        p2, p1 = sorted(share.values())[-2:]
        if p0 > 2 * rule.share and p0 - p1 >= 2 * rule.difference:
            result[y, x] = 0
        if p1 > 2 * rule.share and p1 - p0 >= 2 * rule.difference:
            result[y, x] = 1
        if min(p0, p1) > rule.share and abs(p0 - p1) < rule.difference:
            result[y, x] = 2
        if p2 > rule.share and p1 - p2 < rule.difference and rule.between_classes:
            result[y, x] = 2
    return result


@pytest.mark.parametrize("size", [(20, 23), (3, 30), (1, 1)])
@pytest.mark.parametrize("window", [3, 7])
def test_boundary_labels_by_the_rule(size: tuple[int, int], window: int) -> None:
    rng = np.random.default_rng(window)
    coarse = rng.choice([0, 3, 20, 255], size=(-(-size[0] // 5), -(-size[1] // 5)))
    seeds = np.kron(coarse, np.ones((5, 5))).astype(np.uint8)[: size[0], : size[1]]
    for between in (True, False):
        rule = BoundaryRule(window, 0.21, 0.13, between)  # no share is as large as a threshold
        np.testing.assert_array_equal(rule.labels(seeds), naive_labels(seeds, rule))


def test_seeds_without_a_class_or_without_a_label() -> None:
    assert not RELEASED.labels(np.zeros((9, 8), np.uint8)).any()
    assert (RELEASED.labels(np.full((9, 8), 255, np.uint8)) == 255).all()


# losses


@seeds_of_cases
def test_losses_and_gradient_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"bes-boundary-loss-{seed}")
    logits = torch.from_numpy(given["edge_logit"]).requires_grad_()
    labels = torch.from_numpy(ours(given["label"], parameters["values"]))
    terms = boundary_losses(logits[:, 0], labels, 0.5)
    for term, name in zip(terms, ("background", "foreground", "boundary"), strict=True):
        assert term.item() == pytest.approx(wanted[f"loss_{name}"].item(), rel=1e-12)
    loss = (terms[0] + terms[1]) / 2 + terms[2]
    assert loss.item() == pytest.approx(wanted["loss"].item(), rel=1e-12)
    loss.backward()
    np.testing.assert_allclose(logits.grad, wanted["grad_edge_logit"], rtol=1e-9, atol=1e-15)


def test_losses_by_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = 6 * torch.randn(2, 4, 5, dtype=torch.float64, generator=generator)
    labels = torch.randint(0, 3, (2, 4, 5), generator=generator)
    labels[0, 0], labels[1, 3] = 255, 0
    sums, counts = [0.0] * 3, [1] * 3
    for value, label in zip(logits.flatten().tolist(), labels.flatten().tolist(), strict=True):
        if label != 255:
            p = min(max(1 / (1 + np.exp(-value)), 1e-4), 1 - 1e-4)
            sums[label] += -(p**0.8) * np.log(p) if label == 2 else -np.log(1 - p)
            counts[label] += 1
    expected = [total / count for total, count in zip(sums, counts, strict=True)]
    got = [term.item() for term in boundary_losses(logits, labels, 0.8)]
    assert got == pytest.approx(expected, rel=1e-12)
    assert not any(boundary_losses(logits, torch.full_like(labels, 255), 0.8))


# the classifier


@seeds_of_cases
@pytest.mark.parametrize("name", ["released_k", "k1"])
def test_the_classifier_is_the_released_one(seed: int, name: str) -> None:
    """Its last stage, the attention and the head; stage 2's output is a constant."""
    given, wanted, parameters = golden(f"bes-classifier-{seed}")
    stage2, labels = (torch.from_numpy(given[key]) for key in ("stage2_output", "labels"))
    stage3 = torch.from_numpy(given["stage3_weight"]).requires_grad_()
    head = nn.Conv2d(stage3.shape[0], 20, 1, bias=False).double()
    with torch.no_grad():
        head.weight[..., 0, 0] = torch.from_numpy(given["head_weight"])
    features = torch.einsum("dc,nchw->ndhw", stage3, stage2).relu()
    maps = head(features)
    logits = AttentionPooling(20, k=parameters["k"][name]).pool(maps, features, head).logits
    np.testing.assert_allclose(logits.detach(), wanted[f"logits_{name}"], rtol=1e-10, atol=1e-12)
    loss = F.multilabel_soft_margin_loss(logits, labels.double())
    assert loss.item() == pytest.approx(wanted[f"loss_{name}"].item(), rel=1e-10)
    loss.backward()
    np.testing.assert_allclose(stage3.grad, wanted[f"grad_stage3_weight_{name}"], atol=1e-12)
    np.testing.assert_allclose(
        head.weight.grad[..., 0, 0], wanted[f"grad_head_weight_{name}"], atol=1e-12
    )
    cam = 2 * maps[0].detach().relu()  # an image and its mirror image, without the attention
    np.testing.assert_allclose(cam, wanted["cam_first_image"], atol=1e-10)


# the walk and the CRF


@seeds_of_cases
def test_final_labels_are_the_released_ones(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    given, wanted, parameters = golden(f"bes-final-labels-{seed}")
    size = (parameters["height"], parameters["width"])
    method = BES(backbone={"type": "FixedFilters"})
    monkeypatch.setattr(method, "edges", lambda image: given["edge"][0])
    photo, classes = photo_of(given["image"]), (given["keys"] + 1).astype(np.uint8)
    scores = method.refine(photo, Cam(classes, given["cam"], size))
    np.testing.assert_allclose(scores.planes, wanted["scores"], atol=1e-4)
    values = np.concatenate([[0], classes])
    before = values[scores.planes.argmax(axis=0)]
    assert (before == wanted["label_before_crf"]).mean() > 0.998  # some lie within 1e-4 of 0.25
    exact = Scores(classes, wanted["scores"], size)
    after = values[DenseCRF(preset="bes").refine(photo, exact).planes.argmax(axis=0)]
    assert (after == wanted["label_after_crf"]).mean() > 0.995  # ties depend on the CRF's build


# fit, load, refine


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("items")
    write_items(directory)
    return directory


@pytest.fixture(scope="module")
def fitted(items: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_irnet.run(items, tmp_path_factory.mktemp("fit"), "BES").parent


def test_edges_lie_on_outlines_and_the_cam_fills_the_object(fitted: Path) -> None:
    method = BES(**BES_PARAMETERS)
    method.load(fitted, "cpu")
    image, inside, cam = disc(50, (80, 96))
    edges = method.edges(image)
    share = inside.reshape(20, 4, 24, 4).mean(axis=(1, 3))
    outline = (share > 0.2) & (share < 0.8)
    assert edges[outline].mean() > 3 * edges[(share == 0) | (share == 1)].mean()
    planes = method.refine(photo_of(image), cam).planes
    walked, before = planes[1] > planes[0], cam.maps[0].reshape(20, 4, 24, 4).mean((1, 3)) > 0.5

    def iou(mask: np.ndarray) -> float:
        return ((mask & (share > 0.5)).sum() / (mask | (share > 0.5)).sum()).item()

    assert iou(walked) > iou(before) + 0.1


def test_it_learns_boundary_labels_of_the_seeds(fitted: Path, items: Path, tmp_path: Path) -> None:
    """Also of given ones, and these lie on the outline of the seeds."""
    rule = BoundaryRule(5, 0.3, 0.1, between_classes=True)
    for k in range(len(SIZES)):
        seeds, made = (read_label(fitted / f / f"i{k}.png") for f in ("seeds", "boundaries"))
        np.testing.assert_array_equal(made, rule.labels(seeds))
        near = distance_transform_edt(seeds != 0) + distance_transform_edt(seeds != 2)
        assert (near[made == BOUNDARY] <= 8).all()
    handle = SimpleNamespace(path=lambda id: fitted / "seeds" / f"{id}.png")
    given = [FitItem(f"i{k}", items / f"{k}.png", tmp_path) for k in range(len(SIZES))]
    BES(**BES_PARAMETERS, seeds=handle).fit(given, 3, RunContext(tmp_path, "cpu", 0, 5, Silent()))
    assert not (tmp_path / "seeds").exists()
    one, two = (torch.load(d / "weights.pth", weights_only=True) for d in (fitted, tmp_path))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(fitted: Path, items: Path, tmp_path: Path) -> None:
    program = Path(tiny_irnet.__file__)
    run_ranks(2, program, "BES", items, tmp_path / "two", output=tmp_path)
    one = torch.load(fitted / "weights.pth", weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"window": 4}, "window=4 has to be odd"),
        ({"confidence": (0.1, 0.2)}, "less than foreground"),
        ({"crop": 50}, "crop=50 has to be a multiple of stride=4"),
        ({"widow": 5}, "did you mean window"),
        ({"share": 0.6}, "share"),
    ],
)
def test_wrong_parameters_are_told_before_any_work(changed: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load().registries.refinement.build({"type": "BES", **BES_PARAMETERS, **changed})


# configs


def test_bes_on_voc_has_the_published_values() -> None:
    config = resolve(read_config(CONFIGS / "bes_voc.py"))
    bes, seeds = config["refine"]["bes"], config["stages"]["seeds"]
    assert (seeds["foreground"], seeds["background"]) == (0.30, 0.07)
    assert (bes["window"], bes["share"], bes["difference"], bes["power"]) == (13, 0.3, 0.1, 0.5)
    walk = ("radius", "beta", "steps", "background")
    assert tuple(bes[key] for key in walk) == (5, 5, 2**8, 0.25)
    schedule = ("batch_size", "epochs", "lr", "weight_decay", "momentum")
    assert tuple(bes["schedule"][key] for key in schedule) == (16, 3, 0.1, 1e-4, 1e-4)
    classifier = config["classifier"]
    assert classifier["pooling"] == {"type": "AttentionPooling", "k": 1e-3}
    assert classifier["transform"]["resize_long"] == (320, 512)
    assert config["refine"]["bes_crf"]["preset"] == "bes"
    assert (config["label"]["input"], config["evaluate"]["threshold"]) == ("bes_crf", 0.11)
