"""A `Grid` as a LaTeX table that compiles as pasted, and texts made safe for LaTeX."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Sequence

from wsssbench.results.grid import BEST, SECOND, Cell, Grid, heading

# (characters of a line at most, size of the letters, of those behind a number, space beside columns in pt)
_SIZES = (
    (60, "normalsize", "small", 6),
    (75, "small", "footnotesize", 4),
    (90, "footnotesize", "scriptsize", 3),
    (math.inf, "scriptsize", "tiny", 2),
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
    "−": "$-$",
    "±": r"$\pm$",
    "×": r"$\times$",
    "·": r"$\cdot$",
    "°": r"$^{\circ}$",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    "†": r"$^{\dagger}$",
    "‡": r"$^{\ddagger}$",
    "§": r"$^{\S}$",
    "¶": r"$^{\P}$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "≠": r"$\neq$",
    "≈": r"$\approx$",
    "∞": r"$\infty$",
    "✓": r"$\surd$",
    "ß": r"\ss{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "ο": "o",
    "ϵ": r"$\epsilon$",
    "µ": r"$\mu$",
    "Δ": r"$\Delta$",
    "Σ": r"$\Sigma$",
    "Ω": r"$\Omega$",
}
# α is the first of these, and one follows the other in Unicode
_GREEK = (
    *("alpha", "beta", "gamma", "delta", "varepsilon", "zeta", "eta", "theta", "iota", "kappa"),
    *("lambda", "mu", "nu", "xi", "omicron", "pi", "rho", "varsigma", "sigma", "tau", "upsilon"),
    *("varphi", "chi", "psi", "omega"),
)
_LATEX |= {chr(ord("α") + i): rf"$\{name}$" for i, name in enumerate(_GREEK) if name != "omicron"}
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030a\u030c\u0327", "`'^~\"rvc", strict=True))


def latex(grid: Grid) -> str:
    """A LaTeX table; the preamble needs ``\\usepackage{booktabs}``."""
    size, smaller, space = _sizes(grid)
    notes = [escape_latex(note) for note in grid.notes]
    if grid.ranked:
        notes.append(
            rf"\textbf{{bold}}: the best of its {grid.along}, \underline{{underlined}}: the second"
        )
    lines = [
        r"% needs \usepackage{booktabs} in the preamble",
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \{size}",
        rf"  \setlength{{\tabcolsep}}{{{space}pt}}",
        rf"  \caption{{{escape_latex(_unnumbered(grid.title))}}}",
        rf"  \label{{tab:{_slug(grid.title)}}}",
        rf"  \begin{{tabular}}{{@{{}}{''.join('r' if c.number else 'l' for c in grid.columns)}@{{}}}}",
        r"    \toprule",
        rf"    {_latex_line(_headings(grid))}",
        r"    \midrule",
        *(f"    {_latex_line([_latex_cell(cell, smaller) for cell in row])}" for row in grid.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    if notes:
        lines += [
            "",
            r"  \smallskip",
            *(rf"  {{\raggedright\footnotesize {note}\par}}" for note in notes),
        ]
    return "\n".join([*lines, r"\end{table}"]) + "\n"


def escape_latex(text: str) -> str:
    """`text` so that LaTeX prints it; a sign that its usual fonts do not have becomes ``?``."""
    escaped = "".join(_latex_character(character) for character in " ".join(text.split()))
    return re.sub("(?<=-)-", "{}-", escaped) if "--" in text else escaped  # two hyphens, no dash


def _latex_character(character: str) -> str:
    if character in _LATEX:
        return _LATEX[character]
    if character.isascii():
        return character if character.isprintable() else "?"
    parts = unicodedata.normalize("NFD", character)
    if len(parts) == 2 and parts[0].isascii() and parts[0].isalpha() and parts[1] in _ACCENTS:
        return rf"\{_ACCENTS[parts[1]]}{{{parts[0]}}}"
    return "?"


def _headings(grid: Grid) -> list[str]:
    """Titles, over several lines where they are wider than what is below them."""
    cells = []
    for column, width in zip(grid.columns, _widths(grid), strict=True):
        titles = heading(column, width) if column.number else [column.title]
        lines = [_after_break(escape_latex(line)) for line in titles]
        text = r" \\ ".join(lines)
        cells.append(text if len(lines) == 1 else rf"\shortstack[r]{{{text}}}")
    return cells


def _sizes(grid: Grid) -> tuple[str, str, int]:
    """The sizes at which a table of so many characters fits the text of a page, about."""
    width = sum(max(8, width) for width in _widths(grid))
    return next((size, smaller, space) for most, size, smaller, space in _SIZES if width <= most)


def _widths(grid: Grid) -> list[int]:
    """Characters of the widest cell of every column."""
    return [
        max((len(row[i].plain) for row in grid.rows), default=0) for i in range(len(grid.columns))
    ]


def _latex_cell(cell: Cell, smaller: str) -> str:
    text = escape_latex(cell.text).replace(r" $\pm$ ", r"\,$\pm$\,")
    text = {BEST: rf"\textbf{{{text}}}", SECOND: rf"\underline{{{text}}}"}.get(cell.rank, text)
    text += escape_latex(cell.signs)
    if cell.more:
        text += rf" {{\{smaller} {escape_latex(cell.more)}}}"
    return _after_break(text)


def _after_break(text: str) -> str:
    # A line that begins with [ would be read as the optional argument of the \\ before it.
    return "{}" + text if text.startswith("[") else text


def _latex_line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"


def _unnumbered(title: str) -> str:
    """`title` without the number that LaTeX gives a table itself."""
    return re.sub(r"^Table \d+[:.] *", "", title)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-") or "table"
