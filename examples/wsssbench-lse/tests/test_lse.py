"""Both poolings keep the contract, and their maths agrees with the formula written naively."""

from __future__ import annotations

import math

import pytest
import torch
from wsssbench.contract import problems_of

from wsssbench_lse.pooling import GMP, LSE


@pytest.mark.parametrize("name", ["LSE", "GMP"])
def test_the_contract(name: str) -> None:
    assert problems_of(name) == []


@pytest.mark.parametrize("r", [0.5, 5.0])
def test_lse_is_its_formula(r: float) -> None:
    maps = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    logits = LSE(3, r=r)(maps).logits
    for n in range(2):
        for k in range(3):
            values = [math.exp(r * v) for v in maps[n, k].flatten().tolist()]
            assert math.isclose(logits[n, k].item(), math.log(sum(values) / 20) / r)


def test_lse_lies_between_average_and_maximum_and_tends_to_both() -> None:
    maps = torch.randn(4, 3, 6, 6, dtype=torch.float64)
    average, highest = maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))
    logits = LSE(3)(maps).logits
    assert (average < logits).all() and (logits < highest).all()
    torch.testing.assert_close(LSE(3, r=1e-6)(maps).logits, average, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(LSE(3, r=1e6)(maps).logits, highest, rtol=1e-4, atol=1e-4)


def test_the_gradient_of_lse_is_a_softmax_and_large_values_stay_finite() -> None:
    maps = torch.randn(1, 2, 3, 3, requires_grad=True)
    LSE(2, r=4.0)(maps).logits.sum().backward()
    torch.testing.assert_close(maps.grad.flatten(2), (4 * maps.detach().flatten(2)).softmax(dim=2))
    assert LSE(1)(torch.full((1, 1, 2, 2), 1e4)).logits.item() == pytest.approx(1e4)


def test_gmp_is_the_maximum() -> None:
    maps = torch.randn(2, 3, 4, 5)
    expected = torch.nn.functional.adaptive_max_pool2d(maps, 1).flatten(1)
    torch.testing.assert_close(GMP(3)(maps).logits, expected)


@pytest.mark.parametrize("r", [0.0, -1.0, math.inf, math.nan])
def test_a_sharpness_out_of_range_is_refused(r: float) -> None:
    with pytest.raises(ValueError, match="r="):
        LSE(3, r=r)
