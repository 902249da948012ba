"""The checks of a data set: ids, image-level labels, images, and masks that only the evaluation may open."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.dataset_files import (
    files_of,
    generated,
    has_masks,
    labels_of,
    masks_of,
    some_of,
    splits_of,
)
from wsssbench.contract.rig import Subject
from wsssbench.errors import UserError
from wsssbench.files.class_names import names_no_class
from wsssbench.files.ground_truth import forbid
from wsssbench.files.images import read_image
from wsssbench.interfaces import IGNORE, Dataset

_LONGEST = 200  # bytes of an id: a file name has 255, and files being written have longer names


def classes(subject: Subject) -> None:
    """`classes` are K unique names, 1 <= K <= 254."""
    names = files_of(subject).classes
    strings = isinstance(names, tuple) and all(isinstance(name, str) and name for name in names)
    need(
        strings and 1 <= len(names) < IGNORE,
        f"`classes` is {_short(names)}",
        "a tuple of 1 to 254 names is needed",
    )
    need(
        len(set(names)) == len(names), f"`classes` names {_twice(names)} twice", "names are unique"
    )
    others = [name for name in names if names_no_class(name)]
    need(
        not others,
        f"`classes` lists {_short(others[0] if others else '')}",
        "they are the foreground classes only: label maps have 0 for the background and 255 to ignore",
    )


def ids(subject: Subject) -> None:
    """Ids are unique, not empty, fit for file names, and the same at every call."""
    for split, ids in splits_of(subject).items():
        where = f"split '{split}'"
        need(bool(ids), f"{where} is empty", "a split has images")
        strange = [id for id in ids if not isinstance(id, str) or not _is_file_name(id)]
        need(
            not strange,
            f"{where} has the id {_short(strange[0] if strange else '')}",
            f"results are stored as <id>.png, so an id is a text of at most {_LONGEST} bytes without '/'",
        )
        need(
            len(set(ids)) == len(ids),
            f"{where} has the id {_twice(ids)} twice",
            "ids are unique",
        )
        need(
            ids == files_of(subject).ids(split),
            f"two calls of ids('{split}') differ",
            "labels are given in the order of the ids",
        )


def unknown_split(subject: Subject) -> None:
    """A split that does not exist is refused by an error for users."""
    try:
        ids = files_of(subject).ids("no_such_split")
    except UserError:
        return
    except Exception as error:  # whatever a third party's code raises is what is reported
        answer = f"raises {type(error).__name__}"
    else:
        answer = f"gives {len(ids)} ids"
    need(
        False, f"ids('no_such_split') {answer}", "an unknown split has to be refused by a UserError"
    )


def labels(subject: Subject) -> None:
    """Labels are (n, K) float32 in {0, 1}, a row per id, and at least one class in each unless `empty_images`."""
    dataset = files_of(subject)
    for split, rows in labels_of(subject).items():
        n, k = len(dataset.ids(split)), len(dataset.classes)
        where = f"labels('{split}')"
        array = isinstance(rows, np.ndarray)
        need(
            array and rows.shape == (n, k) and rows.dtype == np.float32,
            f"{where} is {f'{rows.dtype} of shape {rows.shape}' if array else type(rows).__name__}",
            f"float32 of shape (n, K), here {(n, k)}, is needed",
        )
        need(
            bool(np.isin(rows, (0, 1)).all()),
            f"{where} has values other than 0 and 1",
            "labels are multi-hot",
        )
        empty = int((rows.sum(axis=1) == 0).sum())
        need(
            dataset.empty_images or not empty,
            f"{where} has {empty} images without any class",
            "that is a mistake unless they belong to the data set",
        )


def label_order(subject: Subject) -> None:
    """Rows of labels belong to the ids at the same place: most images show no class that their labels lack."""
    dataset = files_of(subject)
    for split, rows in labels_of(subject).items():
        known = dataset.ids(split)
        masks = {id: mask for id, mask in masks_of(subject, split).items() if mask is not None}
        lacking = 0
        for id, mask in masks.items():
            shown = set(np.unique(mask).tolist()) - {0, IGNORE}
            lacking += not shown <= set((np.flatnonzero(rows[known.index(id)]) + 1).tolist())
        need(
            2 * lacking <= len(masks),
            f"{lacking} of {len(masks)} masks of split '{split}' show classes that labels('{split}') lacks",
            "row i of the labels belongs to ids(split)[i], column k to classes[k]",
        )


def images(subject: Subject) -> None:
    """Every id has an image that can be read, outside of the masks' folders."""
    dataset = files_of(subject)
    for split, known in splits_of(subject).items():
        for id in some_of(known):
            with (
                attempt(
                    f"the image of '{id}' in split '{split}'",
                    "image_path(id) has to name a readable RGB image",
                ),
                forbid(dataset.mask_directories(), "plugins check"),
            ):
                path = dataset.image_path(id)
                read_image(path)
            need(
                isinstance(path, Path),
                f"image_path('{id}') is a {type(path).__name__}",
                "a pathlib.Path is needed",
            )


