"""Gated Pyramid Pooling against the paper's formulas in loops, and against what they imply."""

from __future__ import annotations

import copy
import pickle
import warnings

import naive_aeft as naive
import numpy as np
import pytest
import torch
from wsssbench_aeft.gpp import GPP
from wsssbench_aeft.maths import pyramid

from wsssbench.errors import UserError
from wsssbench.plugins import load

K = 3
TABLE_1 = [
    *({"bins": (b,)} for b in (2, 4, 8, 16)),
    {"aggregation": "average"},
    {"aggregation": "fine_to_coarse"},
    {},
]


def random_maps(*size, seed=0):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def quiet(**parameters):
    torch.manual_seed(1)
    return GPP(K, **parameters).double().eval()  # eval: no warning about small maps


def naive_result(pool, f, order):
    alphas = [gate.conv.weight.detach().numpy() for gate in pool.alpha]
    betas = [gate.conv.weight.detach().numpy() for gate in pool.beta]
    if pool.aggregation == "average":
        attention = np.mean([naive.pyramid_level(f, b) for b in order], axis=0)
    else:
        attention = naive.gpp_attention(f, order, alphas, betas)
    return naive.logits(f, attention), attention


@pytest.mark.parametrize("size", [(16, 16), (7, 11)])
@pytest.mark.parametrize("row", TABLE_1, ids=str)
def test_every_row_of_table_1_is_the_formula(row, size):
    pool = quiet(**row)
    maps = random_maps(2, K, *size)
    order = pool.bins[::-1] if pool.aggregation == "fine_to_coarse" else pool.bins

    pooled = pool(maps)

    for n in range(2):
        logits, attention = naive_result(pool, maps[n].numpy(), order)
        np.testing.assert_allclose(pooled.attention[n].detach(), attention, rtol=0, atol=1e-12)
        np.testing.assert_allclose(pooled.logits[n].detach(), logits, rtol=0, atol=1e-12)


def test_every_step_has_one_pair_of_gates_from_2k_to_2_channels():
    gated = GPP(K, bins=(2, 4, 8, 16))
    assert [tuple(p.shape) for p in gated.parameters()] == [(2, 2 * K, 3, 3)] * 6
    assert not list(GPP(K, bins=(8,)).parameters())
    assert not list(GPP(K, aggregation="average").parameters())


def test_the_attention_never_turns_the_sign_that_all_levels_agree_on():
    maps = random_maps(4, K, 9, 9)
    attention = quiet()(maps).attention
    levels = torch.stack(pyramid(maps, (2, 4, 8, 16)))
    positive, negative = (levels > 0).all(0), (levels < 0).all(0)
    assert positive.any()
    assert negative.any()
    assert (attention[positive] > 0).all()
    assert (attention[negative] < 0).all()


@pytest.mark.parametrize("aggregation", ["coarse_to_fine", "fine_to_coarse"])
def test_negated_maps_with_exchanged_gates_negate_the_result(aggregation):
    pool = quiet(aggregation=aggregation)
    mirrored = copy.deepcopy(pool)
    mirrored.alpha, mirrored.beta = mirrored.beta, mirrored.alpha
    maps = random_maps(2, K, 10, 12)
    torch.testing.assert_close(mirrored(-maps).logits, -pool(maps).logits)
    torch.testing.assert_close(mirrored(-maps).attention, -pool(maps).attention)


@pytest.mark.parametrize("row", [{"bins": (4,)}, {"aggregation": "average"}], ids=str)
def test_without_gates_constant_maps_give_their_signed_square(row):
    values = torch.tensor([1.5, -2.0, 0.0], dtype=torch.float64)
    pooled = quiet(**row)(values[None, :, None, None].expand(1, K, 6, 9))
    torch.testing.assert_close(pooled.logits[0], values * values.abs())


