"""Rows from matrix files and grids: what they set, what they are called, and how mistakes are told."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsssbench.errors import UserError
from wsssbench.experiment.chains import of_chain
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.plugins import load
from wsssbench.sweep.cells import with_earlier
from wsssbench.sweep.matrix import parse_grid, read_matrix, split_values

REPOSITORY = Path(__file__).parents[2]
TABLES = sorted((REPOSITORY / "configs" / "ablations").glob("table*.py"))
BASE = REPOSITORY / "configs" / "aeft_synthetic.py"
SMALL = """
title = "T"
bases = dict(first="{base}", second="{other}")
set = {{"classifier.erasing": "none"}}
rows = {{"a": dict(set={{"classifier.pooling": "GAP"}}, paper={{"CAM": 1.5}}), "b": dict(), **{extra}}}
"""


def matrix_file(folder: Path, extra: str = "{}", more: str = "") -> Path:
    path = folder / "mine.py"
    other = REPOSITORY / "configs" / "gap_synthetic.py"
    path.write_text(SMALL.format(base=BASE, other=other, extra=extra) + more)
    return path


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("GAP,GPP", ["GAP", "GPP"]),
        ("GPP(bins=(2, 4)),GAP", ["GPP(bins=(2, 4))", "GAP"]),
        ("[A(x=1), B],none", ["[A(x=1), B]", "none"]),
        ("'a,b',c", ["'a,b'", "c"]),
        ("1", ["1"]),
    ],
)
def test_values_part_at_commas_outside_brackets_and_quotes(text: str, values: list[str]) -> None:
    assert split_values(text) == values


def test_a_short_axis_is_a_key_of_the_classifier() -> None:
    assert parse_grid("pooling=GAP,GPP").key == "classifier.pooling"
    grid = parse_grid("classifier.schedule.lr=0.01, 0.02")
    assert (grid.axis, grid.key) == ("classifier.schedule.lr", "classifier.schedule.lr")
    assert grid.values == ("0.01", "0.02")


@pytest.mark.parametrize(
    "option", ["pooling", "=GAP", "pooling=", "pooling=GAP,,GPP", "a=1,1", "row=x"]
)
def test_a_grid_of_another_form_is_refused(option: str) -> None:
    with pytest.raises(UserError, match="--grid"):
        parse_grid(option)


def test_a_grid_is_the_product_of_its_axes() -> None:
    matrix = read_matrix(BASE, ["pooling=GAP,GPP(bins=(2,))", "erasing=none,AEFT"])
    assert [row.name for row in matrix.rows] == [
        "GAP, no erasing", "GAP, AEFT", "GPP(bins=(2,)), no erasing", "GPP(bins=(2,)), AEFT",
    ]  # fmt: skip
    assert matrix.axes == ("pooling", "erasing") and matrix.name == "aeft_synthetic-pooling-erasing"
    assert matrix.rows[1].axes == {"pooling": "GAP", "erasing": "AEFT"}
    config = apply_overrides(read_config(BASE), matrix.rows[2].set)
    assert config["classifier"]["pooling"] == {"type": "GPP", "bins": (2,)}
    assert config["classifier"]["erasing"] == []


def test_values_of_other_keys_are_called_by_their_key() -> None:
    matrix = read_matrix(BASE, ["classifier.schedule.lr=0.01,0.02"])
    assert [row.name for row in matrix.rows] == ["lr=0.01", "lr=0.02"]


def test_a_files_rows_set_what_they_say(tmp_path: Path) -> None:
    matrix = read_matrix(matrix_file(tmp_path))
    assert (matrix.name, matrix.base, matrix.axes) == ("mine", BASE, ("row",))
    assert [row.name for row in matrix.rows] == ["a", "b"] and matrix.rows[0].paper == {"CAM": 1.5}
    config = apply_overrides(read_config(BASE), matrix.rows[0].set)
    assert config["classifier"]["pooling"] == {"type": "GAP"}
    assert config["classifier"]["erasing"] == []


def test_a_grid_multiplies_a_files_rows(tmp_path: Path) -> None:
    path = matrix_file(tmp_path, "{'published': dict(run=False, paper={'CAM': 2.0})}")
    matrix = read_matrix(path, ["classifier.schedule.lr=0.01,0.02"])
    assert [row.name for row in matrix.rows] == [
        "a, lr=0.01", "a, lr=0.02", "b, lr=0.01", "b, lr=0.02",
    ]  # fmt: skip
    assert matrix.axes == ("row", "classifier.schedule.lr")
    assert all(not row.paper for row in matrix.rows), "the paper's numbers are not of these rows"


def test_a_row_may_differ_on_a_base(tmp_path: Path) -> None:
    path = matrix_file(
        tmp_path,
        "{'c': dict(set={'classifier.schedule.lr': 0.5}, on=dict(second={'classifier.schedule.lr': 0.1}))}",
    )
    for base, lr in (("first", 0.5), ("second", 0.1)):
        matrix = read_matrix(path, base=base)
        config = with_earlier(read_config(matrix.base), matrix.row("c"))
        assert config["classifier"]["schedule"]["lr"] == lr


def test_an_earlier_chain_is_another_row_on_the_same_base(tmp_path: Path) -> None:
    """Whatever the row itself sets, and with a grid's values."""
    path = matrix_file(
        tmp_path,
        "{'c': dict(before=dict(plain='a'), set={'classifier.schedule.epochs': 3, 'classifier.init': "
        "'plain.classify', '+stages.more': 'FromScores(input=cam)', 'label': 'FromScores(input=cam)'})}",
    )
    matrix = read_matrix(path, ["classifier.schedule.lr=0.25"])
    base = read_config(matrix.base)
    a, c = (resolve(with_earlier(base, matrix.row(f"{n}, lr=0.25"))) for n in "ac")
    assert c["classifier"]["schedule"]["epochs"] == 3 and c["stages"]
    assert a["classifier"]["schedule"]["epochs"] == 6 and a["classifier"]["schedule"]["lr"] == 0.25
    chain = of_chain(c, "plain")
    assert {**chain, "reference": {}} == {**a, "reference": {}}


