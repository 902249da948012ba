"""The Python door: what is asked of it wrongly is one sentence that names the argument; nothing is overlooked."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_up_cache import write_cached_run
from tiny_experiment import TINY

from wsssbench.api import Run, compare, open_run, read, run
from wsssbench.errors import UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with CAMs, scores, labels and predictions, without any training."""
    return open_run(write_cached_run(tmp_path_factory.mktemp("work")))


def test_a_work_directory_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(
        UserError, match=r"work directory .* cannot be used: .*file is not a folder"
    ):
        run(TINY, work_dir=tmp_path / "file" / "work")


def test_values_are_set_as_they_are_or_refused(tmp_path: Path) -> None:
    values = {"cam.scales": np.array([0.5, 1.0]), "classifier.dropout": np.float64(0.5)}
    config = read(TINY, {**values, "+data.root": tmp_path, "label": {"input": "crf"}})
    assert config["cam"]["scales"] == [0.5, 1.0] and config["classifier"]["dropout"] == 0.5
    assert config["data"]["root"] == str(tmp_path)
    for value in (object(), float("nan"), range(2), {"deep": [Path("x")]}):
        with pytest.raises(UserError, match=r"set: classifier.dropout=.* has to be a number"):
            read(TINY, {"classifier.dropout": value})


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        (lambda made: made.cam("nobody"), "has nothing of an image 'nobody'"),
        (lambda made: made.cam("train_00000", node="label"), "makes label maps, not CAMs"),
        (lambda made: made.cam("train_00000", node=None), "unknown stage 'None'"),
        (lambda made: made.scores("train_00000", "cam"), "makes CAMs, not scores"),
        (lambda made: made.label("train_00000", node="nobody"), "unknown stage 'nobody'"),
        (lambda made: made.prediction("train_00000", node="cam"), "makes CAMs, not label maps"),
        (lambda made: made.prediction("nobody"), "no prediction of image 'nobody'"),
        (lambda made: made.prediction("val_00000", split="nowhere"), "unknown split 'nowhere'"),
        (lambda made: made.classifier(), "unknown stage 'classify'"),
        (lambda made: made.classifier("cam"), "makes CAMs, not a classifier"),
    ],
)  # fmt: skip
def test_what_a_run_has_not(made: Run, ask: Callable[[Run], Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        ask(made)


def test_what_a_run_has(made: Run) -> None:
    id = made.ids()[0]
    shapes = [made.cam(id).shape, made.scores(id, "crf").shape, made.label(id).shape]
    assert shapes == [(8, 64, 64), (9, 64, 64), (64, 64)]
    assert made.prediction(made.ids("val")[0]).shape == (64, 64)


@pytest.mark.parametrize(
    "wrong", [{"confidence": 3}, {"resamples": 0}, {"metric": "best"}], ids=str
)
def test_wrong_options_of_compare_are_named(made: Run, wrong: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=next(iter(wrong))):
        compare(made.directory, **wrong)
