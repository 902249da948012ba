"""What the checks of a data set read from it: each once, while the masks are closed to everything but `masks_of`."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsssbench.contract.checks import NotCheckedError, attempt, need
from wsssbench.contract.rig import Subject
from wsssbench.errors import LeakError, UserError
from wsssbench.files.ground_truth import allow_masks, forbid, read_mask
from wsssbench.interfaces import Dataset
from wsssbench.progress import Silent

USUAL = ("train", "train_aug", "trainaug", "trainval", "val", "test")
SAMPLE = 8  # images of a split that are opened


def files_of(subject: Subject) -> Dataset:
    """The data set with its files; generated if it is one of those."""

    def make() -> Dataset:
        dataset: Dataset = subject.build()
        return generated(subject)[0] if dataset.generated else dataset

    return subject.once("the data set's files", make)


def generated(subject: Subject) -> tuple[Dataset, Path]:
    directory = subject.rig.new_directory()
    with attempt("generate()", "it has to write the data set into the given directory"):
        dataset: Dataset = subject.build()
        dataset.generate(directory, Silent())
        return dataset.at(directory), directory


def splits_of(subject: Subject) -> dict[str, list[str]]:
    """The ids of the splits that were named, or of those of the usual names that there are."""

    def find() -> dict[str, list[str]]:
        dataset, ids = files_of(subject), {}
        for split in subject.splits or USUAL:
            with attempt(
                f"ids('{split}')",
                "a list of ids, or a UserError for a split that does not exist, is needed",
            ):
                try:
                    ids[split] = list(dataset.ids(split))
                except UserError:
                    if subject.splits:
                        raise
        if not ids:
            raise NotCheckedError(
                f"it has none of the splits {', '.join(USUAL)}: name one of its own with --split NAME"
            )
        return ids

    return subject.once("a split", find)


def labels_of(subject: Subject) -> dict[str, np.ndarray]:
    """The labels of the splits that have some (a test split may have none), read while masks are closed."""

    def read() -> dict[str, np.ndarray]:
        dataset, labels, refused = files_of(subject), {}, ""
        for split in splits_of(subject):
            with attempt(f"labels('{split}')", "it has to give labels without opening a mask"):
                try:
                    with forbid(dataset.mask_directories(), "plugins check"):
                        labels[split] = dataset.labels(split)
                except LeakError:
                    raise
                except UserError as error:
                    refused = str(error)
        need(
            bool(labels),
            f"no split has labels, because {refused}",
            "training needs image-level labels",
        )
        return labels

    return subject.once("labels", read)


def masks_of(subject: Subject, split: str) -> dict[str, np.ndarray | None]:
    """Some ids of the split with their masks; empty if it has none."""
    dataset = files_of(subject)

    def read() -> dict[str, np.ndarray | None]:
        if not has_masks(dataset, split):
            return {}
        masks: dict[str, np.ndarray | None] = {}
        with (
            attempt(
                f"a mask of split '{split}'",
                "has_masks says that the split has masks, label maps of 0..K and 255",
            ),
            allow_masks("plugins check"),
        ):
            for id in some_of(splits_of(subject)[split]):
                there = dataset.mask_path(id, split) is not None
                masks[id] = read_mask(dataset, id, split) if there else None
        return masks

    return subject.once(f"the masks of split '{split}'", read)


def has_masks(dataset: Dataset, split: str) -> bool:
    with attempt(f"has_masks('{split}')", "it has to answer yes or no"):
        return dataset.has_masks(split)


def some_of(known: list[str]) -> list[str]:
    """Ids spread evenly over the list."""
    count = min(SAMPLE, len(known))
    return [known[i * len(known) // count] for i in range(count)]
