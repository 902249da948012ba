"""SSDD's static part against its formulas by loops, and what the released code computed (tests/golden/ssdd-*.npz)."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_irnet
import tiny_ssdd
import torch
from golden import golden
from tiny_irnet import SIZES, disc
from tiny_ssdd import PARAMETERS, ragged, ragged_scores
from torch import Tensor, nn
from warm_processes import run_ranks
from wsssbench_baselines.refinements.difference_network import (
    DifferenceHead,
    DifferenceNet,
    SegmentationHead,
)
from wsssbench_baselines.refinements.ssdd import (
    SSDD,
    DifferenceTask,
    MaskCrops,
    best_labels,
    decide,
    difference_loss,
    flagged_classes,
)

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.experiment.config import read_config, resolve
from wsssbench.files.artefacts import read_label, read_scores
from wsssbench.files.images import read_image, write_label
from wsssbench.interfaces import Scores, photo_of
from wsssbench.models.preprocess import normalise
from wsssbench.ops.crf import PRESETS
from wsssbench.plugins import load

CONFIGS = Path(__file__).parents[2] / "configs" / "methods"
seeds_of_cases = pytest.mark.parametrize("seed", [0, 1])


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Any:
    tiny_irnet.register()
    yield
    del load().registries.backbone.components["FixedFilters"]


# guard and decision


@seeds_of_cases
def test_flags_are_the_released_ones(seed: int) -> None:
    given, wanted, parameters = golden(f"ssdd-guard-flags-{seed}")
    for k, v, labels, flags in zip(
        given["K"], given["V"], given["labels"], wanted["flags"], strict=True
    ):
        present = np.flatnonzero(labels) + 1
        got = flagged_classes(k, v, present, parameters["threshold"])
        assert got == np.flatnonzero(flags).tolist()
        assert not flagged_classes(k, v, present, 0)


@seeds_of_cases
def test_decisions_are_the_released_ones(seed: int) -> None:
    """Whose dynamic part exchanges the two files, which is not copied."""
    given, wanted, _ = golden(f"ssdd-decision-{seed}")
    for n in range(len(given["K"])):
        d = given["d_K_logit"][n, 0], given["d_V_logit"][n, 0]
        masks, flagged = (given["K"][n], given["V"][n]), np.flatnonzero(given["flags"][n])
        for bias, background, name in ((0.1, 0.1, "bias_0.1_bg_0.1"), (0.4, 0, "bias_0.4_bg_0")):
            label = decide(d, masks, bias, background, flagged)
            np.testing.assert_array_equal(label, wanted[f"label_{name}"][n])
        wrong = wanted["label_as_read_by_dynamic_loader_BUG"][n]
        np.testing.assert_array_equal(decide(d[::-1], masks, 0.1, 0.1, flagged), wrong)
        assert (decide(d, masks, 0.1, 0.1, flagged) != wrong).any()


def test_decision_by_the_formula() -> None:
    rng = np.random.default_rng(0)
    d, masks = rng.normal(size=(2, 9, 8)), rng.integers(0, 4, (2, 9, 8))
    label = decide(tuple(d), tuple(masks), -0.2, 0.3, [2])
    for y, x in np.ndindex(9, 8):
        k, v = masks[:, y, x]
        w = 1 / (1 + np.exp(-d[0, y, x])) - 1 / (1 + np.exp(-d[1, y, x])) - 0.2
        w += 0.3 * ((v == 0).astype(float) - (k == 0)) + (v == 2) - (k == 2)
        assert label[y, x] == (v if w >= 0 else k)


# losses


@seeds_of_cases
def test_losses_and_gradients_are_the_released_ones(seed: int) -> None:
    given, wanted, _ = golden(f"ssdd-loss-{seed}")
    different = torch.from_numpy(given["K"] != given["V"])
    used = torch.from_numpy(given["flags"] == 0).all(dim=1)[:, None, None].expand_as(different)
    assert not used.all() and used.any()
    total = torch.zeros(())
    logits = {}
    for name in ("K", "V"):
        logits[name] = torch.from_numpy(given[f"d_{name}_logit"]).requires_grad_()
        loss = difference_loss(logits[name][:, 0], different, used)
        assert loss.item() == pytest.approx(wanted[f"loss_{name}"].item(), rel=1e-6)
        total = total + loss / 2
    assert total.item() == pytest.approx(wanted["loss"].item(), rel=1e-6)
    total.backward()
    for name, one in logits.items():
        np.testing.assert_allclose(one.grad, wanted[f"grad_d_{name}_logit"], atol=1e-9)


def test_loss_by_the_formula() -> None:
    """Also of images that are equal everywhere, different everywhere, and not valid at all."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(5, 4, 3, dtype=torch.float64, generator=generator)
    different, valid = torch.rand(2, 5, 4, 3, generator=generator) < torch.tensor([0.3, 0.8]).view(
        2, 1, 1, 1
    )
    different[1], different[2], valid[3] = False, True, False
    images = []
    for n in range(5):
        sums: dict[bool, list[float]] = {True: [], False: []}
        for y, x in np.ndindex(4, 3):
            if valid[n, y, x]:
                p = 1 / (1 + np.exp(-logits[n, y, x].item()))
                is_different = bool(different[n, y, x])
                sums[is_different].append(-np.log(p if is_different else 1 - p))
        if sums[True] or sums[False]:
            images.append(sum(np.mean(values) for values in sums.values() if values) / 2)
    assert len(images) == 4
    assert difference_loss(logits, different, valid).item() == pytest.approx(np.mean(images))
    logits.requires_grad_()
    nothing = difference_loss(logits, different, torch.zeros_like(valid))
    nothing.backward()
    assert nothing == 0 and not logits.grad.any()