def test_images_do_not_see_each_other():
    pool, maps = quiet(), random_maps(5, K, 8, 8)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(pool(maps[order]).logits, pool(maps).logits[order])
    torch.testing.assert_close(pool(maps[2:3]).logits, pool(maps).logits[2:3])


def test_a_bin_larger_than_the_map_repeats_the_map():
    maps = random_maps(1, K, 8, 8)
    torch.testing.assert_close(quiet(bins=(16,))(maps).attention, maps)


def test_gradients_are_those_of_finite_differences():
    pool = quiet(bins=(1, 2, 3))
    maps = random_maps(1, K, 4, 5).requires_grad_()
    weights = list(pool.parameters())
    assert torch.autograd.gradcheck(lambda m, *_: tuple(vars(pool(m)).values()), (maps, *weights))


def test_zero_maps_have_zero_logits_and_finite_gradients():
    maps = torch.zeros(1, K, 5, 5, requires_grad=True)
    pool = GPP(K, bins=(2, 4))
    logits = pool(maps).logits
    logits.sum().backward()
    assert logits.abs().max() == 0
    assert maps.grad.isfinite().all()


def test_autocast_pools_in_float32_what_half_precision_could_not_hold():
    pool = GPP(K).eval()
    maps = 300 * torch.randn(2, K, 16, 16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = pool(maps.bfloat16())
    assert pooled.logits.dtype == torch.float32
    assert pooled.logits.isfinite().all()
    full = pool(maps.bfloat16().float())
    torch.testing.assert_close(pooled.logits, full.logits, rtol=0.05, atol=0.01 * 300**2)
    half = GPP(K).half().eval()(maps.half())
    assert half.logits.isfinite().all()


@pytest.mark.parametrize("row", [{"bins": (4,)}, {"aggregation": "average"}, {}], ids=str)
def test_squares_that_half_precision_cannot_hold_are_taken_in_float32(row):
    maps = torch.full((1, K, 16, 16), 300.0).half()  # 300^2 is beyond float16
    pooled = GPP(K, **row).half().eval()(maps)
    assert pooled.logits.dtype == pooled.attention.dtype == torch.float32
    assert pooled.logits.isfinite().all()


def test_defaults_are_the_papers():
    assert (GPP(K).bins, GPP(K).aggregation) == ((2, 4, 8, 16), "coarse_to_fine")


def test_one_warning_about_bins_that_exceed_the_map():
    pool = GPP(K, bins=(2, 16))
    with pytest.warns(UserWarning, match="bin 16 is larger than the 8 x 20 map") as caught:
        pool(torch.randn(1, K, 8, 20))
        pool(torch.randn(1, K, 8, 20))
    assert len(caught) == 1


def test_no_warning_when_all_bins_fit_nor_at_inference():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GPP(K, bins=(2, 16))(torch.randn(1, K, 16, 16))
        GPP(K, bins=(2, 16)).eval()(torch.randn(1, K, 8, 8))


@pytest.mark.parametrize("bins", [(), (0, 2), (-2,), (4, 2), (2, 2)])
def test_bad_bins_are_one_sentence(bins):
    with pytest.raises(
        UserError, match=r"bins=.* (have to be positive and ascending|has to be tuple\[int >= 1 )"
    ):
        load().registries.pooling.build({"type": "GPP", "bins": bins}, K)


def test_unknown_aggregation_names_the_allowed_ones():
    with pytest.raises(UserError, match=r"aggregation='mean'.*coarse_to_fine"):
        load().registries.pooling.build({"type": "GPP", "aggregation": "mean"}, K)


def test_pickle_and_state_dict_give_the_same_pooling_back():
    pool, maps = quiet(), random_maps(1, K, 8, 8)
    fresh = GPP(K).double().eval()
    fresh.load_state_dict(pool.state_dict())
    for other in (pickle.loads(pickle.dumps(pool)), fresh):
        torch.testing.assert_close(other(maps).logits, pool(maps).logits, rtol=0, atol=0)
