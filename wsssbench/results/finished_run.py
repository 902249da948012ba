"""A finished run as an object: its numbers, and what it made as arrays and networks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.errors import UserError, unknown
from wsssbench.files.images import read_image
from wsssbench.interfaces import (
    Artefact,
    Cams,
    Classifier,
    LabelMaps,
    Output,
    ScoreMaps,
    TrainedClassifier,
)
from wsssbench.models.preprocess import normalise
from wsssbench.ops.cam import upsample
from wsssbench.results.ladder import aggregate, ladder_records
from wsssbench.results.run import RunResult
from wsssbench.results.run_artefacts import RunArtefacts
from wsssbench.stages.classify import NODE as CLASSIFY
from wsssbench.stages.infer_cams import NODE as CAM
from wsssbench.stages.label import NODE as LABEL
from wsssbench.stages.segment import PREDICT

REPORT = "report.html"


@dataclass(frozen=True)
class Run:
    """A finished run: `ladder` has its numbers, the other methods read what it made.

    The numbers stay with the run's folder. Arrays and networks are in the cache; UserError if they are lost, if the
    run has no such stage, or if the stage has not seen the image.

    Attributes:
        directory: its folder.
        result: its figures; see `wsssbench.results.run.RunResult`.
    """

    directory: Path
    result: RunResult

    def __repr__(self) -> str:
        scores = ", ".join(
            f"{one.name} {one.best_known.miou:.1f}"
            for one in self.result.evaluations
            if one.best_known is not None
        )
        return f"<Run {self.directory}: {f'mIoU {scores}' if scores else 'nothing is scored'}>"

    @property
    def report(self) -> Path:
        """The file of its page, which a browser shows."""
        return self.directory / REPORT

    @cached_property
    def artefacts(self) -> RunArtefacts:
        """Its files in the cache; UserError if they are not there any more."""
        return RunArtefacts.of_run(self.directory)

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved config."""
        return self.artefacts.config

    @property
    def classes(self) -> list[str]:
        """The K class names."""
        return self.result.class_names

    def ladder(self) -> list[dict[str, Any]]:
        """Every evaluation of the run in the order of the pipeline: a dict each, numbers in per cent.

        The keys are ``rung``, ``node``, ``split``, ``miou``, ``precision``, ``recall``, ``threshold``, ``oracle_miou``,
        ``oracle_threshold``, ``paper`` (what the config says the paper reports) and ``n`` (runs, here 1); None where
        there is no such number. ``pandas.DataFrame`` takes the list.
        """
        return ladder_records(aggregate([self.result]))

    def ids(self, split: str = "evaluate") -> list[str]:
        """The image ids of a split, by its name or by its key in the config's ``splits``, such as ``val``."""
        return self.artefacts.dataset.ids(self.config["splits"].get(split, split))

    def image(self, id: str) -> np.ndarray:
        """The photo of image `id`, (H, W, 3) uint8 RGB."""
        return read_image(self.artefacts.dataset.image_path(id))

    def cam(self, id: str, node: str = CAM) -> np.ndarray:
        """The CAM of image `id`, (K, H, W) float32 in [0, 1]; 0 for classes that are not in its labels."""
        cam = self._read(node, Cams, id)
        full = np.zeros((len(self.classes), *cam.size), np.float32)
        full[cam.classes.astype(int) - 1] = upsample(cam.maps, cam.size)
        return full

    def scores(self, id: str, node: str) -> np.ndarray:
        """The scores that a refinement made, (1 + K, H, W) float32, background first; 0 for absent classes.

        Args:
            node: the refinement, e.g. ``crf``.
        """
        scores = self._read(node, ScoreMaps, id)
        full = np.zeros((1 + len(self.classes), *scores.size), np.float32)
        full[[0, *scores.classes.tolist()]] = upsample(scores.planes, scores.size)
        return full

    def label(self, id: str, node: str = LABEL) -> np.ndarray:
        """The pseudo-label of image `id`, (H, W) uint8; 255 is ignored."""
        label: np.ndarray = self._read(node, LabelMaps, id)
        return label

    def prediction(self, id: str, split: str = "", node: str = PREDICT) -> np.ndarray:
        """What the segmentation network says about image `id`, (H, W) uint8.

        Args:
            split: of the image, where several were predicted; by default the one that has it.
        """
        self._artefact(node, LabelMaps)
        node = self.artefacts.full_name(node)
        splits = [name for name in self.config["splits"].values() if name]
        split = self.config["splits"].get(split, split)
        if split and split not in splits:
            raise UserError(unknown("split", split, splits))
        for name in [split] if split else splits:
            picture = self.artefacts.picture(node, id, name)
            if picture is not None:
                return picture
        raise UserError(f"run {self.directory} has no prediction of image '{id}'")

    def classifier(self, node: str = CLASSIFY) -> ReadyClassifier:
        """The trained classifier on the CPU, ready to call on an image."""
        trained = self._artefact(node, TrainedClassifier)
        try:
            return ReadyClassifier(trained.build())
        except UserError as error:  # a parameter of another version of its components
            raise UserError(
                f"the classifier of run {self.directory} cannot be built any more ({error}); "
                "give the plugin that it was made with (--plugin FILE.py for one in a file), or run it again"
            ) from None

    def _artefact(self, node: str, makes: type[Artefact]) -> Any:
        artefact = self.artefacts.artefact(node)
        if not isinstance(artefact, makes):
            made = artefact.called if isinstance(artefact, Artefact) else "something else"
            raise UserError(
                f"stage {node} of run {self.directory} makes {made}, not {makes.called}"
            )
        return artefact

    def _read(self, node: str, makes: type[Artefact], id: str) -> Any:
        artefact = self._artefact(node, makes)
        if not artefact.path(id).is_file():
            raise UserError(
                f"stage {node} of run {self.directory} has nothing of an image '{id}'; ids() lists a split's"
            )
        return artefact.read(id)


class ReadyClassifier(nn.Module):
    """A trained classifier in evaluation mode that takes photos as they are."""

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier
        self.eval()

    def forward(self, images: np.ndarray | Tensor) -> Output:
        """Classify an (H, W, 3) uint8 RGB image, or (N, 3, H, W) float32 ones that are ImageNet-normalised."""
        if isinstance(images, np.ndarray) and images.ndim == 3 and images.dtype == np.uint8:
            images = torch.from_numpy(normalise(images))[None]
        try:
            images = torch.as_tensor(images)
        except (TypeError, ValueError, RuntimeError) as error:
            raise UserError(f"the classifier was given no image: {error}") from error
        if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
            raise UserError(
                f"the classifier was given {images.dtype} of shape {tuple(images.shape)}: give an (H, W, 3) uint8 "
                "image, or (N, 3, H, W) normalised float32 ones"
            )
        output: Output = self.classifier(images.to(next(self.parameters())))
        return output
