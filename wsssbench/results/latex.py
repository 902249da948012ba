"""A `Table` as a LaTeX table that compiles as pasted, and texts made safe for LaTeX."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable

from wsssbench.results.table import BEST, SECOND, Column, Table, TableCell, heading

# The sizes at which a table of so many characters fits the text of a page, about:
# (characters of a line at most, (size of the letters, of those behind a number, space beside columns in pt))
_SIZES = (
    (60, ("normalsize", "small", 6)),
    (75, ("small", "footnotesize", 4)),
    (90, ("footnotesize", "scriptsize", 3)),
    (math.inf, ("scriptsize", "tiny", 2)),
)
# Characters that are a command of text, or of formulas.
_TEXT = {"\\": "textbackslash", "~": "textasciitilde", "^": "textasciicircum", "…": "dots"}
_TEXT |= {"<": "textless", ">": "textgreater", "|": "textbar"}
_TEXT |= {"ß": "ss", "ø": "o", "Ø": "O", "ł": "l"}
_FORMULAS = {"−": "-", "°": r"^{\circ}", "†": r"^{\dagger}", "‡": r"^{\ddagger}"}
_FORMULAS |= {"§": r"^{\S}", "¶": r"^{\P}"}
_SYMBOLS = "pm times cdot rightarrow geq leq neq approx infty surd epsilon mu Delta Sigma Omega"
_GREEK = (
    "alpha beta gamma delta varepsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho "
    "varsigma sigma tau upsilon varphi chi psi omega"  # in the order of Unicode
)
_NAMES = zip("±×·→≥≤≠≈∞✓ϵµΔΣΩ", _SYMBOLS.split(), strict=True)
_FORMULAS |= {character: rf"\{name}" for character, name in _NAMES}
_FORMULAS |= {chr(ord("α") + i): rf"\{name}" for i, name in enumerate(_GREEK.split())}
_LATEX = {
    **{character: rf"\{character}" for character in "&%$#_{}"},
    **{character: rf"\{name}{{}}" for character, name in _TEXT.items()},
    **{character: f"${formula}$" for character, formula in _FORMULAS.items()},
    "ο": "o",
    "–": "--",
    "—": "---",
    "‘": "`",
    "’": "'",
    "“": "``",
    "”": "''",
    '"': "''",
}
_ACCENTS = dict(zip("\u0300\u0301\u0302\u0303\u0308\u030a\u030c\u0327", "`'^~\"rvc", strict=True))


def latex(table: Table) -> str:
    """A LaTeX table; the preamble needs ``\\usepackage{booktabs}``."""
    body = list(zip(*table.rows, strict=True)) or [() for _ in table.columns]
    widths = [max((len(cell.plain) for cell in cells), default=0) for cells in body]
    characters = sum(max(8, width) for width in widths)
    size, smaller, space = next(of for most, of in _SIZES if characters <= most)
    caption = re.sub(r"^Table \d+[:.] *", "", table.title)  # LaTeX numbers tables itself
    label = re.sub(r"[^a-z0-9]+", "-", table.title.lower()).strip("-") or "table"
    lines = [
        r"% needs \usepackage{booktabs} in the preamble",
        r"\begin{table}[t]",
        r"  \centering",
        rf"  \{size}",
        rf"  \setlength{{\tabcolsep}}{{{space}pt}}",
        rf"  \caption{{{escape_latex(caption)}}}",
        rf"  \label{{tab:{label}}}",
        rf"  \begin{{tabular}}{{@{{}}{''.join('r' if c.number else 'l' for c in table.columns)}@{{}}}}",
        r"    \toprule",
        _line(_heading(column, width) for column, width in zip(table.columns, widths, strict=True)),
        r"    \midrule",
        *(_line(_cell(cell, smaller) for cell in row) for row in table.rows),
        r"    \bottomrule",
        r"  \end{tabular}",
    ]
    notes = [
        *map(escape_latex, table.notes),
        *table.legend(r"\textbf{bold}", r"\underline{underlined}"),
    ]
    if notes:
        lines += ["", r"  \smallskip"]
        lines += [rf"  {{\raggedright\footnotesize {note}\par}}" for note in notes]
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


def _heading(column: Column, width: int) -> str:
    """The title, over several lines where it is wider than what is below it."""
    titles = heading(column, width) if column.number else [column.title]
    text = r" \\ ".join(_after_break(escape_latex(line)) for line in titles)
    return text if len(titles) == 1 else rf"\shortstack[r]{{{text}}}"


def _cell(cell: TableCell, smaller: str) -> str:
    text = escape_latex(cell.text).replace(r" $\pm$ ", r"\,$\pm$\,")
    text = {BEST: rf"\textbf{{{text}}}", SECOND: rf"\underline{{{text}}}"}.get(cell.rank, text)
    text += escape_latex(cell.signs)
    if cell.more:
        text += rf" {{\{smaller} {escape_latex(cell.more)}}}"
    return _after_break(text)


def _after_break(text: str) -> str:
    # A line that begins with [ would be read as the optional argument of the \\ before it.
    return "{}" + text if text.startswith("[") else text


def _line(cells: Iterable[str]) -> str:
    return f"    {' & '.join(cells)} " + r"\\"
