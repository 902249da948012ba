"""``wsssbench run``: what is wrong shows in one sentence before any work; ``--dry-run`` computes nothing."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import call, refused
from mini_devkit import experiment_on, make_devkit, write_config
from PIL import Image

from wsssbench.datasets import check as data_check
from wsssbench.experiment import plan as planning
from wsssbench.experiment import run as pipeline
from wsssbench.files import atomic
from wsssbench.files.images import write_label
from wsssbench.stages import classify

STAGES = [
    "classify", "cam", "evaluate.cam", "refine.crf", "evaluate.crf", "fit.rw", "refine.rw",
    "evaluate.rw", "label", "evaluate.label",
]  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_devkit(tmp_path)


@pytest.fixture
def config(root: Path) -> Path:
    return write_config(root.parent, experiment_on(root))


@pytest.fixture
def run(config: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The sentence with which a run with these options is refused, before anything is computed."""

    def no_work(*_: Any) -> None:
        raise AssertionError("a stage was started")

    monkeypatch.setattr(pipeline, "_run_step", no_work)
    work_dir = config.parent / "work"

    def refuse(*options: object) -> str:
        sentence = refused("run", config, "--work-dir", work_dir, "--device", "cpu", *options)
        assert not (work_dir / "cache").exists()
        return sentence

    return refuse


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--set", "classifier.poling=GAP"], ["'poling'", "did you mean pooling"]),
        (["--set", "clasifier.pooling=GAP"], ["'clasifier'", "did you mean classifier"]),
        (["--set", "classifier.pooling.bin=(2,)"], ["'bin'", "did you mean bins"]),
        (["--set", "classifier.pooling=GPPP"], ["unknown pooling 'GPPP'", "did you mean GPP"]),
        (["--set", "classifier.schedule.lr=fast"], ["lr='fast' has to be float"]),
        (["--set", "classifier.schedule.epoch=3"], ["'epoch'", "did you mean epochs"]),
        (
            ["--set", "+refine.rw.schedule.epoch=3"],
            ["refine.rw.schedule", "'epoch'", "did you mean epochs"],
        ),
        (["--set", "+refine.rw.backbone.weight='x'"], ["'weight'", "did you mean weights"]),
        (["--set", "label.input=walk"], ["label.input: unknown artefact 'walk': known: cam, "]),
        (
            ["--set", "label.confidence=5"],
            ["label (labelling FromScores): confidence=5", ">= 0 and <= 1"],
        ),
        (["--set", "+evaluate.thresholds=(0.6, 0.0, 0.1)"], ["evaluate.thresholds"]),
        (["--set", "nonsense"], ["of the form key.subkey=value"]),
        (["--set", "seed=abc"], ["seed='abc' has to be int"]),
        (["--set", "seed=-1"], ["seed=-1"]),
        (["--seeds", "x"], ["--seeds x", "0,1,2"]),
        (["--seeds", "0,"], ["--seeds 0,"]),
        (["--seeds", "1,1"], ["twice"]),
        (["--seeds", "0,-1"], ["seed=-1"]),
        (["--force", "camm"], ["--force", "unknown stage 'camm'", "did you mean cam"]),
        (["--until", "labl"], ["--until", "unknown stage 'labl'", "did you mean label"]),
        (["--limit", "0"], ["--limit"]),
        (["--set", "splits.train=trian"], ["unknown split 'trian'", "did you mean train"]),
        (["--set", "classifier.backbone.weights=no.pth"], ["no.pth"]),
    ],
)
def test_wrong_options(run: Callable[..., str], options: list[str], words: list[str]) -> None:
    sentence = run(*options)
    for word in words:
        assert word in sentence


