"""ICD against its released code's outputs, versions in loops, and what its losses may reach."""

from __future__ import annotations

import copy
import importlib.util
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_icd
import torch
from golden import golden
from tiny_classifier import K, batch, recorder
from torch import Tensor
from torch.nn import functional as F
from warm_processes import run_ranks
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.labellings.icd_seeds import ICDScores, ICDSeeds, decided, planes
from wsssbench_baselines.objectives.icd import (
    ICD,
    BatchStandardisation,
    evened,
    mean_on_sides,
    top_down_loss,
)
from wsssbench_baselines.objectives.superpixels import memberships

from wsssbench.errors import UserError
from wsssbench.files.artefacts import read_scores, write_scores
from wsssbench.interfaces import Batch, Output, Scores, photo_of
from wsssbench.models.preprocess import normalise
from wsssbench.ops.cam import upsample
from wsssbench.plugins import load

SEEDS = pytest.mark.parametrize("seed", [0, 1])


def case(name: str, seed: int) -> tuple[dict[str, Tensor], dict[str, Tensor], Any]:
    """Inputs, outputs and parameters of a case of the released code, as tensors."""
    given, wanted, parameters = golden(f"icd-{name}-{seed}")
    given, wanted = ({k: torch.from_numpy(v) for k, v in one.items()} for one in (given, wanted))
    return given, wanted, parameters


def close(seen: Tensor | None, wanted: Tensor, rtol: float = 2e-6) -> None:
    assert seen is not None
    torch.testing.assert_close(seen.detach(), wanted, rtol=rtol, atol=1e-6)


class Features(torch.nn.Identity):
    """In place of the normalisation: features that are given normalised."""


@SEEDS
def test_the_classification_loss_is_the_released_one(seed: int) -> None:
    given, wanted, _ = case("classification", seed)
    logits = given["logits"].requires_grad_()
    n, k = logits.shape
    weight = ICD(k, (6,), classification_weight=k, widths=(4, 4)).classification_weight
    loss = weight * F.binary_cross_entropy_with_logits(logits, given["labels"])
    (loss * n).backward()  # its operators sum over the batch
    close(logits.grad, wanted["grad_logits"])
    close(logits.sigmoid(), wanted["probability"])


@SEEDS
def test_bottom_up_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = case("bottom-up", seed)
    x, labels = given["x"].requires_grad_(), given["labels"]
    (n, c), k = x.shape[:2], labels.shape[1]
    objective = ICD(k, (c,), bottom_up=parameters["scale"], top_down=0)
    objective.direction = torch.nn.Parameter(given["weight"])
    objective.norm = Features()  # type: ignore[assignment]
    close(objective.score(x), wanted["score"])
    output = Output((x,), torch.zeros_like(wanted["score"]), labels)
    terms = objective.losses(None, Batch(torch.zeros(n, 3, 8, 8), labels), output).terms  # type: ignore[arg-type]
    assert set(terms) == {"bottom_up"}
    (terms["bottom_up"] * n).backward()
    # The release adds 1e-5 to what divides in its gradient.
    close(objective.direction.grad, wanted["grad_weight"], rtol=1e-4)
    assert x.grad is None and not wanted["grad_x"].any()
    assert (labels.sum(dim=1) > 1).any()


@SEEDS
def test_the_sign_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = case("sign", seed)
    objective = ICD(given["labels"].shape[2], (6,), momentum=parameters["momentum"])
    for step, (score, cam, labels) in enumerate(
        zip(given["score"], given["cam"], given["labels"], strict=True)
    ):
        objective.update(score, cam, labels)
        close(objective.sides, wanted["means"][step])
        close(objective.signed(score), wanted["signed"][step])
    assert not wanted["grad_cam"].any()


@SEEDS
def test_top_down_is_the_released_one(seed: int) -> None:
    given, wanted, parameters = case("top-down", seed)
    t, score = given["t"].requires_grad_(), given["score"].requires_grad_()
    loss = len(t) * top_down_loss(t, score, given["labels"], parameters["threshold"])
    loss.backward()
    close(t.grad, wanted["grad_t"])
    close(t.sigmoid(), wanted["probability"])
    assert score.grad is None or not score.grad.any()
    steps = parameters["warmup"]
    objective = ICD(K, (6,), warmup=steps / 12)
    for step, gradient in enumerate(wanted["grad_t_warm"]):
        close(objective.warm(step / 12) * t.grad, gradient)


@SEEDS
@pytest.mark.parametrize("name", ["superpixels", "superpixels-soft"])
def test_superpixels_are_those_of_the_released_code(name: str, seed: int) -> None:
    given, wanted, _ = case(name, seed)
    size = tuple(given["score"].shape[-2:])
    for score, numbers, labels, refined in zip(
        given["score"], given["superpixels"], given["labels"], wanted["refined"], strict=True
    ):
        close(evened(score, memberships(numbers.long(), size), labels), refined)


