"""A table of texts, which every format writes: terminal, Markdown and LaTeX (`wsssbench.results.latex`).

table = Table("Ablation", (Column("row", number=False), Column("mIoU")), [[Cell("plain"), Cell("48.4 ± 0.3")]])
console.print(terminal(table, console.width)), print(markdown(table))
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Group
from rich.table import Table as RichTable
from rich.text import Text

NARROW = 80  # columns that every terminal has
_BESIDE = 2  # characters that a column takes beside its texts
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
class TableCell:
    """A text, the `signs` of its footnotes, its place in its column: `BEST`, `SECOND` or 0, and `more` behind it."""

    text: str
    signs: str = ""
    rank: int = 0
    more: str = ""

    @property
    def plain(self) -> str:
        return " ".join(part for part in (self.text, self.signs, self.more) if part)


@dataclass(frozen=True)
class Table:
    """A table of texts with a title above and notes below; every row has a cell per column.

    The best and the second are those of ``along``: a column, or a line.
    """

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[TableCell]]
    notes: Sequence[str] = ()
    along: str = "column"

    @property
    def ranked(self) -> bool:
        return any(cell.rank for row in self.rows for cell in row)

    def legend(self, best: str, second: str) -> list[str]:
        """A note that explains the marks of the best and the second, if there are any."""
        text = f"{best}: the best of its {self.along}, {second}: the second"
        return [text] if self.ranked else []


class Footnotes:
    """The notes of a table; `texts` in the order in which they are numbered."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def numbers(self, notes: Iterable[str]) -> tuple[int, ...]:
        """The indices of `notes`; those that are new are added."""
        notes = list(notes)
        self.texts.extend(note for note in notes if note not in self.texts)
        return tuple(self.texts.index(note) for note in notes)


def terminal(table: Table, width: int = NARROW, styled: bool = True) -> Group:
    """The table for rich; no text of it is read as markup, and none of it is left out.

    Where the table is wider than `width`, what is behind a number goes below it, and then its spread, too. Where that
    is not enough names break, and then columns go into further tables below, which have the names again.

    Args:
        table: what is shown.
        width: of the terminal, in characters.
        styled: whether it shows bold and underlined; if not, the best gets a ``*`` and the second a ``°``.
    """
    body = list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
    shown = [_lines_of(table.columns, body, styled, breaks) for breaks in (0, 1, 2)]
    whole = [_width(lines) for columns in shown for lines in map(_lines, columns)]
    total = [
        sum(whole[at : at + len(body)]) + _BESIDE * len(body)
        for at in range(0, len(whole), len(body))
    ]
    breaks = next((at for at, wide in enumerate(total) if wide <= width), 2)
    blocks = _blocks(table.columns, shown[breaks], width)
    if len(blocks) > 1:  # there is room then for what is behind a number
        breaks = 1
        blocks = _blocks(table.columns, shown[breaks], width)
    tables = [_block(table.columns, shown[breaks], block, width) for block in blocks]
    marks = ("bold", "underlined") if styled else tuple(_PLAIN_MARKS.values())
    notes = [_wrapped(note, width) for note in (*table.notes, *table.legend(*marks))]
    below = [Text("\n".join(notes), style="dim")] if notes else []
    return Group(Text(_wrapped(table.title, width), style="bold"), *tables, *below)


def _lines_of(
    columns: Sequence[Column], body: Sequence[Sequence[TableCell]], styled: bool, breaks: int
) -> list[list[Text]]:
    return [
        _shown(column, cells, styled, breaks) for column, cells in zip(columns, body, strict=True)
    ]


def _least(column: Column, texts: Sequence[Text]) -> int:
    """How narrow a column may be: no number is cut short, and names break between their words."""
    lines = _lines(texts)
    return _width(lines) if column.number else min(LONG_WORD, _width(" ".join(lines).split()))


def _blocks(columns: Sequence[Column], shown: Sequence[list[Text]], width: int) -> list[list[int]]:
    """Indices of the columns of each table, the first column in all of them."""
    least = [_least(column, texts) + _BESIDE for column, texts in zip(columns, shown, strict=True)]
    blocks = [[0]]
    for index in range(1, len(columns)):
        if len(blocks[-1]) > 1 and sum(least[i] for i in (*blocks[-1], index)) > width:
            blocks.append([0])
        blocks[-1].append(index)
    return blocks


