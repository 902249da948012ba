"""The files of a folder and its sub-folders by image id, in one pass over the names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from wsssbench.errors import UserError
from wsssbench.files.image_lists import first_few
from wsssbench.files.images import IMAGE_SUFFIXES
from wsssbench.files.names import normal

JOINT = "__"  # between the folders of an id: artefacts lie in one flat folder
_ROUNDED = re.compile(r"\d+(\.\d+)?E\+\d+")  # as 2.00701E+11


@dataclass(frozen=True)
class FolderIndex:
    """The files of a folder that have one of the wanted suffixes.

    The id of ``cats/0001.jpg`` is ``cats__0001``: the path below the folder, without suffix, in Unicode's normal form
    C, folders joined by ``__``.

    Attributes:
        folder: where the files are.
        files: id -> path below `folder`; the first by name if several files have this id.
        twice: id -> all paths, where there are several.
        others: id -> path of the files of other kinds.
    """

    folder: Path
    files: dict[str, str]
    twice: dict[str, tuple[str, ...]]
    others: dict[str, str]

    def find(self, name: str) -> str:
        """The id that `name` means: an id, a path, with or without suffix; itself if there is none.

        A path is below the folder or absolute, with slashes or, as on Windows, backslashes.
        """
        return self._found(name) or flat_id(name)

    def has(self, name: str) -> bool:
        """Tell whether `name` means a file that is there."""
        return self._found(name) is not None

    def _found(self, name: str) -> str | None:
        for way in (name, name.replace("\\", "/")):
            id = flat_id(way.removeprefix(f"{self.folder}/"))
            if id in self.files:
                return id
            bare = str(PurePosixPath(id).with_suffix("")) if PurePosixPath(id).suffix else id
            if bare in self.files and any(flat_id(p) == id for p in self._paths(bare)):
                return bare
        return None

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
        if id in self.others:
            return f", but {self.others[id]}: {_readable()} are read"
        if id.lower() in self._by_case:
            return f", but '{self._by_case[id.lower()]}': upper and lower case count"
        number = _without_zeros(id)
        if number in self._by_number:
            return f", but '{self._by_number[number]}': did a spreadsheet strip the zeros?"
        if _ROUNDED.fullmatch(id):
            return ": did a spreadsheet round the number? Format its column as text before the ids are put in"
        last = id.rpartition(JOINT)[2]
        if last in self._by_name:
            return f", but one at '{self._by_name[last]}': sub-folders belong to the id"
        if "," in id or "\t" in id or ";" in id:
            return ": a line of a list is one id"
        return ""

    @cached_property
    def _by_case(self) -> dict[str, str]:
        return {id.lower(): id for id in self.files}

    @cached_property
    def _by_number(self) -> dict[str, str]:
        return {number: id for id in self.files if (number := _without_zeros(id))}

    @cached_property
    def _by_name(self) -> dict[str, str]:
        return {id.rpartition(JOINT)[2]: path for id, path in self.files.items()}


def _without_zeros(id: str) -> str:
    """The number that the name `id` is, behind its folders, as a spreadsheet writes it; empty if it is none."""
    folders, joint, last = id.rpartition(JOINT)
    number = last.removesuffix(".0")
    return folders + joint + (number.lstrip("0") or "0") if number.isdigit() else ""


def _readable() -> str:
    return f"{', '.join(IMAGE_SUFFIXES[:-1])} and {IMAGE_SUFFIXES[-1]}"


def index_folder(
    folder: Path,
    suffixes: Sequence[str],
    skip: Sequence[Path] = (),
    second: Sequence[str] = (),
) -> FolderIndex:
    """Index `folder` and its sub-folders; files and folders whose name begins with a dot are not looked at.

    Args:
        suffixes: wanted ones in lower case, such as ``.jpg``; upper case counts, too.
        skip: sub-folders to leave out.
        second: suffixes of files that count for ids which have none of the first.
    """
    skipped = {os.path.realpath(path) for path in skip}
    found: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}
    others: dict[str, str] = {}
    for path in _walk(str(folder), "", {*skipped, os.path.realpath(folder)}):
        stem, suffix = os.path.splitext(path)  # noqa: PTH122 - 100,000 Path objects take a second
        if suffix.lower() in suffixes or suffix.lower() in second:
            found[suffix.lower() in suffixes].setdefault(flat_id(stem), []).append(path)
        else:
            others[flat_id(stem)] = path
    paths = found[False] | found[True]
    return FolderIndex(
        folder,
        {id: of[0] for id, of in paths.items()},
        {id: tuple(of) for id, of in paths.items() if len(of) > 1},
        others,
    )


def flat_id(name: str) -> str:
    """`name` as it is called everywhere: normal form C, ``/`` replaced by ``__``."""
    return normal(name).removeprefix("./").replace("/", JOINT)


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
