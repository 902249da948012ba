"""Pseudo-labels from CAMs, ``export labels`` and ``export predictions``, ``import-labels``, and where results are."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Outcome, call, refused
from mini_devkit import (
    CLASSES_IN_MASKS,
    TRAIN,
    experiment_on,
    make_devkit,
    scores_of,
    write_config,
)
from PIL import Image

import wsssbench
from wsssbench import plugin_files
from wsssbench.files.images import read_label, write_label

METHODS = Path(__file__).parents[1] / "experiment" / "plugin_file" / "methods.py"


@dataclass(frozen=True)
class Bench:
    """An experiment on a devkit that starts from somebody's CAMs, without refinement, up to predictions."""

    folder: Path
    root: Path
    config: Path

    @property
    def work(self) -> Path:
        return self.folder / "work"

    def run(self, *settings: str, until: str = "label") -> Path:
        """The folder of a run with these settings."""
        sets = [word for setting in settings for word in ("--set", setting)]
        outcome = call("run", self.config, "--work-dir", self.work, "--until", until, *sets)
        assert outcome.code == 0, outcome
        return folder_of(outcome)

    def importing(self, labels: Path) -> list[object]:
        return ["import-labels", labels, "--config", self.config, "--work-dir", self.work]


def folder_of(outcome: Outcome) -> Path:
    """The run's folder that a command names."""
    return Path(re.findall(r"report: (.*)/report.html", outcome.out)[-1])


