"""The chains of one run beside each other: a line for each round or earlier chain, a column for each rung."""

from __future__ import annotations

import re
from collections.abc import Iterable

from wsssbench.results.formatting import MISSING, number
from wsssbench.results.run import Evaluation, RunResult
from wsssbench.results.table import Column, Table, TableCell


def chains_table(result: RunResult) -> Table | None:
    """Return the mIoU of every rung of every chain of a run, in per cent; None if the run is one chain.

    The experiment itself, its last round, is the last line: its rungs, in their order, are the first columns.
    """
    chains = dict.fromkeys(one.chain for one in result.evaluations)
    if len(chains) < 2:
        return None
    lines: dict[str, dict[str, Evaluation]] = {chain: {} for chain in sorted(chains, key=_is_last)}
    for one in result.evaluations:
        lines[one.chain].setdefault(_rung(one), one)
    rungs = dict.fromkeys(rung for line in reversed(lines.values()) for rung in line)
    rows = [
        [TableCell(chain or _own(lines)), *(_cell(line.get(rung)) for rung in rungs)]
        for chain, line in lines.items()
    ]
    columns = [Column("chain", number=False), *map(Column, rungs)]
    notes = ["mIoU in per cent, by the threshold of the ladder; what two chains share stands once"]
    return Table(f"{result.name}, by chain", columns, rows, notes)


def _own(chains: Iterable[str]) -> str:
    """Return what the experiment itself is called: the round behind the others, if there are rounds."""
    rounds = [int(name.split()[1]) for name in chains if re.fullmatch(r"round \d+", name)]
    return f"round {max(rounds) + 1}" if rounds else "the experiment itself"


def _is_last(chain: str) -> bool:
    return chain == ""


def _rung(one: Evaluation) -> str:
    """Return the rung's name without its chain: ``CAM`` for ``round 1: CAM``."""
    return one.name.removeprefix(f"{one.chain}: ") if one.chain else one.name


def _cell(one: Evaluation | None) -> TableCell:
    point = one.best_known if one else None
    return TableCell(number(point.miou) if point else MISSING)
