"""The files of a folder and its sub-folders by image id, in one pass over the names."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from wsssbench.errors import UserError
from wsssbench.files.image_lists import first_few

JOINT = "__"  # between the folders of an id: artefacts lie in one flat folder


@dataclass(frozen=True)
class FolderIndex:
    """The files of a folder that have one of the wanted suffixes.

    The id of ``cats/0001.jpg`` is ``cats__0001``: the path below the folder, without suffix, in Unicode's normal form
    C, folders joined by ``__``.

    Attributes:
        folder: where the files are.
        files: id -> path below `folder`; the first by name if several files have this id.
        twice: id -> all paths, where there are several.
        others: suffix -> number of the files of other kinds.
    """

    folder: Path
    files: dict[str, str]
    twice: dict[str, tuple[str, ...]]
    others: dict[str, int]

    def find(self, name: str) -> str:
        """The id that `name` means: an id, a path below the folder, with or without suffix; itself if there is none."""
        id = flat_id(name)
        if id not in self.files:
            bare = str(PurePosixPath(id).with_suffix("")) if PurePosixPath(id).suffix else id
            if bare in self.files and any(flat_id(p) == id for p in self._paths(bare)):
                return bare
        return id

    def path(self, id: str) -> Path:
        """The file of `id`.

        Raises:
            UserError: there is none, or there are several.
        """
        if id in self.twice:
            raise UserError(
                f"'{id}' has {len(self.twice[id])} images in {self.folder}: {first_few(self.twice[id])}; "
                "an id is the path without suffix (folders joined by __), so keep or rename one"
            )
        if id not in self.files:
            raise UserError(f"'{id}' has no image in {self.folder}{self._hint(id)}")
        return self.folder / self.files[id]

    def _paths(self, id: str) -> tuple[str, ...]:
        return self.twice.get(id, (self.files[id],))

    def _hint(self, id: str) -> str:
        if id.lower() in self._by_case:
            return f", but '{self._by_case[id.lower()]}': upper and lower case count"
        last = id.rpartition(JOINT)[2]
        if last in self._by_name:
            return f", but one at '{self._by_name[last]}': sub-folders belong to the id"
        return ""

    @cached_property
    def _by_case(self) -> dict[str, str]:
        return {id.lower(): id for id in self.files}

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {id.rpartition(JOINT)[2]: path for id, path in self.files.items()}


def index_folder(folder: Path, suffixes: Sequence[str], skip: Sequence[Path] = ()) -> FolderIndex:
    """Index `folder` and its sub-folders; files and folders whose name begins with a dot are not looked at.

    Args:
        suffixes: wanted ones in lower case, such as ``.jpg``; upper case counts, too.
        skip: sub-folders to leave out.
    """
    skipped = {os.path.realpath(path) for path in skip}
    wanted = set(suffixes)
    files: dict[str, str] = {}
    twice: dict[str, list[str]] = {}
    others: Counter[str] = Counter()
    for path in _walk(str(folder), "", {*skipped, os.path.realpath(folder)}):
        stem, suffix = os.path.splitext(path)  # noqa: PTH122 - 100,000 Path objects take a second
        if suffix.lower() not in wanted:
            others[suffix.lower()] += 1
            continue
        id = flat_id(stem)
        if id in files:
            twice.setdefault(id, [files[id]]).append(path)
        else:
            files[id] = path
    return FolderIndex(
        folder, files, {id: tuple(paths) for id, paths in twice.items()}, dict(others)
    )


def flat_id(name: str) -> str:
    """`name` as it is called everywhere: normal form C, ``/`` replaced by ``__``."""
    return unicodedata.normalize("NFC", name).removeprefix("./").replace("/", JOINT)


def _walk(folder: str, prefix: str, seen: set[str]) -> Iterator[str]:
    """Paths below `folder` in the order of their names; a folder is entered once, also where links make circles."""
    with os.scandir(folder) as entries:
        ordered = sorted(entries, key=lambda entry: entry.name)
    for entry in ordered:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            real = os.path.realpath(entry.path)
            if real not in seen:
                seen.add(real)
                yield from _walk(entry.path, f"{prefix}{entry.name}/", seen)
        else:
            yield prefix + entry.name
