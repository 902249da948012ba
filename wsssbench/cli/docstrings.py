"""Reads docstrings in Google's style: the text on a class, and those on each of its arguments."""

from __future__ import annotations

import inspect
import re
import textwrap
from dataclasses import dataclass, field

_HEADER = re.compile(r"(Args|Attributes|Returns|Raises|Examples?|Notes?):")
_ENTRY = re.compile(r"(\w+)(?: \([^)]*\))?:(?: (.*))?")


@dataclass(frozen=True)
class Docstring:
    """A docstring in parts.

    Attributes:
        text: the part before the first section.
        sections: header -> its lines, not indented any more, as one string.
    """

    text: str = ""
    sections: dict[str, str] = field(default_factory=dict)

    def entries(self, header: str) -> dict[str, str]:
        """Return the entries ``name: text`` of a section, each text as one line."""
        entries: dict[str, str] = {}
        name = ""
        for line in self.sections.get(header, "").splitlines():
            entry = _ENTRY.fullmatch(line)
            if entry:
                name = entry[1]
                entries[name] = (entry[2] or "").strip()
            elif name and line.startswith(" "):
                entries[name] = f"{entries[name]} {line.strip()}".strip()
        return entries


def parse(documented: object) -> Docstring:
    """Return the docstring of a class or function, without those of its bases."""
    raw = getattr(documented, "__doc__", None) or ""
    parts: dict[str, list[str]] = {"": []}
    current = ""
    for line in inspect.cleandoc(raw).splitlines():
        header = _HEADER.fullmatch(line)
        if header:
            current = header[1]
            parts.setdefault(current, [])
        elif current and line and not line.startswith(" "):  # text after a section
            current = ""
            parts[""].append(line)
        else:
            parts[current].append(line)
    text = "\n".join(parts.pop("")).strip()
    sections = {name: textwrap.dedent("\n".join(lines)).strip() for name, lines in parts.items()}
    return Docstring(text, sections)


def argument_texts(cls: type) -> dict[str, str]:
    """Return a class's texts on its arguments, completed by its bases for those it hands on as ``**rest``."""
    texts: dict[str, str] = {}
    for documented in cls.__mro__:
        texts = parse(documented).entries("Args") | texts
    return texts


def paragraphs(text: str, width: int, indent: str = "") -> str:
    """Return `text` filled to `width`, paragraph by paragraph; indented lines and lists keep their lines."""
    filled = []
    for paragraph in re.split(r"\n\s*\n", text):
        lines = paragraph.splitlines()
        if any(line.startswith((" ", "* ", "- ")) for line in lines):
            filled.append(as_written(paragraph, width, indent))
        else:
            filled.append(
                textwrap.fill(" ".join(lines), width, initial_indent=indent,
                              subsequent_indent=indent, break_long_words=False,
                              break_on_hyphens=False)
            )  # fmt: skip
    return "\n\n".join(filled)


def as_written(text: str, width: int, indent: str = "") -> str:
    """Return `text` with its own lines, of which those that are wider than `width` are broken."""
    lines = []
    for line in text.splitlines():
        inner = line.lstrip()
        start = indent + " " * (len(line) - len(inner))
        hanging = start + "  " * inner.startswith(("* ", "- "))
        short = len(start + inner) <= width
        lines.append(
            start + inner
            if short
            else textwrap.fill(
                inner, width, initial_indent=start, subsequent_indent=hanging,
                break_long_words=False, break_on_hyphens=False,
            )
        )  # fmt: skip
    return "\n".join(lines)
