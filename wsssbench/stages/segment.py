"""segment: train the segmenter on the pseudo-labels; predict: its label maps, ``<split>/<id>.png``.

Config: segmenter (component), split; of predict also gallery (how many images of the training side are predicted for
pictures) and gallery_split.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from wsssbench.errors import UserError
from wsssbench.interfaces import Dataset, LabelMaps, SegmentationItem, TrainedSegmenter
from wsssbench.interfaces.requirements import need
from wsssbench.parallel import ranks
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries
from wsssbench.segmenters.settings import InitSettings, TestSettings
from wsssbench.stages import label
from wsssbench.stages.handles import LabelFiles
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    SplitUse,
    StageKind,
    StageWork,
    at_one_scale,
    distinct,
    ids_of,
    with_nested,
    with_precision,
    with_short_training,
)
from wsssbench.training.schedule import Schedule

NODE = "segment"
GALLERY = 8  # pictures per run
_FOLDER = "gallery"  # of the predictions for pictures
_TRAINING = "training"  # of those of the training side
_SECTION = "segmenter"
_TRAINED_ON = ": THE SEGMENTER IS SCORED ON IMAGES IT WAS TRAINED ON"
_NOT_UNSEEN = ": the test split is not unseen"
PREDICT = "predict"
PREDICTIONS = {PREDICT: "val", "predict.test": "test"}  # node -> key of its split
# Of the training side, for whoever learns from them: no mask is seen, so image-level stages may read them.
FOR_TRAINING = "predict.train"
_TRAINING_SPLITS = ("train", "evaluate")


class Segment(StageKind):
    """Trains the segmentation network, in an experiment that has the section ``segmenter``."""

    name = "segment"
    section = _SECTION
    slots = {
        "segmenter": "segmenter",
        "segmenter.backbone": "backbone",
        "segmenter.loss": "loss",
    }
    plain = {
        "segmenter.schedule": Schedule,
        "segmenter.test": TestSettings,
        "segmenter.init": InitSettings,
    }
    random = True
    trains = "segmentation network"

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        if given is None:
            return None
        component = registries.segmenter.resolve(given, _SECTION)
        if config[label.Label.section] is None and not config.get(IMPORTED_LABELS):
            raise UserError("segmenter needs pseudo-labels: add label=dict(input='<refinement>')")
        return with_nested(component, _SECTION, registries)

    def smoke(self, section: Any) -> Any:
        small = with_short_training(section)
        return {**small, "test": at_one_scale(small["test"])} if small.get("test") else small

    def names(self, nodes: Nodes) -> Iterable[str]:
        return (NODE,) if nodes.config[_SECTION] else ()

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        return {"train": SplitUse("trains", trains=True)} if config[_SECTION] else {}

    def node(self, name: str, nodes: Nodes) -> Node:
        train = nodes.split("train")
        return Node(
            name=name,
            kind=self,
            config={"segmenter": nodes.config[_SECTION], "split": train},
            inputs={"label": nodes.need(label.NODE).name},
            splits=(train,),
            makes=TrainedSegmenter,
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        _build(node.config, dataset, where=_SECTION)

    def rehearse(self, work: StageWork, pretrained: bool) -> None:
        _build(work.config, work.dataset).rehearse(work.context, pretrained)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Train on the pseudo-labels of the training split; sees no mask."""
        labels = work.inputs["label"]
        items = [
            SegmentationItem(id, work.dataset.image_path(id), labels.path(id))
            for id in work.dataset.ids(work.config["split"])
        ]
        _build(work.config, work.dataset).train(items, work.context)
        return {"images": len(items)}

    def handle(
        self, config: Mapping[str, Any], directory: Path, dataset: Dataset
    ) -> TrainedSegmenter:
        return TrainedSegmenter(directory)


