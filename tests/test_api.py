"""`wsssbench.run`, `open_run`, `evaluate`, `compare`: what they give, and how they refuse."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import call
from naive_evaluation import bilinear, predicted_at, scores_of
from PIL import Image
from tiny_experiment import TINY

import wsssbench
from wsssbench.errors import UserError
from wsssbench.experiment.config import config_text
from wsssbench.files.artefacts import write_cam
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam
from wsssbench.results.run_details import read_details

CONFIG = {**TINY, "refine": {"crf": TINY["refine"]["crf"]}, "label": {"input": "crf"}}
SIZE = (8, 10)
IDS = ["b", "a", "c"]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> wsssbench.Run:
    """A run up to the pseudo-labels."""
    return wsssbench.run(CONFIG, work_dir=tmp_path_factory.mktemp("api") / "work", workers=1)


def of_cache(run: wsssbench.Run, node: str) -> Path:
    stage = json.loads((run.directory / "run.json").read_text())["stages"][node]
    return Path(stage["directory"])


def test_importing_wsssbench_is_quick() -> None:
    code = "import sys, wsssbench; dir(wsssbench); print({'torch', 'mmengine', 'pydantic'} & sys.modules.keys())"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert printed.stdout == "set()\n", printed
    with pytest.raises(AttributeError, match="no attribute 'runs'"):
        _ = wsssbench.runs
    assert {"Run", "run", "open_run", "evaluate", "compare"} <= set(dir(wsssbench))


@pytest.mark.parametrize(
    ("part", "error"),
    [
        ("wsssbench.pages.run_page.render", ValueError("math domain error")),
        ("wsssbench.pages.run_report.write_page", OSError(28, "No space left on device")),
    ],
)
def test_a_report_that_fails_costs_a_warning_never_the_ladder(
    done: wsssbench.Run, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception
) -> None:
    def fails(*_: Any, **__: Any) -> str:
        raise error

    work = done.directory.parent.parent.parent
    config = work / "config.py"
    config.write_text(config_text(CONFIG))
    monkeypatch.setattr(part, fails)
    outcome = call("run", config, "--work-dir", work, "--workers", 1)
    assert outcome.code == 0, outcome
    said = " ".join(outcome.out.split())
    assert f"its report could not be written ({type(error).__name__}: {error})" in said
    assert f"make it again with 'wsssbench report {done.directory}'" in said
    assert "pseudo-label" in said.partition("warning: ")[2]  # the ladder
    monkeypatch.undo()
    assert call("report", done.directory).code == 0


def test_pictures_that_are_damaged_leave_the_rest_of_the_report(
    done: wsssbench.Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise UserError("photo.jpg cannot be read")

    monkeypatch.setattr("wsssbench.pages.gallery.read_image", fails)
    outcome = call("report", done.directory)
    assert outcome.code == 0 and "the page has no pictures: photo.jpg cannot" in outcome.out
    page = done.report.read_text(encoding="utf-8")
    assert "There are none: photo.jpg cannot be read" in page and "The ladder" in page


def test_a_run_knows_what_each_rung_was_made_from_and_its_classes(done: wsssbench.Run) -> None:
    after = {one.node: one.after for one in done.result.evaluations}
    assert after == {"cam": "", "refine.crf": "cam", "label": "refine.crf"}
    assert list(done.result.figures) == ["classify"]
    details = read_details(done.directory, done.result)
    for one in done.result.evaluations:
        found = {c.name: c.iou for c in details.classes[one.node] if c.iou is not None}
        assert found == pytest.approx({k: v for k, v in one.iou.items() if v is not None})
        pixels = details.confusion[one.node].pixels
        right = np.diag(pixels)
        iou = 100 * right / np.maximum(1, pixels.sum(axis=1) + pixels[:, :-1].sum(axis=0) - right)
        assert {n: iou[k] for k, n in enumerate(["background", *done.classes]) if n in found} == (
            pytest.approx(found)
        )


def test_the_ladder_is_what_the_stages_measured(done: wsssbench.Run) -> None:
    ladder = done.ladder()
    assert [line["rung"] for line in ladder] == ["CAM", "+ CRF", "pseudo-label"]
    for line, node in zip(ladder, ["evaluate.cam", "evaluate.crf", "evaluate.label"], strict=True):
        found = json.loads((of_cache(done, node) / "manifest.json").read_text())["result"]
        for name in ("miou", "precision", "recall", "threshold"):
            assert line[name] == found["chosen"][name]
        oracle = found["oracle"] or {"miou": None, "threshold": None}
        assert (line["oracle_miou"], line["oracle_threshold"]) == (
            oracle["miou"],
            oracle["threshold"],
        )
    assert json.loads(json.dumps(ladder)) == ladder


def test_a_run_says_what_it_is_in_a_line(done: wsssbench.Run) -> None:
    miou = done.ladder()[0]["miou"]
    assert repr(done).startswith(f"<Run {done.directory}: mIoU CAM {miou:.1f}, + CRF ")
    assert done.report.read_text().startswith("<!")
    assert done.config["name"] == "tiny" and len(done.classes) == 8


def test_a_run_is_opened_as_it_was_returned(done: wsssbench.Run) -> None:
    again = wsssbench.open_run(str(done.directory))
    assert again.ladder() == done.ladder() and again.classes == done.classes
    id = done.ids()[0]
    np.testing.assert_array_equal(again.cam(id), done.cam(id))


def test_a_folder_that_was_moved_and_lacks_what_is_new(done: wsssbench.Run, tmp_path: Path) -> None:
    """Earlier versions did not write the kind and the title of a stage."""
    shutil.copytree(done.directory.parents[2], tmp_path / "moved")
    directory = tmp_path / "moved" / "runs" / "tiny" / done.directory.name
    content = json.loads((directory / "run.json").read_text())
    for stage in content["stages"].values():
        del stage["kind"], stage["title"]
        stage["directory"] = stage["directory"].replace("/work/", "/gone/")
    (directory / "run.json").write_text(json.dumps(content))
    opened = wsssbench.open_run(directory)
    id = opened.ids()[0]
    np.testing.assert_array_equal(opened.cam(id), done.cam(id))
    np.testing.assert_array_equal(opened.label(id), done.label(id))


def test_ids_by_the_name_of_a_split_or_its_key(done: wsssbench.Run) -> None:
    assert done.ids() == done.ids("train") == [f"train_{i:05d}" for i in range(6)]
    assert done.ids("val") == [f"val_{i:05d}" for i in range(3)]
    with pytest.raises(UserError, match="unknown split 'vall'"):
        done.ids("vall")


def test_the_cam_has_a_map_for_every_class(done: wsssbench.Run) -> None:
    id = done.ids()[0]
    with np.load(of_cache(done, "cam") / f"{id}.npz") as stored:
        classes, maps, size = stored["classes"], stored["maps"], tuple(stored["size"])
    maps = maps / np.float32(255) if maps.dtype == np.uint8 else maps.astype(np.float32)
    cam = done.cam(id)
    assert cam.shape == (8, *size) == (8, *done.image(id).shape[:2]) and cam.dtype == np.float32
    for index in range(8):
        present = np.flatnonzero(classes == index + 1)
        wanted = bilinear(maps[present[0]], size) if len(present) else np.zeros(size)
        np.testing.assert_allclose(cam[index], wanted, atol=1e-5)


def test_scores_are_what_the_label_is_made_of(done: wsssbench.Run) -> None:
    for id in done.ids():
        scores = done.scores(id, "crf")
        assert scores.shape == (9, 64, 64) and scores.dtype == np.float32
        np.testing.assert_array_equal(done.scores(id, "refine.crf"), scores)
        label = done.label(id)
        assert label.dtype == np.uint8
        np.testing.assert_array_equal(
            label, np.asarray(Image.open(of_cache(done, "label") / f"{id}.png"))
        )
        sure = label != 255
        np.testing.assert_array_equal(label[sure], scores.argmax(0)[sure])
        assert (scores.max(0)[sure] > 0).all()


def test_the_classifier_takes_photos_and_batches(done: wsssbench.Run) -> None:
    photos = [done.image(id) for id in done.ids()[:2]]
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    batch = torch.from_numpy(np.stack([(photo / 255 - mean) / std for photo in photos]))
    batch = batch.permute(0, 3, 1, 2).float()
    bare = done.artefacts.artefact("classify").build().eval()
    classifier = done.classifier()
    with torch.no_grad():
        wanted, both = bare(batch), classifier(batch)
        one = classifier(photos[1])
    assert both.logits.shape == (2, 8)
    torch.testing.assert_close(both.logits, wanted.logits)
    torch.testing.assert_close(both.maps, wanted.maps)
    torch.testing.assert_close(one.logits, wanted.logits[1:], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(classifier(batch.numpy()).logits, both.logits)
    for wrong in (photos[0].astype(np.float32), batch[0], batch.to(torch.uint8), batch[:, :2]):
        with pytest.raises(UserError, match="normalised float32 ones"):
            classifier(wrong)


def test_a_classifier_of_other_components_says_so(done: wsssbench.Run, tmp_path: Path) -> None:
    shutil.copytree(done.directory.parents[2], tmp_path / "work")
    opened = wsssbench.open_run(tmp_path / "work" / "runs" / "tiny" / done.directory.name)
    directory = opened.artefacts.directories["classify"]
    manifest = json.loads((directory / "manifest.json").read_text())
    manifest["config"]["classifier"]["erasing"] = [{"type": "AEFT", "activation": "sigmoid"}]
    del manifest["seal"]  # as earlier versions wrote it
    copy = tmp_path / "work" / "cache" / "classify" / directory.name
    (copy / "manifest.json").write_text(json.dumps(manifest))
    opened.artefacts.directories["classify"] = copy  # type: ignore[index]
    with pytest.raises(UserError, match=r"'activation' is no parameter any more.*run it again"):
        opened.classifier()


@pytest.mark.parametrize(
    ("ask", "sentence"),
    [
        (lambda run: run.cam("nope"), "stage cam of run .* has nothing of an image 'nope'"),
        (lambda run: run.label("val_00000"), "has nothing of an image 'val_00000'"),
        (lambda run: run.cam("train_00000", "crf"), "makes scores, not CAMs"),
        (lambda run: run.scores("train_00000", "rw"), "unknown stage 'rw'"),
        (lambda run: run.prediction("val_00000"), "unknown stage 'predict'"),
        (lambda run: run.classifier("cam"), "stage cam of run .* makes CAMs, not a"),
        (lambda run: run.image("nope"), "nope"),
    ],
)
def test_what_a_run_does_not_have(
    done: wsssbench.Run, ask: Callable[[wsssbench.Run], Any], sentence: str
) -> None:
    with pytest.raises(UserError, match=sentence):
        ask(done)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"set": {"classifier.poling": "GAP"}}, "did you mean"),
        ({"set": "classifier.poling=GAP"}, "did you mean"),
        ({"set": ["classifier.pooling"]}, "key.subkey=value"),
        ({"until": "camm"}, "camm"),
        ({"force": "camm"}, "camm"),
        ({"seed": "first"}, "seed"),
        ({"device": "tpu"}, "auto, cpu or cuda"),
        ({"workers": -1}, "workers=-1 has to be int >= 1 and <= 1024"),
        ({"workers": 1.5}, r"workers=1\.5 has to be int"),
        ({"workers": True}, "workers=True has to be int"),
        ({"workers": "two"}, "workers='two' has to be int"),
        ({"until": 3}, r"until=3 has to be str \| None"),
        ({"force": 3}, "force=3 has to be"),
        ({"force": [3]}, r"force=\[3\] has to be"),
        ({"set": 3}, "set=3 has to be"),
        ({"set": [None]}, r"set=\[None\] has to be"),
        ({"device": 3}, "auto, cpu or cuda"),
        ({"work_dir": None}, "work_dir=None has to be str"),
        ({"smoke": "perhaps"}, "smoke='perhaps' has to be bool"),
        ({"config": None}, "config=None has to be str"),
        ({"config": 3}, "config=3 has to be str"),
        ({"seed": 1, "set": "seed=2"}, "the seed is given twice"),
        ({"seed": True}, "seed=True has to be int"),
        ({"set": ["cam.flip=true", "cam.flip=false"]}, "is given 2 times"),
        ({"force": "label", "until": "cam"}, "--force label has no effect, since --until cam"),
        ({"limit": 0}, "--limit 0: has to be at least 1"),
        ({"limit": "few"}, "limit='few' has to be int"),
    ],
)
def test_wrong_arguments_of_a_run(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        wsssbench.run(**{"config": CONFIG, "work_dir": tmp_path, **changes})


def test_folders_that_are_no_runs(tmp_path: Path) -> None:
    for ask in (wsssbench.open_run, wsssbench.compare):
        for wrong in (tmp_path, None, 3):
            with pytest.raises(UserError):
                ask(wrong)
    with pytest.raises(UserError, match=r"unknown config 'no\.py'"):
        wsssbench.run(tmp_path / "no.py")


def test_overrides_are_those_of_the_command_line(done: wsssbench.Run) -> None:
    """A bare name keeps the parameters, and what is the same is reused."""
    for given in (
        {"classifier.pooling": "GPP"},
        "classifier.pooling=GPP",
        ["classifier.pooling=GPP"],
    ):
        run = wsssbench.run(
            CONFIG, set=given, work_dir=done.directory.parents[2], until="cam", workers=1
        )
        assert run.config["classifier"]["pooling"]["bins"] == (2,)
        assert run.ladder() == done.ladder()[:1]
        assert all(time.reused for time in run.result.times)


def test_comparing(done: wsssbench.Run) -> None:
    rows = wsssbench.compare(done.directory, rung="CAM")
    assert json.loads(json.dumps(rows)) == rows
    assert {row["row"] for row in rows} == {"tiny"}
    (miou,) = (row["mean"] for row in rows if row["metric"] == "miou")
    assert miou == pytest.approx(done.ladder()[0]["miou"])
    with pytest.raises(UserError, match="unknown option 'rungs': did you mean rung"):
        wsssbench.compare(done.directory, rungs="CAM")
    with pytest.raises(UserError, match="nothing to compare"):
        wsssbench.compare()


SCRIPT = """
import wsssbench
from wsssbench.parallel import jobs
from test_api import CONFIG

