"""What a run's folder knows of its classes and images beyond ``metrics.json``, by evaluated node."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from wsssbench.errors import CorruptArtefactError
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion_file import Confusion, read_confusion
from wsssbench.evaluation.image_counts import read_image_counts
from wsssbench.results.image_pairs import image_scores
from wsssbench.results.run import Evaluation, RunResult
from wsssbench.results.run_files import confusion_path, image_counts_path


@dataclass(frozen=True)
class ClassScores:
    """The figures of a class over a whole split; per cent; None where they have no meaning, or are not known.

    Attributes:
        iou, precision, recall: of its pixels.
        images: whose mask has it.
        true, predicted: pixels of the masks, and of the predictions.
    """

    name: str
    iou: float | None
    precision: float | None = None
    recall: float | None = None
    images: int | None = None
    true: int | None = None
    predicted: int | None = None


@dataclass(frozen=True)
class RunDetails:
    """By node; a node whose files are lost is left out.

    Attributes:
        classes: every class, background first, at the chosen threshold.
        confusion: at that threshold.
        images: image id -> mean IoU over the classes that occur in its mask, per cent.
    """

    classes: Mapping[str, Sequence[ClassScores]] = field(default_factory=dict)
    confusion: Mapping[str, Confusion] = field(default_factory=dict)
    images: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def read_details(directory: Path, result: RunResult) -> RunDetails:
    """The details in the folder of a run."""
    names = ["background", *(name for name in result.class_names if name != "background")]
    classes, confusion, images = {}, {}, {}
    for one in result.evaluations:
        with suppress(CorruptArtefactError, KeyError):
            counted = read_image_counts(image_counts_path(directory, one.node))["chosen"]
            if counted.counts.true.shape[1] == len(names):
                classes[one.node] = class_scores(counted.counts, names)
                scores = image_scores(counted.counts)
                known = zip(counted.ids, scores.tolist(), strict=True)
                images[one.node] = {id: score for id, score in known if np.isfinite(score)}
        with suppress(CorruptArtefactError):
            confusion[one.node] = read_confusion(confusion_path(directory, one.node))
    return RunDetails(classes, confusion, images)


def class_scores(counts: ClassCounts, names: Sequence[str]) -> list[ClassScores]:
    """The figures of every class from counts per image, (n, K + 1) each."""
    images = (counts.true > 0).sum(axis=0)
    sums = (
        np.asarray(p, np.int64).sum(axis=0) for p in (counts.correct, counts.predicted, counts.true)
    )
    return [
        ClassScores(
            name,
            _share(correct, predicted + true - correct) if true else None,
            _share(correct, predicted),
            _share(correct, true),
            int(seen),
            int(true),
            int(predicted),
        )
        for name, correct, predicted, true, seen in zip(names, *sums, images, strict=True)
    ]


def first_and_last(evaluations: Sequence[Evaluation]) -> Iterator[Evaluation]:
    """The first and the last evaluation of every split: where it starts from, and what comes out."""
    for split in dict.fromkeys(one.split for one in evaluations):
        of_split = [one for one in evaluations if one.split == split]
        yield of_split[0]
        yield from of_split[1:][-1:]


def _share(part: int, whole: int) -> float | None:
    return 100 * float(part) / float(whole) if whole else None
