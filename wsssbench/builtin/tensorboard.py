"""Results to TensorBoard: ``tensorboard --logdir work/runs`` shows every run, by the ``after_stage`` hook.

A plugin like any other (entry point ``tensorboard``). It writes into ``tensorboard/`` of the run's folder, one event
file per stage, whose name ends in the stage's: the scores of an evaluation and its threshold curve, what a training
logged, time and memory. The same command again writes nothing twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wsssbench.hookspecs import hookimpl

FIGURES = {"miou": "mIoU", "precision": "precision", "recall": "recall"}
CURVE_STEPS = 1000  # TensorBoard's axis has whole numbers only: thresholds are in thousandths


@hookimpl
def after_stage(node: str, directory: str, result: dict[str, Any], run: dict[str, Any]) -> None:
    """Write a stage's event file, unless a reused stage has one already."""
    folder = Path(run["directory"]) / "tensorboard"
    suffix = f".{node}"
    earlier = [path for path in folder.glob("events.*") if path.name.endswith(suffix)]
    if earlier and result["reused"]:
        return
    scalars = list(_scalars(node, Path(directory), result, run["title"] or node))
    if not scalars:
        return
    for path in earlier:
        path.unlink()
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(folder), filename_suffix=suffix)
    for tag, value, step in scalars:
        writer.add_scalar(tag, value, step)
    writer.close()


def _scalars(
    node: str, directory: Path, result: dict[str, Any], title: str
) -> Iterator[tuple[str, float, int]]:
    """(tag, value, step) of all there is to say about a stage."""
    for name, what in (("seconds", "time (s)"), ("peak_mib", "peak memory (MiB)")):
        if result.get(name) is not None:
            yield f"{what}/{node}", float(result[name]), 0
    for choice in ("chosen", "oracle"):
        point = result.get(choice)
        if isinstance(point, dict):
            yield from _scores(title if choice == "chosen" else f"{title} (oracle)", point)
    chosen = result.get("chosen")
    for point in chosen["curve"] if isinstance(chosen, dict) else ():
        step = round(CURVE_STEPS * point["threshold"])
        for key, figure in FIGURES.items():
            yield f"threshold curve/{title} {figure}", float(point[key]), step
    yield from _training(node, directory / "scalars.jsonl")


def _scores(title: str, point: dict[str, Any]) -> Iterator[tuple[str, float, int]]:
    for key, figure in FIGURES.items():
        yield f"{figure}/{title}", float(point[key]), 0


def _training(node: str, path: Path) -> Iterator[tuple[str, float, int]]:
    """What a training logged, per iteration."""
    if not path.is_file():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        logged = json.loads(line)
        for name, value in logged.items():
            if name != "iteration":
                yield f"{node}/{name}", float(value), int(logged["iteration"])
