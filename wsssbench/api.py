"""The toolkit from Python: run an experiment, open a finished one, score files, compare.

    run = wsssbench.run("configs/aeft_synthetic.py", set={"cam.flip": False}, until="cam")
    pandas.DataFrame(run.ladder())
    run.cam("train_00003")[run.classes.index("cat")]      # (H, W) float32 in [0, 1]
    run.classifier()(image).logits                        # of an (H, W, 3) uint8 image

It works in a script, at the prompt and in a notebook; the command line calls the same functions. A mistake of the
caller is a `wsssbench.errors.UserError` of one sentence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.errors import UserError, unknown
from wsssbench.evaluation.score_files import FORMATS, score_files, summarise, threshold_grid
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides, apply_smoke, as_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.run import execute
from wsssbench.files.cam_formats import MAX_CLASSES
from wsssbench.files.image_lists import read_id_list
from wsssbench.files.images import read_image, read_label
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
from wsssbench.pages import run_page
from wsssbench.pages.gallery import OF_RUN, run_gallery
from wsssbench.pages.html import write_page
from wsssbench.parallel import ranks
from wsssbench.progress import Progress, Silent
from wsssbench.results.collect import collect, write_run
from wsssbench.results.collection import load
from wsssbench.results.compare import make_comparison
from wsssbench.results.formats import records
from wsssbench.results.ladder import aggregate, ladder_records
from wsssbench.results.layout import Options
from wsssbench.results.run import RunResult, read_run
from wsssbench.results.run_artefacts import RunArtefacts

THRESHOLDS = (0.0, 0.6, 0.01)
MIN_STEP = 0.0001  # thousands of thresholds say nothing more
REPORT = "report.html"


def run(
    config: str | Path | Mapping[str, Any],
    *,
    set: Mapping[str, Any] | Sequence[str] | str = (),
    seed: int | None = None,
    until: str | None = None,
    force: Sequence[str] | str = (),
    smoke: bool = False,
    work_dir: str | Path = "work",
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run an experiment; what is in the cache is reused, what was interrupted goes on.

    Args:
        config: a file, or the content of one.
        set: overrides, ``{"cam.flip": False}``, or one or several texts as ``--set`` takes them.
        seed: by default the config's.
        until: the last stage, e.g. ``cam``.
        force: a stage, or several, to compute again, with all that descends from them.
        smoke: all stages on a handful of images.
        work_dir: where the cache and the results are.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: processes; by default the CPU cores.
        progress: told what is going on; by default nothing is shown. With
            ``wsssbench.cli.console.ConsoleProgress(wsssbench.cli.console.make_console())`` it is the command line's.

    Raises:
        UserError: whatever is wrong with the config, the data, or these arguments.
    """
    settings = make_settings(work_dir, device, workers, progress, force, until)
    planned = plan(read(config, set, smoke), settings, seed)
    return run_plan(planned, settings)


def open_run(path: str | Path) -> Run:
    """Open a finished run.

    Args:
        path: its folder, ``work/runs/<name>/<id>``.

    Raises:
        UserError: it is not the folder of a run.
    """
    directory = Path(path)
    return Run(directory, read_run(directory))


