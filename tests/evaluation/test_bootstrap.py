"""Bootstrap intervals against a loop over images, and by how often they hold the true difference."""

from __future__ import annotations

import numpy as np
import pytest

from wsssbench.evaluation import bootstrap
from wsssbench.evaluation.bootstrap import interval, resampled, scores
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion import class_counts, confusion_of_labels, metrics_of_counts

MEASURES = ("miou", "precision", "recall")


def label_maps(rng, images, classes, accuracy):
    """(truth, prediction) per image: few classes each, 255 in both, `accuracy` of the pixels right."""
    pairs = []
    for _ in range(images):
        present = rng.choice([*range(classes + 1), 255], size=3)
        truth = rng.choice(present, size=(6, 7)).astype(np.uint8)
        guess = rng.choice([*range(classes + 1), 255], size=truth.shape).astype(np.uint8)
        pairs.append((truth, np.where(rng.random(truth.shape) < accuracy, truth, guess)))
    return pairs


def counts_of(pairs, classes):
    found = [class_counts(confusion_of_labels(p, t, classes)) for t, p in pairs]
    return ClassCounts(
        *(
            np.stack([getattr(one, part) for one in found]).astype(np.int32)
            for part in ("correct", "predicted", "true")
        )
    )


def random_counts(rng, images, classes, accuracy=0.6):
    """Counts of images of which each holds background and some classes."""
    true = rng.integers(0, 500, (images, classes + 1)) * (rng.random((images, classes + 1)) < 0.5)
    correct = rng.binomial(true, accuracy)
    predicted = correct + rng.integers(0, 200, true.shape)
    return ClassCounts(*(part.astype(np.int32) for part in (correct, predicted, true)))


def paired_interval(ours, baseline, measure="miou", resamples=1000, confidence=0.95, seed=0):
    """The interval of a difference between two methods, each a list of counts by seed, as comparisons take it."""
    drawn = (
        [getattr(resampled(counts, resamples, seed), measure) for counts in runs]
        for runs in (ours, baseline)
    )
    return interval(*drawn, confidence)


def naive_scores(pairs, classes):
    """The three figures from label maps, pixel by pixel, without `wsssbench.evaluation.confusion`."""
    truth = np.concatenate([t.ravel() for t, _ in pairs])
    guess = np.concatenate([p.ravel() for _, p in pairs])
    truth, guess = truth[truth != 255], guess[truth != 255]
    iou, precision, recall = [], [], []
    for k in range(classes + 1):
        if (truth == k).any():
            both = np.sum((truth == k) & (guess == k))
            iou.append(both / np.sum((truth == k) | (guess == k)))
            precision.append(both / np.sum(guess == k) if (guess == k).any() else 0.0)
            recall.append(both / np.sum(truth == k))
    return {
        "miou": 100 * np.mean(iou),
        "precision": 100 * np.mean(precision),
        "recall": 100 * np.mean(recall),
    }


@pytest.mark.parametrize("measure", MEASURES)
def test_as_a_loop_over_explicit_lists_of_images(measure):
    images, classes, resamples, seed = 12, 4, 40, 3
    ours = [label_maps(np.random.default_rng(0), images, classes, a) for a in (0.7, 0.8)]
    baseline = [label_maps(np.random.default_rng(0), images, classes, a) for a in (0.5, 0.6)]
    drawing = np.random.default_rng(seed)
    lists = [drawing.integers(0, images, size=images) for _ in range(resamples)]

    def mean(runs, chosen):
        return np.mean([naive_scores([run[i] for i in chosen], classes)[measure] for run in runs])

    differences = [mean(ours, chosen) - mean(baseline, chosen) for chosen in lists]
    counts = [[counts_of(run, classes) for run in runs] for runs in (ours, baseline)]
    limits = paired_interval(*counts, measure, resamples, 0.9, seed)
    assert limits == pytest.approx(tuple(np.percentile(differences, [5, 95])))
    for run, one in zip(ours, counts[0], strict=True):
        whole = scores(ClassCounts(*(part.sum(axis=0) for part in vars(one).values())))
        assert getattr(whole, measure) == pytest.approx(naive_scores(run, classes)[measure])


