"""``wsssbench run``: an experiment from image-level labels to an evaluated segmentation network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.errors import UserError
from wsssbench.parallel import ranks
from wsssbench.progress import duration

if TYPE_CHECKING:
    from rich.console import Console

    from wsssbench.experiment.plan import Plan, Settings, Step
    from wsssbench.results.finished_run import Run
    from wsssbench.results.run import RunResult

EXAMPLES = """Examples:

  wsssbench run configs/aeft_synthetic.py

  wsssbench run configs/aeft_voc.py --set data.root=VOCdevkit/VOC2012

  wsssbench run configs/aeft_synthetic.py --set classifier.pooling=GAP --until cam

  torchrun --nproc_per_node=4 -m wsssbench run configs/aeft_voc.py --set data.root=...
"""


def run(
    config: Annotated[Path, typer.Argument(help="the experiment, e.g. configs/aeft_synthetic.py")],
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="override a value; +key=value adds one",
            autocompletion=complete.assignments,
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="comma-separated, e.g. 0,1,2; default: the config's")
    ] = "",
    smoke: Annotated[
        bool, typer.Option("--smoke", help="all stages on a handful of images, tiny trainings")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="the first N images of each split only")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would run, and why")
    ] = False,
    force: Annotated[
        list[str] | None,
        typer.Option(metavar="STAGE", help="compute it again, and what descends from it"),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="STAGE", help="stop after this stage")
    ] = None,
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="cache and results")] = Path("work"),
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Run an experiment; what is in the cache is reused, what was interrupted goes on."""
    from wsssbench import api
    from wsssbench.experiment.weight_files import refuse

    console = make_console()
    progress = ConsoleProgress(console)
    log = work_dir / "logs" / f"rank{ranks.rank()}.txt"
    with log_noise(log, progress):
        loaded = api.read(config, set_ or [], smoke, limit, bool(seeds), progress)
        settings = api.make_settings(work_dir, device, workers, progress, force or (), until)
        wanted: list[int | None] = [*parse_seeds(seeds)] if seeds else [None]
        plans = [api.plan(loaded, settings, seed) for seed in wanted]
        if dry_run:
            for plan in plans:
                _show_plan(plan, console)
            show_missing(plans, console)
            return
        for plan in plans:
            refuse(plan.missing)
        results = [run_one(plan, settings, console, log) for plan in plans]
        if len(results) > 1 and ranks.is_main():
            _show_ladder(results, console)


def parse_seeds(text: str) -> list[int]:
    """Read ``0,1,2`` as [0, 1, 2]; UserError for anything else."""
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            f"--seeds {text}: has to be whole numbers with commas, e.g. 0,1,2"
        ) from None
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {text}: names a seed twice")
    return seeds


def run_one(plan: Plan, settings: Settings, console: Console, log: Path) -> RunResult:
    """Run `plan`, write its report and show its ladder; of a run that breaks off the part of it that is there."""
    from wsssbench import api
    from wsssbench.results.collect import collect, finished_part
    from wsssbench.results.formatting import trial_text

    if ranks.is_main():
        console.rule(f"{plan.config['name']}, seed {plan.config['seed']}", align="left")
    try:
        run = api.run_plan(plan, settings)
    except UserError:
        if ranks.is_main():
            _show_ladder([collect(finished_part(plan), {})], console)
        raise
    if ranks.is_main():
        _show_ladder([run.result], console)
        seconds = sum(time.seconds for time in run.result.times)
        if run.result.trial:
            console.print(trial_text(run.result.trial), style="yellow", markup=False)
        _show_artefacts(run, console)
        console.print(f"report: {run.report}", markup=False)
        console.print(f"computing all stages took {duration(seconds)}; log: {log}", markup=False)
    return run.result


def _show_artefacts(run: Run, console: Console) -> None:
    """Say where the results of each stage are."""
    from wsssbench.results.artefact_links import links_of

    links = links_of(run.directory, run.result.artefacts)
    if links:
        console.print("what it has made:", markup=False)
    wide = max((len(what) for _, what, _ in links), default=0)
    for _, what, path in links:
        console.print(f"  {what:<{wide}}  {path}", markup=False)


_WIDE = 100  # columns of a terminal that has room for what a stage reads, too


def _show_plan(plan: Plan, console: Console) -> None:
    from rich import box
    from rich.table import Table

    from wsssbench.experiment.checks import not_made_yet

    title = f"{plan.config['name']}, seed {plan.config['seed']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    wide = console.width >= _WIDE
    columns = ("stage", "reads", "would be", "why", "cache")
    for column in columns if wide else [c for c in columns if c != "reads"]:
        table.add_column(column, overflow="fold", no_wrap=column == "cache")
    longest = max(len(step.node.name) for step in plan.steps)
    table.columns[0].min_width = min(longest, 30)  # a name breaks before it is cut
    for place, steps in enumerate(_by_chain(plan)):
        if place:
            table.add_row()
        for step in steps:
            reads = ", ".join(dict.fromkeys(step.node.inputs.values()))
            first = [step.node.name, *([reads] if wide else [])]
            table.add_row(*first, step.state, step.reason, step.entry.key.hash)
    console.print(table)
    nodes = [step.node for step in plan.steps]
    for step in plan.steps:
        node = not_made_yet(step.node, nodes, plan.dataset)
        effort = "" if step.state == "reused" else node.kind.effort(node, plan.dataset)
        if effort:
            console.print(effort, style="yellow", markup=False)


def _by_chain(plan: Plan) -> list[list[Step]]:
    """Return the steps of each chain: what all of them read first, the experiment itself last."""
    groups: dict[str | None, list[Step]] = {}
    for step in plan.steps:
        common = step.node.kind.writes_masks and len({s.node.chain for s in plan.steps}) > 1
        groups.setdefault(None if common else step.node.chain, []).append(step)
    own = groups.pop("", [])
    return [*groups.values(), *([own] if own else [])]


def show_missing(plans: Iterable[Plan], console: Console) -> None:
    """Name the weight files without which a run would refuse to begin."""
    from wsssbench.experiment.weight_files import told

    for line in dict.fromkeys(line for plan in plans for line in told(plan.missing)):
        console.print(line, style="yellow", markup=False)


def _show_ladder(results: list[RunResult], console: Console) -> None:
    from wsssbench.results.ladder import aggregate, ladder_table
    from wsssbench.results.table import terminal

    console.print()
    if any(result.evaluations for result in results):
        console.print(terminal(ladder_table(aggregate(results), boundary=False)))
