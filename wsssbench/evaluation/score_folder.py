"""Scoring a folder of anybody's files against a folder of masks."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.evaluation.boundary import Boundaries, boundary_scores
from wsssbench.evaluation.class_rates import class_rates
from wsssbench.evaluation.confusion import class_counts
from wsssbench.evaluation.doubts import Names
from wsssbench.evaluation.listed_masks import file_names, listed_masks
from wsssbench.evaluation.score_files import FORMATS, score_files, summarise, threshold_grid
from wsssbench.files.cam_formats import MAX_CLASSES
from wsssbench.files.class_names import checked_classes
from wsssbench.files.ground_truth import read_mask_file
from wsssbench.progress import Progress, Silent

THRESHOLDS = (0.0, 0.6, 0.01)


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
        ids: of the images, or a list file; by default every image that has a mask in `masks` or its sub-folders.
        format: ``png`` (label maps), ``cam`` (our artefacts), ``psa``, ``irn``.
        num_classes: K; by default the number of `classes`, and without them any class up to 254 is accepted.
        threshold: the background threshold of CAMs; by default the best of `thresholds`.
        thresholds: (first, last, step) to score CAMs at, by default (0, 0.6, 0.01).
        classes: the K names of the foreground classes, for the per-class IoU.
        progress: told what is going on.

    Returns:
        ``images`` (their number), ``format``, ``miou``, ``precision``, ``recall`` (per cent, over the classes that
        occur), ``iou``, ``class_precision`` and ``class_recall`` by class, ``boundary`` (boundary IoU of label maps,
        else None), ``threshold``, ``threshold_choice`` (``fixed``, ``oracle``: the best, or ``none``), ``curve`` (the
        scores at every threshold), and ``warnings``: what is odd about the files.

    Raises:
        UserError: files that are missing, unreadable, or do not fit together; masks without any class 1..K; class
            indices that are shifted against the masks'.
    """
    truth = listed_masks(ids, Path(masks))
    allowed = [name for name in FORMATS if name != "scores"]
    if format not in allowed:
        raise UserError(f"format: {unknown('format', format, allowed)}")
    grid = _grid(format, threshold, thresholds)
    if classes is not None and num_classes not in (None, len(classes)):
        raise UserError(
            f"num_classes {num_classes}, but classes has {len(classes)} names: give one of them"
        )
    if classes is not None:
        try:
            classes = checked_classes(classes)
        except ValueError as error:
            raise UserError(str(error)) from None
        num_classes = len(classes)
    if num_classes is not None and not 1 <= num_classes <= MAX_CLASSES:
        raise UserError(f"num_classes {num_classes}: has to be from 1 to {MAX_CLASSES}")
    suffix = FORMATS[format].suffix
    called = file_names(truth, Path(files), suffix)
    mask_of = {name: truth[id] for id, name in called.items()}
    boundaries = Boundaries(Path(files), num_classes or MAX_CLASSES)

    def read(name: str) -> np.ndarray:
        mask = read_mask_file(mask_of[name], num_classes)
        if format == "png":
            boundaries.add(name, mask)  # while what was read before is counted
        return mask

    accumulator = score_files(
        Path(files),
        list(mask_of),
        read,
        format,
        num_classes,
        grid,
        progress or Silent(),
    )
    scores = summarise(accumulator, threshold, classes)
    if not scores["iou"]:
        raise UserError(
            f"the masks in {masks} hold nothing but 255 for these images, so there is no score"
        )
    confusion = accumulator.confusion(accumulator.index_of(threshold))
    values = range(accumulator.num_classes + 1)
    scores |= class_rates(
        class_counts(confusion), ["background", *classes] if classes else [str(v) for v in values]
    )
    of_boundaries = boundaries.image_counts(list(mask_of)) if format == "png" else None
    scores["boundary"] = boundary_scores(of_boundaries)["miou"] if of_boundaries else None
    names = Names(mask_of.__getitem__, lambda name: Path(files) / f"{name}{suffix}", classes)
    doubts = accumulator.doubts(names, open_ended=num_classes is None)
    for doubt in doubts:
        if doubt.certain:
            raise UserError(doubt.text)
    warnings = [doubt.text for doubt in doubts]
    return {"images": len(truth), "format": format, **scores, "warnings": warnings}


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
    try:
        return threshold_grid(*(thresholds or THRESHOLDS))
    except ValueError as error:
        raise UserError(f"thresholds {error}") from error