@SEEDS
@pytest.mark.parametrize("name", ["seeds", "seeds-one-class"])
def test_seeds_are_those_of_the_released_code(name: str, seed: int, tmp_path: Path) -> None:
    """Also through a file of scores, which has steps."""
    given, wanted, parameters = golden(f"icd-{name}-{seed}")
    size = (parameters["size"],) * 2
    height, width = given["photo"].shape[:2]
    t, f = (
        upsample(given[key], size)[:, :height, :width] for key in ("scores", "cams")
    )  # as it resizes
    np.testing.assert_allclose(t, given["scores_up"], atol=1e-5)
    np.testing.assert_allclose(f, given["cams_up"], atol=1e-5)
    t, f = given["scores_up"], given["cams_up"]
    classes = (given["classes"] + 1).astype(np.uint8)
    scores = Scores(classes, planes(t, decided(t, f)), (height, width))
    write_scores(tmp_path / "scores.npz", scores)
    image = np.ascontiguousarray(given["photo"][..., ::-1])  # blue comes first there
    photo = photo_of(image, np.zeros(20))
    names = tuple(map(str, range(parameters["planes"] - 1)))
    for one in (scores, read_scores(tmp_path / "scores.npz")):
        plain = ICDSeeds(names, certainty=None).label(photo, one)
        assert (plain == wanted["seed_before_crf"]).all()
        made = ICDSeeds(names, certainty=parameters["confidence"]).label(photo, one)
        assert (made == wanted["seed_crf"]).all()


def test_the_seeds_in_loops() -> None:
    random = np.random.default_rng(0)
    for count in (1, 3):
        t, f = random.normal(size=(2, count, 9, 8))
        f[:, :2] = 0  # where nothing tells classes apart
        peak, top = t.max(axis=(1, 2)), np.maximum(f, 0).max()
        least = np.maximum(f, 0).min()
        seen = decided(t, f)
        for y, x in np.ndindex(9, 8):
            positive = [k for k in range(count) if t[k, y, x] > 0]
            worth = [
                (max(f[k, y, x], 0) - least) / (top - least) * max(t[k, y, x], 0) / peak[k]
                for k in range(count)
            ]
            if not positive:
                wanted = 0
            elif count > 1 and max(worth) - min(worth) <= 1e-5:
                wanted = -1
            elif len(positive) == 1:
                wanted = positive[0] + 1
            else:
                wanted = int(np.argmax(worth)) + 1
            assert seen[y, x] == wanted
        assert set(np.unique(seen)) == ({0, 1} if count == 1 else {-1, 0, 1, 2, 3})


@pytest.mark.parametrize("count", [0, 1, 3])
def test_the_largest_score_is_that_of_the_seed(count: int) -> None:
    random = np.random.default_rng(count)
    t, f = random.normal(size=(2, count, 20, 20))
    t[:, 0], t[:1, 1] = -1e-9, 1e-3
    seed = decided(t, f)
    made = planes(t, seed)
    assert made.shape == (1 + count, 20, 20) and made.dtype == np.float32 and (made >= 0).all()
    known = seed >= 0
    assert (made.argmax(axis=0)[known] == seed[known]).all()
    assert not made[:, ~known].any()


def objective(**changed: Any) -> ICD:
    torch.manual_seed(0)
    return ICD(K, (6,), **({"widths": (5, 7), "classification_weight": K} | changed)).double()


def test_the_losses_in_loops() -> None:
    """Of images with no, one and two classes, from features to both terms."""
    classifier = recorder(GAP(K))
    given = replace(batch(), progress=0.04)
    made = objective()
    output = classifier(given.images, given.labels)
    terms = made.losses(classifier, given, output).terms
    x = output.features[-1].detach()
    x = (x - x.mean((0, 2, 3), True)) / (
        x.var((0, 2, 3), unbiased=False, keepdim=True) + 1e-5
    ) ** 0.5
    w = made.direction / made.direction.norm(dim=1, keepdim=True)
    t = made.branch(x)
    n, _, h, width = x.shape
    places = [(y, z) for y in range(h) for z in range(width)]
    bottom_up, score = 0.0, torch.zeros(n, K, h, width, dtype=torch.float64)
    for i, k in np.ndindex(n, K):
        for y, z in places:
            score[i, k, y, z] = (w[k] @ x[i, :, y, z]).item()
        if given.labels[i, k] and given.labels[i].sum() == 1:
            bottom_up -= 10 / 2 * float((score[i, k] ** 2).mean()) / n
    assert terms["bottom_up"].item() == pytest.approx(bottom_up)
    active = output.maps.relu()
    for k in range(K):
        sides = []
        for side in (score > 0, score < 0):
            own = [active[i, k][side[i, k]].mean().item() for i in range(n) if given.labels[i, k]]
            sides.append(0.1 * sum(own) / max(1, len(own)))
        assert made.sides[k].tolist() == pytest.approx(sides)
        if sides[0] < sides[1]:
            score[:, k] *= -1
    top_down = 0.0
    for i, k in zip(*np.nonzero(given.labels.numpy()), strict=True):
        high, low = score[i, k].max(), -score[i, k].min()
        for y, z in places:
            s = float(score[i, k, y, z])
            if abs(s / float(high if s > 0 else low)) > 0.2:
                p = t[i, k, y, z].sigmoid().item()
                top_down -= math.log(p if s > 0 else 1 - p) / len(places) / n
    wanted = top_down * math.exp(-10 * 0.6)
    assert terms["top_down"].item() == pytest.approx(wanted)