def test_the_base_is_chosen_by_name_or_path(tmp_path: Path) -> None:
    path = matrix_file(tmp_path)
    second = read_matrix(path, base="second")
    assert second.name == "mine-second" and second.base.name == "gap_synthetic.py"
    given = read_matrix(path, base=str(REPOSITORY / "configs" / "aeft_voc_small.py"))
    assert given.name == "mine-aeft_voc_small" and given.base.name == "aeft_voc_small.py"


@pytest.mark.parametrize(
    ("extra", "more", "base", "words"),
    [
        ("{}", "baselin = 'a'", "", ["unknown parameter 'baselin'", "did you mean baseline"]),
        ("{}", "baseline = 'aa'", "", ["unknown row 'aa'", "did you mean a"]),
        ("{}", "", "secnd", ["unknown base 'secnd'", "did you mean second"]),
        ("{'c': dict(sett={})}", "", "", ["rows['c']", "did you mean set"]),
        ("{'c': dict(run=False)}", "", "", ["rows['c']", "give paper="]),
        ("{'c': dict(paper={'CAM': 'high'})}", "", "", ["rows['c']", "paper="]),
        ("{'c': dict(on=dict(secnd={}))}", "", "", ["rows['c']: on", "did you mean second"]),
        ("{'c': dict(before=dict(d='aa'))}", "", "", ["rows['c']: before.d", "did you mean a"]),
        ("{'c': dict(before=dict(previous='a'))}", "", "", ["rows['c']: before.previous"]),
        ("{'c': dict(before=dict(round1='a'))}", "", "", ["+before.round1.cam"]),
        (
            "{'c': dict(before=dict(d='a')), 'e': dict(before=dict(d='c'))}",
            "",
            "",
            ["rows['e']: before.d", "row 'c' has earlier chains itself"],
        ),
    ],
)
def test_mistakes_in_a_file_are_named(
    tmp_path: Path, extra: str, more: str, base: str, words: list[str]
) -> None:
    with pytest.raises(UserError) as refusal:
        read_matrix(matrix_file(tmp_path, extra, more), base=base)
    for word in words:
        assert word in str(refusal.value)


def test_an_experiment_without_a_grid_is_no_matrix() -> None:
    with pytest.raises(UserError, match="--grid pooling=GAP,GPP"):
        read_matrix(BASE)
    with pytest.raises(UserError, match="--base voc"):
        read_matrix(BASE, ["pooling=GAP"], base="voc")
    with pytest.raises(UserError, match="twice"):
        read_matrix(BASE, ["pooling=GAP", "pooling=GPP"])


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
@pytest.mark.parametrize("base", ["synthetic", "voc", "voc_small"])
def test_the_papers_tables_fit_each_of_their_bases(path: Path, base: str) -> None:
    matrix = read_matrix(path, base=base)
    config = read_config(matrix.base)
    for row in matrix.rows:
        if row.run:
            apply_overrides(config, row.set)
    assert matrix.paper is not None and "ECCV 2022" in matrix.paper.source
    assert matrix.paper.card["dataset"] == "VOC2012"
    assert matrix.baseline in [row.name for row in matrix.rows if row.run]


def test_the_matrix_of_poolings_has_every_one_of_ours() -> None:
    matrix = read_matrix(REPOSITORY / "configs" / "ablations" / "poolings_part.py")
    resolved = [resolve(apply_overrides(read_config(matrix.base), r.set)) for r in matrix.rows]
    ours = {
        name
        for name, component in load().registries.pooling.components.items()
        if component.plugin in ("aeft", "baselines")
    }
    assert {one["classifier"]["pooling"]["type"] for one in resolved} == ours
    for one in resolved:
        assert one["evaluate"]["selection"] == "heldout" and one["refine"]["pamr"]["alpha"] == 1.2


def test_the_tables_hold_the_papers_numbers() -> None:
    """Against the numbers as the paper prints them, row by row."""
    printed = {
        "table1_gpp": [48.4, 49.9, 51.6, 52.9, 53.1, 53.3, 51.3, 54.2],
        "table2_aeft": [54.9, 54.6, 54.7, 56.0, 54.1],
        "table3_rigid": [54.2, 53.4, 55.0, 56.0],
        "table4_refinement": [56.0, 56.2, 52.8, 55.6, 56.6, 56.0, 58.4, 58.2, 56.5],
    }
    for path in TABLES:
        rows = read_matrix(path).rows
        assert [row.paper["CAM"] for row in rows if row.paper] == printed[path.stem]
