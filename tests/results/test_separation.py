"""What is marked as the best: against the naive procedure, and by how often chance alone is marked."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from wsssbench.results.separation import against, separate


def naive(rows: dict[str, dict[int, float]], alpha: float) -> tuple[str, bool]:
    """The highest row, and whether Holm's procedure rejects that it is as good as any other: by scipy's t-test."""
    order = sorted(rows, key=lambda row: np.mean(list(rows[row].values())), reverse=True)
    p_values = []
    for row in order[1:]:
        seeds = sorted(set(rows[order[0]]) & set(rows[row]))
        if len(seeds) < 3:
            return order[0], False
        pair = [[rows[name][seed] for seed in seeds] for name in (order[0], row)]
        p_values.append(stats.ttest_rel(*pair).pvalue)
    m = len(p_values)
    adjusted = [max((m - i) * p for i, p in enumerate(sorted(p_values)[: k + 1])) for k in range(m)]
    return order[0], max(adjusted) < alpha


def drawn(rng: np.random.Generator, means: list[float], seeds: int) -> dict[str, dict[int, float]]:
    """Rows that share how good a seed is, and have noise of their own."""
    shared = rng.normal(0, 1, seeds)
    return {
        f"row{i}": dict(enumerate((mean + shared + rng.normal(0, 1, seeds)).tolist()))
        for i, mean in enumerate(means)
    }


def test_it_is_the_procedure_of_the_naive_formula():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(100):
        rows = drawn(
            rng, rng.choice([0.0, 3.0, 12.0], rng.integers(2, 6)).tolist(), 3 + rng.integers(4)
        )
        for row in list(rows)[1:]:
            if rng.random() < 0.05:
                rows[row].popitem()
        alpha = float(rng.choice([0.01, 0.05, 0.2]))
        best, marked = naive(rows, alpha)
        separation = separate(rows, 1 - alpha)
        assert separation is not None and separation.best == best
        assert (separation.ranks.get(best) == 1) == marked == (separation.reason == "")
        found.append(marked)
    assert 10 < sum(found) < 90


def test_the_interval_is_the_paired_one_at_the_corrected_level():
    rng = np.random.default_rng(1)
    rows = drawn(rng, [9.0, 5.0, 0.0], 5)
    (near, far) = against(rows["row0"], {row: rows[row] for row in ("row1", "row2")}, 0.95)
    assert (far.confidence, near.confidence) == (pytest.approx(0.975), pytest.approx(0.95))
    differences = np.array(list(rows["row0"].values())) - list(rows["row1"].values())
    low, high = stats.t.interval(0.95, 4, differences.mean(), stats.sem(differences))
    assert (near.low, near.high) == (pytest.approx(low), pytest.approx(high))


@pytest.mark.parametrize(
    ("means", "seeds"), [([0, 0], 3), ([0] * 6, 3), ([0] * 4, 5), ([5, 5, 0, -9], 3)]
)
def test_chance_alone_is_seldom_marked(means, seeds):
    """Of tables whose two highest rows are equally good, at most 5 % have a best row (3 standard errors above)."""
    rng = np.random.default_rng(2)
    trials = 600
    marked = sum(bool(separate(drawn(rng, means, seeds)).ranks) for _ in range(trials))
    assert marked / trials < 0.05 + 3 * (0.05 * 0.95 / trials) ** 0.5


def test_a_large_difference_is_found_and_the_second_needs_its_own():
    rng = np.random.default_rng(3)
    apart = separate(drawn(rng, [60, 30, 0], 5))
    assert apart.ranks == {"row0": 1, "row1": 2} and apart.reason == ""
    together = separate(drawn(rng, [60, 0, 0], 5))
    assert together.ranks == {"row0": 1}


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ({"a": {0: 5.0}, "b": {0: 1.0}}, "n = 1, and at least 3 seeds are needed"),
        ({"a": {0: 5.0, 1: 5.1}, "b": {0: 1.0, 1: 1.0}}, "n = 2, and at least 3"),
        ({"a": {0: 5.0, 1: 5.0, 2: 5.1}, "b": {0: 1.0}}, "a and b have 1 seed in common, and"),
        ({"a": {0: 5.0, 1: 5.0}, "b": {2: 1.0, 3: 1.0, 4: 1.0}}, "a and b have 0 seeds in common"),
        ({"a": {0: 5.0, 1: 1.0, 2: 4.0}, "b": {0: 1.0, 1: 5.0, 2: 3.0}}, "a minus b is +0.3 [−9"),
        ({"a": dict.fromkeys(range(3), 1.0), "b": dict.fromkeys(range(3), 1.0)}, "[0.0, 0.0]"),
    ],
)
def test_why_nothing_is_best(rows, reason):
    found = separate(rows)
    assert found.ranks == {} and reason in found.reason


def test_one_row_alone_does_not_compete():
    assert separate({"a": {0: 1.0, 1: 2.0, 2: 3.0}}) is None
    assert separate({"a": {0: 1.0}, "b": {}}) is None


def test_rows_that_differ_by_the_same_at_every_seed_are_separated():
    rows = {"a": {0: 5.0, 1: 7.0, 2: 6.0}, "b": {0: 4.0, 1: 6.0, 2: 5.0}}
    assert separate(rows).ranks == {"a": 1}


@pytest.mark.parametrize("seeds", [3, 5])
def test_an_interval_of_one_row_holds_the_true_difference_as_often_as_it_says(seeds):
    rng, held, trials = np.random.default_rng(4), 0, 600
    for _ in range(trials):
        rows = drawn(rng, [2.0, 5.0], seeds)
        (versus,) = against(rows["row0"], {"row1": rows["row1"]}, 0.9)
        turned = versus.turned("row1")
        assert (turned.mean, turned.low, turned.high) == (-versus.mean, -versus.high, -versus.low)
        held += turned.low <= 3.0 <= turned.high
    assert stats.binomtest(held, trials, 0.9).pvalue > 0.001


def test_rows_as_good_as_the_baseline_seldom_get_an_interval_without_zero():
    rng, wrong, trials = np.random.default_rng(5), 0, 600
    for _ in range(trials):
        base, *others = drawn(rng, [0.0] * 5 + [20.0], 3).items()  # the last one is better indeed
        found = against(base[1], dict(others), 0.9)
        wrong += any(one.low > 0 or one.high < 0 for one in found[:-1])
    assert stats.binomtest(wrong, trials, 0.1, alternative="greater").pvalue > 0.001
    assert wrong > 0
