from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from comparing import METHODS, cell, of, said
from made_up_runs import write_sweep

from wsssbench.results.collection import Collection, load
from wsssbench.results.convergence import classifier_map, unconverged


def with_maps(work: Path, **maps: float | None) -> Collection:
    methods = {row: dataclasses.replace(METHODS[row], classifier=of) for row, of in maps.items()}
    return load([write_sweep(work, methods)])


def test_a_row_below_95_per_cent_of_the_best_is_marked(tmp_path):
    found = of(with_maps(tmp_path, GAP=98.0, GPP=93.0, AEFT=93.2))  # 93.1 is the limit
    text = "classifier not converged: its val mAP is 93.0, below 95 % of the 98.0 of GAP"
    assert said(found, cell(found, "GPP", "mIoU").notes) == [text]
    assert cell(found, "GAP", "mIoU").notes == cell(found, "AEFT", "mIoU").notes == ()
    assert cell(found, "GPP", "recall").notes == cell(found, "GPP", "mIoU").notes


def test_the_mean_over_seeds_counts(tmp_path):
    collection = with_maps(tmp_path, GAP=98.0, GPP=93.0)
    collection.of("GPP")[0].result.figures["classify"]["val mAP"] = 94.0
    assert unconverged(collection) == {}


def test_rows_on_other_data_are_no_measure(tmp_path):
    other = {"data": {"type": "SyntheticScenes", "seed": 3}}
    methods = {
        "GAP": dataclasses.replace(METHODS["GAP"], classifier=98.0),
        "far": dataclasses.replace(METHODS["GPP"], classifier=80.0, set=other),
    }
    assert unconverged(load([write_sweep(tmp_path, methods)])) == {}


def test_without_a_figure_nothing_is_said(tmp_path):
    assert unconverged(with_maps(tmp_path, GAP=98.0, GPP=None)) == {}


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"round1.classify": {"val mAP": 60.0}, "classify": {"val mAP": 90.0}}, 90.0),
        ({"round1.classify": {"val mAP": 60.0}, "round2.classify": {"val mAP": 70.0}}, 70.0),
        ({"classify": {"val mAP": float("nan")}}, None),
        ({"threshold": {"threshold": 0.2}}, None),
    ],
)
def test_the_last_classifier_counts(tmp_path, figures, expected):
    (member, *_) = with_maps(tmp_path, GAP=98.0).members
    result = dataclasses.replace(member.result, figures=figures)
    assert classifier_map(dataclasses.replace(member, result=result)) == expected
