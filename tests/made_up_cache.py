"""Runs on generated scenes whose artefacts are in a cache, as the pipeline leaves them: no training needed."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
from tiny_experiment import TINY

from wsssbench.datasets.synthetic.dataset import SyntheticScenes
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.image_counts import write_image_counts
from wsssbench.experiment.config import config_text, resolve
from wsssbench.files.artefacts import write_cam, write_scores
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam, Scores
from wsssbench.progress import Silent
from wsssbench.results.run import Evaluation, Point, RunResult, to_json
from wsssbench.results.run_files import image_counts_path

SIZE = 64
RUNGS = {"cam": ("CAM", "train"), "refine.crf": ("+ CRF", "train"), "predict": ("DeepLab", "val")}
TITLES = {"refine.crf": "+ CRF", "refine.rw": "+ random walk"}


def write_cached_run(work: Path, name: str = "tiny", seed: int = 0, **config: Any) -> Path:
    """A run in ``work/runs/<name>``, whose results are in ``work/cache``; the data set is shared by all.

    Args:
        config: sections that replace those of the tiny experiment.
    """
    resolved = resolve({**copy.deepcopy(TINY), "name": name, "seed": seed, **config})
    places = {"data": work / "cache" / "generate" / "scenes"}
    dataset = SyntheticScenes(**{k: v for k, v in resolved["data"].items() if k != "type"})
    if not places["data"].is_dir():
        (places["data"] / "dataset").mkdir(parents=True)
        dataset.generate(places["data"] / "dataset", Silent())
    dataset = dataset.at(places["data"] / "dataset")
    for node in ("cam", "refine.crf", "refine.rw", "label", "predict"):
        kind = {"cam": "infer_cams"}.get(node, node.partition(".")[0])
        places[node] = work / "cache" / kind / f"{name}-{seed}-{node}"
        places[node].mkdir(parents=True)
    rng = np.random.default_rng([seed, len(name)])
    for id in dataset.ids("train"):
        _write_artefacts(places, id, rng)
    for part, ids in (("val", dataset.ids("val")), ("gallery", dataset.ids("train")[:1])):
        (places["predict"] / part).mkdir()
        for id in ids:
            write_label(places["predict"] / part / f"{id}.png", _label(rng))
    refinement = {"type": "DenseCRF", "preset": "psa"}
    config_of_all = {"split": "val", "cam": resolved["cam"], "refinement": refinement}
    for place in places.values():
        (place / "manifest.json").write_text(json.dumps({"config": config_of_all}))
    return _write_run(work, name, seed, resolved, places, dataset, rng)


def _write_artefacts(places: dict[str, Path], id: str, rng: np.random.Generator) -> None:
    classes = np.array([2, 5], np.uint8)
    maps = rng.random((2, 8, 8)).astype(np.float32)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    write_cam(places["cam"] / f"{id}.npz", Cam(classes, maps, (SIZE, SIZE)))
    for node in ("refine.crf", "refine.rw"):
        planes = rng.random((3, SIZE, SIZE)).astype(np.float32)
        write_scores(places[node] / f"{id}.npz", Scores(classes, planes, (SIZE, SIZE)))
    write_label(places["label"] / f"{id}.png", _label(rng))


def _label(rng: np.random.Generator) -> np.ndarray:
    return rng.choice([0, 2, 5, 255], (SIZE, SIZE)).astype(np.uint8)


def _write_run(
    work: Path,
    name: str,
    seed: int,
    config: dict[str, Any],
    places: dict[str, Path],
    dataset: SyntheticScenes,
    rng: np.random.Generator,
) -> Path:
    run = work / "runs" / name / f"{seed:08x}-seed{seed}"
    (run / "image_counts").mkdir(parents=True)
    rungs = []
    for node, (title, split) in RUNGS.items():
        ids = dataset.ids(split)
        true = rng.integers(50, 100, (len(ids), len(dataset.classes) + 1)).astype(np.int32)
        correct = (true * rng.random(true.shape)).astype(np.int32)
        write_image_counts(
            image_counts_path(run, node), ids, {"chosen": ClassCounts(correct, true, true)}
        )
        point = Point(*(100 * rng.random(3)).tolist(), 0.4 if node == "cam" else None)
        card: dict[str, Any] = {"dataset": "SyntheticScenes", "split": split, "seed": seed}
        card |= {"threshold": point.threshold, "threshold_choice": "fixed"}
        rungs.append(Evaluation(title, node, split, point, card=card))
    text = config_text(config)
    result = RunResult(
        name, run.name, text, rungs, [], class_names=list(dataset.classes), created="2026-03-01"
    )
    (run / "metrics.json").write_text(to_json(result), encoding="utf-8")
    (run / "config.py").write_text(text, encoding="utf-8")
    stages = {
        node: {"hash": place.name, "directory": str(place), "title": TITLES.get(node, "")}
        for node, place in places.items()
    }
    (run / "run.json").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    return run