def test_what_learns_from_what() -> None:
    classifier, given, made = recorder(GAP(K)), batch(), objective()
    terms = made.losses(classifier, given, classifier(given.images, given.labels)).terms
    terms["bottom_up"].backward(retain_graph=True)
    assert made.direction.grad.any()
    assert all(p.grad is None for p in [*classifier.parameters(), *made.branch.parameters()])
    made.zero_grad()
    terms["top_down"].backward()
    assert made.direction.grad is None and classifier.head.weight.grad is None
    assert all(p.grad.any() for p in [made.norm.bias, *made.branch.parameters()])
    assert classifier.backbone.conv.weight.grad.any()


def test_the_direction_becomes_the_one_in_which_pixels_differ_most() -> None:
    """Of images of one class, and the side on which the classifier is active is foreground."""
    generator = torch.Generator().manual_seed(0)
    axis = F.normalize(torch.randn(6, generator=generator, dtype=torch.float64), dim=0)
    inside = torch.rand(8, 1, 6, 6, generator=generator) > 0.7
    x = torch.where(inside, 3.0, -1.0) * axis[:, None, None]
    x = x + 0.3 * torch.randn(x.shape, generator=generator, dtype=torch.float64)
    x = x - x.mean(dim=(0, 2, 3), keepdim=True)
    labels = torch.zeros(8, K, dtype=torch.float64)
    labels[:, 1] = 1
    made = objective(top_down=0).train()
    made.norm = Features()  # type: ignore[assignment]
    output = Output((x,), inside.double().repeat(1, K, 1, 1), labels)
    given = Batch(torch.zeros(8, 3, 6, 6), labels)
    for _ in range(60):
        made.zero_grad()
        made.losses(None, given, output).terms["bottom_up"].backward()  # type: ignore[arg-type]
        made.direction.data -= 0.0005 * made.direction.grad
    w = F.normalize(made.direction[1].detach(), dim=0)
    assert abs(float(w @ axis)) > 0.95
    assert ((made.signed(made.score(x))[:, 1] > 0) == inside[:, 0]).double().mean() > 0.95


def test_the_normalisation_is_that_of_batches() -> None:
    generator = torch.Generator().manual_seed(0)
    x = 3 + torch.randn(4, 6, 5, 4, generator=generator)
    norm = BatchStandardisation(6)
    torch.nn.init.normal_(norm.bias)
    mean, var = torch.zeros(6), torch.ones(6)
    for _ in range(3):
        close(norm(x), F.batch_norm(x, mean, var, bias=norm.bias, training=True), rtol=1e-5)
        x = 2 * x
    close(norm.mean, mean)
    close(norm.var, 0.9**3 + (var - 0.9**3) * 79 / 80, rtol=1e-5)  # ours are biased
    norm.eval()
    close(norm(x), F.batch_norm(x, norm.mean, norm.var, bias=norm.bias), rtol=1e-5)


def test_evaluation_changes_no_state() -> None:
    classifier, given, made = recorder(GAP(K)), batch(), objective().eval()
    before = copy.deepcopy(made.state_dict())
    made.losses(classifier, given, classifier(given.images, given.labels))
    for name, value in made.state_dict().items():
        assert torch.equal(value, before[name])
    made.train().losses(classifier, given, classifier(given.images, given.labels))
    for name in ("sides", "norm.mean", "norm.var"):
        assert not torch.equal(made.state_dict()[name], before[name])