def test_the_figures_are_those_of_the_evaluation():
    rng = np.random.default_rng(0)
    counts = random_counts(rng, 30, 7)
    counts.true[:, 3] = counts.correct[:, 3] = 0  # predicted, but does not occur
    counts.predicted[:, 5] = counts.correct[:, 5] = 0  # occurs, but is never predicted
    counts.true[4] = counts.correct[4] = 0  # an image of nothing but 255
    found = scores(counts)
    for i in range(30):
        one = metrics_of_counts(ClassCounts(counts.correct[i], counts.predicted[i], counts.true[i]))
        for measure in MEASURES:
            np.testing.assert_allclose(getattr(found, measure)[i], getattr(one, measure))
    assert np.isnan(found.miou[4]) and np.isfinite(np.delete(found.miou, 4)).all()


def test_one_image_is_every_resample_of_itself():
    counts = random_counts(np.random.default_rng(1), 1, 4)
    np.testing.assert_array_equal(resampled(counts, 5).miou, np.repeat(scores(counts).miou, 5))


def test_the_interval_shrinks_with_the_root_of_the_number_of_images():
    def width(images):
        rng = np.random.default_rng(0)
        ours, baseline = (random_counts(rng, images, 5, a) for a in (0.7, 0.6))
        low, high = paired_interval([ours], [baseline], resamples=2000)
        return high - low

    assert width(200) / width(3200) == pytest.approx(4, rel=0.2)


def test_intervals_cover_the_true_difference_about_as_often_as_they_say():
    """Images whose shares of right pixels vary around 0.7 and 0.6, with a common part: how hard the image is."""

    def experiment(rng, images):
        hard = rng.normal(0, 0.1, (images, 1))
        true = rng.integers(500, 1500, (images, 3))
        runs = []
        for accuracy in (0.7, 0.6):
            share = np.clip(accuracy + hard + rng.normal(0, 0.05, true.shape), 0, 1)
            correct = (true * share).astype(np.int32)
            runs.append(ClassCounts(correct, correct + 100, true.astype(np.int32)))
        return runs

    whole = experiment(np.random.default_rng(0), 200_000)
    ours, baseline = (
        scores(ClassCounts(*(part.sum(0) for part in vars(run).values()))) for run in whole
    )
    difference = float(ours.miou - baseline.miou)
    hits = 0
    for repeat in range(200):
        ours, baseline = experiment(np.random.default_rng(repeat + 1), 80)
        low, high = paired_interval([ours], [baseline], "miou", 400, 0.9, seed=repeat)
        hits += low <= difference <= high
    # of 200 with 0.9 each: 180, standard deviation 4.2
    assert 164 <= hits <= 194


def test_pairing_takes_out_what_images_have_in_common():
    rng = np.random.default_rng(0)
    true = rng.integers(500, 1500, (100, 3)).astype(np.int32)
    hard = rng.uniform(0.3, 0.9, (100, 1))

    def run(accuracy):
        correct = (true * hard * accuracy).astype(np.int32)
        return ClassCounts(correct, true, true)

    ours, baseline = run(1.0), run(0.95)
    paired = paired_interval([ours], [baseline])
    apart = interval([resampled(ours, seed=1).miou], [resampled(baseline, seed=2).miou])
    assert paired[1] - paired[0] < 0.2 * (apart[1] - apart[0])


def test_equal_arguments_give_equal_numbers_however_many_weights_are_held(monkeypatch):
    counts = random_counts(np.random.default_rng(0), 30, 5)
    before = resampled(counts, 50, seed=4)
    monkeypatch.setattr(bootstrap, "CHUNK", 100)  # three resamples at a time
    np.testing.assert_array_equal(resampled(counts, 50, seed=4).miou, before.miou)
    assert not np.array_equal(resampled(counts, 50, seed=5).miou, before.miou)


def test_a_class_that_a_resample_misses_is_left_out_of_its_mean():
    true = np.array([[10, 0], [0, 10]])
    counts = ClassCounts(np.array([[10, 0], [0, 0]]), true, true)
    assert set(resampled(counts, 100).miou.tolist()) == {100.0, 50.0, 0.0}


def test_resamples_without_any_truth_do_not_count():
    one, other = np.array([50.0, np.nan, 50.0]), np.array([40.0, 40.0, 40.0])
    assert interval([one], [other]) == (10, 10)
    assert np.isnan(interval([one[1:2]], [other[1:2]])).all()


def test_impossible_arguments_are_refused():
    few = random_counts(np.random.default_rng(0), 4, 5)
    with pytest.raises(ValueError, match="outside"):
        paired_interval([few], [few], confidence=95)
    with pytest.raises(ValueError, match="0 resamples"):
        resampled(few, 0)
