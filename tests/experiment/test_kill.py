"""kill -9 in the middle of every kind of stage, the same command again: the end is as if nothing had happened."""

from __future__ import annotations

import os
import shutil
import time
import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from tiny_experiment import TINY
from warm_processes import WarmProcess

from wsssbench.experiment.config import config_text

SIDE_NOTES = {"manifest.json", "intent.json", "libraries.log", "scalars.jsonl"}  # they hold times
SEGMENTER = """
segmenter = dict(
    type="DeepLab", head="largefov", backbone=dict(type="EfficientNetLite0", weights="imagenet"),
    channels=16, crop=64, schedule=dict(batch_size=3, iterations=4, checkpoint_every=1, lr=0.01),
)
"""


def start(config: Path, work_dir: Path, *extra: str) -> WarmProcess:
    """``wsssbench run`` in a process of its own; several may run at once."""
    output = work_dir.with_name(f"output of {work_dir.name} {uuid.uuid4()}.txt")
    arguments = ("run", config, "--work-dir", work_dir, *extra)
    return WarmProcess("wsssbench", *arguments, output=output)


def finish(config: Path, work_dir: Path, *extra: str) -> str:
    process = start(config, work_dir, *extra)
    assert process.wait() == 0, process.output
    return process.output


def kill_when(config: Path, work_dir: Path, pattern: str, count: int, *extra: str) -> None:
    """Start the run and kill it, workers and all, as soon as `count` files match `pattern`."""
    process = start(config, work_dir, *extra)
    # with less of the processor than this test has, it cannot end before it is looked at
    os.setpriority(os.PRIO_PROCESS, process.pid, 10)
    try:
        while len(list((work_dir / "cache").glob(pattern))) < count:
            assert not process.ended(), process.output
            time.sleep(0.002)
    finally:
        process.kill()


def results(work_dir: Path) -> dict[str, bytes]:
    """Every artefact by its place in the cache."""
    root = work_dir / "cache"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in SIDE_NOTES and "checkpoint" not in str(path)
    }


def config_file(tmp_path: Path, images: int, extra: str = "") -> Path:
    config = tmp_path / "tiny.py"
    data = {**TINY["data"], "train_images": images}
    config.write_text(config_text({**TINY, "data": data}) + extra)
    return config


def check_same(unbroken: Path, broken: Path) -> None:
    expected, found = results(unbroken), results(broken)
    assert list(found) == list(expected)
    assert [name for name in expected if found[name] != expected[name]] == []


def check_kills(
    tmp_path: Path, config: Path, kills: Sequence[tuple[str, int]], *extra: str
) -> None:
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    finish(config, unbroken, "--workers", "1", *extra)
    for number, (pattern, count) in enumerate(kills):
        kill_when(config, broken, pattern, count, "--workers", str(1 + number % 2), *extra)
    finish(config, broken, "--workers", "2", *extra)
    check_same(unbroken, broken)


def test_a_killed_per_image_stage_ends_byte_identical(tmp_path: Path) -> None:
    """By one process; the slow test has several, and ``tests/parallel/test_jobs.py`` has them for a job alone."""
    config = config_file(tmp_path, 24)
    unbroken, broken = tmp_path / "unbroken", tmp_path / "broken"
    options = ("--workers", "1", "--set", "classifier.schedule.epochs=0.2")
    finish(config, unbroken, *options, "--until", "classify")
    shutil.copytree(unbroken, broken)
    finish(config, unbroken, *options, "--until", "cam")
    kill_when(config, broken, "infer_cams/*/*.npz", 5, *options, "--until", "cam")
    assert "images are done already" in finish(config, broken, *options, "--until", "cam")
    check_same(unbroken, broken)


@pytest.mark.slow
def test_kill_in_every_kind_of_stage(tmp_path: Path) -> None:
    config = config_file(tmp_path, 70, SEGMENTER)
    kills = [
        ("generate/*/partial/*/*.jpg", 3),
        ("classify/*/*checkpoint*", 1),
        ("infer_cams/*/*.npz", 5),
        ("refine/*/*.npz", 5),
        ("fit/*/labels/*.png", 5),
        ("fit/*/*checkpoint*", 1),
        ("refine/*/*.npz", 100),
        ("label/*/*.png", 5),
        ("segment/*/*checkpoint*", 1),
        ("predict/*/val/*.png", 1),
    ]
    check_kills(tmp_path, config, kills)


@pytest.mark.slow
def test_kill_in_a_later_round(tmp_path: Path) -> None:
    """In the second round's training, and in what the third one reads of it."""
    classifier = {
        **TINY["classifier"],
        "erasing": [{"type": "SubCategory", "clusters": "previous.clusters", "weight": 0.0001}],
        "schedule": {"batch_size": 3, "iterations": 4, "checkpoint_every": 1, "lr": 0.01},
    }
    clusters = {"type": "Cluster", "classifier": "classify"}
    added = {"rounds": 3, "stages": {"clusters": clusters}}
    config = tmp_path / "rounds.py"
    plain = {key: TINY[key] for key in ("seed", "data", "cam")}
    config.write_text(config_text({"name": "rounds", **plain, "classifier": classifier, **added}))
    kills = [
        ("custom/*/clusters.json", 1),
        ("classify/*/*checkpoint*", 1),
        ("custom/*/clusters.json", 2),
        ("classify/*/*checkpoint*", 1),
    ]
    methods = Path(__file__).with_name("methods_with_rounds.py")
    output = check_kills(tmp_path, config, kills, "--plugin", str(methods))
    assert "round 2: CAM" in output
