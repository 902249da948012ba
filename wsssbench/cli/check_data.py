"""``wsssbench data check``: read everything of a data set once, count it, and name every problem with its file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.cli.output_path import check_output
from wsssbench.errors import one_line
from wsssbench.progress import duration

if TYPE_CHECKING:
    from rich.console import Console

    from wsssbench.datasets.check import DatasetReport
    from wsssbench.interfaces import Dataset
    from wsssbench.stages.stage import SplitUse

EXAMPLES = """Exit code 2 if there is a problem that would stop a run.

Examples:

  wsssbench data check configs/aeft_voc.py --set data.root=VOCdevkit/VOC2012

  wsssbench data check my_config.py --json survey.json
"""
SHOWN = 20  # problems; the JSON has all


def check(
    config: Annotated[Path, typer.Argument(help="the experiment, e.g. configs/aeft_voc.py")],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="override a value; +key=value adds one"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="threads; default: the CPU cores")
    ] = None,
    json_: Annotated[
        Path | None, typer.Option("--json", help="write everything here, with every problem")
    ] = None,
) -> None:
    """Read every image, and every mask of the config's splits: counts, co-occurrence, sizes, problems."""
    from wsssbench.experiment.config import read_config, resolve
    from wsssbench.experiment.graph import split_uses
    from wsssbench.experiment.overrides import apply_overrides
    from wsssbench.parallel.ranks import default_workers
    from wsssbench.stages.generate import build_dataset, data_of

    if json_ is not None:
        check_output(json_, "--json")
    console = make_console()
    progress = ConsoleProgress(console)
    with log_noise(Path(os.devnull), progress):
        resolved = resolve(apply_overrides(read_config(config), set_ or []))
        dataset, name = build_dataset(resolved), data_of(resolved)["type"]
        console.print(_head(name, dataset), markup=False)
        uses = split_uses(resolved)
        began = time.monotonic()
        report = _check(dataset, uses, workers or default_workers(), console)
        _show(report, uses, name, time.monotonic() - began, console)
    if json_ is not None:
        told = {split: [use.text for use in of] for split, of in uses.items()}
        facts = {"data": data_of(resolved), "card": dataset.card(), "uses": told}
        text = json.dumps({**facts, **asdict(report)}, indent=1, ensure_ascii=False)
        json_.write_text(text + "\n", encoding="utf-8")
    if report.stops:
        raise typer.Exit(2)


def _check(
    dataset: Dataset, uses: Mapping[str, Sequence[SplitUse]], workers: int, console: Console
) -> DatasetReport:
    from wsssbench.datasets.check import full_check

    progress = ConsoleProgress(console)
    with _present(dataset, progress) as present:
        return full_check(
            present,
            list(uses),
            scored=[split for split, of in uses.items() if any(use.masks for use in of)],
            unlabelled=[split for split, of in uses.items() if not any(use.labels for use in of)],
            workers=workers,
            progress=progress,
        )


@contextmanager
def _present(dataset: Dataset, progress: ConsoleProgress) -> Iterator[Dataset]:
    """Give `dataset` with its files; a generated one is made, and removed afterwards."""
    if not dataset.generated:
        yield dataset
        return
    with TemporaryDirectory() as directory:
        dataset.generate(Path(directory), progress)
        yield dataset.at(Path(directory))


def _head(name: str, dataset: Dataset) -> str:
    card = {key: value for key, value in dataset.card().items() if value not in (None, False)}
    facts = [key if value is True else f"{key} {value}" for key, value in card.items()]
    return "; ".join([f"{name}: {len(dataset.classes)} classes", *facts])


def _show(
    report: DatasetReport,
    uses: Mapping[str, Sequence[SplitUse]],
    name: str,
    seconds: float,
    console: Console,
) -> None:
    from wsssbench.cli.check_tables import first_problems, remarks, tables

    for table in tables(report, uses):
        console.print(table)
    for line in remarks(report, uses):
        console.print(line, markup=False)
    if report.problems:
        console.print()
    for problem in first_problems(report.problems, SHOWN):
        weight = "stops" if problem.stops else "minor"
        console.print(one_line(f"{weight}  {'+'.join(problem.splits)}: {problem.text}"))
    if len(report.problems) > SHOWN:
        console.print(f"... and {len(report.problems) - SHOWN} more problems; --json FILE has all")
    read = f"{name}: {report.images} images and {report.masks} masks read in {duration(seconds)}"
    stopping = sum(problem.stops for problem in report.problems)
    if not report.problems:
        console.print(f"{read}; no problems", markup=False, style="green")
    else:
        counted = f"{len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}"
        console.print(
            f"{read}; {counted}, {stopping} of which would stop a run",
            markup=False,
            style="red" if stopping else "yellow",
        )
