"""Ids and names from files in one form: two that look the same are the same.

Unicode writes ``é`` as one character or as two; macOS stores file names in the second form, and most programs write the
first. Ids and class names are in the first one, normal form C, everywhere (https://unicode.org/reports/tr15/).
"""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

_SPACES = re.compile(
    "[ \u00a0\u2007\u202f]+"
)  # those that do not break a line look like the plain one


def normal(name: str) -> str:
    """Return `name` in Unicode's normal form C."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def class_name(name: str) -> str:
    """Return `name` in normal form C, with single plain spaces inside and none around it."""
    return _SPACES.sub(" ", normal(name)).strip(" ")


def in_either_form(path: Path) -> Path:
    """Return `path`, or the same in normal form D if there is only a file of that name."""
    if path.name.isascii() or path.exists():
        return path
    other = path.with_name(unicodedata.normalize("NFD", path.name))
    return other if other.exists() else path
