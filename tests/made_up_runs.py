"""Runs and sweeps on disk as the pipeline leaves them, with made-up counts per image: no training needed."""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion import metrics_of_counts
from wsssbench.evaluation.image_counts import write_image_counts
from wsssbench.results.run import Evaluation, Point, RunResult, to_json
from wsssbench.results.run_files import image_counts_path
from wsssbench.results.sweep_record import Paper, Row, Status, Sweep, SweepCell

CLASSES = ["cat", "dog", "sofa", "tree"]
RUNGS = {"cam": "CAM", "refine.crf": "+ CRF", "predict": "DeepLab val"}
CARD = {
    "dataset": "SyntheticScenes",
    "split": "train",
    "scales": "0.5, 1.0",
    "flip": True,
    "crf": "none",
    "initial weights": "ImageNet",
    "labels_at_inference": True,
}
CONFIG = {
    "name": "made_up",
    "seed": 0,
    "data": {"type": "SyntheticScenes", "seed": 0},
    "classifier": {
        "backbone": {"type": "EfficientNetLite0", "output_stride": 16},
        "pooling": {"type": "GAP"},
        "erasing": [],
        "schedule": {"lr": 0.01},
    },
    "refine": {"crf": {"type": "DenseCRF", "input": "cam"}},
}


@dataclass(frozen=True)
class Method:
    """What a made-up run is like.

    Attributes:
        accuracy: the share of true pixels that its CAMs find, about; refinement adds to it.
        nodes: its rungs.
        card: entries of its protocol card that are different.
        set: dotted path -> value in its config.
        images: it was scored on.
        classifier: the validation mAP of its classifier, per cent.
        by_threshold: by how much the best threshold is better than the chosen one.
    """

    accuracy: float = 0.6
    nodes: Sequence[str] = ("cam",)
    card: Mapping[str, Any] = field(default_factory=dict)
    set: Mapping[str, Any] = field(default_factory=dict)
    images: int = 40
    by_threshold: float = 0.02
    classifier: float | None = None


def config_of(method: Method, name: str, seed: int) -> dict[str, Any]:
    """CONFIG with the method's own values."""
    config: dict[str, Any] = {**CONFIG, "name": name, "seed": seed}
    config["classifier"] = dict(config["classifier"])
    for path, value in method.set.items():
        node = config
        *parents, last = path.split(".")
        for part in parents:
            node[part] = dict(node[part])
            node = node[part]
        node[last] = value
    return config


def counts(method: Method, seed: int, more: float) -> ClassCounts:
    """Counts of images whose truth is the same for every method; `more` is added to the accuracy."""
    shared = np.random.default_rng(5)
    shape = (method.images, len(CLASSES) + 1)
    true = shared.integers(100, 2000, shape) * (shared.random(shape) < 0.5)
    true[:, 0] = 3000
    easy = shared.normal(0, 0.08, (method.images, 1))
    own = np.random.default_rng([seed, zlib.crc32(repr(method.set).encode())])
    share = method.accuracy + more + easy + own.normal(0, 0.04, shape) + own.normal(0, 0.004)
    correct = (true * np.clip(share, 0, 1)).astype(np.int32)
    missed = (true - correct).sum(axis=1, keepdims=True)
    guessed = own.dirichlet(np.ones(shape[1]), method.images)
    return ClassCounts(
        correct, correct + (missed * guessed).astype(np.int32), true.astype(np.int32)
    )


def write_run(
    directory: Path,
    method: Method = Method(),
    seed: int = 0,
    name: str = "made_up",
    created: str = "2026-03-01T14:22:33+00:00",
    reference: Mapping[str, float] | None = None,
    trial: str = "",
    boundaries: bool = False,
) -> RunResult:
    """A finished run of `method` in `directory`; its label maps have `boundaries` unless it is from before these."""
    (directory / "image_counts").mkdir(parents=True, exist_ok=True)
    rungs = []
    for step, node in enumerate(method.nodes):
        choices = {"chosen": counts(method, seed, 0.05 * step)}
        if node == "cam":
            choices["oracle"] = counts(method, seed, method.by_threshold)
        elif boundaries:
            choices["boundary"] = counts(method, seed, -0.2)
        ids = [f"img{i:04}" for i in range(method.images)]
        write_image_counts(image_counts_path(directory, node), ids, choices)
        rungs.append(_rung(method, node, choices, seed))
    result = RunResult(
        name=name,
        run_id=directory.name,
        config_text="".join(f"{k} = {v!r}\n" for k, v in config_of(method, name, seed).items()),
        evaluations=rungs,
        times=[],
        created=created,
        reference=dict(reference or {}),
        class_names=CLASSES,
        trial=trial,
        figures={"classify": {"val mAP": method.classifier}} if method.classifier else {},
    )
    (directory / "metrics.json").write_text(to_json(result), encoding="utf-8")
    return result


