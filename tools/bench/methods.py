"""What a method costs beside GAP: a step of the classifier's training, and CAM inference of an image.

    python tools/bench/methods.py [--repeats 8] [--only ROW ...]    # docs/methods/cost.json, and cost.md from it

Rows are those of configs/methods.py on its base `part`, in float32. Every measurement of a row is beside one of GAP, in
turns, and the ratio is that of the medians; so other work on the machine is in both. A row that reads an earlier
training is not timed: what it takes more is that training.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from wsssbench.datasets.synthetic.dataset import SyntheticScenes
from wsssbench.experiment.config import read_config, resolve
from wsssbench.files.atomic import write_atomically
from wsssbench.interfaces import Photo, Photos
from wsssbench.models.classifier import build_classifier
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.stages.handles import photos_of
from wsssbench.sweep.cells import with_earlier
from wsssbench.sweep.matrix import Matrix, read_matrix
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything
from wsssbench.training.loading import ImageLabels, collate_views
from wsssbench.training.transforms import TrainTransform

REPOSITORY = Path(__file__).parents[2]
RECORD = REPOSITORY / "docs" / "methods" / "cost.json"
PLAIN = "GAP"
PROGRESS = 0.9  # of the schedule: every method has begun by then
KEYS = ("backbone", "pooling", "erasing", "objectives", "dropout", "hidden")
HEAD = """# What methods cost

Times beside those of GAP in the same run, {batch} images a step, {size} pixels a side, SmallResNet, float32, {repeats}
repeats in turns; {cpus} CPU cores, Python {python}, torch {torch}. GAP: {step:.0f} ms a step, {cam:.1f} ms for the CAM
of an image with one class. **Step**: forwards, losses and backwards, with every method begun, without loading images.
Networks are untrained, so RIB never stops early. Made by `python tools/bench/methods.py`.

| row | step | CAM of an image |
| --- | ---: | ---: |
"""
TAIL = "\nNot timed, since they read an earlier training or round, which comes on top: {}.\n"


class Row:
    """One row of the matrix, ready to be measured.

    Args:
        config: resolved, of the experiment.
        batch: as a training loads it.
        photos: that CAMs are made of.
        classes: K names.
    """

    def __init__(
        self,
        config: Mapping[str, Any],
        batch: Mapping[str, Any],
        photos: list[Photo],
        classes: tuple[str, ...],
    ) -> None:
        seed_everything(0)
        given = {key: config["classifier"][key] for key in KEYS if key in config["classifier"]}
        self.classifier = build_classifier(given, len(classes))
        self.task = ClassificationTask(self.classifier)
        others = {"photos": Photos(tuple(photos))} if "photos" in config["cam"] else {}
        self.cam = load().registries.cam.build({**config["cam"], **others}, classes)
        self.batch, self.photo = batch, photos[0]

    def step(self) -> None:
        self.task.train()
        torch.stack(list(self.task(self.batch, PROGRESS).terms.values())).sum().backward()
        self.task.zero_grad()

    def infer(self) -> None:
        self.cam.infer(self.classifier, self.photo)


def milliseconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def beside(
    plain: Callable[[], None], work: Callable[[], None], repeats: int
) -> tuple[float, float]:
    """Return the median milliseconds of `plain` and of `work`, which take turns; the first of each warm up."""
    times: tuple[list[float], list[float]] = ([], [])
    for repeat in range(repeats + 1):
        for one, of in zip((plain, work), times, strict=True):
            taken = milliseconds(one)
            if repeat:
                of.append(taken)
    return statistics.median(times[0]), statistics.median(times[1])


def timed(matrix: Matrix) -> Iterator[tuple[str, dict[str, Any] | None]]:
    """Yield the rows with their resolved configs, or None if they read an earlier training."""
    base = read_config(matrix.base)
    for row in matrix.rows:
        config = resolve(with_earlier(base, row))
        earlier = config.get("before") or config.get("rounds", 1) > 1
        yield row.name, None if earlier else config


def record(only: list[str], repeats: int, images: int) -> dict[str, Any]:
    """Measure the rows `only`, or all, on batches of `images`."""
    rows, left_out, plain = {}, [], None
    with tempfile.TemporaryDirectory() as folder:
        for name, config in timed(read_matrix(REPOSITORY / "configs" / "methods.py", base="part")):
            if config is None:
                left_out.append(name)
                continue
            crop = config["classifier"]["transform"]["crop"]
            if plain is None:
                scenes = SyntheticScenes(train_images=images, val_images=1, objects=(1, 1))
                scenes.generate(Path(folder), Silent())
                data = scenes.at(Path(folder))
                photos = list(photos_of(data, ("train",)))
                views = ImageLabels(photos, TrainTransform(crop=crop), seed=0)
                batch = collate_views([views[(i, i)] for i in range(images)])
                plain = Row(config, batch, photos, data.classes)
            if only and name not in only:
                continue
            row = Row(config, batch, photos, data.classes)
            step = beside(plain.step, row.step, repeats)
            cam = beside(plain.infer, row.infer, repeats)
            rows[name] = {"step": step[1] / step[0], "cam": cam[1] / cam[0]}
            rows[name] |= {"plain_step_ms": step[0], "plain_cam_ms": cam[0]}
            print(f"{name}: step {rows[name]['step']:.2f}, CAM {rows[name]['cam']:.2f}", flush=True)
    machine = {"cpus": os.cpu_count(), "python": platform.python_version()}
    machine |= {"torch": torch.__version__.partition("+")[0]}
    of = {"batch": images, "size": crop, "repeats": repeats, **machine}
    return {**of, "rows": rows, "left_out": left_out}


def page(found: Mapping[str, Any]) -> str:
    """The page as Markdown."""
    rows = found["rows"]
    plain = {
        key: statistics.median(row[f"plain_{key}_ms"] for row in rows.values())
        for key in ("step", "cam")
    }
    lines = [f"| {name} | {row['step']:.2f} | {row['cam']:.2f} |" for name, row in rows.items()]
    return (
        HEAD.format(**found, **plain)
        + "\n".join(lines)
        + "\n"
        + TAIL.format(", ".join(found["left_out"]))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--only", action="append", default=[], help="a row; only prints")
    given = parser.parse_args()
    found = record(given.only, given.repeats, images=32)
    if not given.only:
        write_atomically(RECORD, (json.dumps(found, indent=1) + "\n").encode())
        RECORD.with_suffix(".md").write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
