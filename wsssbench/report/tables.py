"""A ladder as text: for the terminal, and to paste into Markdown, LaTeX or a spreadsheet.

``terminal(aggregate([result]))`` shows one run, ``latex(aggregate(results))`` the mean of several
seeds, ``markdown(compare(results))`` several methods beside each other.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from wsssbench.report.ladder import MISSING, Ladder, LadderRow, Stat, mark, threshold_text

CSV_COLUMNS = (
    *("run", "rung", "node", "split", "miou", "miou_std", "precision", "precision_std"),
    *("recall", "recall_std", "threshold", "oracle_miou", "oracle_miou_std", "oracle_threshold"),
    *("paper", "n", "note"),
)
_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "×": r"$\times$",
    "–": "--",
    "—": "---",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "α": r"$\alpha$",
    "β": r"$\beta$",
}


@dataclass(frozen=True)
class Column:
    """A column's heading and whether it holds numbers, which are right-aligned."""

    title: str
    number: bool = True


def columns(ladder: Ladder) -> list[Column]:
    """The headings of `rows`: run, paper and n (if it varies) only where they say something."""
    return [
        Column("rung", number=False),
        *([Column("run", number=False)] if ladder.compared else []),
        Column("split", number=False),
        Column("mIoU"),
        Column("precision"),
        Column("recall"),
        Column("threshold"),
        Column("oracle mIoU (threshold)"),
        *([Column("paper")] if _has_paper(ladder) else []),
        *([Column("n")] if _has_n(ladder) else []),
    ]


def rows(ladder: Ladder) -> list[list[str]]:
    """The cells under `columns`: per cent with one decimal, and the rung with its notes' signs."""
    return [_cells(ladder, row) for row in ladder.rows]


def notes(ladder: Ladder) -> list[str]:
    """The footnotes, each beginning with its sign; then what ± and the paper's column mean."""
    said = [f"{mark(i)} {note}" for i, note in enumerate(ladder.notes)]
    if ladder.runs > 1 and not ladder.compared:
        said.append(f"mean ± sample standard deviation over n = {ladder.runs} runs")
    if _has_paper(ladder):
        said.append("paper: mIoU as published, by the paper's own protocol")
    return said