# the network


def wave(shape: tuple[int, ...], k: float, scale: float) -> Tensor:
    """The values of the golden case."""
    j = np.arange(np.prod(shape))
    return torch.from_numpy(scale * np.sin(0.37 + k + 1.7 * j + 0.013 * (j % 97)).reshape(shape))


@seeds_of_cases
def test_the_segmentation_head_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = golden(f"ssdd-segmentation-head-{seed}")
    head = SegmentationHead(8, 6, 21, parameters["dilation"]).double().eval()
    names = {"hidden": "conv1", "logits": "conv2", "norm": "bn"}
    parts = {"running_mean": "mean", "running_var": "var"}
    state = {}
    for name in head.state_dict():
        layer, part = name.split(".")
        if part != "num_batches_tracked":
            state[name] = torch.from_numpy(given[f"{names[layer]}_{parts.get(part, part)}"])
    head.load_state_dict(state, strict=False)
    assert head.norm.eps == parameters["bn_eps"]
    with torch.no_grad():
        both = head(torch.from_numpy(given["features"]))
    for got, name in zip(both, ("logits", "head_features"), strict=True):
        doubled = nn.functional.interpolate(got, scale_factor=2, mode="bilinear")
        np.testing.assert_allclose(doubled, wanted[name], atol=1e-6)


@seeds_of_cases
def test_the_difference_head_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = golden(f"ssdd-difference-head-{seed}")
    k = given["k"].item()
    head = DifferenceHead(512 + 128, 21, 256).double().eval()
    residual = head.residual
    units = (head.image, head.mask, residual[0], residual[1], residual[2:], head.shortcut)
    with torch.no_grad():
        for m, unit in enumerate(units):
            convolution, norm = unit[0], unit[1]
            shape = convolution.weight.shape
            convolution.weight.copy_(wave(shape, k + 10 + m, np.prod(shape[1:]) ** -0.5))
            norm.weight.copy_(1 + wave((256,), k + 20 + m, 0.3))
            norm.bias.copy_(wave((256,), k + 40 + m, 0.2))
            norm.running_mean.copy_(wave((256,), k + 60 + m, 0.2))
            norm.running_var.copy_(1 + wave((256,), k + 80 + m, 0.5))
            assert norm.eps == parameters["bn_eps"]
        head.logit.weight.copy_(wave((1, 256, 1, 1), k + 16, 256**-0.5))
        taps = [wave((1, c, 6, 7), k + n, 1).relu() for n, c in enumerate((512, 128))]
        (logits,) = head(torch.cat(taps, dim=1), [torch.from_numpy(given["mask"])])
    np.testing.assert_allclose(logits[:, None], wanted["d_logit"], atol=1e-10)


def tiny_network(dilation: int = 2) -> DifferenceNet:
    torch.manual_seed(0)
    return DifferenceNet(tiny_irnet.FixedFilters(), labels=4, hidden=8, width=8, dilation=dilation)


