"""Methods with rounds in their shortest form: a guide, clusters of an earlier classifier, regions that add up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from wsssbench.files.images import write_label
from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import (
    Artefact,
    Batch,
    Cams,
    Classifier,
    Erasing,
    LabelMaps,
    Losses,
    Output,
    Photos,
    RunContext,
    Stage,
    TrainedClassifier,
)


class Guided(Erasing):
    """Asks a trained classifier about brightened images."""

    def __init__(
        self, num_classes: int, channels: tuple[int, ...], *, guide: TrainedClassifier
    ) -> None:
        super().__init__()
        self.guide = guide.frozen()

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        return Losses(
            {"loss_guide": self.guide(batch.images * (1 + output.maps.mean())).logits.mean()}
        )


class Clusters(Artefact):
    """The cluster of each image."""

    called = "clusters"


class Cluster(Stage):
    """Sorts the images by the brightest logit of a classifier."""

    makes = Clusters

    def __init__(self, classes: tuple[str, ...], *, classifier: TrainedClassifier) -> None:
        self.classifier = classifier

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        network = self.classifier.frozen()
        cluster = {}
        for photo in photos:
            image = torch.from_numpy(photo.image).permute(2, 0, 1)[None] / 255
            cluster[photo.id] = int(network(image).logits.argmax())
        (context.directory / "clusters.json").write_text(json.dumps(cluster))
        return {"images": len(photos)}


class SubCategory(Erasing):
    """Adds a loss for which it needs clusters."""

    def __init__(
        self,
        num_classes: int,
        channels: tuple[int, ...],
        *,
        clusters: Clusters,
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        self.clusters = clusters
        self.weight = weight

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        number = len(json.loads((self.clusters.directory / "clusters.json").read_text()))
        return Losses({"loss_sub": self.weight * number * output.logits.square().mean()})


class Mine(Stage):
    """Marks what is active, besides what another stage has marked."""

    makes = LabelMaps

    def __init__(
        self, classes: tuple[str, ...], *, cams: Cams, add_to: LabelMaps | None = None
    ) -> None:
        self.cams = cams
        self.add_to = add_to

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        for photo in photos:
            cam = self.cams.read(photo.id)
            label = np.zeros(photo.image.shape[:2], np.uint8)
            label[: len(label) // 2] = cam.classes[0]
            if self.add_to is not None:
                label = np.maximum(label, self.add_to.read(photo.id))
            write_label(context.directory / f"{photo.id}.png", label)
        return {}


class Others(Stage):
    """Counts the images of a split that it names."""

    makes = Clusters

    def __init__(self, classes: tuple[str, ...], *, others: Photos) -> None:
        self.others = others

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        (context.directory / "clusters.json").write_text("{}")
        return {"of": len(photos), "others": self.others.ids}


class Copy(Stage):
    """Hands on label maps."""

    makes = LabelMaps

    def __init__(self, classes: tuple[str, ...], *, labels: LabelMaps) -> None:
        self.labels = labels

    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        for photo in photos:
            write_label(context.directory / f"{photo.id}.png", self.labels.read(photo.id))
        return {}


@hookimpl
def register(registries: Any) -> None:
    registries.erasing.add("Guided", "methods_with_rounds:Guided", summary="asks a guide")
    registries.erasing.add(
        "SubCategory", "methods_with_rounds:SubCategory", summary="needs clusters"
    )
    registries.stage.add("Cluster", "methods_with_rounds:Cluster", summary="clusters of images")
    registries.stage.add("Others", "methods_with_rounds:Others", summary="images of a split")
    registries.stage.add("Mine", "methods_with_rounds:Mine", summary="active regions")
    registries.stage.add("Copy", "methods_with_rounds:Copy", summary="label maps of another stage")
