from __future__ import annotations

import io
import re
import shutil
import subprocess

import pytest
from rich.console import Console

from wsssbench.results.latex import escape_latex, latex
from wsssbench.results.table import BEST, SECOND, Column, Table, TableCell, markdown, terminal

NASTY = r"a|b & 50% of $x_1$ #2 {~^} \end <i> [red] --no"
COLUMNS = (Column("row", number=False), Column("mIoU"), Column("CAM mIoU vs. GAP [95 %]"))


def table_of(*rows: tuple[TableCell, ...], columns=COLUMNS, **more) -> Table:
    return Table("Table 3: rigid", columns, rows or ROWS, **more)


ROWS = (
    (TableCell("GAP"), TableCell("48.4 ± 0.3"), TableCell("–")),
    (TableCell("GPP", "†"), TableCell("54.2 ± 0.2", "‡"), TableCell("+5.8", more="[4.9, 6.7]")),
    (
        TableCell("attract (rigid)"),
        TableCell("53.4 ± 0.2", rank=SECOND),
        TableCell("+5.0", more="[4.0, 6.0]"),
    ),
    (
        TableCell("attract (soft)"),
        TableCell("55.0 ± 0.1", rank=BEST),
        TableCell("+6.6", more="[5.5, 7.6]"),
    ),
)


def show(table: Table, width: int = 100, styled: bool = False, colours: str | None = None) -> str:
    console = Console(
        width=width, file=io.StringIO(), color_system=colours, force_terminal=bool(colours)
    )
    console.print(terminal(table, width, styled))
    return console.file.getvalue()


def compiled(text: str, folder) -> str:
    """The log of pdflatex on a document that holds `text` and no more packages than it says."""
    head = "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
    (folder / "t.tex").write_text(head + text + "\\end{document}\n", encoding="utf-8")
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "t.tex"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and (folder / "t.pdf").exists(), done.stdout[-2000:]
    return done.stdout


def test_a_wide_terminal_has_a_line_per_row():
    lines = show(table_of()).splitlines()
    (gpp,) = (line for line in lines if "GPP" in line)
    assert "54.2 ± 0.2" in gpp and "+5.8 [4.9, 6.7]" in gpp


@pytest.mark.parametrize(
    ("width", "first", "below"),
    [(44, ["54.2 ± 0.2", "+5.8"], ["[4.9, 6.7]"]), (38, ["54.2", "+5.8"], ["±0.2", "[4.9, 6.7]"])],
)
def test_on_a_narrow_one_what_is_behind_a_number_goes_below_it(width, first, below):
    shown = show(table_of(), width)
    lines = shown.splitlines()
    at = next(i for i, line in enumerate(lines) if "GPP" in line)
    assert all(part in lines[at] for part in first)
    assert all(part in lines[at + 1] for part in below)
    assert max(len(line) for line in lines) <= width and "…" not in shown


def test_long_names_are_broken_rather_than_numbers():
    name = "aeft_synthetic-pooling-erasing-gap-no-erasing"
    columns = (*COLUMNS[:2], Column(f"mIoU vs. {name} [95 %]"))
    lines = show(table_of((TableCell(name), *ROWS[1][1:]), columns=columns), 60).splitlines()
    assert max(map(len, lines)) <= 60
    (first, second) = (line for line in lines if "54.2" in line or "[4.9, 6.7]" in line)
    assert "+5.8" in first
    assert first.split()[0] + second.split()[0] == name


def test_signs_and_marks_do_not_move_the_numbers():
    lines = show(table_of()).splitlines()
    places = {line.index("± 0.") for line in lines if "± 0." in line}
    assert len(places) == 1


def test_without_styles_the_best_have_marks_that_are_explained():
    shown = show(table_of())
    assert "55.0 ± 0.1*" in shown and "53.4 ± 0.2°" in shown
    assert "*: the best of its column, °: the second" in shown


def test_a_terminal_shows_bold_and_underlined():
    shown = show(table_of(), styled=True, colours="standard")
    assert "\x1b[1m55.0 ± 0.1\x1b[0m" in shown and "\x1b[4m53.4 ± 0.2\x1b[0m" in shown
    assert "*" not in shown


def test_nothing_is_read_as_markup():
    table = table_of(
        (TableCell("[red]GAP[/red]"), TableCell("1.0"), TableCell("–")), notes=["[b]note[/b]"]
    )
    shown = show(table)
    assert "[red]GAP[/red]" in shown and "[b]note[/b]" in shown


def test_notes_and_titles_are_broken_between_words():
    note = "† protocol differs from GAP: scales 1.0 instead of 0.5, 1.0 and some more words of it"
    lines = show(table_of(notes=[note]), 40).splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(" ".join(lines).split()).count(note) == 1


def test_no_legend_without_ranks_and_lines_where_lines_compete():
    assert "best" not in show(table_of(ROWS[0])) + markdown(table_of(ROWS[0])) + latex(
        table_of(ROWS[0])
    )
    across = table_of(along="line")
    assert all(
        "the best of its line" in text for text in (show(across), markdown(across), latex(across))
    )


