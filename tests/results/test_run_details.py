"""Figures of classes and images from a run's folder, against naive formulas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_runs import CLASSES, Method, counts, write_run

from wsssbench.errors import CorruptArtefactError
from wsssbench.evaluation.confusion import confusion_of_labels
from wsssbench.evaluation.confusion_file import read_confusion, write_confusion
from wsssbench.results.run_details import first_and_last, read_details
from wsssbench.results.run_files import confusion_path, image_counts_path


def test_classes_and_images_are_those_of_the_counts(tmp_path: Path) -> None:
    method = Method(0.6, ("cam", "refine.crf"))
    result = write_run(tmp_path, method)
    details = read_details(tmp_path, result)
    of = counts(method, 0, 0.05)
    for k, found in enumerate(details.classes["refine.crf"]):
        correct, predicted, true = (p[:, k].sum() for p in (of.correct, of.predicted, of.true))
        assert found.name == ["background", *CLASSES][k]
        assert found.iou == pytest.approx(100 * correct / (predicted + true - correct))
        assert found.precision == pytest.approx(100 * correct / predicted)
        assert found.recall == pytest.approx(100 * correct / true)
        assert (found.images, found.true) == (int((of.true[:, k] > 0).sum()), true)
    mean = np.mean([found.iou for found in details.classes["refine.crf"]])
    assert mean == pytest.approx(result.evaluations[1].chosen.miou)
    assert set(details.images) == {"cam", "refine.crf"} and len(details.images["cam"]) == 40
    assert details.confusion == {}


def test_files_that_are_lost_or_damaged_are_left_out(tmp_path: Path) -> None:
    result = write_run(tmp_path, Method(0.6, ("cam", "refine.crf")))
    image_counts_path(tmp_path, "cam").write_bytes(b"x")
    confusion_path(tmp_path, "cam").parent.mkdir()
    confusion_path(tmp_path, "cam").write_text("a,b\nc")
    details = read_details(tmp_path, result)
    assert list(details.classes) == ["refine.crf"] and details.confusion == {}


def test_a_confusion_matrix_is_a_table_by_ground_truth(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    mask, predicted = rng.choice(np.array([0, 1, 2, 255], np.uint8), (2, 20, 30))
    path = tmp_path / "confusion.csv"
    write_confusion(path, confusion_of_labels(predicted, mask, 2), ["cat, big", "dog"])
    found = read_confusion(path)
    assert found.names == ("background", "cat, big", "dog")
    for i in range(3):
        for j, value in enumerate((0, 1, 2, 255)):
            assert found.pixels[i, j] == ((mask == i) & (predicted == value)).sum()
    for text in ("", "x", "ground truth,a,ignored\na,1,b", "ground truth,a,ignored\nb,1,2"):
        path.write_text(text)
        with pytest.raises(CorruptArtefactError):
            read_confusion(path)


def test_the_first_and_the_last_rung_of_every_split(tmp_path: Path) -> None:
    result = write_run(tmp_path, Method(0.6, ("cam", "refine.crf", "label", "predict")))
    assert [one.node for one in first_and_last(result.evaluations)] == ["cam", "label", "predict"]