class Predict(StageKind):
    """Predicts the val split with the segmentation network, and a test split if there is one."""

    name = "predict"
    title = "prediction"

    def names(self, nodes: Nodes) -> Iterable[str]:
        if not nodes.config[_SECTION]:
            return ()
        return [name for name, key in PREDICTIONS.items() if nodes.config["splits"][key]]

    def lazy_names(self, nodes: Nodes) -> Iterable[str]:
        return (FOR_TRAINING,) if nodes.config[_SECTION] else ()

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        if not config[_SECTION]:
            return {}
        return {
            "val": SplitUse("scores the segmenter", masks=True, shared=_TRAINED_ON),
            "test": SplitUse("is predicted", labels=False, masks=True, shared=_NOT_UNSEEN),
        }

    def node(self, name: str, nodes: Nodes) -> Node:
        if name == FOR_TRAINING:
            return self._for_training(nodes)
        split = nodes.split(PREDICTIONS[name])
        gallery = GALLERY if name == next(iter(PREDICTIONS)) else 0
        segmenter = nodes.config[_SECTION]
        evaluate = nodes.split("evaluate")
        masks = nodes.dataset.generated or nodes.dataset.has_masks(split)
        return Node(
            name=name,
            kind=self,
            config={
                "segmenter": segmenter,
                "split": split,
                "gallery": gallery,
                "gallery_split": evaluate,
            },
            inputs={"segmenter": nodes.need(NODE).name},
            splits=distinct((split, evaluate if gallery else "")),
            labels=False,
            # The framework's own test run scores what it predicts.
            masks=(split,) if masks else (),
            makes=LabelMaps,
            title=self.title,
            scored=split,
            scored_title=f"{segmenter['type']} {split}",
        )

    def _for_training(self, nodes: Nodes) -> Node:
        splits = distinct(nodes.split(key) for key in _TRAINING_SPLITS)
        return Node(
            name=FOR_TRAINING,
            kind=self,
            config={"segmenter": nodes.config[_SECTION], "split": _TRAINING, "splits": splits},
            inputs={"segmenter": nodes.need(NODE).name},
            splits=splits,
            labels=False,
            makes=LabelMaps,
            title=f"{self.title} of training images",
            scored=nodes.split("evaluate"),
        )

    def run(self, work: StageWork) -> dict[str, Any]:
        """Predict the split into a folder of its name, and images for pictures; return the framework's own score."""
        config, dataset, split = work.config, work.dataset, work.config["split"]
        if split == _TRAINING:
            _predict(
                work, _unscored(dataset, (id for id, _ in ids_of(dataset, config["splits"]))), split
            )
            return {}
        scored = [
            SegmentationItem(id, dataset.image_path(id), dataset.mask_path(id, split))
            for id in dataset.ids(split)
        ]
        metrics = _predict(work, scored, split)
        shown = spread(dataset.ids(config["gallery_split"]), config["gallery"])
        if shown:
            _predict(work, _unscored(dataset, shown), _FOLDER)
        return {f"mmseg {key}": value for key, value in metrics.items()}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> LabelMaps:
        return LabelFiles(directory / config["split"])

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        """Return the network's own entries; of what it learnt from, only that the CAMs were somebody else's."""
        segmenter = node.config["segmenter"]
        test = segmenter.get("test") or {}
        crf = test.get("crf")
        start = {key: segmenter[key] for key in ("backbone", "init") if segmenter.get(key)}
        loss = {"loss": segmenter["loss"]} if segmenter.get("loss") else {}
        card = {
            **{key: value for key, value in above.items() if key in ("imported", "labels")},
            "scales": tuple(test.get("scales", ())),
            "flip": bool(test.get("flip", False)),
            "crf": (crf,) if crf else (),
            "initial weights": start,
            **loss,
            "labels_at_inference": False,
        }
        schedule = segmenter.get("schedule") or {}
        return with_precision(card, _SECTION, schedule.get("amp"))

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        for folder in (split, _TRAINING, _FOLDER):
            files = LabelFiles(directory / folder)
            if files.path(id).is_file():
                return files.read(id)
        return None


def _unscored(dataset: Dataset, ids: Iterable[str]) -> list[SegmentationItem]:
    return [SegmentationItem(id, dataset.image_path(id)) for id in ids]


def _predict(work: StageWork, items: Sequence[SegmentationItem], folder: str) -> Mapping[str, Any]:
    """Predict `items` into `folder`; return the framework's own figures."""
    directory = work.directory / folder
    directory.mkdir(exist_ok=True)
    context = replace(work.context, directory=directory)
    segmenter = _build(work.config, work.dataset)
    metrics = segmenter.predict(items, work.inputs["segmenter"].directory, context)
    _check_predictions(metrics, items, directory, work.config["segmenter"]["type"])
    return cast(Mapping[str, Any], metrics)


def predicting(config: Mapping[str, Any], split: str) -> tuple[dict[str, Any], str]:
    """Return the resolved `config` so that it predicts `split`, too, and the node that does.

    Raises:
        UserError: the experiment has no segmentation network.
    """
    if config[_SECTION] is None:
        raise UserError(
            "the experiment has no segmenter, so it predicts nothing that could be scored"
        )
    splits = config["splits"]
    for name, key in PREDICTIONS.items():
        if splits[key] == split:
            return dict(config), name
    name, key = list(PREDICTIONS.items())[-1]
    return {**config, "splits": {**splits, key: split}}, name


def spread(ids: list[str], count: int) -> list[str]:
    """Return `count` ids spread evenly over the list: the same ones for every method, so that pictures compare."""
    count = min(count, len(ids))
    return [ids[i * len(ids) // count] for i in range(count)] if count else []


def _check_predictions(
    metrics: Any, items: Sequence[SegmentationItem], directory: Path, segmenter: str
) -> None:
    name = f"segmenter {segmenter}"
    need(
        isinstance(metrics, Mapping),
        f"predict() returns {metrics!r}",
        "a mapping of names to numbers is needed",
        name,
    )
    ranks.barrier()  # every rank has left its share
    missing = [item.id for item in items if not (directory / f"{item.id}.png").is_file()]
    need(
        not missing,
        f"predict() leaves no file for {len(missing)} of {len(items)} images, the first is '{(missing or [''])[0]}'",
        "every image needs its label map, <id>.png",
        name,
    )


def _build(config: Mapping[str, Any], dataset: Dataset, where: str = "") -> Any:
    return load().registries.segmenter.build(config["segmenter"], dataset.classes, where=where)