print("begins")
started = []
pool = jobs.worker_pool
jobs.worker_pool = lambda *given: started.append(given) or pool(*given)
jobs._POOL_FROM = 1
run = wsssbench.run(CONFIG, work_dir="work", until="cam", force="cam", workers=2)
assert len(started) == 1
print(run.cam("train_00000").shape, len(run.ladder()))
"""


@pytest.mark.slow  # the quick set has it for a job alone, in tests/parallel/test_jobs.py
@pytest.mark.parametrize("words", ["script.py", "-"], ids=["script", "standard input"])
def test_a_script_needs_no_guard(done: wsssbench.Run, tmp_path: Path, words: str) -> None:
    """Several processes make the CAMs, the script begins once, and nothing else is printed."""
    shutil.copytree(done.directory.parents[2], tmp_path / "work")
    (tmp_path / "script.py").write_text(SCRIPT)
    paths = [str(path) for path in sys.path if path]
    process = subprocess.run(
        [sys.executable, words], input=SCRIPT, capture_output=True, text=True, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
    )  # fmt: skip
    assert (process.returncode, process.stdout) == (0, "begins\n(8, 64, 64) 1\n"), process
    assert process.stderr == ""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks in ``gt``, label maps in ``png`` and CAMs in ``cam`` of three images, with an unlisted mask more."""
    root = tmp_path_factory.mktemp("files")
    rng = np.random.default_rng(4)
    for name in ("gt", "png", "cam"):
        (root / name).mkdir()
    (root / "list.txt").write_text("\n".join(IDS) + "\n")
    for id in IDS:
        write_label(root / "gt" / f"{id}.png", rng.choice([0, 0, 1, 2, 255], SIZE).astype(np.uint8))
        write_label(root / "png" / f"{id}.png", rng.choice([0, 1, 2, 255], SIZE).astype(np.uint8))
        maps = rng.random((2, *SIZE), np.float32) * np.float32(0.7)
        write_cam(root / "cam" / f"{id}.npz", Cam(np.array([1, 2], np.uint8), maps, SIZE))
    return root


