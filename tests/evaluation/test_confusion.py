from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from wsssbench.evaluation.class_counts import ImageHistogram
from wsssbench.evaluation.confusion import (
    ScoreHistogram,
    best,
    class_counts,
    confusion_of_labels,
    curve,
    metrics,
    metrics_of_counts,
)

K = 6
HUNDRED = np.arange(100, dtype=np.float32) / np.float32(100)


def naive_prediction(classes: np.ndarray, maps: np.ndarray, threshold: np.float32) -> np.ndarray:
    planes = np.concatenate([np.full((1, *maps.shape[1:]), threshold, np.float32), maps])
    return np.concatenate([[0], classes]).astype(np.uint8)[planes.argmax(axis=0)]


def naive_confusion(predicted: np.ndarray, truth: np.ndarray, k: int) -> np.ndarray:
    matrix = np.zeros((k + 2, k + 1), np.int64)
    for p, t in zip(predicted.ravel().tolist(), truth.ravel().tolist(), strict=True):
        if t != 255:
            matrix[k + 1 if p == 255 else p, t] += 1
    return matrix


def random_image(
    rng: np.random.Generator, thresholds: np.ndarray, kind: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    present = int(rng.integers(0, 4))
    classes = np.sort(rng.choice(np.arange(1, K + 1), present, replace=False)).astype(np.uint8)
    size = tuple(rng.integers(3, 20, 2))
    if kind == "quantised":  # as CAM files store them; many ties between classes
        maps = rng.integers(0, 256, (present, *size)).astype(np.float32) / np.float32(255)
    elif kind == "on thresholds":
        maps = rng.choice(thresholds, (present, *size)).astype(np.float32)
    elif kind == "next to thresholds":
        toward = rng.choice([-np.inf, np.inf], (present, *size)).astype(np.float32)
        maps = np.nextafter(rng.choice(thresholds, (present, *size)), toward).astype(np.float32)
    else:
        maps = (rng.normal(0.3, 0.6, (present, *size))).astype(np.float32)  # beyond [0, 1]
    return classes, maps, rng.choice([0, 0, 1, 2, 3, 4, 5, 6, 255], size).astype(np.uint8)


THRESHOLDS = {
    "regular": HUNDRED,
    "single": np.array([0.3], np.float32),
    "irregular": np.array([-0.5, 0, 1e-7, 2e-7, 0.1, 0.5, 0.50001, 3], np.float32),
    "one apart": np.array([0.25, np.nextafter(np.float32(0.25), np.float32(1))], np.float32),
    "huge": np.array([-1e38, 0, 0.5, 1e38], np.float32),
}


@pytest.mark.parametrize("thresholds", THRESHOLDS.values(), ids=THRESHOLDS.keys())
@pytest.mark.parametrize("kind", ["real", "quantised", "on thresholds", "next to thresholds"])
def test_equals_the_naive_computation_to_the_pixel(thresholds: np.ndarray, kind: str) -> None:
    rng = np.random.default_rng(len(kind))
    histogram = ScoreHistogram(K, thresholds)
    images = [random_image(rng, thresholds, kind) for _ in range(12)]
    for image in images:
        histogram.add(*image)
    for index in range(0, len(thresholds), max(1, len(thresholds) // 10)):
        expected = sum(
            naive_confusion(naive_prediction(classes, maps, thresholds[index]), truth, K)
            for classes, maps, truth in images
        )
        np.testing.assert_array_equal(histogram.confusion(index), expected)


@pytest.mark.parametrize("thresholds", THRESHOLDS.values(), ids=THRESHOLDS.keys())
def test_the_counts_of_one_image_are_those_of_its_own_confusion(thresholds: np.ndarray) -> None:
    rng = np.random.default_rng(9)
    histogram = ScoreHistogram(K, thresholds)
    kinds = ["real", "quantised", "on thresholds", "next to thresholds"] * 4
    total = [np.zeros((3, K + 1), np.int64) for _ in thresholds]
    for kind in kinds:
        classes, maps, truth = random_image(rng, thresholds, kind)
        own = ImageHistogram.of(histogram.add(classes, maps, truth))
        for index, threshold in enumerate(thresholds):
            matrix = naive_confusion(naive_prediction(classes, maps, threshold), truth, K)
            found = own.at(index, K)
            np.testing.assert_array_equal(found.correct, [matrix[k, k] for k in range(K + 1)])
            np.testing.assert_array_equal(found.predicted, matrix[: K + 1].sum(axis=1))
            np.testing.assert_array_equal(found.true, matrix.sum(axis=0))
            total[index] += np.stack([found.correct, found.predicted, found.true])
    for index in range(len(thresholds)):
        whole = class_counts(histogram.confusion(index))
        np.testing.assert_array_equal(total[index], [whole.correct, whole.predicted, whole.true])
        assert metrics_of_counts(whole).miou == metrics(histogram.confusion(index)).miou


def test_an_image_of_nothing_but_ignored_pixels_counts_nothing() -> None:
    histogram = ScoreHistogram(K, HUNDRED)
    truth = np.full((2, 2), 255, np.uint8)
    for classes in ([], [3]):
        maps = np.full((len(classes), 2, 2), 0.5, np.float32)
        one = histogram.add(np.array(classes, np.uint8), maps, truth)
        found = ImageHistogram.of(one).at(10, K)
        assert not (found.correct.any() or found.predicted.any() or found.true.any())


def test_infinite_scores_and_zero_thresholds() -> None:
    histogram = ScoreHistogram(2, [0.0, 0.5])
    maps = np.array([[[np.inf, -np.inf, 0, 0.5]]], np.float32)
    histogram.add(np.array([2]), maps, np.array([[2, 2, 2, 2]], np.uint8))
    assert histogram.confusion(0)[:, 2].tolist() == [2, 0, 2, 0]  # 0 > 0 is false: background wins
    assert histogram.confusion(1)[:, 2].tolist() == [3, 0, 1, 0]
    assert (histogram.confusion(-1) == histogram.confusion(1)).all()
    with pytest.raises(IndexError):
        histogram.confusion(2)


def test_no_present_class_is_background_and_ignored_pixels_do_not_count() -> None:
    histogram = ScoreHistogram(3, HUNDRED)
    truth = np.array([[0, 1, 255]], np.uint8)
    histogram.add(np.zeros(0, np.uint8), np.zeros((0, 1, 3), np.float32), truth)
    for index in (0, 99):
        matrix = histogram.confusion(index)
        assert matrix.sum() == 2
        assert matrix[0].tolist() == [1, 1, 0, 0]


def test_merged_parts_are_the_whole() -> None:
    rng = np.random.default_rng(5)
    whole, parts = ScoreHistogram(K, HUNDRED), [ScoreHistogram(K, HUNDRED) for _ in range(3)]
    for i in range(9):
        image = random_image(rng, HUNDRED, "real")
        whole.add(*image)
        parts[i % 3].add(*image)
    for part in parts[1:]:
        parts[0].merge(part)
    for index in range(100):
        np.testing.assert_array_equal(parts[0].confusion(index), whole.confusion(index))
    with pytest.raises(ValueError, match="different thresholds"):
        whole.merge(ScoreHistogram(K, [0.5]))


def test_unknown_number_of_classes_costs_nothing_extra() -> None:
    rng = np.random.default_rng(6)
    known, unknown = ScoreHistogram(K, HUNDRED), ScoreHistogram(254, HUNDRED)
    for _ in range(6):
        image = random_image(rng, HUNDRED, "real")
        known.add(*image)
        unknown.add(*image)
    a, b = metrics(known.confusion(20)), metrics(unknown.confusion(20))
    assert (a.miou, a.precision, a.recall) == (b.miou, b.precision, b.recall)
    kept = unknown.confusion(20)
    np.testing.assert_array_equal(kept[: K + 1, : K + 1], known.confusion(20)[: K + 1])
    assert kept.sum() == known.confusion(20).sum()
    assert sum(c.nbytes for c in unknown._counts.values()) <= K * 101 * 256 * 8


@pytest.mark.parametrize("k", [2, 6, 254])
def test_confusion_of_labels_against_counting(k: int) -> None:
    rng = np.random.default_rng(7)
    values = [0, 1, 2, 255, min(k, 250)]
    predicted, truth = (rng.choice(values, (17, 23)).astype(np.uint8) for _ in range(2))
    matrix = confusion_of_labels(predicted, truth, k)
    assert matrix.dtype == np.int64
    np.testing.assert_array_equal(matrix, naive_confusion(predicted, truth, k))


def test_ignored_is_a_miss_and_nobody_s_false_positive() -> None:
    truth = np.array([[0, 0, 1, 1]], np.uint8)
    sure = metrics(confusion_of_labels(np.array([[0, 0, 1, 0]], np.uint8), truth, 1))
    ignored = metrics(confusion_of_labels(np.array([[0, 0, 1, 255]], np.uint8), truth, 1))
    assert sure.iou.tolist() == pytest.approx([200 / 3, 50])
    assert ignored.iou.tolist() == [100, 50]
    assert (ignored.recall, ignored.precision) == (75, 100)


def test_metrics_against_sets_of_pixels() -> None:
    rng = np.random.default_rng(8)
    truth = rng.choice([0, 1, 2, 255], 400).astype(np.uint8)[None]
    predicted = rng.choice([0, 1, 3, 255], 400).astype(np.uint8)[None]
    result = metrics(confusion_of_labels(predicted, truth, 4))
    iou, precision, recall = [], [], []
    for k in (0, 1, 2):  # 3 is predicted but does not occur
        p = set(np.flatnonzero((predicted == k) & (truth != 255)))
        t = set(np.flatnonzero(truth == k))
        iou.append(100 * len(p & t) / len(p | t))
        precision.append(100 * len(p & t) / len(p) if p else 0)
        recall.append(100 * len(p & t) / len(t))
    assert precision[2] == 0  # never predicted
    np.testing.assert_allclose(result.iou, [*iou, np.nan, np.nan])
    assert result.miou == pytest.approx(np.mean(iou))
    assert result.precision == pytest.approx(np.mean(precision))
    assert result.recall == pytest.approx(np.mean(recall))


def test_metrics_of_nothing_are_nan() -> None:
    nothing = np.full((2, 2), 255, np.uint8)
    result = metrics(confusion_of_labels(nothing, nothing, 2))
    assert np.isnan([result.miou, result.precision, result.recall, *result.iou]).all()
    assert best(ScoreHistogram(2, HUNDRED)) == 0


def test_perfect_prediction_is_100() -> None:
    truth = np.random.default_rng(9).integers(0, 5, (8, 8)).astype(np.uint8)
    result = metrics(confusion_of_labels(truth, truth, 4))
    assert (result.miou, result.precision, result.recall) == (100, 100, 100)


def test_curve_and_best_threshold() -> None:
    histogram = ScoreHistogram(2, HUNDRED)
    truth = np.array([[0, 0, 2, 2]], np.uint8)
    histogram.add(np.array([2]), np.array([[[0.1, 0.305, 0.605, 0.9]]], np.float32), truth)
    points = curve(histogram)
    assert [point["threshold"] for point in points[:3]] == [0.0, 0.01, 0.02]
    assert set(points[0]) == {"threshold", "miou", "precision", "recall"}
    index = best(histogram)
    assert points[index]["threshold"] == 0.31  # the lowest of those that separate
    assert points[index]["miou"] == points[index + 20]["miou"] == 100
    assert points[index - 1]["miou"] < 100
    assert points[50]["miou"] == metrics(histogram.confusion(50)).miou


@pytest.mark.parametrize("value", [7, 200, 254])
def test_values_outside_the_classes_are_named(value: int) -> None:
    right, wrong = np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8)
    wrong[1, 0] = value
    with pytest.raises(ValueError, match=rf"predicted label {value} is outside 0\.\.6"):
        confusion_of_labels(wrong, right, 6)
    with pytest.raises(ValueError, match=rf"true label {value} is outside 0\.\.6 \(1 pixels\)"):
        confusion_of_labels(right, wrong, 6)
    histogram, maps = ScoreHistogram(6, HUNDRED), np.zeros((1, 2, 2), np.float32)
    with pytest.raises(ValueError, match=f"true label {value}"):
        histogram.add(np.array([1]), maps, wrong)
    with pytest.raises(ValueError, match=f"predicted class {value}"):
        histogram.add(np.array([value]), maps, right)
    assert histogram.confusion(0).sum() == 0  # nothing was counted in part


def test_broken_input_is_named() -> None:
    truth, maps = np.zeros((2, 3), np.uint8), np.zeros((1, 2, 3), np.float32)
    histogram = ScoreHistogram(6, HUNDRED)
    with pytest.raises(ValueError, match="NaN"):
        histogram.add(np.array([1]), maps * np.nan, truth)
    with pytest.raises(ValueError, match="shape"):
        histogram.add(np.array([1]), maps[:, :1], truth)
    with pytest.raises(ValueError, match="float64"):
        histogram.add(np.array([1]), maps.astype(float), truth)
    with pytest.raises(ValueError, match="twice"):
        histogram.add(np.array([1, 1]), np.repeat(maps, 2, 0), truth)
    with pytest.raises(ValueError, match="shape"):
        confusion_of_labels(truth[:1], truth, 3)
    with pytest.raises(ValueError, match="ascend"):
        ScoreHistogram(6, [0.2, 0.1])
    with pytest.raises(ValueError, match="at least one"):
        ScoreHistogram(6, [])
    with pytest.raises(ValueError, match=r"0\.\.254"):
        ScoreHistogram(255, HUNDRED)


@pytest.mark.parametrize("seed", [0, 1])
def test_scores_are_those_of_detectron2(seed):
    """Of the case's numbers those that the field reports; its boundary scores are not what their name says."""
    case = np.load(Path(__file__).parents[1] / "golden" / f"detectron2-semseg-metrics-{seed}.npz")
    truth = case["in.gt"].astype(np.uint8)
    found = metrics(confusion_of_labels(case["in.pred"].astype(np.uint8), truth, 3))
    np.testing.assert_allclose(found.iou, 100 * case["out.iou"], rtol=1e-12)
    assert found.miou == pytest.approx(100 * case["out.miou"], rel=1e-12)
    assert found.recall == pytest.approx(100 * case["out.macc"], rel=1e-12)
