"""The names of the K foreground classes, in the order of the label-map values."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from wsssbench.files.image_lists import read_names
from wsssbench.files.reading import reading
from wsssbench.ops import MAX_CLASSES

_JOINERS = "\u200c\u200d"


def checked_classes(classes: Sequence[str]) -> tuple[str, ...]:
    """`classes` as a tuple.

    Raises:
        ValueError: not 1 to 254 names; a name twice; 'background'; a name that labels could not
        mean without doubt: empty, a number, or with a ``;``; a name with characters that do not print.
    """
    if not 1 <= len(classes) <= MAX_CLASSES:
        raise ValueError(
            f"classes has {len(classes)} names, but a label map holds 1 to {MAX_CLASSES}"
        )
    seen: set[str] = set()
    for name in classes:
        if name in seen:
            raise ValueError(f"classes has '{name}' twice")
        seen.add(name)
    if "background" in seen:
        raise ValueError("classes lists 'background', but has to list the foreground classes only")
    unprintable = [name for name in classes if not _prints(name)]
    if unprintable:
        raise ValueError(
            f"classes has {unprintable[0]!a}, but a name may not have control characters or others that do not "
            "print"
        )
    bad = [name for name in classes if not name.strip() or ";" in name or name.isdigit()]
    if bad:
        raise ValueError(f"classes has {bad[0]!r}, but a name is text without ';' and not a number")
    return tuple(classes)


def _prints(name: str) -> bool:
    """Whether `name` has only characters that print: spaces of any script, and the joiners that some scripts need."""
    return all(c.isprintable() or unicodedata.category(c) == "Zs" or c in _JOINERS for c in name)


def read_classes(path: Path) -> tuple[str, ...]:
    """The names in a text file, one a line; empty lines and lines starting with ``#`` are skipped.

    Raises:
        UserError: missing, unreadable or empty file; a name twice; a name that `checked_classes` refuses.
    """
    names = read_names(path)
    with reading("class list", path):
        return checked_classes(names)