def evaluate(
    files: str | Path,
    masks: str | Path,
    ids: str | Path | Iterable[str] | None = None,
    *,
    format: str = "png",
    num_classes: int | None = None,
    threshold: float | None = None,
    thresholds: tuple[float, float, float] | None = None,
    classes: Sequence[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Score anybody's files against masks.

    Args:
        files: the folder of ``<id>.png`` label maps or of CAM files.
        masks: the folder of ``<id>.png`` masks.
        ids: of the images, or a list file; by default every image that has a mask in `masks`.
        format: ``png`` (label maps), ``cam`` (our artefacts), ``psa``, ``irn``.
        num_classes: K; by default the number of `classes`, and without them any class up to 254 is accepted.
        threshold: the background threshold of CAMs; by default the best of `thresholds`.
        thresholds: (first, last, step) to score CAMs at, by default (0, 0.6, 0.01).
        classes: the K names of the foreground classes, for the per-class IoU.
        progress: told what is going on.

    Returns:
        ``images`` (their number), ``format``, ``miou``, ``precision``, ``recall`` (per cent, over the classes that
        occur), ``iou`` by class, ``threshold``, ``threshold_choice`` (``fixed``, ``oracle``: the best, or ``none``)
        and ``curve`` (the scores at every threshold).

    Raises:
        UserError: files that are missing, unreadable, or do not fit together.
    """
    folder = Path(masks)
    if not folder.is_dir():
        raise UserError(f"mask folder {folder} does not exist")
    names = _ids(ids, folder)
    missing = [id for id in names if not (folder / f"{id}.png").is_file()]
    if missing:
        raise UserError(
            f"{folder} has no mask for {len(missing)} images of the list, the first is {missing[0]}.png"
        )
    allowed = [name for name in FORMATS if name != "scores"]
    if format not in allowed:
        raise UserError(f"format: {unknown('format', format, allowed)}")
    grid = _grid(format, threshold, thresholds)
    if classes is not None and num_classes not in (None, len(classes)):
        raise UserError(
            f"num_classes {num_classes}, but classes has {len(classes)} names: give one of them"
        )
    num_classes = len(classes) if classes is not None else num_classes
    if num_classes is not None and not 1 <= num_classes <= MAX_CLASSES:
        raise UserError(f"num_classes {num_classes}: has to be from 1 to {MAX_CLASSES}")
    accumulator = score_files(
        Path(files),
        names,
        lambda id: read_label(folder / f"{id}.png"),
        format,
        num_classes,
        grid,
        progress or Silent(),
    )
    scores = summarise(accumulator, threshold, classes)
    if not scores["iou"]:
        raise UserError(
            f"the masks in {folder} hold nothing but 255 for these images, so there is no score"
        )
    return {"images": len(names), "format": format, **scores}


def compare(
    *paths: str | Path, progress: Progress | None = None, **options: Any
) -> list[dict[str, Any]]:
    """The numbers of runs or sweeps beside each other, a dict per number.

    Args:
        paths: folders of runs or sweeps.
        progress: told what is going on.
        options: of `wsssbench.results.layout.Options`: ``rung``, ``metric``, ``baseline``, ``rows``, ``columns`` ...

    Raises:
        UserError: a folder of neither, or an option that does not exist or does not fit.
    """
    if not paths:
        raise UserError("nothing to compare: give the folders of runs or sweeps")
    known = [option.name for option in fields(Options)]
    for name in options:
        if name not in known:
            raise UserError(f"compare: {unknown('option', name, known)}")
    chosen = Options(**options)
    if chosen.resamples < 1:
        raise UserError(f"resamples={chosen.resamples} has to be at least 1")
    if not 0 < chosen.confidence < 1:
        raise UserError(f"confidence={chosen.confidence} has to be between 0 and 1")
    collection = load([Path(path) for path in paths])
    return records(make_comparison(collection, chosen, progress or Silent()))


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

    def cam(self, id: str, node: str = "cam") -> np.ndarray:
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

    def label(self, id: str, node: str = "label") -> np.ndarray:
        """The pseudo-label of image `id`, (H, W) uint8; 255 is ignored."""
        label: np.ndarray = self._read(node, LabelMaps, id)
        return label

    def prediction(self, id: str, split: str = "", node: str = "predict") -> np.ndarray:
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

    def classifier(self, node: str = "classify") -> ReadyClassifier:
        """The trained classifier on the CPU, ready to call on an image."""
        trained = self._artefact(node, TrainedClassifier)
        try:
            return ReadyClassifier(trained.build())
        except UserError as error:  # a parameter of another version of its components
            raise UserError(
                f"the classifier of run {self.directory} cannot be built any more ({error}); run it again"
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


def read(
    config: str | Path | Mapping[str, Any],
    set: Mapping[str, Any] | Sequence[str] | str = (),
    smoke: bool = False,
) -> dict[str, Any]:
    """A config with overrides, not resolved yet; arguments as of `run`."""
    loaded = dict(config) if isinstance(config, Mapping) else read_config(Path(config))
    if smoke:
        loaded = apply_smoke(loaded)
    return apply_overrides(loaded, as_overrides(set) if isinstance(set, Mapping) else _texts(set))


def make_settings(
    work_dir: str | Path = "work",
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    force: Sequence[str] | str = (),
    until: str | None = None,
) -> Settings:
    """How to run; arguments as of `run`. Ranks but the main one say nothing."""
    if workers is not None and workers < 1:
        raise UserError(f"workers {workers}: has to be at least 1")
    shown = progress if progress is not None and ranks.is_main() else Silent()
    directory = Path(work_dir)
    there = next((place for place in (directory, *directory.parents) if place.exists()), directory)
    if there.exists() and not there.is_dir():
        raise UserError(f"work directory {directory} cannot be used: {there} is not a folder")
    return Settings(
        directory,
        pick_device(device),
        workers or ranks.default_workers(),
        shown,
        tuple(_texts(force)),
        until,
    )


def pick_device(wanted: str) -> str:
    """``cpu`` or ``cuda``; UserError for CUDA that is not there."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {wanted}: has to be auto, cpu or cuda")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError(
            "--device cuda: this machine has no CUDA device that PyTorch can use; "
            "take --device cpu or auto, or see 'wsssbench doctor'"
        )
    return "cuda" if available and wanted != "cpu" else "cpu"


def plan(config: Mapping[str, Any], settings: Settings, seed: Any = None) -> Plan:
    """What running `config`, as of `read`, would do."""
    # A config's own seed is checked with the rest of it.
    return make_plan(resolve(config if seed is None else {**config, "seed": seed}), settings)


def run_plan(planned: Plan, settings: Settings) -> Run:
    """Do what is planned, and write the run's folder, page included, on the main rank."""
    happened = execute(planned, settings)
    result = collect(planned, happened)
    directory = planned.directory(settings.work_dir)
    if ranks.is_main():
        write_run(result, planned, directory)
        gallery = run_gallery(RunArtefacts.of_plan(planned), OF_RUN)
        write_page(directory / REPORT, run_page.render(replace(result, gallery=gallery)))
    ranks.barrier()
    return Run(directory, result)


def _ids(ids: str | Path | Iterable[str] | None, masks: Path) -> list[str]:
    if ids is None:
        names = sorted(path.stem for path in masks.glob("*.png"))
        if not names:
            raise UserError(f"mask folder {masks} has no .png file")
        return names
    if isinstance(ids, (str, Path)):
        return read_id_list(Path(ids))
    names = list(ids)
    if not names:
        raise UserError("ids is empty, so there is no image to score")
    return names


def _texts(given: Sequence[str] | str) -> Sequence[str]:
    return [given] if isinstance(given, str) else given


def _grid(
    format: str, threshold: float | None, thresholds: tuple[float, float, float] | None
) -> np.ndarray:
    """The thresholds to score files of this format at, (T,) float32 ascending."""
    if not FORMATS[format].thresholded and not (threshold is None and thresholds is None):
        raise UserError(f"format {format}: label maps need no threshold; leave threshold(s) out")
    if threshold is not None:
        if thresholds is not None:
            raise UserError("threshold and thresholds exclude each other: give one of them")
        if not 0 <= threshold <= 1:
            raise UserError(f"threshold {threshold}: has to be in [0, 1]")
        return np.array([threshold], np.float32)
    first, last, step = thresholds or THRESHOLDS
    if not (0 <= first <= last <= 1 and MIN_STEP <= step <= 1):
        raise UserError(
            f"thresholds {first:g}:{last:g}:{step:g}: needs 0 <= A <= B <= 1 and {MIN_STEP} <= STEP <= 1"
        )
    return threshold_grid(first, last, step)
