"""Which images are scored: the masks of a folder, or those that a list names, also in sub-folders and with blanks."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from wsssbench.errors import UserError
from wsssbench.files.image_lists import first_few, read_id_list
from wsssbench.files.images import IMAGE_SUFFIXES
from wsssbench.files.reading import read_text

_MASK = ".png"
_JOINT = "__"  # results of the image cats/1 are called cats__1, since they lie in one flat folder


def listed_masks(ids: str | Path | Iterable[str] | None, masks: Path) -> dict[str, Path]:
    """The masks to score against, by image id, which is the mask's path in `masks` without ``.png``.

    Args:
        ids: names of images, or a list file of them; None takes every mask in `masks` and its sub-folders. A name may
            have blanks, the ending of an image, and ``__`` for the ``/`` of a sub-folder.

    Raises:
        UserError: no such folder, list or mask; an image twice; no image at all.
    """
    if not masks.is_dir():
        raise UserError(f"mask folder {masks} does not exist")
    if ids is None:
        return _all_masks(masks)
    if isinstance(ids, str | Path):
        found, source = _read_list(Path(ids), masks), f"list {ids}"
    else:
        found, source = [_id(name, masks) or name for name in ids], "ids"
        if not found:
            raise UserError("ids is empty, so there is no image to score")
    twice = [id for id, count in Counter(found).items() if count > 1]
    if twice:
        raise UserError(
            f"{source} has {first_few(twice)} twice, which would count twice: remove one"
        )
    missing = [id for id in found if not _exists(id, masks)]
    if missing:
        raise UserError(
            f"{masks} has no mask for {len(missing)} images of the list, the first is {missing[0]}{_MASK}"
        )
    return {id: masks / f"{id}{_MASK}" for id in found}


def file_names(ids: Iterable[str], directory: Path, suffix: str) -> dict[str, str]:
    """What the files of `ids` in `directory` are called, without `suffix`: as the masks are, or in a flat folder."""
    names = {}
    for id in ids:
        joined = id.replace("/", _JOINT)
        flat = joined != id and not (directory / f"{id}{suffix}").is_file()
        names[id] = joined if flat and (directory / f"{joined}{suffix}").is_file() else id
    return names


def _all_masks(masks: Path) -> dict[str, Path]:
    found = {}
    for path in sorted(masks.rglob(f"*{_MASK}")):
        inside = path.relative_to(masks)
        if not any(part.startswith(".") for part in inside.parts):
            found[inside.as_posix().removesuffix(_MASK)] = path
    if not found:
        raise UserError(f"mask folder {masks} has no {_MASK} file")
    return found


def _read_list(path: Path, masks: Path) -> list[str]:
    """The ids in a list: its lines as they are, if there are masks of these names, else what `read_id_list` finds."""
    lines = [line.strip() for line in read_text("list", path).splitlines()]
    ids = [(_id(line, masks), line) for line in lines if line]
    if not any(id for id, _ in ids):
        return read_id_list(path)
    return [id or line for id, line in ids if id or not line.startswith("#")]


def _id(name: str, masks: Path) -> str:
    """The id of the mask that `name` names, empty if there is none."""
    plain = name if _exists(name, masks) else name.replace("\\", "/")  # of Windows
    stem, suffix = os.path.splitext(plain)  # noqa: PTH122 # dots in names of folders
    candidates = [plain, stem] if suffix.lower() in IMAGE_SUFFIXES else [plain]
    for candidate in candidates:
        for id in (candidate, candidate.replace(_JOINT, "/")):
            if _exists(id, masks):
                return id
    return ""


def _exists(id: str, masks: Path) -> bool:
    parts: Sequence[str] = id.split("/")
    inside = bool(id) and not any(part in ("", ".", "..") for part in parts)
    return inside and os.path.isfile(masks / f"{id}{_MASK}")  # noqa: PTH113 # also of a name that no file can have
