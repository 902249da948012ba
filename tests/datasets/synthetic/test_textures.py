from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from wsssbench.datasets.synthetic.outlines import FAMILIES, outline, place
from wsssbench.datasets.synthetic.textures import BADGES, GROUNDS, MATERIALS, fractal_noise


def roughness(field: np.ndarray, axis: int) -> float:
    return float(np.abs(np.diff(field, axis=axis)).mean())


def test_noise_is_reproducible_and_in_range() -> None:
    one, again, other = (fractal_noise(np.random.default_rng(s), (31, 40)) for s in (1, 1, 2))
    assert one.shape == (31, 40) and one.dtype == np.float32
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert one.min() >= 0 and one.max() <= 1
    assert abs(one.mean() - 0.5) < 0.02 and one.std() > 0.1


def test_noise_is_smoother_with_a_larger_slope_and_along_its_stretch() -> None:
    rough, smooth = (fractal_noise(np.random.default_rng(0), (64, 64), s) for s in (0.5, 2.0))
    assert roughness(smooth, 0) < 0.5 * roughness(rough, 0)
    drawn_out = fractal_noise(np.random.default_rng(0), (64, 64), 1.2, (4.0, 1.0))
    assert roughness(drawn_out, 0) < 0.7 * roughness(drawn_out, 1)


@pytest.mark.parametrize("surfaces", [MATERIALS, GROUNDS], ids=["materials", "grounds"])
def test_surfaces_have_structure(surfaces: dict) -> None:
    y, x = np.mgrid[:48, :48].astype(np.float32) / 12
    noise = fractal_noise(np.random.default_rng(0), (48, 48))
    for name, surface in surfaces.items():
        factor = surface(x, y, noise)
        assert factor.shape == (48, 48), name
        assert factor.min() > -0.2 and factor.max() < 1.2, name
        assert factor.std() > 0.1, name


def test_badges_differ_from_each_other() -> None:
    v, u = np.mgrid[-1:1:24j, -1:1:24j]
    disc = np.hypot(u, v) < 1
    patterns = {name: np.clip(draw(u, v), 0, 1)[disc] for name, draw in BADGES.items()}
    for name, pattern in patterns.items():
        assert pattern.std() > 0.2, name
    for one, other in combinations(patterns, 2):
        assert np.abs(patterns[one] - patterns[other]).mean() > 0.1, (one, other)


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_outline_has_the_asked_area_however_it_is_turned(family: str) -> None:
    for seed in range(5):
        shape = outline(np.random.default_rng(seed), family)
        for angle in (0.0, 1.1):
            patch = place(shape, 240, (120.0, 120.0), 3000.0, angle)
            assert patch.inside(240).sum() == pytest.approx(3000, rel=0.05)
            assert patch.alpha.min() >= 0 and patch.alpha.max() <= 1
            assert patch.alpha[[0, -1]].max() == 0 and patch.alpha[:, [0, -1]].max() == 0


@pytest.mark.parametrize("centre", [(0.0, 0.0), (63.0, 20.0), (500.0, -90.0)])
def test_outline_at_the_edge_of_the_image(centre: tuple[float, float]) -> None:
    shape = outline(np.random.default_rng(0), "blob")
    patch = place(shape, 64, centre, 400.0, 0.0)
    inside = patch.inside(64)
    shifted = place(shape, 64, (32.0, 32.0), 400.0, 0.0).inside(64)
    y, x = np.mgrid[:64, :64]
    back = [(c - 32).astype(int) for c in (y - (centre[1] - 32) + 32, x - (centre[0] - 32) + 32)]
    known = (back[0] >= 0) & (back[0] < 64) & (back[1] >= 0) & (back[1] < 64)
    expected = np.zeros((64, 64), dtype=bool)
    expected[known] = shifted[back[0][known], back[1][known]]
    assert np.array_equal(inside, expected)
    assert patch.u.shape == patch.v.shape == patch.depth.shape == patch.alpha.shape
