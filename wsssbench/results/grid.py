"""A table of texts: for the terminal, and to paste into Markdown (into LaTeX: `wsssbench.results.latex`).

grid = Grid("Ablation", (Column("row", number=False), Column("mIoU")), [[Cell("plain"), Cell("48.4 ± 0.3")]])
console.print(terminal(grid, console.width)), print(markdown(grid))
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table
from rich.text import Text

NARROW = 80  # columns that every terminal has
LONG_WORD = 20  # characters; longer ones may be broken
BEST, SECOND = 1, 2
_STYLES = {BEST: "bold", SECOND: "underline"}
_PLAIN_MARKS = {BEST: "*", SECOND: "°"}


@dataclass(frozen=True)
class Column:
    """A column's heading and whether it holds numbers, which are right-aligned."""

    title: str
    number: bool = True


@dataclass(frozen=True)
class Cell:
    """A text, the `signs` of its footnotes, its place in its column: `BEST`, `SECOND` or 0, and `more` behind it."""

    text: str
    signs: str = ""
    rank: int = 0
    more: str = ""

    @property
    def plain(self) -> str:
        return " ".join(part for part in (self.text, self.signs, self.more) if part)


@dataclass(frozen=True)
class Grid:
    """A table of texts with a title above and notes below; every row has a cell per column.

    Ranks are ``along`` a column, or a line.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    notes: Sequence[str] = ()
    along: str = "column"

    @property
    def ranked(self) -> bool:
        return any(cell.rank for row in self.rows for cell in row)


def terminal(grid: Grid, width: int = NARROW, styled: bool = True) -> Group:
    """The table for rich; no text of it is read as markup.

    Where the table is wider than `width`, what is behind a number goes below it, and then its spread, too.

    Args:
        width: of the terminal, in characters.
        styled: whether it shows bold and underlined; if not, the best gets a ``*`` and the second a ``°``.
    """
    body = list(zip(*grid.rows, strict=True)) or [() for _ in grid.columns]
    for breaks in (0, 1, 2):
        columns = [
            _column(column, cells, styled, breaks)
            for column, cells in zip(grid.columns, body, strict=True)
        ]
        if sum(_width(column.lines) + 2 for column in columns) <= width:
            break
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for column in columns:
        # On a narrow terminal names break between their words, and no number is cut short.
        table.add_column(
            Text(column.heading),
            no_wrap=column.number,
            overflow="fold",
            min_width=_width(column.lines) if column.number else _longest_word(column.lines),
        )
    for row in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*row)
    notes = [*grid.notes, *([_legend(grid, styled)] if grid.ranked else [])]
    below = [Text("\n".join(_wrapped(note, width) for note in notes), style="dim")] if notes else []
    return Group(Text(_wrapped(grid.title, width), style="bold"), table, *below)


def heading(column: Column, width: int) -> list[str]:
    """The title of a column whose cells are `width` characters wide, in lines that are not much wider."""
    longest = min(_width(column.title.split()), LONG_WORD)
    return textwrap.wrap(column.title, max(width, longest, 8)) or [""]


def markdown(grid: Grid) -> str:
    """A GitHub-flavoured Markdown table, padded so that it reads as text too."""
    body = [[_escape_markdown(column.title) for column in grid.columns]]
    body += [[_markdown_cell(cell) for cell in row] for row in grid.rows]
    widths = [max(3, *(len(line[i]) for line in body)) for i in range(len(grid.columns))]
    rule = [
        "-" * (width - 1) + ":" if column.number else "-" * width
        for column, width in zip(grid.columns, widths, strict=True)
    ]
    body.insert(1, rule)
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, column, width in zip(line, grid.columns, widths, strict=True)
        )
        + " |"
        for line in body
    ]
    legend = (
        [f"**bold**: the best of its {grid.along}, <u>underlined</u>: the second"]
        if grid.ranked
        else []
    )
    notes = [*(_escape_markdown(note) for note in grid.notes), *legend]
    # Two blanks at the end of a line break it in Markdown.
    footer = ["", "  \n".join(notes)] if notes else []
    return "\n".join([f"**{_escape_markdown(grid.title)}**", "", *lines, *footer]) + "\n"


@dataclass(frozen=True)
class _Shown:
    """A column as the terminal shows it; `lines` are all of its lines, as plain text."""

    number: bool
    heading: str
    cells: list[Text]

    @property
    def lines(self) -> list[str]:
        return [
            line
            for text in (self.heading, *(cell.plain for cell in self.cells))
            for line in text.split("\n")
        ]


def _column(column: Column, cells: Sequence[Cell], styled: bool, breaks: int) -> _Shown:
    """`breaks`: 0: one line per cell; 1: what is behind a number below it; 2: its spread, too."""
    if not column.number:
        return _Shown(False, column.title, [Text(cell.plain) for cell in cells])
    marks = ["" if styled else _PLAIN_MARKS.get(cell.rank, "") for cell in cells]
    trails = [f"{m} {c.signs}" if c.signs else m for m, c in zip(marks, cells, strict=True)]
    trail, more = _width(trails), _width([cell.more for cell in cells])
    bodies = []
    for cell, behind in zip(cells, trails, strict=True):
        first, *spread = cell.text.replace(" ± ", "\n±").split("\n") if breaks > 1 else [cell.text]
        inline = f" {cell.more:>{more}}" if more and not breaks else ""
        lines = [(first, behind.ljust(trail) + inline), *((part, " " * trail) for part in spread)]
        bodies.append([*lines, *([("", cell.more)] if breaks and cell.more else [])])
    below = _width([number + after for lines in bodies for number, after in lines])
    title = heading(column, below)
    width = max(below, _width(title))
    shown = []
    for cell, lines in zip(cells, bodies, strict=True):
        style = _STYLES.get(cell.rank, "") if styled else ""
        # Aligned here: what comes behind a number, be it a blank, must not move it.
        parts = [
            Text.assemble(" " * (width - cell_len(number + after)), (number, style), after)
            for number, after in lines
        ]
        shown.append(Text("\n").join(parts))
    return _Shown(True, "\n".join(line.rjust(width) for line in title), shown)


def _width(lines: Sequence[str]) -> int:
    return max(map(cell_len, lines), default=0)


def _longest_word(lines: Sequence[str]) -> int:
    return min(LONG_WORD, _width(" ".join(lines).split()))


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _legend(grid: Grid, styled: bool) -> str:
    names = ("bold", "underlined") if styled else (_PLAIN_MARKS[BEST], _PLAIN_MARKS[SECOND])
    return f"{names[0]}: the best of its {grid.along}, {names[1]}: the second"


def _markdown_cell(cell: Cell) -> str:
    text = _escape_markdown(cell.text)
    text = {BEST: f"**{text}**", SECOND: f"<u>{text}</u>"}.get(cell.rank, text)
    return " ".join(part for part in (text, cell.signs, _escape_markdown(cell.more)) if part)


def _escape_markdown(text: str) -> str:
    """`text` so that it stays in its cell and no sign of it formats anything."""
    text = re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", text)
    return " ".join(text.split())