def masks(subject: Subject) -> None:
    """Masks are as large as their images, hold 0..K and 255, and lie where the leak guard closes them."""
    dataset = files_of(subject)
    closed = [Path(os.path.realpath(d)) for d in dataset.mask_directories()]
    for split in splits_of(subject):
        if not has_masks(dataset, split):
            continue
        for id, mask in masks_of(subject, split).items():
            path = dataset.mask_path(id, split)
            need(
                path is not None and mask is not None,
                f"mask_path('{id}', '{split}') is None",
                "has_masks says that the split has masks",
            )
            assert path is not None and mask is not None
            inside = any(Path(os.path.realpath(path)).is_relative_to(d) for d in closed)
            need(
                inside,
                f"mask {path} lies outside of mask_directories()",
                "image-level stages could open it: the leak guard closes only those",
            )
            size = read_image(dataset.image_path(id)).shape[:2]
            need(
                mask.shape == size,
                f"the mask of '{id}' has size {mask.shape} and its image {size}",
                "both have to be the same",
            )


def card(subject: Subject) -> None:
    """card() says in plain values what else there is to know about the data set."""
    with attempt("card()", "protocol cards show it"):
        card_values = files_of(subject).card()
    plain = isinstance(card_values, dict) and all(
        isinstance(k, str) and isinstance(v, str | int | float | bool | None)
        for k, v in card_values.items()
    )
    need(
        plain,
        f"card() returns {_short(card_values)}",
        "texts, numbers and booleans by name are needed",
    )


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process it gives the same ids, image paths and labels."""
    dataset, splits = files_of(subject), list(splits_of(subject))
    need(
        subject.rig.spawned("an instance", _facts, dataset, splits) == _facts(dataset, splits),
        "in a spawned process it gives other ids, paths or labels",
        "worker processes have to see the same data set",
    )


def generation(subject: Subject) -> None:
    """Generated twice from the same parameters, every file is the same."""
    first, second = (_digests(generated(subject)[1]) for _ in range(2))
    different = sorted(set(first) ^ set(second)) or [n for n in first if first[n] != second[n]]
    need(
        not different,
        f"generated twice, {len(different)} files differ, among them {different[0] if different else ''}",
        "it has to be a function of its parameters",
    )


CHECKS = (
    classes,
    ids,
    unknown_split,
    labels,
    label_order,
    images,
    masks,
    card,
    spawned_process,
)
GENERATED = (generation,)  # of those that make their files


def _facts(dataset: Dataset, splits: list[str]) -> list[Any]:
    """What a process sees of the data set, in plain values."""
    facts: list[Any] = [list(dataset.classes)]
    for split in splits:
        known = dataset.ids(split)
        facts += [known, [str(dataset.image_path(id)) for id in some_of(known)]]
        try:
            facts.append(hashlib.sha256(dataset.labels(split).tobytes()).hexdigest())
        except UserError:
            facts.append(None)
    return facts


def _digests(directory: Path) -> dict[str, str]:
    files = sorted(path for path in directory.rglob("*") if path.is_file())
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


def _is_file_name(id: str) -> bool:
    return bool(id.strip()) and "/" not in id and 0 < len(id.encode()) <= _LONGEST


def _twice(names: Any) -> str:
    return next((f"'{name}'" for name, count in Counter(names).items() if count > 1), "")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