def test_markdown_keeps_its_cells():
    text = markdown(
        table_of((TableCell(NASTY), TableCell("39.0", "†", BEST), TableCell("+1.0", more="[0, 2]")))
    )
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    assert {len(line) for line in cells} == {3}
    assert re.sub(r"\\(.)", r"\1", cells[2][0]).strip() == NASTY
    assert cells[2][1].strip() == "**39.0** †" and cells[2][2].strip() == r"+1.0 \[0, 2\]"
    assert [rule.strip().endswith(":") for rule in cells[1]] == [False, True, True]


def test_markdown_has_its_title_above_and_its_notes_below():
    text = markdown(table_of(notes=["† one", "two"]))
    assert text.startswith("**Table 3: rigid**\n\n| row ")
    assert text.endswith(
        "\n\n† one  \ntwo  \n**bold**: the best of its column, <u>underlined</u>: the second\n"
    )
    assert "<u>53.4 ± 0.2</u>" in text


def test_latex_escapes_every_special():
    escaped = escape_latex(NASTY + " ± † – − α λ é Å ß 中")
    bare = re.sub(r"\\text\w+\{\}|\\[&%$#_{}]|\$[^$]*\$|\\['r]\{\w\}|\\ss\{\}|-\{\}-", "", escaped)
    assert not re.search(r"[\\&%$#_{}~^<>|±†–−αλéÅß中]|--", bare)
    assert escape_latex("50%_& –ab") == r"50\%\_\& --ab"
    assert escape_latex("Müller, 中") == r"M\"{u}ller, ?"


def test_latex_is_a_booktabs_table():
    text = latex(table_of())
    for part in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{@{}lrr@{}}"):
        assert text.count(part) == 1
    body = text.split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    assert [line.count(" & ") for line in body] == [2] * 4
    assert r"\textbf{55.0\,$\pm$\,0.1}" in body[3] and r"\underline{53.4" in body[2]
    assert r"GPP$^{\dagger}$ & 54.2\,$\pm$\,0.2$^{\ddagger}$ & +5.8 {\small [4.9, 6.7]}" in body[1]
    assert r"\caption{rigid}" in text  # LaTeX numbers tables itself


def test_the_wider_a_table_the_smaller_its_letters():
    columns = (COLUMNS[0], *[Column(f"rung {i}") for i in range(8)])
    row = (TableCell("gated, coarse to fine"), *[TableCell("54.2 ± 0.2")] * 8)
    assert r"\normalsize" in latex(table_of())
    assert r"\scriptsize" in latex(table_of(row, columns=columns))


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex")
def test_latex_compiles_as_pasted(tmp_path):
    names = (NASTY, "[GAP]", "λ₁ = 0.15 → ∞, „é“ ş Ž 中 ς", "\\", "")
    rows = [
        (TableCell(name, "†", BEST), TableCell(name), TableCell("+1", more=f"[{name}]"))
        for name in names
    ]
    columns = (Column(NASTY, number=False), Column("[CAM] [95 %]"), Column(f"{NASTY} [95 %]"))
    compiled(latex(table_of(*rows, columns=columns, notes=names)), tmp_path)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex")
def test_a_usual_table_fits_the_page(tmp_path):
    columns = (COLUMNS[0], *[Column(f"rung {i}") for i in range(4)], Column("n"), COLUMNS[2])
    row = (
        TableCell("gated, coarse to fine"),
        *[TableCell("54.2 ± 0.2", "†", BEST)] * 4,
        TableCell("3"),
        ROWS[1][2],
    )
    assert "Overfull" not in compiled(latex(table_of(*[row] * 8, columns=columns)), tmp_path)


def test_a_table_of_any_width_has_all_its_names_and_numbers_on_a_narrow_terminal():
    """Columns that do not fit go into further tables, each with the names; nothing is cut with an ellipsis."""
    names = ("pooling=GPP(bins=(2, 4, 8, 16)), erasing=AEFT(margin=0.5)", "n" * 90, "GAP")
    columns = (COLUMNS[0], *(Column(f"class {i}") for i in range(21)), Column(f"vs. {names[0]}"))
    rows = [
        [TableCell(name), *(TableCell(f"{10 * r + i / 10:.1f} ± 0.3") for i in range(22))]
        for r, name in enumerate(names)
    ]
    for width in (60, 80, 120):
        shown = show(table_of(*rows, columns=columns), width)
        lines = shown.splitlines()
        assert max(map(len, lines)) <= width and "…" not in shown
        assert shown.replace("\n", "").count("GAP") == (parts := sum("row" in x for x in lines)) > 1
        squeezed = "".join(shown.split())
        for cells in rows:
            for cell in cells[1:]:
                assert cell.text.replace(" ", "") in squeezed
        assert squeezed.count("n") >= 90 * parts