def _rung(method: Method, node: str, choices: Mapping[str, ClassCounts], seed: int) -> Evaluation:
    card: dict[str, Any] = {**CARD, "images": method.images, "stage": node, "seed": seed}
    card |= {"threshold": 0.4, "threshold_choice": "fixed"}
    if node != "cam":
        card |= {"threshold": None, "threshold_choice": "none"}
    if node == "predict":
        card |= {"split": "val", "labels_at_inference": False}
    oracle = choices.get("oracle")
    return Evaluation(
        name=RUNGS.get(node, node),
        node=node,
        split=str(card["split"]),
        chosen=_point(choices["chosen"], 0.4 if node == "cam" else None),
        oracle=_point(oracle, 0.3 + 0.02 * seed) if oracle else None,
        card={**card, **method.card},
        boundary=_point(choices["boundary"], None) if "boundary" in choices else None,
    )


def _point(of: ClassCounts, threshold: float | None) -> Point:
    sums = ClassCounts(*(part.sum(axis=0) for part in (of.correct, of.predicted, of.true)))
    found = metrics_of_counts(sums)
    return Point(found.miou, found.precision, found.recall, threshold)


def write_sweep(
    work: Path,
    methods: Mapping[str, Method],
    seeds: Sequence[int] = (0, 1, 2),
    axes: Mapping[str, Mapping[str, str]] | None = None,
    paper: Mapping[str, Mapping[str, float]] | None = None,
    card: Mapping[str, Any] | None = None,
    baseline: str | None = None,
    unfinished: Mapping[tuple[str, int], Status] | None = None,
    name: str = "table",
    title: str = "Table 1: pooling",
    boundaries: Sequence[str] = (),
) -> Path:
    """A sweep of `methods`, by row, in ``work/sweeps/<name>`` and its runs in ``work/runs/<name>``.

    Args:
        axes: row -> axis -> value; by default the row is the only axis.
        paper: row -> published numbers; a row that is no method has these alone.
        card: the protocol of these.
        boundaries: the rows whose label maps have them.
        unfinished: (row, seed) -> the state of a cell without results.
    """
    directory = work / "sweeps" / name
    paper, unfinished, axes = paper or {}, unfinished or {}, axes or {}
    rows = [
        Row(row, axes.get(row, {"row": row}), paper.get(row, {}), row in methods)
        for row in dict.fromkeys([*methods, *paper])
    ]
    cells = []
    for number, (row, method) in enumerate(methods.items()):
        for seed in seeds:
            run = work / "runs" / name / f"{number:08x}-seed{seed}"
            state = unfinished.get((row, seed))
            impossible = state.reason if state and state.state == "impossible" else ""
            cells.append(
                SweepCell(
                    f"{number}-{seed}", row, seed, f"../../runs/{name}/{run.name}", impossible
                )
            )
            if state is None:
                write_run(run, method, seed, f"{name}-{number}", boundaries=row in boundaries)
    sweep = Sweep(
        directory=directory,
        name=name,
        title=title,
        created="2026-03-01T14:22:33+00:00",
        base="configs/aeft_synthetic.py",
        until=None,
        axes=tuple(dict.fromkeys(axis for row in rows for axis in row.axes)),
        baseline=baseline,
        paper=Paper("Yoon et al., ECCV 2022, Table 1", card or {}) if paper else None,
        rows=tuple(rows),
        cells=tuple(cells),
    )
    sweep.write()
    for cell in cells:
        if (state := unfinished.get((cell.row, cell.seed))) and state.state != "impossible":
            sweep.note(cell, state)
    return directory