def rungs(run: Path) -> dict[str, dict[str, Any]]:
    """The evaluations of a run by node."""
    return {one["node"]: one for one in json.loads((run / "metrics.json").read_text())["rungs"]}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """What one test has computed is there for the next one."""
    tmp_path = tmp_path_factory.mktemp("bench")
    root = make_devkit(tmp_path)
    rng = np.random.default_rng(0)
    (tmp_path / "psa").mkdir()
    for id, classes in CLASSES_IN_MASKS.items():
        mask = read_label(root / "SegmentationClass" / f"{id}.png")
        maps = {
            k - 1: ((mask == k) * 0.3 + rng.random(mask.shape) * 0.7).astype("f4") for k in classes
        }
        np.save(tmp_path / "psa" / f"{id}.npy", maps, allow_pickle=True)  # type: ignore[arg-type]
    config = experiment_on(root)
    config["import_cams"] = {"directory": str(tmp_path / "psa"), "format": "psa"}
    config |= {"refine": {}, "label": {"input": "cam"}, "segmenter": {"type": "Constant"}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(plugin_files.VARIABLE, str(METHODS))
        yield Bench(tmp_path, root, write_config(tmp_path, config))


def scores(rung: dict[str, Any]) -> list[float]:
    return [rung["chosen"][name] for name in ("miou", "precision", "recall")]


def test_labels_from_cams_are_the_cams_at_the_threshold(bench: Bench, tmp_path: Path) -> None:
    """By default that of the evaluation; `evaluate` of the original files at the same threshold is the reference."""
    assert len({tuple(scores(r)) for r in rungs(bench.run()).values()}) == 1
    at = scores_of(bench.root, bench.folder / "psa", "psa", options=("--threshold", 0.5))
    label = rungs(bench.run("label.threshold=0.5"))["label"]
    assert scores(label) == [at[name] for name in ("miou", "precision", "recall")]
    assert label["card"]["label threshold"] == 0.5


def test_otsu_may_reach_a_label_and_a_held_out_split_may_not(bench: Bench, tmp_path: Path) -> None:
    otsu = rungs(bench.run("label.threshold=otsu", "evaluate.selection=otsu"))
    assert scores(otsu["label"]) == scores(otsu["cam"])
    assert otsu["label"]["card"]["label threshold"] == "otsu"
    assert scores(rungs(bench.run("label.threshold=otsu"))["label"]) == scores(otsu["cam"])
    held = rungs(bench.run("splits.heldout=val", "evaluate.selection=heldout"))
    fixed = scores_of(bench.root, bench.folder / "psa", "psa", options=("--threshold", 0.25))
    assert held["cam"]["chosen"]["threshold"] != 0.25
    assert held["label"]["chosen"]["miou"] == fixed["miou"]


def test_a_parameter_that_does_not_go_with_the_input_is_refused(
    bench: Bench, tmp_path: Path
) -> None:
    command = ("run", bench.config, "--work-dir", bench.work, "--set")
    assert "which makes CAMs: set label.threshold instead" in refused(
        *command, "label.confidence=0.1"
    )
    assert "unknown artefact 'crf': known: cam" in refused(*command, "label.input=crf")


def test_exported_labels_are_imported_as_they_are(bench: Bench, tmp_path: Path) -> None:
    run, out = bench.run(), tmp_path / "out"
    outcome = call("export", "labels", run, out)
    assert outcome.code == 0 and f"{out}: 3 pseudo-labels, format palette" in outcome.out
    ours = {id: wsssbench.open_run(run).label(id) for id in TRAIN}
    assert sorted(path.stem for path in out.iterdir()) == TRAIN
    assert all(np.array_equal(read_label(out / f"{id}.png"), ours[id]) for id in TRAIN)
    imported = call(*bench.importing(out))
    assert imported.code == 0 and f"--set import_labels.directory={out}" in imported.out, imported
    new = folder_of(imported)
    label = rungs(new)["label"]
    assert set(rungs(new)) == {"label"} and scores(label) == scores(rungs(run)["label"])
    assert label["card"]["labels"] == "from outside"
    going_on = bench.run(f"import_labels.directory={out}", until="predict")
    assert set(json.loads((going_on / "run.json").read_text())["stages"]) == {
        *("label", "evaluate.label", "segment", "predict", "evaluate.predict")
    }
    assert rungs(going_on)["predict"]["card"]["labels"] == "from outside"


def test_label_maps_that_cannot_be_are_refused_before_any_work(
    bench: Bench, tmp_path: Path
) -> None:
    labels, before = tmp_path / "labels", set(bench.work.glob("cache/*/*"))
    shutil.copytree(bench.root / "SegmentationClass", labels)
    originals = {id: read_label(labels / f"{id}.png") for id in TRAIN}
    for id, label in originals.items():  # classes from 0, background 255
        write_label(
            labels / f"{id}.png",
            np.where((label > 0) & (label < 255), label - 1, 0).astype(np.uint8),
        )
    assert "were they made with other class indices (1 is aeroplane here)?" in refused(
        *bench.importing(labels)
    )
    for id, label in originals.items():
        write_label(labels / f"{id}.png", np.where(label > 0, 255, 0).astype(np.uint8))
    assert "none of 3 label maps" in refused(*bench.importing(labels))
    write_label(labels / f"{TRAIN[0]}.png", originals[TRAIN[0]][:40])
    assert f"{TRAIN[0]}.png is 48 x 40, but its image is 48 x 48 pixels" in refused(
        *bench.importing(labels)
    )
    write_label(labels / f"{TRAIN[0]}.png", np.full((48, 48), 21, np.uint8))
    assert "has the value 21, but with 20 classes" in refused(*bench.importing(labels))
    (labels / f"{TRAIN[0]}.png").unlink()
    assert f"lacks 1 of the 3 label maps that are needed: '{TRAIN[0]}.png'" in refused(
        *bench.importing(labels)
    )
    assert set(bench.work.glob("cache/*/*")) == before


def test_classes_that_the_labels_lack_are_told(bench: Bench, tmp_path: Path) -> None:
    labels = tmp_path / "labels"
    shutil.copytree(bench.root / "SegmentationClass", labels)
    label = read_label(labels / f"{TRAIN[0]}.png")
    label[45, 45] = 20
    write_label(labels / f"{TRAIN[0]}.png", label)
    outcome = call(*bench.importing(labels))
    assert "1 of 3 label maps have classes that are not in the image-level labels" in outcome.out


def test_predictions_are_exported_by_split_and_nothing_is_replaced_unasked(
    bench: Bench, tmp_path: Path
) -> None:
    run, out = bench.run(until="predict"), tmp_path / "out"
    assert call("export", "predictions", run, out, "--format", "grey").code == 0
    assert [path.name for path in out.iterdir()] == ["2008_000001.png"]
    with Image.open(out / "2008_000001.png") as image:
        assert image.mode == "L" and sorted(image.getcolors()) == [(48, 0), (47 * 48, 1)]
    assert "holds files already" in refused("export", "predictions", run, out)
    assert call("export", "predictions", run, out, "--overwrite", "--split", "val").code == 0
    with Image.open(out / "2008_000001.png") as image:
        assert image.mode == "P"
    assert "unknown split 'train': known: val" in refused(
        "export", "predictions", run, out, "--split", "train"
    )
    assert "did you mean grey" in refused(
        "export", "labels", run, tmp_path / "o", "--format", "gray"
    )
    short = bench.run("segmenter=none")
    assert "is a run without predictions" in refused("export", "predictions", short, tmp_path / "o")


def test_a_run_says_where_its_results_are(bench: Bench, tmp_path: Path) -> None:
    run = bench.run(until="predict")
    found = {path.name: path for path in (run / "artefacts").iterdir() if path.is_symlink()}
    assert set(found) == {"cam", "label", "segment", "predict"}
    assert sorted(p.stem for p in found["label"].glob("*.png")) == TRAIN
    moved = tmp_path / "moved"
    shutil.copytree(bench.work, moved, symlinks=True)
    run = moved / run.relative_to(bench.work)
    assert (run / "artefacts" / "label" / f"{TRAIN[0]}.png").is_file()
    assert all(
        not p.readlink().is_absolute() for p in (run / "artefacts").iterdir() if p.is_symlink()
    )
    said = call("run", bench.config, "--work-dir", moved).out.splitlines()
    assert f"  pseudo-label            {run / 'artefacts' / 'label'}" in said
    page = (run / "report.html").read_text()
    assert '<dt>pseudo-label</dt><dd><a href="artefacts/label">' in page
    stages = json.loads((run / "run.json").read_text())["stages"]
    assert (
        stages["label"]["artefact"] == "artefacts/label"
        and stages["evaluate.cam"]["artefact"] is None
    )
    shutil.rmtree(moved / "cache")
    assert "makes it again" in " ".join((run / "artefacts" / "README.txt").read_text().split())


@pytest.fixture(scope="module")
def trained(bench: Bench) -> Path:
    """A run with a classifier of its own, and a segmentation network."""
    small = "classifier.backbone=Small()", "classifier.pooling=Mean()"
    return bench.run("import_cams=none", *small, until="predict")


def photos(bench: Bench, tmp_path: Path) -> Path:
    """A folder with two photos, one of them in a sub-folder."""
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    shutil.copy(bench.root / "JPEGImages" / f"{TRAIN[0]}.jpg", folder / "one.jpg")
    shutil.copy(bench.root / "JPEGImages" / f"{TRAIN[1]}.jpg", folder / "sub" / "two words.jpg")
    return folder


def predicting(bench: Bench, tmp_path: Path, run: Path, *more: object) -> Outcome:
    return call(
        "predict",
        run,
        photos(bench, tmp_path),
        "--out",
        tmp_path / "seen",
        "--device",
        "cpu",
        *more,
    )


def test_new_photos_are_classified_and_segmented(
    bench: Bench, trained: Path, tmp_path: Path
) -> None:
    outcome = predicting(bench, tmp_path, trained, "--score", 0, "--threshold", 0.4)
    assert outcome.code == 0, outcome
    said = json.loads((tmp_path / "seen" / "predictions.json").read_text())
    assert set(said) == {"one", "sub/two words"}
    run = wsssbench.open_run(trained)
    logits = run.classifier()(run.image(TRAIN[0])).logits[0]
    assert list(said["one"]["scores"].values()) == pytest.approx(
        (1 / (1 + np.exp(-logits.detach().numpy()))).tolist()
    )
    assert said["one"]["classes"] == run.classes and said["one"]["predicted"] == ["aeroplane"]
    folder = tmp_path / "seen" / "sub" / "two words"
    assert len(list(folder.glob("cam_[0-9]*.png"))) == 20 and (folder / "cam_07_car.png").is_file()
    assert np.array_equal(np.unique(read_label(folder / "prediction.png")), [0, 1])
    with Image.open(folder / "cam_label_overlay.png") as image:
        assert image.size == (48, 48) and image.mode == "RGB"


def test_given_classes_give_the_cams_of_the_run(
    bench: Bench, trained: Path, tmp_path: Path
) -> None:
    """The label map is that of the run, which stores its maps at half the size: it agrees but for borders."""
    assert predicting(bench, tmp_path, trained, "--classes", "aeroplane, person").code == 0
    label = read_label(tmp_path / "seen" / "one" / "cam_label.png")
    cam = wsssbench.open_run(trained).cam(TRAIN[0])
    naive = np.where(cam.max(0) > 0.25, cam.argmax(0) + 1, 0)
    assert set(np.unique(label)) <= {0, 1, 15} and (label == naive).mean() > 0.8
    assert not (tmp_path / "seen" / "one" / "cam_07_car.png").exists()


def test_bad_photos_are_told_and_the_others_go_on(
    bench: Bench, trained: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_text("no photo")
    outcome = predicting(bench, tmp_path, trained, bad, tmp_path / "nowhere.png")
    assert outcome.code == 2 and "2 of 4 photos could not be read" in outcome.err
    assert f"warning: image {bad} cannot be read" in outcome.out
    assert (tmp_path / "seen" / "one" / "prediction.png").is_file()
    assert "holds files already" in refused("predict", trained, bad, "--out", tmp_path / "seen")
    assert "did you mean person" in refused(
        "predict", trained, bad, "--out", tmp_path / "o", "--classes", "persona"
    )
