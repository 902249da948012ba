"""The checks of a plugin's own stage: photos and artefacts of other stages -> artefacts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import K, write_photos
from wsssbench.experiment.config import Splits
from wsssbench.interfaces import Artefact, Cams, LabelMaps, Photo, Photos, ScoreMaps
from wsssbench.interfaces.requirements import need_planes
from wsssbench.stages.handles import files_of


def declares(subject: Subject) -> None:
    """`makes` is a class of artefacts with fields that are parameters, and `splits` are keys of a config's `splits`."""
    makes: Any = getattr(subject.cls, "makes", None)
    splits = getattr(subject.cls, "splits", None)
    need(
        isinstance(makes, type) and issubclass(makes, Artefact),
        f"its `makes` is {makes!r}",
        "a class derived from wsssbench.interfaces.Artefact is needed",
    )
    parameters = ["directory", *subject.registry.parameters(subject.name)]
    unknown = [field.name for field in fields(makes) if field.name not in parameters]
    need(
        not unknown,
        f"{makes.__name__}, which it makes, has the field {', '.join(unknown)}",
        "a field beside `directory` has the value of its parameter of that name",
    )
    keys = [field.name for field in fields(Splits)]
    need(
        isinstance(splits, tuple) and bool(splits) and set(splits) <= set(keys),
        f"its `splits` are {splits!r}",
        f"a tuple of some of {', '.join(keys)} is needed",
    )


def runs(subject: Subject) -> None:
    """It runs on photos of any size, also one without a class, and returns figures as JSON has them."""
    _result(subject)


def results(subject: Subject) -> None:
    """Of every photo there is what `makes` says: a CAM, scores or a label map of its classes and its size."""
    directory = _result(subject)
    left: Any = files_of(subject.cls.makes, directory, _parameters(subject))  # type: ignore[attr-defined]
    for photo in _photos(subject):
        present = tuple((np.flatnonzero(photo.labels) + 1).tolist())
        if isinstance(left, (Cams, ScoreMaps, LabelMaps)):
            _check_result(left, photo, present)


def runs_again(subject: Subject) -> None:
    """Called again on its directory, as after a kill, it ends with the same result."""
    directory = _result(subject)
    before = _contents(directory)
    _run(subject, directory)
    need(
        _contents(directory) == before,
        "a second run() in its directory leaves other files",
        "a run that was killed goes on there",
    )


def deterministic(subject: Subject) -> None:
    """In another directory, the same photos and seed give the same files."""
    need(
        _contents(_run(subject)) == _contents(_result(subject)),
        "run() in another directory leaves other files",
        "it has to be a function of its parameters, what it reads and context.seed",
    )


def inputs_unchanged(subject: Subject) -> None:
    """The photos and artefacts that it reads stay as they are."""
    given = subject.references().values()
    photos = [_photos(subject), *(one for one in given if isinstance(one, Photos))]
    folders = [some[0].path.parent for some in photos]
    folders += [one.directory for one in given if isinstance(one, Artefact)]
    before = [_contents(folder) for folder in folders]
    _run(subject)
    after = [_contents(folder) for folder in folders]
    need_unchanged({"what it reads": before}, {"what it reads": after})


CHECKS = (declares, runs, results, runs_again, deterministic, inputs_unchanged)


def _parameters(subject: Subject) -> Mapping[str, Any]:
    return subject.registry.resolve(subject.config(), subject.name)


def _photos(subject: Subject) -> Photos:
    return subject.once("photos", lambda: write_photos(subject.rig.new_directory()))


def _result(subject: Subject) -> Path:
    return subject.once("a result", lambda: _run(subject))


def _run(subject: Subject, directory: Path | None = None) -> Path:
    """Run a new instance in `directory`, by default a new one, and return it."""
    photos, context = _photos(subject), subject.context(directory)
    with attempt(
        f"run() on {len(photos)} photos, one of them without a class",
        "photos of every size and number of classes have to be taken",
    ):
        figures = subject.build().run(photos, context)
    with attempt(f"writing what run() returns, {figures!r}, as JSON", "a mapping is needed"):
        json.dumps(dict(figures))
    need(isinstance(figures, Mapping), f"run() returns {figures!r}", "a mapping is needed")
    need(any(context.directory.iterdir()), "run() leaves no file", "others read its result there")
    return context.directory


def _check_result(
    left: Cams | ScoreMaps | LabelMaps, photo: Photo, present: tuple[int, ...]
) -> None:
    size = photo.image.shape[:2]
    with attempt(
        f"reading the result of photo '{photo.id}'",
        f"the file {left.path(photo.id).name} has to be there, by write_cam, write_scores or write_label of "
        "wsssbench.files",
    ):
        made: Any = left.read(photo.id)
    if isinstance(left, LabelMaps):
        strange = sorted(set(np.unique(made).tolist()) - {*range(K + 1), 255})
        need(
            made.shape == size and not strange,
            f"the label map of a photo {size} has size {made.shape} and the values {strange}",
            f"it has the photo's size and the values 0 to K = {K} and 255",
        )
        return
    planes, extra = (made.maps, 0) if isinstance(left, Cams) else (made.planes, 1)
    need_planes(made.classes, planes, made.size, extra=extra, image=size, present=present)


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