@pytest.mark.parametrize("size", [(64, 48), (33, 42), (1, 1), (90, 3)])
def test_it_reads_images_of_every_size(size: tuple[int, int]) -> None:
    network = tiny_network().eval()
    grid = (-(-size[0] // 4), -(-size[1] // 4))
    masks = torch.randint(0, 4, (2, 2, *grid))
    logits, differences = network(torch.randn(2, 3, *size), masks)
    assert logits.shape == (2, 4, *grid)
    assert [one.shape for one in differences] == [(2, *grid)] * 2
    assert not torch.equal(*differences)


def test_differences_do_not_change_the_features() -> None:
    """The backbone and the segmentation head learn K alone; batch normalisation does not count."""
    task = DifferenceTask(tiny_network()).train()
    assert not any(m.training for m in task.modules() if isinstance(m, nn.BatchNorm2d))
    labels = torch.randint(0, 4, (2, 2, 12, 12)).to(torch.uint8)
    terms = task({"images": torch.randn(2, 3, 48, 48), "labels": labels}, 0.0).terms
    learned = {}
    for name, loss in terms.items():
        task.zero_grad()
        loss.backward(retain_graph=True)
        learned[name] = {n.split(".")[1] for n, p in task.named_parameters() if p.grad is not None}
    assert learned["loss_segmentation"] == {"backbone", "segmentation"}
    assert learned["loss_knowledge"] == learned["loss_advice"] == {"difference"}
    entropy = nn.functional.cross_entropy(
        task.network(torch.zeros(2, 3, 48, 48), ())[0], labels[:, 0].long()
    )
    zero = {"images": torch.zeros(2, 3, 48, 48), "labels": labels}
    torch.testing.assert_close(task(zero, 0.0).terms["loss_segmentation"], entropy)


# what it learns


def test_the_side_that_can_be_foretold_is_right() -> None:
    """One of the two label maps is that of the image, the other one ragged at random: wherever they differ."""
    discs = [disc(seed, (64, 64)) for seed in range(4)]
    images = torch.stack([torch.from_numpy(normalise(image)) for image, _, _ in discs])
    true = np.stack([inside for _, inside, _ in discs])
    noisy = np.stack([ragged(inside, seed) for seed, inside in enumerate(true)])
    cells = [torch.from_numpy(m[:, 2::4, 2::4].astype(np.uint8)) for m in (true, noisy)]
    for order in ((0, 1), (1, 0)):
        masks = torch.stack([cells[one] for one in order], dim=1)
        task = DifferenceTask(tiny_network()).train()
        optimizer = torch.optim.Adam(task.parameters(), 0.01)
        for _ in range(40):
            optimizer.zero_grad()
            sum(task({"images": images, "labels": masks}, 0.0).terms.values()).backward()
            optimizer.step()
        with torch.no_grad():
            _, d = task.eval().network(images, masks.unbind(1))
        where = (cells[0] != cells[1]).numpy()
        arrays = [one.numpy() for one in masks.unbind(1)]
        label = decide(tuple(one.numpy() for one in d), tuple(arrays), 0.0, 0.0, [])
        assert (label == cells[0].numpy())[where].mean() > 0.8


# fit, load, refine


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("items")
    tiny_ssdd.write_items(directory)
    return directory


@pytest.fixture(scope="module")
def fitted(items: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_ssdd.run(items, tmp_path_factory.mktemp("fit")).parent


def test_masks_are_the_best_labels_without_and_with_a_crf(fitted: Path, items: Path) -> None:
    for k in range(len(SIZES)):
        image, scores = read_image(items / f"{k}.png"), read_scores(items / f"{k}.npz")
        knowledge, advice = (
            read_label(fitted / name / f"i{k}.png") for name in ("knowledge", "advice")
        )
        np.testing.assert_array_equal(knowledge, best_labels(image, scores, None))
        np.testing.assert_array_equal(advice, best_labels(image, scores, PRESETS["psa"]))
        inside = 2 * disc(k, SIZES[k])[1]
        assert (advice != inside).mean() < 0.5 * (knowledge != inside).mean()


def test_every_pixel_is_decided_between_the_two(fitted: Path) -> None:
    image, _, scores = ragged_scores(50, (70, 81))
    masks = [best_labels(image, scores, crf) for crf in (None, PRESETS["psa"])]
    made = {}
    for bias in (-2.0, 0.1, 2.0):
        method = SSDD(**PARAMETERS, bias=bias, background_bias=0.0)
        method.load(fitted, "cpu")
        result = method.refine(photo_of(image), scores)
        assert set(np.unique(result.planes)) == {0, 1} and (result.planes.sum(axis=0) == 1).all()
        made[bias] = np.array([0, 2])[result.planes.argmax(axis=0)]
    np.testing.assert_array_equal(made[-2.0], masks[0])
    np.testing.assert_array_equal(made[2.0], masks[1])
    assert (made[0.1] == masks[0])[masks[0] == masks[1]].all()
    nothing = Scores(scores.classes[:0], np.ones((1, 70, 81), np.float32), (70, 81))
    assert (method.refine(photo_of(image), nothing).planes == 1).all()


def test_a_copy_for_another_process_loads_the_same(fitted: Path, tmp_path: Path) -> None:
    image, _, scores = ragged_scores(51, (50, 61))
    method = SSDD(**PARAMETERS)
    method.load(fitted, "cpu")
    copy = pickle.loads(pickle.dumps(method))
    with pytest.raises(RuntimeError, match="load"):
        copy.refine(photo_of(image), scores)
    copy.load(fitted, "cpu")
    planes = method.refine(photo_of(image), scores).planes
    np.testing.assert_array_equal(copy.refine(photo_of(image), scores).planes, planes)
    with pytest.raises(CorruptArtefactError, match=r"weights\.pth"):
        copy.load(tmp_path, "cpu")


def test_a_flagged_image_has_no_advice_in_its_crops(tmp_path: Path, items: Path) -> None:
    knowledge = np.zeros(SIZES[0], np.uint8)
    knowledge[10:50, 10:50] = 2
    advice = np.where(np.arange(64) < 28, knowledge, 0).astype(np.uint8)  # 18 of 40 columns
    files = []
    for name, label in (("knowledge", knowledge), ("advice", advice)):
        files.append(tmp_path / f"{name}.png")
        write_label(files[-1], label)
    for guard, flagged in ((0.5, True), (0.4, False)):
        data = MaskCrops(
            [items / "0.png"],
            [tuple(files)],
            crop=64,
            stride=4,
            flip=False,
            seed=0,
            scales=(1.0, 1.0),
            guard=guard,
        )
        labels = data[0, 0]["labels"].numpy()
        np.testing.assert_array_equal(labels[0], knowledge[2::4, 2::4])
        np.testing.assert_array_equal(labels[1], 255 if flagged else advice[2::4, 2::4])


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(fitted: Path, items: Path, tmp_path: Path) -> None:
    run_ranks(2, Path(tiny_ssdd.__file__), items, tmp_path / "two", output=tmp_path)
    one = torch.load(fitted / "weights.pth", weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"stride": 3}, "stride=3 has to be a power of 2"),
        ({"crop": 50}, "crop=50 has to be a multiple of stride=4"),
        ({"scales": (1.5, 0.5)}, "low, high"),
        ({"preset": "psb"}, "CRF preset"),
        ({"schedule": {"batch_size": 4, "lr": 1.0}}, "exactly one"),
    ],
)
def test_wrong_parameters_are_told_before_any_work(changed: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load().registries.refinement.build({"type": "SSDD", **PARAMETERS, **changed})


# configs


def test_ssdd_on_voc_has_the_published_values() -> None:
    config = resolve(read_config(CONFIGS / "ssdd_voc.py"))
    walk, ssdd = config["refine"]["rw"], config["refine"]["ssdd"]
    assert (walk["background_alpha"], walk["beta"], walk["steps"]) == (16, 8, 2**8)
    assert (ssdd["input"], config["label"]["input"]) == ("rw", "ssdd")
    assert (ssdd["bias"], ssdd["background_bias"], ssdd["guard"]) == (0.1, 0.1, 0.5)
    assert (ssdd["crop"], ssdd["stride"], ssdd["dilation"]) == (448, 4, 12)
    schedule = ("epochs", "lr", "weight_decay", "new_layers_lr")
    assert tuple(ssdd["schedule"][key] for key in schedule) == (16, 1e-3, 2e-4, 10)
