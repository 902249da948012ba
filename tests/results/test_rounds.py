"""The table of a run's chains: lines are chains, columns rungs."""

from __future__ import annotations

from wsssbench.results.rounds import chains_table
from wsssbench.results.run import Evaluation, Point, RunResult


def rung(name: str, miou: float, chain: str = "") -> Evaluation:
    full = f"{chain}: {name}" if chain else name
    return Evaluation(full, full.replace(" ", ""), "train", Point(miou, 1.0, 1.0), chain=chain)


def result(*evaluations: Evaluation) -> RunResult:
    return RunResult("mine", "id", "", list(evaluations), [])


def test_rounds_line_up() -> None:
    table = chains_table(
        result(rung("CAM", 10.0, "round 1"), rung("CAM", 20.0, "round 2"), rung("CAM", 30.0), rung("+ CRF", 40.0))
    )  # fmt: skip
    assert table is not None
    assert [column.title for column in table.columns] == ["chain", "CAM", "+ CRF"]
    assert [[cell.plain for cell in row] for row in table.rows] == [
        ["round 1", "10.0", "–"],
        ["round 2", "20.0", "–"],
        ["round 3", "30.0", "40.0"],
    ]


def test_what_only_an_earlier_chain_has_comes_last() -> None:
    table = chains_table(result(rung("walk", 5.0, "rough"), rung("CAM", 30.0)))
    assert table is not None and [one.title for one in table.columns] == ["chain", "CAM", "walk"]
    assert [row[0].plain for row in table.rows] == ["rough", "the experiment itself"]


def test_one_chain_needs_no_table() -> None:
    assert chains_table(result(rung("CAM", 30.0))) is None