def test_devices_that_are_not_there(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    arguments = ("run", config, "--work-dir", config.parent / "work", "--device")
    assert "no CUDA device" in refused(*arguments, "cuda")
    assert refused(*arguments, "gpu") == "--device gpu: has to be auto, cpu or cuda"


def test_configs_that_cannot_be_read(tmp_path: Path, config: Path) -> None:
    assert "unknown config 'mini2.py': did you mean mini.py?" in refused(
        "run", tmp_path / "mini2.py"
    )
    broken = tmp_path / "broken.py"
    broken.write_text("name = (\n")
    work = ("--work-dir", tmp_path / "work")
    assert "broken.py cannot be read: " in refused("run", broken, *work)
    broken.write_text("name = 'x'\n")
    assert "has to be given" in refused("run", broken, *work)
    (tmp_path / "config.yaml").write_text("name: x\n")
    assert "is not a Python config" in refused("run", tmp_path / "config.yaml", *work)


def test_a_work_dir_that_is_a_file(config: Path) -> None:
    assert "cannot be used" in refused("run", config, "--dry-run", "--work-dir", config)


def test_devkits_that_are_not_there(run: Callable[..., str], root: Path) -> None:
    assert "root '/nowhere' does not exist" in run("--set", "data.root=/nowhere")
    assert f"did you mean {root}" in run("--set", f"data.root={root.parent}")
    assert "labels file" in run("--set", "data.labels=no.csv")


def test_lists_that_cannot_be_used(run: Callable[..., str], root: Path) -> None:
    train = root / "ImageSets/Segmentation/train.txt"
    train.write_text("2007_000001\n2007_999999\n")
    with (root / "labels.csv").open("a") as labels:
        labels.write("2007_999999,cat\n")
    assert "1 of 2 images of split 'train' cannot be used: '2007_999999'" in run()
    train.write_text("\n")
    assert f"list {train} is empty" in run()
    train.unlink()
    assert "unknown split 'train'" in run()


def test_images_and_masks_that_cannot_be_used(run: Callable[..., str], root: Path) -> None:
    mask = root / "SegmentationClass/2007_000002.png"
    write_label(mask, np.zeros((48, 50), np.uint8))
    sentence = run()
    assert "1 masks of split 'train' differ in size from their images: '2007_000002'" in sentence
    assert "2007_000002.png is 50 x 48, but its image is 48 x 48 pixels" in sentence
    write_label(mask, np.full((48, 48), 21, np.uint8))
    assert f"mask {mask} has the label 21, but there are 20 classes" in run()
    Image.new("RGB", (48, 48)).save(mask)
    assert "is a colour image" in run()
    mask.unlink()
    assert f"mask {mask} does not exist" in run()
    image = root / "JPEGImages/2007_000003.jpg"
    image.write_bytes(b"no image")
    assert f"image {image} cannot be read: it is not an image" in run()


def test_class_lists_of_another_length(run: Callable[..., str], root: Path) -> None:
    option = "+data.classes=" + repr(tuple(f"class{i}" for i in range(12)))
    assert "has the label 15, but classes are 1..12" in run("--set", option)
    vectors: Any = {id: np.ones(20) for id in ("2007_000001", "2007_000002", "2007_000003")}
    np.save(root / "cls.npy", vectors, allow_pickle=True)
    sentence = run("--set", option, "--set", "+data.labels=cls.npy")
    assert "shape (20,)" in sentence and "12 classes" in sentence
    assert "'cat' twice" in run("--set", "+data.classes=('cat', 'cat')")


def test_masks_are_looked_through_once(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only before a training: what is planned beside a trained classifier starts at once."""
    looked: list[str] = []
    monkeypatch.setattr(
        data_check, "check_masks", lambda _, split, *more: looked.append(split) or []
    )
    monkeypatch.setattr(planning, "state_of", lambda entry, contents: ("reused", ""))
    arguments = ("run", config, "--dry-run", "--work-dir", config.parent / "work")
    assert call(*arguments).code == 0 and looked == []
    monkeypatch.setattr(planning, "state_of", lambda entry, contents: ("computed", ""))
    assert call(*arguments).code == 0 and looked == ["train"]


def test_an_image_that_ends_early_is_named(config: Path, root: Path) -> None:
    """Its header is fine, so that it shows when it is read."""
    image = root / "JPEGImages/2007_000003.jpg"
    image.write_bytes(image.read_bytes()[:800])
    sentence = refused("run", config, "--work-dir", config.parent / "work", "--device", "cpu")
    assert f"image {image} cannot be read: " in sentence and "lacks the end of a JPEG" in sentence


def test_a_full_disk(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "somewhere")

    arguments = ("run", config, "--work-dir", config.parent / "work", "--device", "cpu")
    with monkeypatch.context() as patch:
        patch.setattr(classify, "train", full)
        sentence = refused(*arguments)
    assert sentence.startswith("the disk is full while writing somewhere: free some space")
    monkeypatch.setattr(atomic.os, "replace", full)
    assert "no space left on the disk" in refused(*arguments)


def test_ctrl_c_says_how_to_go_on(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(pipeline, "_run_step", stop)
    outcome = call("run", config, "--work-dir", config.parent / "work", "--device", "cpu")
    assert outcome.code == 130 and "the same command again continues" in outcome.err


def test_a_dry_run_shows_every_stage_and_computes_nothing(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_dir = config.parent / "work"
    arguments = ("run", config, "--work-dir", work_dir, "--dry-run")
    outcome = call(*arguments)
    assert (outcome.code, outcome.err) == (0, "")
    rows = [
        line.split() for line in outcome.out.splitlines() if re.search(r"[0-9a-f]{16} *$", line)
    ]
    assert [row[0] for row in rows] == STAGES
    assert outcome.out.count("computed") == len(STAGES)
    assert not (work_dir / "cache").exists() and not (work_dir / "runs").exists()
    some = call(*arguments, "--until", "crf", "--seeds", "0,1").out
    assert "tiny, seed 0" in some and "tiny, seed 1" in some and "label" not in some
    assert some.count("refine.crf") == 2  # two seeds; what a stage reads needs a wider terminal
    monkeypatch.setenv("COLUMNS", "120")
    wide = call(*arguments, "--until", "crf").out
    assert wide.count("refine.crf") == 2  # as a stage, and as what evaluate.crf reads
