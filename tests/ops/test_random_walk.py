from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from wsssbench.ops.affinity import pair_offsets
from wsssbench.ops.random_walk import random_walk, transition


def dense_transition(affinities: np.ndarray, radius: int, beta: float) -> np.ndarray:
    """The N x N matrix, written from its definition."""
    _, h, w = affinities.shape
    a = np.zeros((h * w, h * w))
    for y in range(h):
        for x in range(w):
            for p, (dy, dx) in enumerate(pair_offsets(radius)):
                v, u = y + dy, x + dx
                if v < h and 0 <= u < w:
                    a[y * w + x, v * w + u] = a[v * w + u, y * w + x] = affinities[p, y, x]
    np.fill_diagonal(a, 1)
    a = a**beta
    return a / a.sum(axis=0)


@pytest.mark.parametrize("size", [(7, 9), (2, 3), (1, 8), (9, 1), (1, 1)])
@pytest.mark.parametrize("radius", [2, 5])
@pytest.mark.parametrize("squarings", [0, 4, 6, 8])  # SEAM and AEFT 6, PSA 8
def test_equals_the_dense_matrix_power(size: tuple[int, int], radius: int, squarings: int) -> None:
    rng = np.random.default_rng(0)
    offsets = pair_offsets(radius)
    affinities = rng.random((len(offsets), *size)).astype(np.float32)
    scores = rng.random((3, *size)).astype(np.float32)
    matrix = transition(affinities, offsets, 8)
    expected = dense_transition(affinities.astype(np.float64), radius, 8)
    np.testing.assert_allclose(matrix.toarray(), expected, atol=1e-12)
    for _ in range(squarings):
        expected = expected @ expected
    walked = random_walk(scores, matrix, 2**squarings)
    np.testing.assert_allclose(
        walked.reshape(3, -1), scores.reshape(3, -1) @ expected, rtol=1e-5, atol=1e-7
    )
    assert walked.dtype == np.float32


def test_no_step_changes_nothing() -> None:
    scores = np.random.default_rng(1).random((2, 4, 4)).astype(np.float32)
    matrix = transition(np.ones((2, 4, 4)), [(0, 1), (1, 0)], 8)
    np.testing.assert_array_equal(random_walk(scores, matrix, 0), scores)


def test_columns_sum_to_one_and_constant_scores_stay() -> None:
    offsets = pair_offsets(5)
    affinities = np.random.default_rng(2).random((34, 20, 17)).astype(np.float32)
    affinities[:, 5] = 0
    matrix = transition(affinities, offsets, 8)
    np.testing.assert_allclose(np.asarray(matrix.sum(axis=0)), 1, atol=1e-12)
    constant = np.full((2, 20, 17), 0.37, np.float32)
    np.testing.assert_allclose(random_walk(constant, matrix, 256), constant, rtol=1e-6)


def test_walk_stays_within_its_region() -> None:
    offsets = pair_offsets(3)
    region = np.zeros((8, 8), int)
    region[:, 4:] = 1
    affinities = np.zeros((len(offsets), 8, 8), np.float32)
    for p, (dy, dx) in enumerate(offsets):
        for y in range(8 - dy):
            for x in range(max(0, -dx), 8 - max(0, dx)):
                affinities[p, y, x] = region[y, x] == region[y + dy, x + dx]
    seed = np.zeros((1, 8, 8), np.float32)
    seed[0, 2, 1] = 1
    walked = random_walk(seed, transition(affinities, offsets, 8), 256)[0]
    assert (walked[region == 1] == 0).all()
    assert (walked[region == 0] > 0).all()


def test_wrong_shapes_are_named() -> None:
    with pytest.raises(ValueError, match="34 planes of affinities for 12 offsets"):
        transition(np.ones((34, 4, 4)), pair_offsets(5)[:12], 8)
    matrix = transition(np.ones((34, 4, 4)), pair_offsets(5), 8)
    with pytest.raises(ValueError, match="do not fit"):
        random_walk(np.ones((1, 4, 5), np.float32), matrix, 1)


def test_image_of_1024_at_stride_4_fits_easily() -> None:
    """65,536 places: the dense matrix would take 17 GB."""
    offsets = pair_offsets(5)
    affinities = np.random.default_rng(0).random((34, 256, 256)).astype(np.float32)
    scores = np.ones((4, 256, 256), np.float32)
    tracemalloc.start()
    walked = random_walk(scores, transition(affinities, offsets, 8), 4)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**29
    np.testing.assert_allclose(walked, scores, rtol=1e-6)
