"""``wsssbench data check``: read everything of a data set once, count it, and name every problem with its file."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.cli.output_path import check_output
from wsssbench.errors import one_line
from wsssbench.progress import duration

if TYPE_CHECKING:
    from rich.console import Console

    from wsssbench.datasets.check import DatasetReport
    from wsssbench.interfaces import Dataset

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
    from wsssbench.experiment.overrides import apply_overrides
    from wsssbench.parallel.ranks import default_workers
    from wsssbench.plugins import load

    if json_ is not None:
        check_output(json_, "--json")
    console = make_console()
    progress = ConsoleProgress(console)
    with log_noise(Path(os.devnull), progress):
        resolved = resolve(apply_overrides(read_config(config), set_ or []))
        dataset = load().registries.dataset.build(resolved["data"], where="data")
        console.print(_head(resolved["data"]["type"], dataset), markup=False)
        report = _check(dataset, resolved, workers or default_workers(), console)
    if json_ is not None:
        facts = {"data": resolved["data"], "card": dataset.card(), "uses": uses_of(resolved)}
        text = json.dumps({**facts, **asdict(report)}, indent=1, ensure_ascii=False)
        json_.write_text(text + "\n", encoding="utf-8")
    if report.stops:
        raise typer.Exit(2)


def _check(
    dataset: Dataset, config: Mapping[str, Any], workers: int, console: Console
) -> DatasetReport:
    from wsssbench.datasets.check import full_check

    uses, progress = uses_of(config), ConsoleProgress(console)
    with _present(dataset, progress) as present:
        began = time.monotonic()
        report = full_check(
            present,
            list(uses),
            scored=scored_splits(config),
            unlabelled=[split for split, use in uses.items() if use == ["is predicted"]],
            workers=workers,
            progress=progress,
        )
    _show(report, uses, config["data"]["type"], time.monotonic() - began, console)
    return report


def uses_of(config: Mapping[str, Any]) -> dict[str, list[str]]:
    """The splits of a resolved config, the training's first, each with what it is for."""
    splits = config["splits"]
    segments = config["segmenter"] is not None
    roles = [
        ("train", "trains"),
        ("evaluate", "scores pseudo-labels"),
        ("heldout", "selects the threshold"),
        ("val", "scores the segmenter" if segments else "watched"),
        ("test", "is predicted"),
    ]
    uses: dict[str, list[str]] = {}
    for name, use in roles:
        if splits[name]:
            uses.setdefault(splits[name], []).append(use)
    return uses


def scored_splits(config: Mapping[str, Any]) -> list[str]:
    """The splits whose masks a run opens, if they have any."""
    segments = config["segmenter"] is not None
    roles = ("evaluate", "heldout", *(("val", "test") if segments else ()))
    return [config["splits"][role] for role in roles if config["splits"][role]]


@contextmanager
def _present(dataset: Dataset, progress: ConsoleProgress) -> Iterator[Dataset]:
    """`dataset` with its files; a generated one is made, and removed afterwards."""
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
    uses: Mapping[str, list[str]],
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
