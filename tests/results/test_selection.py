from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from made_up_report import NAMES, make_collection
from made_up_runs import Method, write_run

from wsssbench.errors import UserError
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.results.collection import load
from wsssbench.results.image_pairs import ImagePair, extremes, image_pairs, image_scores
from wsssbench.results.run_files import image_counts_path
from wsssbench.results.selection import select

GAP, GPP, TRIPLET, RIGID = NAMES


@pytest.fixture
def collection(tmp_path):
    return make_collection(tmp_path)


def test_the_baseline_and_the_best_of_the_others_are_compared(collection):
    selection = select(collection)
    assert (selection.rung, selection.a, selection.b) == ("+ CRF", RIGID, GAP)
    assert selection.ranked == NAMES[::-1]
    values = [m.result.evaluations[1].chosen.miou for m in collection.of(TRIPLET)]
    assert selection.stat(TRIPLET).mean == pytest.approx(np.mean(values))
    assert selection.stat("CONTA") is None


def test_a_baseline_that_is_best_is_compared_with_the_second(collection):
    selection = select(dataclasses.replace(collection, baseline=RIGID))
    assert (selection.a, selection.b) == (TRIPLET, RIGID)


def test_a_row_of_another_protocol_is_not_the_best(tmp_path):
    for name, accuracy, card in (("a", 0.5, {}), ("b", 0.6, {}), ("odd", 0.9, {"scales": "2.0"})):
        method = Method(accuracy, card=card, set={"classifier.pooling": {"type": name}})
        write_run(tmp_path / name / "x-seed0", method, name=name)
    selection = select(load([tmp_path / name for name in ("a", "b", "odd")]))
    assert selection.ranked == ("b", "a", "odd") and (selection.a, selection.b) == ("b", "a")


def test_rung_metric_and_rows_can_be_named(collection):
    selection = select(collection, "cam", "oracle", a=GAP, b=TRIPLET)
    assert (selection.rung, selection.metric.title) == ("CAM", "oracle mIoU")
    assert (selection.a, selection.b) == (GAP, TRIPLET)
    points = [m.result.evaluations[0].oracle.miou for m in collection.of(GAP)]
    assert selection.stat(GAP).mean == pytest.approx(np.mean(points))
    assert select(collection, a=GAP).b == GPP  # the baseline is A already


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"rung": "walk"}, "unknown rung 'walk'"),
        ({"metric": "iou"}, "unknown metric 'iou': did you mean miou"),
        ({"a": "GAPP"}, "unknown row 'GAPP': did you mean GPP or GAP?"),
        ({"b": "CONTA"}, "--b: unknown row 'CONTA'"),
        ({"a": GPP, "b": GPP}, "both GPP"),
    ],
)
def test_what_is_not_there_is_one_sentence(collection, options, says):
    with pytest.raises(UserError) as error:
        select(collection, **options)
    assert says in str(error.value) and "\n" not in str(error.value)


def test_the_last_rung_that_every_row_has_is_looked_at(tmp_path):
    for name, nodes in (("a", ("cam", "refine.crf", "predict")), ("b", ("cam", "refine.crf"))):
        method = Method(nodes=nodes, set={"classifier.pooling": {"type": name}})
        write_run(tmp_path / name / "x-seed0", method, name=name)
    assert select(load([tmp_path / "a", tmp_path / "b"])).rung == "+ CRF"
    alone = select(load([tmp_path / "a"]))
    assert (alone.rung, alone.a, alone.b) == ("DeepLab val", None, None)
    assert image_pairs(alone) == ([], "there are no two rows with scores")


def test_an_images_score_is_its_mean_iou_over_the_classes_in_its_truth():
    correct = np.array([[30, 0, 5, 0], [0, 0, 0, 0], [7, 0, 0, 0]])
    predicted = np.array([[40, 10, 10, 0], [5, 0, 5, 0], [10, 0, 0, 0]])
    true = np.array([[50, 0, 10, 0], [0, 0, 0, 0], [10, 0, 0, 0]])
    found = image_scores(ClassCounts(correct, predicted, true))
    assert found[0] == pytest.approx(100 * (30 / 60 + 5 / 15) / 2)
    assert np.isnan(found[1]) and found[2] == pytest.approx(100 * 7 / 13)


def test_pairs_are_sorted_by_what_a_gains_and_averaged_over_seeds(collection):
    selection = select(collection, "CAM")
    pairs, problem = image_pairs(selection)
    assert problem == "" and len(pairs) == 40
    gains = [pair.difference for pair in pairs]
    assert gains == sorted(gains, reverse=True)
    for row, side in ((selection.a, "a"), (selection.b, "b")):
        stored = [m.image_counts("cam")["chosen"] for m in collection.of(row)]
        scores = np.mean([image_scores(one.counts) for one in stored], axis=0)
        expected = dict(zip(stored[0].ids, scores.tolist(), strict=True))
        assert {p.id: getattr(p, side) for p in pairs} == pytest.approx(expected)


def test_the_metric_chooses_the_counts(collection):
    chosen, oracle = (image_pairs(select(collection, "CAM", m))[0] for m in ("miou", "oracle"))
    assert np.mean([p.a for p in oracle]) > np.mean([p.a for p in chosen])


def test_lost_counts_are_said(collection):
    for member in collection.of(GAP):
        image_counts_path(member.directory, "refine.crf").unlink()
    assert image_pairs(select(collection)) == ([], "the counts per image of GAP are not there")


def test_extremes_share_no_image():
    pairs = [ImagePair(str(i), 50.0 - i, 40.0) for i in range(5)]
    most, least = extremes(pairs, 6)
    assert [p.id for p in most] == ["0", "1"] and [p.id for p in least] == ["4", "3"]
    assert extremes(pairs[:1], 6) == ([], [])