def masks(files: Path) -> dict[str, np.ndarray]:
    return {id: np.asarray(Image.open(files / "gt" / f"{id}.png")) for id in IDS}


def test_label_maps_are_scored_as_spelt_out(files: Path) -> None:
    truth = masks(files)
    wanted = scores_of(
        (np.asarray(Image.open(files / "png" / f"{id}.png")), truth[id]) for id in IDS
    )
    with pytest.raises(UserError, match="has to list the foreground classes only"):
        wsssbench.evaluate(files / "png", files / "gt", classes=["background", "cat", "dog"])
    found = wsssbench.evaluate(files / "png", files / "gt", classes=["cat", "dog"])
    for name in ("miou", "precision", "recall"):
        assert found[name] == pytest.approx(wanted[name])
    names = dict(enumerate(["background", "cat", "dog"]))
    assert found["iou"] == pytest.approx({names[k]: v for k, v in wanted["iou"].items()})
    assert (found["images"], found["threshold"], found["curve"]) == (3, None, [])


def test_cams_are_scored_as_spelt_out(files: Path) -> None:
    truth = masks(files)
    pairs = []
    for id in IDS:
        with np.load(files / "cam" / f"{id}.npz") as stored:
            maps = stored["maps"]
        maps = maps / np.float32(255) if maps.dtype == np.uint8 else maps.astype(np.float32)
        whole = {number: bilinear(plane, SIZE) for number, plane in enumerate(maps, 1)}
        pairs.append((predicted_at(whole, 0.3, SIZE), truth[id]))
    found = wsssbench.evaluate(files / "cam", files / "gt", IDS, format="cam", threshold=0.3)
    assert found["miou"] == pytest.approx(scores_of(pairs)["miou"])
    assert (found["threshold"], found["threshold_choice"]) == (0.3, "fixed")