def _block(
    columns: Sequence[Column], shown: Sequence[list[Text]], block: Sequence[int], width: int
) -> RichTable:
    """One table of the columns `block`; the texts among them share the room that numbers leave."""
    room = width - sum(_least(columns[i], shown[i]) + _BESIDE for i in block)
    table = RichTable(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for index in block:
        column, (title, *_) = columns[index], shown[index]
        least = _least(column, shown[index])
        more = max(0, min(_width(_lines(shown[index])) - least, room))
        room -= more
        table.add_column(title, no_wrap=column.number, overflow="fold", width=least + more)
    for row in zip(*(shown[index][1:] for index in block), strict=True):
        table.add_row(*row)
    return table


def heading(column: Column, width: int) -> list[str]:
    """The title of a column whose cells are `width` characters wide, in lines that are not much wider."""
    longest = min(_width(column.title.split()), LONG_WORD)
    return textwrap.wrap(column.title, max(width, longest, 8)) or [""]


def markdown(table: Table) -> str:
    """A GitHub-flavoured Markdown table, padded so that it reads as text too."""
    body = [[_escape_markdown(column.title) for column in table.columns]]
    body += [[_markdown_cell(cell) for cell in row] for row in table.rows]
    numbers = [column.number for column in table.columns]
    widths = [max(3, *map(len, cells)) for cells in zip(*body, strict=True)]
    rule = ["-" * (w - number) + ":" * number for w, number in zip(widths, numbers, strict=True)]
    lines = []
    for line in (body[0], rule, *body[1:]):
        cells = zip(line, numbers, widths, strict=True)
        padded = (cell.rjust(w) if number else cell.ljust(w) for cell, number, w in cells)
        lines.append(f"| {' | '.join(padded)} |")
    notes = [
        *map(_escape_markdown, table.notes),
        *table.legend("**bold**", "<u>underlined</u>"),
    ]
    # Two blanks at the end of a line break it in Markdown.
    footer = ["", "  \n".join(notes)] if notes else []
    return "\n".join([f"**{_escape_markdown(table.title)}**", "", *lines, *footer]) + "\n"


def _shown(column: Column, cells: Sequence[TableCell], styled: bool, breaks: int) -> list[Text]:
    """The title and the cells of a column for the terminal.

    Args:
        column: its title.
        cells: below it.
        styled: see `terminal`.
        breaks: 0: one line per cell; 1: what is behind a number below it; 2: its spread, too.
    """
    if not column.number:
        return [Text(column.title), *(Text(cell.plain) for cell in cells)]
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
    shown = [Text("\n".join(line.rjust(width) for line in title))]
    for cell, lines in zip(cells, bodies, strict=True):
        style = _STYLES.get(cell.rank, "") if styled else ""
        # Aligned here: what comes behind a number, be it a blank, must not move it.
        parts = [
            Text.assemble(" " * (width - cell_len(number + after)), (number, style), after)
            for number, after in lines
        ]
        shown.append(Text("\n").join(parts))
    return shown


def _lines(texts: Sequence[Text]) -> list[str]:
    return [line for text in texts for line in text.plain.split("\n")]


def _width(lines: Sequence[str]) -> int:
    return max(map(cell_len, lines), default=0)


def _wrapped(text: str, width: int) -> str:
    return textwrap.fill(text, width, subsequent_indent="  ", break_on_hyphens=False)


def _markdown_cell(cell: TableCell) -> str:
    text = _escape_markdown(cell.text)
    text = {BEST: f"**{text}**", SECOND: f"<u>{text}</u>"}.get(cell.rank, text)
    return " ".join(part for part in (text, cell.signs, _escape_markdown(cell.more)) if part)


def _escape_markdown(text: str) -> str:
    """`text` so that it stays in its cell and no sign of it formats anything."""
    text = re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", text)
    return " ".join(text.split())