def terminal(ladder: Ladder) -> Table:
    """The ladder as a rich table; no text of it is read as markup."""
    table = Table(
        title=Text(ladder.title),
        title_justify="left",
        title_style="bold",
        caption=Text("\n".join(notes(ladder))) if notes(ladder) else None,
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    # The spread stands below its mean: beside it the table would not fit 80 columns.
    body = [[cell.replace(" ± ", "\n±") for cell in cells] for cells in rows(ladder)]
    for number, column in enumerate(columns(ladder)):
        table.add_column(
            Text(column.title.replace(" (", "\n(")),
            justify="right" if column.number else "left",
            # On a narrow terminal names break between their words, and no number is cut short.
            no_wrap=column.number,
            min_width=max(
                (len(word) for cells in body for word in cells[number].split()), default=0
            ),
        )
    for cells in body:
        table.add_row(*(Text(cell) for cell in cells))
    return table


def markdown(ladder: Ladder) -> str:
    """The ladder as a GitHub-flavoured Markdown table, padded so that it reads as text too."""
    head = columns(ladder)
    body = [[column.title for column in head], *rows(ladder)]
    grid = [[_escape_markdown(cell) for cell in line] for line in body]
    widths = [max(3, *(len(line[i]) for line in grid)) for i in range(len(head))]
    rule = [
        "-" * (width - 1) + ":" if column.number else "-" * width
        for column, width in zip(head, widths, strict=True)
    ]
    grid.insert(1, rule)
    lines = [
        "| "
        + " | ".join(
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, column, width in zip(line, head, widths, strict=True)
        )
        + " |"
        for line in grid
    ]
    # Two blanks at the end of a line break it in Markdown.
    footer = ["", "  \n".join(_escape_markdown(note) for note in notes(ladder))]
    return "\n".join([*lines, *(footer if notes(ladder) else [])]) + "\n"


def latex(ladder: Ladder) -> str:
    """The ladder as a LaTeX table; the preamble needs ``\\usepackage{booktabs}``."""
    head = columns(ladder)
    lines = [
        r"% needs \usepackage{booktabs} in the preamble",
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \caption{{{escape_latex(ladder.title)}}}",
        rf"  \label{{tab:{_slug(ladder.title)}}}",
        rf"  \begin{{tabular}}{{@{{}}{''.join('r' if c.number else 'l' for c in head)}@{{}}}}",
        r"    \toprule",
        rf"    {_latex_line([column.title for column in head])}",
        r"    \midrule",
        *(f"    {_latex_line(cells)}" for cells in rows(ladder)),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    if notes(ladder):
        lines += ["", r"  \smallskip"]
        lines += [rf"  {{\footnotesize {escape_latex(note)}\par}}" for note in notes(ladder)]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def csv_text(ladder: Ladder) -> str:
    """The ladder for a spreadsheet: plain numbers, spreads and counts in columns of their own."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    for row in ladder.rows:
        spread = [n for s in (row.miou, row.precision, row.recall) for n in _csv_stat(s)]
        writer.writerow(
            [
                row.run or ladder.title,
                row.rung,
                row.node,
                row.split,
                *spread,
                _span(row.thresholds),
                *_csv_stat(row.oracle),
                _span(row.oracle_thresholds),
                "" if row.paper is None else f"{row.paper:g}",
                row.n,
                "; ".join(ladder.notes[i] for i in row.notes),
            ]
        )
    return stream.getvalue()


def escape_latex(text: str) -> str:
    """`text` so that LaTeX prints it."""
    return "".join(_LATEX.get(character, character) for character in " ".join(text.split()))


def _cells(ladder: Ladder, row: LadderRow) -> list[str]:
    signs = " ".join(mark(note) for note in row.notes)
    oracle = MISSING if row.oracle is None else str(row.oracle)
    if row.oracle_thresholds:
        oracle += f" ({_span(row.oracle_thresholds)})"
    return [
        f"{row.rung} {signs}".strip(),
        *([row.run] if ladder.compared else []),
        row.split,
        *(MISSING if stat is None else str(stat) for stat in (row.miou, row.precision, row.recall)),
        _span(row.thresholds) or MISSING,
        oracle,
        *([MISSING if row.paper is None else f"{row.paper:.1f}"] if _has_paper(ladder) else []),
        *([str(row.n)] if _has_n(ladder) else []),
    ]


def _span(thresholds: Sequence[float]) -> str:
    """``0.25``, or ``0.24–0.28`` if runs differ; empty if there is none."""
    return "–".join(dict.fromkeys(threshold_text(t) for t in (*thresholds[:1], *thresholds[-1:])))


def _has_paper(ladder: Ladder) -> bool:
    return any(row.paper is not None for row in ladder.rows)


def _has_n(ladder: Ladder) -> bool:
    return not ladder.compared and any(row.n != ladder.runs for row in ladder.rows)


def _csv_stat(stat: Stat | None) -> list[str]:
    if stat is None:
        return ["", ""]
    return [f"{stat.mean:.4f}", "" if stat.std is None else f"{stat.std:.4f}"]


def _latex_line(cells: list[str]) -> str:
    # A line that begins with [ would be read as the optional argument of the \\ before it.
    texts = ["{}" + escape_latex(c) if c.startswith("[") else escape_latex(c) for c in cells]
    return " & ".join(texts) + r" \\"


def _escape_markdown(text: str) -> str:
    """`text` so that it stays in its cell and no sign of it formats anything."""
    text = re.sub(r"([\\`*_\[\]<>|~])", r"\\\1", text)
    return " ".join(text.split())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "ladder"