@pytest.mark.parametrize(
    ("form", "options", "arguments"),
    [
        ("png", {}, []),
        ("cam", {}, []),
        (
            "cam",
            {"threshold": 0.35, "num_classes": 3},
            ["--threshold", "0.35", "--num-classes", "3"],
        ),
        ("cam", {"thresholds": (0.1, 0.5, 0.1)}, ["--thresholds", "0.1:0.5:0.1"]),
    ],
)
def test_the_command_line_says_the_same(
    files: Path, tmp_path: Path, form: str, options: dict[str, Any], arguments: list[str]
) -> None:
    listed = files / "list.txt"
    outcome = call(
        "evaluate", "--pred", files / form, "--gt", files / "gt", "--list", listed,
        "--format", form, "--json", tmp_path / "scores.json", *arguments,
    )  # fmt: skip
    assert outcome.code == 0, outcome
    theirs = json.loads((tmp_path / "scores.json").read_text())
    assert theirs.pop("split_list") == str(listed)
    for ids in (listed, IDS, None):
        assert wsssbench.evaluate(files / form, files / "gt", ids, format=form, **options) == theirs


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"format": "pngs"}, "unknown format 'pngs': did you mean png"),
        ({"ids": []}, "ids is empty"),
        ({"ids": ["z"]}, "no mask for 1 images of the list, the first is z.png"),
        ({"ids": "no/such/list.txt"}, "list.txt"),
        ({"threshold": 0.3}, "label maps need no threshold"),
        ({"format": "cam", "threshold": 3.0}, "threshold 3.0: has to be in"),
        ({"format": "cam", "threshold": 0.3, "thresholds": (0, 1, 0.1)}, "exclude each other"),
        ({"format": "cam", "thresholds": (0, 1, 0)}, "0 <= first <= last <= 1"),
        ({"classes": ["cat"]}, "the label 2, but there are 1 classes"),
        ({"classes": ["cat"], "num_classes": 2}, "num_classes 2, but classes has 1 names"),
        ({"num_classes": 0}, "num_classes 0: has to be from 1 to 254"),
    ],
)
def test_wrong_arguments_of_an_evaluation(
    files: Path, options: dict[str, Any], sentence: str
) -> None:
    folder = options.get("format", "png")
    with pytest.raises(UserError, match=sentence):
        wsssbench.evaluate(files / folder, files / "gt", **options)


def test_folders_that_cannot_be_scored(files: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        wsssbench.evaluate(files / "png", files / "none")
    with pytest.raises(UserError, match=r"has no \.png file"):
        wsssbench.evaluate(files / "png", tmp_path)
    with pytest.raises(UserError, match="no prediction for 3 images"):
        wsssbench.evaluate(tmp_path, files / "gt")