def test_superpixels_in_loops() -> None:
    """The formula where each pixel is of one superpixel; absent classes are 0."""
    generator = torch.Generator().manual_seed(0)
    score = torch.randn(K, 6, 5, generator=generator, dtype=torch.float64)
    numbers = torch.randint(3, 7, (6, 5), generator=generator)
    labels = torch.tensor([1.0, 0, 1, 1]).double()
    seen = evened(score, memberships(numbers, (6, 5)).double(), labels)
    own = score * labels[:, None, None]
    for number in range(3, 7):
        inside = numbers == number
        pixels = own[:, inside]  # (K, n)
        share = pixels.clamp(min=0) / pixels.amax(dim=0).clamp(min=1e-5)
        best = int(share.mean(dim=1).argmax())
        foreground = any((row > 0).sum() > (row < 0).sum() for row in pixels)
        for k in range(K):
            part = pixels[k].clamp(min=0) if foreground and k == best else pixels[k].clamp(max=0)
            torch.testing.assert_close(seen[k, inside], part.mean().expand(int(inside.sum())))


def test_mean_on_sides_of_nothing_is_zero() -> None:
    score = torch.ones(1, 1, 2, 2)
    assert mean_on_sides(score, 3 * score).tolist() == [[[3.0, 0.0]]]


def test_without_the_branch_class_maps_are_the_signed_scores() -> None:
    classifier, given, made = recorder(GAP(K)), batch(), objective(top_down=0).eval()
    made.sides[1] = torch.tensor([0.1, 0.2])
    output = classifier(given.images)
    sign = torch.tensor([1.0, -1, 1, 1])[:, None, None]
    torch.testing.assert_close(
        made.maps(classifier, output), made.score(output.features[-1] / (1 + 1e-5) ** 0.5) * sign
    )
    assert made.new_layers == () and objective().new_layers == ("branch",)


def test_scores_of_a_photo_are_those_of_its_class_maps() -> None:
    classifier = recorder(GAP(K)).float()
    classifier.objectives.append(objective().float().eval())
    image = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
    photo = photo_of(image, np.array([0, 1, 0, 1], np.float32))
    names = ("a", "b", "c", "d")
    seen = ICDScores(names).infer(classifier, photo)
    with torch.no_grad():
        images = torch.from_numpy(normalise(image))[None]
        output = classifier(images)
        t = classifier.objectives[0].maps(classifier, output)[0, [1, 3]].numpy()
    t, f = (upsample(maps, (24, 20)) for maps in (t, output.maps[0, [1, 3]].numpy()))
    np.testing.assert_allclose(seen.planes, planes(t, decided(t, f)), atol=1e-6)
    assert seen.classes.tolist() == [2, 4]
    both = ICDScores(names, scales=(1.0, 0.5), flip=True).infer(classifier, photo)
    mirrored = photo_of(np.ascontiguousarray(image[:, ::-1]), photo.labels)
    again = ICDScores(names, scales=(1.0, 0.5), flip=True).infer(classifier, mirrored)
    np.testing.assert_allclose(again.planes[..., ::-1], both.planes, atol=1e-4)


def test_without_scikit_image_superpixels_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "wsssbench_baselines.objectives.superpixels.find_spec",
        lambda name: None if name == "skimage" else importlib.util.find_spec(name),
    )
    build = load().registries.objective.build
    with pytest.raises(UserError, match=r"superpixels=64 needs .* \"wsssbench\[baselines\]\""):
        build({"type": "ICD", "superpixels": 64}, K, (6,))
    build({"type": "ICD", "widths": (4, 4)}, K, (6,))


def test_superpixels_of_crops_even_out_what_the_branch_learns() -> None:
    pytest.importorskip("skimage", reason='scikit-image: pip install "wsssbench[baselines]"')
    images = torch.full((1, 3, 24, 20), -1.5)
    images[..., 10:] = 1.5
    made = ICD(K, (6,), widths=(4, 4), superpixels=8)
    score = torch.randn(1, K, 24, 20, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1.0, 1, 0, 0]])
    seen = made.in_superpixels(images, score, labels)
    assert (seen[:, 2:] == 0).all() and len(seen[0, 0].unique()) < 12
    classifier = recorder(GAP(K)).float()
    output = classifier(images, labels)
    terms = made.losses(classifier, Batch(images, labels, progress=0.5), output).terms
    plain = replace(Batch(images, labels, progress=0.5))
    made.superpixels = None
    assert terms["top_down"].isfinite()
    assert terms["top_down"] != made.losses(classifier, plain, output).terms["top_down"]


@pytest.mark.slow
def test_two_ranks_learn_what_one_does(tmp_path: Path) -> None:
    """Also through the normalisation and the signs, which are those of the whole batch."""
    run_ranks(2, Path(tiny_icd.__file__), tmp_path / "two", output=tmp_path)
    one = torch.load(tiny_icd.run(tmp_path / "one"), weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    assert any(name.endswith("sides") for name in one)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
