"""Lists of images: plain ids, or AffinityNet's lines of paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from wsssbench.errors import UserError
from wsssbench.files.images import IMAGE_SUFFIXES
from wsssbench.files.reading import read_text

Known = Callable[[str], bool]


@dataclass(frozen=True)
class ListEntry:
    """One line of a list: the id, and its paths relative to the data set's root, if given."""

    id: str
    image: str | None = None
    mask: str | None = None


def read_list(path: Path, known: Known | None = None) -> list[ListEntry]:
    """Read a list of one image per line; empty lines and lines starting with ``#`` are skipped.

    A line is an id (``2007_000032``) or, as AffinityNet's lists have it, the image's path and
    optionally the mask's (``/JPEGImages/2007_000032.jpg /SegmentationClassAug/2007_000032.png``);
    the id is the image's name then.

    Args:
        known: tells whether there is an image of this id: then a line that is an id as a whole counts as one, also
            with blanks or commas in it or a ``#`` at its beginning.

    Raises:
        UserError: missing, unreadable or empty list; a line of another form; an id twice.
    """
    entries: list[ListEntry] = []
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_text("list", path).splitlines(), 1):
        whole, where = line.strip(), f"line {number} of list {path}"
        words = whole.replace("\\", "/").split()  # the paths of Windows
        odd = len(words) > 1 or whole.startswith("#") or "," in whole
        if known is not None and odd and known(whole):
            entry = ListEntry(whole)
        elif not words or words[0].startswith("#"):
            continue
        else:
            entry = _entry(words, where)
        if entry.id in first_line:
            raise UserError(
                f"list {path} has '{entry.id}' twice, in lines {first_line[entry.id]} and "
                f"{number}: remove one"
            )
        first_line[entry.id] = number
        entries.append(entry)
    if not entries:
        raise UserError(f"list {path} is empty: it has to name one image per line")
    return entries


def read_id_list(path: Path, known: Known | None = None) -> list[str]:
    """Read the ids of a list, in its order. See `read_list`."""
    return [entry.id for entry in read_list(path, known)]


def read_names(path: Path, known: Known | None = None) -> list[str]:
    """Read the lines of a text file that are neither empty nor start with ``#``; a line may hold spaces.

    Args:
        known: tells whether there is something of this name: then a line counts, also with a ``#``.

    Raises:
        UserError: missing, unreadable or empty file; a line twice.
    """
    first_line: dict[str, int] = {}
    for number, line in enumerate(read_text("list", path).splitlines(), 1):
        name = line.strip()
        if not name or (name.startswith("#") and not (known is not None and known(name))):
            continue
        if name in first_line:
            raise UserError(
                f"list {path} has '{name}' twice, in lines {first_line[name]} and {number}: "
                "remove one"
            )
        first_line[name] = number
    if not first_line:
        raise UserError(f"list {path} is empty: it has to have one name per line")
    return list(first_line)


def first_few(names: Sequence[str], limit: int = 3) -> str:
    """Name the first few of many, for an error message: ``'a', 'b', 'c' and 97 more``."""
    shown = ", ".join(f"'{name}'" for name in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _entry(words: list[str], where: str) -> ListEntry:
    if len(words) > 2:
        raise UserError(
            f"{where} has {len(words)} words, but a line is an id, or paths of image and mask with a blank between"
        )
    if any("," in word and _is_file_name(word) for word in words):
        raise UserError(f"{where} has commas: separate the paths of image and mask by a blank")
    image = PurePosixPath(words[0])
    if len(words) == 2 and "/" not in words[1] and not _is_file_name(words[1]):
        raise UserError(
            f"{where} has '{words[1]}' after the id, which is no path of a mask: use a list of "
            "ImageSets/Segmentation (those of ImageSets/Main carry flags of one class)"
        )
    mask = words[1].lstrip("/") if len(words) == 2 else None
    id = image.stem if _is_file_name(image.name) else image.name
    if not id:
        raise UserError(f"{where} is '{words[0]}', which names no image")
    return ListEntry(id, words[0].lstrip("/") if "/" in words[0] else None, mask)


def _is_file_name(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES
