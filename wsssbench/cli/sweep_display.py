"""What ``wsssbench sweep`` shows: the stages as a tree before the work, the cells that are running during it."""

from __future__ import annotations

import re
import textwrap
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from rich import box
from rich.live import Live
from rich.table import Table
from rich.text import Text

from wsssbench.progress import WARNING, duration
from wsssbench.sweep.display import SweepDisplay

if TYPE_CHECKING:
    from wsssbench.results.sweep_record import Status, Sweep, SweepCell
    from wsssbench.sweep.cells import PlannedSweep
    from wsssbench.sweep.forecast import Branch, Forecast

_STAGE = re.compile(r"^\[\d+/\d+\] ")  # how a run begins the line of a stage


def count(number: int, noun: str) -> str:
    """Return ``1 row``, ``3 rows``."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def show_forecast(planned: PlannedSweep, console: Any, device: str) -> None:
    """The plan of a sweep: its stages as a tree, what is cached, what will run, how often each is used, how long."""
    from wsssbench.sweep.forecast import forecast

    sweep = planned.sweep
    ahead = forecast(sweep, planned.plans, device)
    rows = {cell.row for cell in sweep.cells if cell.id in planned.plans}
    cells = len(planned.plans)
    console.print(
        f"{sweep.name} on {sweep.base}: {count(len(rows), 'row')}, {count(cells, 'cell')}",
        style="bold",
        markup=False,
    )
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    figures = ("cells", "cached", "to run", "each takes")
    table.add_column("stage, and its rows if not all", no_wrap=True)
    for title in figures:
        table.add_column(title, justify="right", no_wrap=True)
    room = max(24, console.width - sum(len(title) + 2 for title in figures) - 2)
    above: dict[int, tuple[str, ...]] = {}  # depth -> rows of the branch there
    for prefix, branch in _drawn(ahead.branches):
        above[branch.depth] = branch.rows
        shown = "" if len(branch.rows) == len(rows) else "; ".join(branch.rows)
        if branch.depth and above[branch.depth - 1] == branch.rows:
            shown = ""  # as the line it hangs from
        table.add_row(*_line(prefix, branch, shown, room))
    console.print(table)
    for row, reason in planned.impossible():
        console.print(f"row {row!r} cannot run: {reason}", markup=False)
    for text in _totals(ahead, cells):
        console.print(text, markup=False)


def _line(prefix: str, branch: Branch, rows: str, room: int) -> list[str]:
    """The cells of a branch; the names of its rows are whole, over as many lines of `room` characters as they need."""
    name = f"{branch.node}: {rows}" if rows else branch.node
    below = prefix.replace("├─ ", "│  ").replace("└─ ", "   ") + "   "
    lines = textwrap.wrap(name, room, initial_indent=prefix, subsequent_indent=below)
    cells = sum(len(stage.cells) for stage in branch.stages)
    cached = sum(stage.cached for stage in branch.stages)
    to_run = len(branch.stages) - cached
    known = [stage.seconds for stage in branch.stages if stage.seconds is not None]
    takes = ("about " if to_run else "") + duration(sum(known) / len(known)) if known else "unknown"
    return ["\n".join(lines), str(cells), str(cached or "–"), str(to_run or "–"), takes]


def _totals(forecast: Forecast, cells: int) -> list[str]:
    """Return the sums below the tree."""
    to_run = forecast.to_run()
    unknown = sum(stage.seconds is None for stage in to_run)
    time_left = duration(forecast.seconds_to_run()) if len(to_run) > unknown else ""
    lines = [
        f"{count(forecast.needed, 'stage')} in {count(cells, 'cell')} are {len(forecast.stages)} different ones: "
        f"{len(forecast.stages) - len(to_run)} cached, {len(to_run)} to run"
    ]
    if time_left:
        rest = f" and {unknown} of unknown length" if unknown else ""
        lines.append(f"time left, one after the other, by earlier runs: about {time_left}{rest}")
    elif to_run:
        lines.append(
            "time left: unknown, since no stage with the same config has been run with this work folder"
        )
    if forecast.seconds_saved():
        lines.append(f"sharing stages saves about {duration(forecast.seconds_saved())}")
    return lines


def _drawn(branches: tuple[Branch, ...]) -> list[tuple[str, Branch]]:
    """Return every branch with the lines of the tree before its name."""
    drawn = []
    for place, branch in enumerate(branches):
        stems = [_continues(branches, place, depth) for depth in range(1, branch.depth)]
        prefix = "".join("│  " if goes_on else "   " for goes_on in stems)
        if branch.depth:
            prefix += "├─ " if _continues(branches, place, branch.depth) else "└─ "
        drawn.append((prefix, branch))
    return drawn


def _continues(branches: tuple[Branch, ...], place: int, depth: int) -> bool:
    """Does a branch of `depth` follow below the same parent?"""
    for later in branches[place + 1 :]:
        if later.depth == depth:
            return True
        if later.depth < depth:
            return False
    return False


def show_warnings(sweep: Sweep, console: Any) -> None:
    """The warnings that the runs of the cells have given, each once, with its cells."""
    cells: dict[str, list[str]] = {}
    for cell in sweep.cells:
        for text in sweep.status(cell).warnings:
            cells.setdefault(text, []).append(_title(cell))
    for text, titles in cells.items():
        every = len(titles) == len(sweep.cells)
        where = "every cell" if every else "; ".join(titles)
        console.print(f"{WARNING}{where}: {text}", style="yellow", markup=False)


class CellsDisplay(SweepDisplay):
    """The cells that are running: a table that is drawn anew on a terminal, plain lines elsewhere."""

    def __init__(self, console: Any, total: int) -> None:
        self.console = console
        self.total = total
        self.done = 0
        self.failed = 0
        # cell id -> its title, when it began, its last line
        self._running: dict[str, tuple[str, float, str]] = {}
        self._live = Live(console=console, get_renderable=self._table, transient=True,
                          redirect_stdout=False, redirect_stderr=False)  # fmt: skip

    def __enter__(self) -> CellsDisplay:
        if self.console.is_terminal:
            self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        with suppress(OSError):  # the terminal may have been closed
            self._live.stop()

    def started(self, cell: SweepCell) -> None:
        self._running[cell.id] = (_title(cell), time.monotonic(), "")
        self.say(f"{_title(cell)}: started")

    def line(self, cell: SweepCell, text: str) -> None:
        """Show a line that a cell's run printed."""
        if text.strip() and cell.id in self._running:
            self._running[cell.id] = (*self._running[cell.id][:2], text.strip())
        if text.startswith(WARNING):
            self.say(f"{_title(cell)}: {text}")
        if _STAGE.match(text) and not self.console.is_terminal:
            self.say(f"{_title(cell)}: {text}")

    def ended(self, cell: SweepCell, status: Status) -> None:
        self._running.pop(cell.id, None)
        self.done += 1
        self.failed += status.state == "failed"
        how = f"in {duration(status.seconds)}" if status.state == "done" else status.reason
        self.say(f"{_title(cell)}: {status.state} {how} ({self.done} of {self.total})")

    def say(self, text: str) -> None:
        """Print a line above the table."""
        with suppress(OSError):  # the terminal may have been closed
            self.console.print(text, markup=False)

    def _table(self) -> Table:
        """Return the running cells with the last line of each."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for title, began, text in list(self._running.values()):
            table.add_row(Text(title, style="bold"), duration(time.monotonic() - began), Text(text))
        failed = f", {self.failed} failed" if self.failed else ""
        table.add_row(Text(f"{self.done} of {self.total} cells{failed}", style="dim"), "", "")
        return table


def _title(cell: SweepCell) -> str:
    return f"{cell.row}, seed {cell.seed}"
