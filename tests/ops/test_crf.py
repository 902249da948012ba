from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from wsssbench.ops.crf import PRESETS, CrfParameters, dense_crf, dense_crf_labels

SMALL = CrfParameters(2, 3, 6, 30, 5, 5)


def scene(height: int, width: int, labels: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A two-coloured noisy image, and noisy scores that do not sum to 1."""
    rng = np.random.default_rng(seed)
    image = rng.normal(60, 8, (height, width, 3))
    image[:, width // 2 :] += 110
    scores = rng.random((labels, height, width)).astype(np.float32) * 0.5
    scores[0, :, : width // 2] += 0.3
    scores[-1, :, width // 2 :] += 0.3
    return np.clip(image, 0, 255).astype(np.uint8), scores


def naive_mean_field(image: np.ndarray, unary: np.ndarray, p: CrfParameters) -> np.ndarray:
    """Mean field with all N x N pairs and symmetrically normalised kernels (the library's choice)."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].reshape(2, -1).astype(float)
    colours = image.reshape(-1, 3).astype(float)

    def kernel(*features: np.ndarray) -> np.ndarray:
        points = np.column_stack(features)
        k = np.exp(-0.5 * ((points[:, None] - points[None]) ** 2).sum(-1))
        norm = 1 / np.sqrt(k.sum(axis=1))
        return norm[:, None] * k * norm

    smooth = kernel(x / p.gaussian_sxy, y / p.gaussian_sxy)
    look = kernel(x / p.bilateral_sxy, y / p.bilateral_sxy, colours / p.bilateral_srgb)
    q = softmax(-unary, axis=0)
    for _ in range(p.iterations):
        message = p.gaussian_compat * q @ smooth + p.bilateral_compat * q @ look
        q = softmax(-unary + message, axis=0)
    return q


@pytest.mark.parametrize(
    "change", [{}, {"bilateral_srgb": 200}, {"gaussian_sxy": 6}, {"iterations": 1}]
)
def test_close_to_exact_mean_field(change: dict[str, float]) -> None:
    # the library filters on a lattice: right to a few per cent
    parameters = replace(SMALL, **change)
    image, scores = scene(17, 22, 3)
    unary = -np.log(np.clip(scores, 1e-5, 1)).reshape(3, -1)
    expected = naive_mean_field(image, unary, parameters)
    result = dense_crf(image, scores, parameters).reshape(3, -1)
    assert np.abs(result - expected).mean() < 0.03
    assert (result.argmax(0) == expected.argmax(0)).mean() > 0.97


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (13, 7), (31, 40)])
@pytest.mark.parametrize("labels", [1, 2, 5])
def test_posterior_is_a_distribution_at_odd_sizes(size: tuple[int, int], labels: int) -> None:
    image, scores = scene(*size, labels)
    result = dense_crf(image, scores, PRESETS["psa"])
    assert result.shape == scores.shape
    assert result.dtype == np.float32
    np.testing.assert_allclose(result.sum(axis=0), 1, atol=1e-5)
    assert result.min() >= 0


def test_same_input_same_bytes_also_from_views() -> None:
    image, scores = scene(20, 30, 3)
    first = dense_crf(image, scores, PRESETS["psa"])
    assert dense_crf(image, scores, PRESETS["psa"]).tobytes() == first.tobytes()
    big = np.zeros((3, 40, 60), np.float32)
    big[:, ::2, ::2] = scores
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, ::2] = image
    views = dense_crf(wide[:, ::2], big[:, ::2, ::2], PRESETS["psa"])
    assert views.tobytes() == first.tobytes()


def test_scores_are_clipped_and_not_renormalised() -> None:
    # Weak pixels fall below the clip and lose their say; renormalised they would keep it.
    image, scores = scene(12, 12, 2)
    weak = scores * 1e-6
    expected = dense_crf(image, np.full_like(scores, 1e-5), SMALL)
    np.testing.assert_allclose(dense_crf(image, weak, SMALL), expected, atol=1e-6)
    renormalised = dense_crf(image, weak / weak.sum(axis=0), SMALL)
    assert np.abs(renormalised - expected).max() > 0.3
    above = dense_crf(image, scores * 100, SMALL)
    np.testing.assert_array_equal(above, dense_crf(image, np.minimum(scores * 100, 1), SMALL))


def test_all_zero_scores_are_finite() -> None:
    image, scores = scene(9, 9, 3)
    assert np.isfinite(dense_crf(image, scores * 0, PRESETS["psa"])).all()


def test_label_unary() -> None:
    image, scores = scene(15, 16, 3)
    labels = scores.argmax(axis=0)
    parameters = replace(SMALL, label_certainty=0.7)
    # -log of 0.7 for the label and of 0.15 for the two others
    probabilities = np.where(labels[None] == np.arange(3)[:, None, None], 0.7, 0.15)
    expected = dense_crf(image, probabilities, SMALL)
    np.testing.assert_allclose(dense_crf_labels(image, labels, 3, parameters), expected, atol=1e-5)
    np.testing.assert_allclose(dense_crf(image, scores, parameters), expected, atol=1e-5)
    assert (dense_crf_labels(image, labels * 0, 1, parameters) == 1).all()


def test_presets_are_the_literature_s() -> None:
    def row(name: str) -> tuple[float, ...]:
        p = PRESETS[name]
        gauss = (p.gaussian_sxy, p.gaussian_compat)
        return (*gauss, p.bilateral_sxy, p.bilateral_srgb, p.bilateral_compat, p.iterations)

    assert row("psa") == (3, 3, 80, 13, 10, 10)
    assert row("psa_rw") == (3, 3, 80, 13, 10, 1)
    assert row("pmm") == (3, 10, 80, 13, 10, 10)
    assert row("irn") == (3, 3, 50, 5, 10, 10)
    assert row("bes") == (3, 3, 20, 5, 10, 10)
    assert row("deeplab") == (1, 3, 67, 3, 4, 10)
    assert row("seg_test") == (3, 3, 32, 13, 10, 1)
    assert row("rrm") == (3, 3, 83, 5, 4, 10)
    assert row("afa") == (3, 3, 64, 5, 4, 10)
    from_labels = {name for name, p in PRESETS.items() if p.label_certainty is not None}
    assert from_labels == {"irn", "bes"}


def test_wrong_input_is_named() -> None:
    image, scores = scene(8, 9, 2)
    with pytest.raises(ValueError, match="image"):
        dense_crf(image[:4], scores, SMALL)
    with pytest.raises(ValueError, match="uint8"):
        dense_crf(image.astype(np.float32), scores, SMALL)
    with pytest.raises(ValueError, match="probabilities"):
        dense_crf(image, scores[:0], SMALL)
    with pytest.raises(ValueError, match="label_certainty"):
        dense_crf_labels(image, scores.argmax(0), 2, SMALL)
