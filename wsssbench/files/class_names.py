"""The names of the K foreground classes, in the order of the label-map values."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from wsssbench.files.image_lists import read_names
from wsssbench.files.names import class_name
from wsssbench.files.reading import reading
from wsssbench.ops import MAX_CLASSES

_JOINERS = "\u200c\u200d"
# What class lists call the pixels that show no class, and those to ignore; see `_bare`.
_NO_CLASS = frozenset(
    (
        *(
            "background",
            "back ground",
            "backgrnd",
            "backgr",
            "bckg",
            "bckgrnd",
            "bkg",
            "bkgd",
            "bg",
        ),
        *("unlabeled", "unlabelled", "not labeled", "not labelled", "unannotated", "void"),
        *("none", "null", "nothing", "no class", "no object", "no label"),
        *("ignore", "ignored", "ignore index", "ignore label", "ignore region", "to ignore"),
        *("dontcare", "dont care", "don t care", "do not care"),
        *("hintergrund", "arrière plan", "fondo", "sfondo", "фон", "背景", "배경"),
    )
)
_NO_CLASS_VALUES = ("0", "255", "-1")
# A name's number and colour in lists of label maps: "0 background", "0: background", "background:0,0,0::".
_NUMBERS = re.compile(r"^\d+(?=[\W_])|(?<=[\W_])\d+(?=[\W_]|$)")
_NOT_LETTERS = re.compile(r"[\W_]+")
_NUMBERED = re.compile(r"(\d+)\W+\S")


def names_no_class(name: str) -> bool:
    """Tell whether `name` is the background or what is to be ignored, as in ``__ignore__``, ``BG``, ``255``."""
    return name.strip() in _NO_CLASS_VALUES or _bare(name) in _NO_CLASS


def checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """`classes` as a tuple, each in the form of `class_name`.

    Raises:
        ValueError: not 1 to 254 names; a name twice; the background or what is to be ignored, under any name; a name
            that labels could not mean without doubt: empty, a number, or with a ``;``; a name with characters that
            do not print; names that begin with their numbers.
    """
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise ValueError(
            f"classes has {len(classes)} names, but a label map holds 1 to {MAX_CLASSES}"
        )
    names = [class_name(name) for name in classes]
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"classes has '{name}' twice")
        seen.add(name)
    others = [name for name in names if names_no_class(name)]
    if others:
        raise ValueError(
            f"classes lists '{others[0]}', but has to list the foreground classes only: label maps have 0 for the "
            "background and 255 for pixels to ignore without a name; leave it out, or rename it if it is a class"
        )
    unprintable = [name for name in names if not _prints(name)]
    if unprintable:
        raise ValueError(
            f"classes has {unprintable[0]!a}, but a name may not have control characters or others that do not "
            "print"
        )
    bad = [name for name in names if not name or ";" in name or name.isdigit()]
    if bad:
        raise ValueError(f"classes has {bad[0]!r}, but a name is text without ';' and not a number")
    _refuse_numbers(names)
    return tuple(names)


def _bare(name: str) -> str:
    """`name` in small letters and single spaces, without its number and whatever else surrounds and joins its words."""
    return _NOT_LETTERS.sub(" ", _NUMBERS.sub(" ", name.casefold())).strip()


def _prints(name: str) -> bool:
    """Whether `name` has only characters that print: spaces of any script, and the joiners that some scripts need."""
    return all(c.isprintable() or unicodedata.category(c) == "Zs" or c in _JOINERS for c in name)


def _refuse_numbers(names: Sequence[str]) -> None:
    """Raise ValueError for lists such as ``1 cat``, ``2 dog``: the numbers would be part of the names."""
    found = [match and int(match[1]) for match in map(_NUMBERED.match, names)]
    first = found[0]
    if len(names) > 1 and first in (0, 1) and found == list(range(first, first + len(names))):
        raise ValueError(
            f"classes has '{names[0]}', '{names[1]}', ...: leave out the numbers, the names' order says them"
        )


def read_classes(path: Path) -> tuple[str, ...]:
    """The names in a text file, one a line; empty lines and lines starting with ``#`` are skipped.

    Raises:
        UserError: missing, unreadable or empty file; a name twice; a name that `checked_classes` refuses.
    """
    names = read_names(path)
    with reading("class list", path):
        return checked_classes(names)
