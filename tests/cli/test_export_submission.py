"""``wsssbench export voc-submission`` of a tiny run on a small devkit with a test split that has no labels."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import call, refused
from mini_devkit import experiment_on, make_devkit, write_config
from PIL import Image

from wsssbench.experiment import plan as planning
from wsssbench.experiment import run as pipeline

TEST = ["2008_000501", "2008_000502"]
SEGMENTER = {
    "type": "DeepLab",
    "head": "largefov",
    "backbone": {"type": "EfficientNetLite0", "weights": "imagenet"},
    "channels": 16,
    "crop": 32,
    "schedule": {"batch_size": 3, "iterations": 1, "lr": 0.01},
}


def experiment(root: Path) -> dict[str, Any]:
    """One refinement, a segmenter."""
    config = experiment_on(root)
    config["refine"] = {"crf": config["refine"]["crf"]}
    config["label"] = {"input": "crf"}
    config["segmenter"] = SEGMENTER
    return config


@pytest.fixture(scope="module", autouse=True)
def same_code() -> Iterator[None]:
    """The code is the same throughout, also if somebody edits it meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "code_version", lambda modules: {"wsssbench": "1"})
        yield


@pytest.fixture(scope="module")
def made(same_code: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run; beside it the devkit, whose test images are of other sizes."""
    folder = tmp_path_factory.mktemp("export")
    root = make_devkit(folder)
    for i, id in enumerate(TEST):
        Image.new("RGB", (40 + 9 * i, 50)).save(root / "JPEGImages" / f"{id}.jpg")
    (root / "ImageSets/Segmentation/test.txt").write_text("\n".join(TEST) + "\n")
    config = write_config(folder, experiment(root))
    outcome = call("run", config, "--work-dir", folder / "work", "--device", "cpu", "--workers", 1)
    assert outcome.code == 0, outcome
    (run,) = (folder / "work/runs/tiny").iterdir()
    return run


@pytest.fixture
def run(made: Path, tmp_path: Path) -> Path:
    """A copy that a test may change, with its cache, in another place."""
    shutil.copytree(made.parents[2], tmp_path / "work")
    return tmp_path / "work" / "runs" / "tiny" / made.name


def export(run: Path, *more: object) -> str:
    outcome = call("export", "voc-submission", run, "--device", "cpu", "--workers", 1, *more)
    assert (outcome.code, outcome.err) == (0, ""), outcome
    return outcome.out


def members(path: Path) -> dict[str, np.ndarray]:
    with tarfile.open(path, "r:gz") as tar:
        return {m.name: np.array(Image.open(tar.extractfile(m))) for m in tar}  # type: ignore[arg-type]


def test_the_test_split(run: Path) -> None:
    cache = {path: path.stat().st_mtime_ns for path in (run.parents[2] / "cache").rglob("*.p*")}
    said = export(run)
    found = members(run / "voc2012-test-comp6.tar.gz")
    folder = "results/VOC2012/Segmentation/comp6_test_cls"
    assert list(found) == [f"{folder}/{id}.png" for id in TEST]
    assert [label.shape for label in found.values()] == [(50, 40), (50, 49)]
    assert all(label.max() <= 20 for label in found.values())
    assert "the server expects the 1456 images of VOC 2012's test list, not 2" in said
    assert "2 predictions" in said and "computed" in said
    assert all(path.stat().st_mtime_ns == time for path, time in cache.items())  # nothing trained

    first = (run / "voc2012-test-comp6.tar.gz").read_bytes()
    again = export(run, "--out", run / "again.tar.gz")
    assert "computed" not in again and (run / "again.tar.gz").read_bytes() == first
    export(run, "--competition", "comp5")
    assert all("comp5_test_cls" in name for name in members(run / "voc2012-test-comp5.tar.gz"))


def test_the_split_that_was_predicted_already(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_work(*_: Any) -> None:
        raise AssertionError("a stage was started")

    monkeypatch.setattr(pipeline, "_run_step", no_work)
    said = export(run, "--split", "val")
    assert "this archive is a trial" in said
    (label,) = members(run / "voc2012-val-comp6.tar.gz").values()
    assert label.shape == (48, 48)


@pytest.fixture
def other_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """The code has changed since the run."""
    monkeypatch.setattr(planning, "code_version", lambda modules: {"wsssbench": "2"})


def test_training_again_needs_leave(run: Path, other_code: None) -> None:
    sentence = refused("export", "voc-submission", run, "--device", "cpu")
    assert "classify" in sentence and "segment" in sentence and "--recompute does it" in sentence
    assert "code of wsssbench changed" in sentence
    assert not list(run.glob("*.tar.gz"))


@pytest.mark.slow
def test_training_again(run: Path, other_code: None) -> None:
    assert "[1/" in export(run, "--recompute")
    assert len(members(run / "voc2012-test-comp6.tar.gz")) == 2


def test_a_cache_that_is_gone(run: Path) -> None:
    """Neither beside the run nor where it was made; and then in the folder that is given."""
    facts = json.loads((run / "run.json").read_text())
    stored = Path(facts["stages"]["segment"]["directory"])
    facts["stages"]["segment"]["directory"] = str(Path("nowhere", *stored.parts[-3:]))
    (run / "run.json").write_text(json.dumps(facts))
    elsewhere = run.parents[3] / "elsewhere"
    elsewhere.mkdir()
    (run.parents[2] / "cache").rename(elsewhere / "cache")
    command = ("export", "voc-submission", run, "--device", "cpu")
    sentence = refused(*command)
    assert "give the folder that has its cache with --work-dir" in sentence
    assert str(run.parents[2] / "cache") in sentence
    assert "--recompute does it" in refused(*command, "--work-dir", run.parents[2])
    export(run, "--split", "val", "--work-dir", elsewhere)


def test_what_is_no_run_with_a_segmenter(run: Path, made: Path, tmp_path: Path) -> None:
    command = ("export", "voc-submission")
    assert "is not the folder of a run" in refused(*command, tmp_path)
    assert "unknown competition 'comp4'" in refused(*command, run, "--competition", "comp4")
    assert "unknown split 'tset': did you mean test" in refused(*command, run, "--split", "tset")
    existing = tmp_path / "x.tar.gz"
    existing.touch()
    assert "exists already" in refused(*command, run, "--out", existing)
    assert "the folder" in refused(*command, run, "--out", tmp_path / "gone" / "x.tar.gz")
    assert "--split is empty" in refused(*command, run, "--split", "")
    text = (run / "config.py").read_text()
    facts = (run / "run.json").read_text()
    (run / "run.json").write_text(facts.replace('"segment":', '"not there":'))
    assert "has the run come to an end" in refused(*command, run)
    (run / "config.py").write_text(text.partition("segmenter =")[0] + "segmenter = None\n")
    assert "has no segmenter" in refused(*command, run)
    (run / "run.json").write_text(facts)
    (run / "config.py").write_text(text.replace("'aeroplane'", "'plane'"))
    assert "the server scores VOC2012 with its 20 classes only" in refused(*command, run)
    (run / "config.py").write_text(text)
    (run / "run.json").unlink()
    assert "is not the folder of a run" in refused(*command, run)
