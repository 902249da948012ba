"""The poolings of the literature: their formulas by loops, the released code's outputs, and their limits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from golden import golden
from torch import nn
from torch.nn import functional as F
from wsssbench_baselines.gap import GAP
from wsssbench_baselines.poolings.attention_pooling import AttentionPooling
from wsssbench_baselines.poolings.log_sum_exp import LogSumExp
from wsssbench_baselines.poolings.max_pooling import MaxPooling
from wsssbench_baselines.poolings.wildcat import WILDCAT

from wsssbench.errors import UserError
from wsssbench.plugins import load

K = 4
SEEDS = pytest.mark.parametrize("seed", [0, 1])


def random_maps(*size: int) -> torch.Tensor:
    return torch.randn(*size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def loops(maps: torch.Tensor, formula) -> np.ndarray:
    """`formula` of the values of each map, as a list of numbers."""
    return np.array([[formula(f.flatten().tolist()) for f in image] for image in maps])


def test_max_pooling_is_the_maximum_and_reaches_one_place():
    maps = random_maps(2, K, 3, 5).requires_grad_()
    pooled = MaxPooling(K)(maps)
    np.testing.assert_array_equal(pooled.logits.detach(), loops(maps, max))
    pooled.logits.sum().backward()
    assert ((maps.grad != 0).sum(dim=(2, 3)) == 1).all() and pooled.attention is None


def test_equal_maxima_share_the_gradient():
    maps = torch.zeros(1, 1, 2, 4, requires_grad=True)
    MaxPooling(1)(maps).logits.sum().backward()
    torch.testing.assert_close(maps.grad, torch.full_like(maps, 1 / 8))


@SEEDS
def test_log_sum_exp_as_released(seed):
    """By code of another field, which has the same formula."""
    given, wanted, parameters = golden(f"log-sum-exp-pooling-{seed}")
    for r in parameters["r"]:
        maps = torch.from_numpy(given["maps"]).requires_grad_()
        logits = LogSumExp(K, r=r)(maps).logits
        logits.backward(torch.from_numpy(given["grad_scores"]))
        np.testing.assert_allclose(logits.detach(), wanted[f"scores_r{r:g}"], atol=1e-12)
        np.testing.assert_allclose(maps.grad, wanted[f"grad_maps_r{r:g}"], atol=1e-12)


def test_log_sum_exp_lies_between_the_average_and_the_maximum():
    maps = random_maps(2, K, 3, 5)
    for r in (0.5, 7.0):
        naive = loops(maps, lambda f, r=r: math.log(sum(math.exp(r * x) for x in f) / len(f)) / r)
        np.testing.assert_allclose(LogSumExp(K, r=r)(maps).logits, naive, atol=1e-12)
    lowest, highest = (LogSumExp(K, r=r)(maps).logits for r in (1e-3, 1000.0))
    torch.testing.assert_close(lowest, GAP(K)(maps).logits, rtol=0, atol=2e-3)
    assert (lowest > GAP(K)(maps).logits).all()
    torch.testing.assert_close(highest, MaxPooling(K)(maps).logits, rtol=0, atol=3e-3)
    large = LogSumExp(K, r=1000.0)(1000 * maps.float()).logits  # exp(r f) would be infinite
    torch.testing.assert_close(
        large, MaxPooling(K)(1000 * maps.float()).logits, rtol=1e-6, atol=3e-3
    )


def sorted_wildcat(maps: torch.Tensor, highest: int, lowest: int, alpha: float) -> np.ndarray:
    def formula(values):
        values = sorted(values)
        top = sum(values[-highest:]) / highest
        return (top + alpha * sum(values[:lowest]) / lowest) / 2 if lowest and alpha else top

    return loops(maps, formula)


@SEEDS
@pytest.mark.parametrize(
    "name", ["release", "paper_voc", "counts", "no_minimum", "alpha_int_0", "half_rounds_even"]
)
def test_wildcat_as_released(seed, name):
    """At maps averaged before; its gradient there, too, and below, where it lacks the division by their number."""
    given, wanted, parameters = golden(f"wildcat-pooling-{seed}")
    setting = {key: parameters[name][key] for key in ("kmax", "kmin", "alpha")}
    several = parameters[name]["maps"]
    maps = torch.from_numpy(given["maps"]).requires_grad_()
    of_class = maps[:, : K * several].unflatten(1, (K, several)).mean(dim=2)
    of_class.retain_grad()
    logits = WILDCAT(K, **setting)(of_class).logits
    loss = F.multilabel_soft_margin_loss(logits, torch.from_numpy(given["labels"]))
    loss.backward()
    np.testing.assert_allclose(logits.detach(), wanted[f"{name}_scores"], atol=1e-12)
    assert loss.item() == pytest.approx(wanted[f"{name}_loss"].item(), abs=1e-12)
    np.testing.assert_allclose(of_class.grad, wanted[f"{name}_grad_class_maps"], atol=1e-12)
    used = several * maps.grad[:, : K * several]
    np.testing.assert_allclose(used, wanted[f"{name}_grad_maps"], atol=1e-12)


def test_alpha_zero_is_not_halved_as_the_released_float_is():
    given, wanted, _ = golden("wildcat-pooling-0")
    maps = torch.from_numpy(given["maps"]).unflatten(1, (K, 3)).mean(dim=2)
    logits = WILDCAT(K, kmax=5, alpha=0.0)(maps).logits
    np.testing.assert_allclose(logits, 2 * wanted["alpha_float_0_scores"], atol=1e-12)


@pytest.mark.parametrize(
    ("kmax", "kmin", "alpha", "numbers"),
    [
        (0.2, None, 0.7, (3, 3)),
        (4, 0.1, 1.0, (4, 2)),
        (99, 99, 0.3, (15, 15)),
        (0.01, 0, 1, (1, 0)),
    ],
)
def test_wildcat_sorts(kmax, kmin, alpha, numbers):
    maps = random_maps(2, K, 3, 5)
    seen = WILDCAT(K, kmax=kmax, kmin=kmin, alpha=alpha)(maps).logits
    np.testing.assert_allclose(seen, sorted_wildcat(maps, *numbers, alpha), atol=1e-12)


def test_the_limits_of_wildcat_are_the_maximum_and_the_average():
    maps = random_maps(2, K, 3, 5)
    torch.testing.assert_close(WILDCAT(K, kmax=1, kmin=0)(maps).logits, maps.amax(dim=(2, 3)))
    average = WILDCAT(K, kmax=10**6, alpha=1.0)(maps).logits
    torch.testing.assert_close(average, maps.mean(dim=(2, 3)))


@pytest.mark.parametrize(
    "wrong", [{"kmax": 0}, {"kmax": 2.5}, {"kmin": 1.5}, {"kmin": -1}], ids=str
)
def test_numbers_of_places_that_are_none(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"WILDCAT.*{name}="):
        load().registries.pooling.build({"type": "WILDCAT", **wrong}, K)


def linear(weight: torch.Tensor) -> nn.Conv2d:
    head = nn.Conv2d(weight.shape[1], weight.shape[0], 1, bias=False)
    head.weight = nn.Parameter(weight[:, :, None, None])
    return head


@SEEDS
def test_attention_pooling_as_released(seed):
    given, wanted, parameters = golden(f"bes-attention-pooling-{seed}")
    features = torch.from_numpy(given["features"]).requires_grad_()
    head = linear(torch.from_numpy(given["head_weight"]))
    pooled = AttentionPooling(K, k=parameters["k"]).pool(head(features), features, head)
    pooled.logits.sum().backward()
    np.testing.assert_allclose(pooled.logits.detach(), wanted["logits"], rtol=1e-12)
    np.testing.assert_allclose(features.grad, wanted["grad_features"], rtol=1e-9, atol=1e-12)


def test_attention_pooling_by_loops_and_its_limits():
    features, weight = random_maps(2, 6, 3, 5).relu(), random_maps(K, 6)
    head = linear(weight)

    def pool(k: float) -> torch.Tensor:
        return AttentionPooling(K, k=k).pool(head(features), features, head).logits.detach()

    def weighted(x):
        attention = [math.exp(2.0 * value) for value in x]
        return sum(a * value for a, value in zip(attention, x, strict=True)) / sum(attention)

    np.testing.assert_allclose(pool(2.0), loops(features, weighted) @ weight.numpy().T, atol=1e-12)
    torch.testing.assert_close(pool(0.0), GAP(K)(head(features)).logits.detach())
    torch.testing.assert_close(
        pool(1000.0), features.amax(dim=(2, 3)) @ weight.T, atol=1e-3, rtol=0
    )


def test_attention_pooling_needs_the_features():
    with pytest.raises(TypeError, match="features"):
        AttentionPooling(K)(random_maps(1, K, 2, 2))


def test_defaults_are_the_published_ones():
    wildcat = WILDCAT(K)
    assert (wildcat.kmax, wildcat.kmin, wildcat.alpha) == (0.2, 0.2, 0.7)
    assert AttentionPooling(K).k == 1e-3
