"""``wsssbench run``: an experiment from image-level labels to an evaluated segmentation network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.errors import UserError
from wsssbench.parallel import ranks
from wsssbench.progress import Progress, Silent, duration

if TYPE_CHECKING:
    from wsssbench.experiment.plan import Plan, Settings
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
        bool, typer.Option("--smoke", help="all stages on a handful of images")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would run, and why")
    ] = False,
    force: Annotated[
        list[str] | None, typer.Option(metavar="STAGE", help="compute it again")
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
    from wsssbench.experiment.config import read_config
    from wsssbench.experiment.overrides import apply_overrides, apply_smoke

    console = make_console()
    progress = ConsoleProgress(console)
    log = work_dir / "logs" / f"rank{ranks.rank()}.txt"
    with log_noise(log, progress):
        loaded = read_config(config)
        if smoke:
            loaded = apply_smoke(loaded)
        loaded = apply_overrides(loaded, set_ or [])
        settings = settings_of(work_dir, device, workers, progress, force, until)
        # a config's own seed is checked with the rest of it
        wanted: list[Any] = parse_seeds(seeds) if seeds else [loaded.get("seed", 0)]
        plans = [plan_of(loaded, seed, settings) for seed in wanted]
        if dry_run:
            for plan in plans:
                _show_plan(plan, console)
            return
        results = [run_one(plan, settings, console, log) for plan in plans]
        if len(results) > 1 and ranks.is_main():
            _show_seeds(results, console)


def settings_of(
    work_dir: Path,
    device: str,
    workers: int | None,
    progress: ConsoleProgress,
    force: list[str] | None,
    until: str | None,
) -> Settings:
    """What the options say about how to run."""
    from wsssbench.experiment.plan import Settings
    from wsssbench.parallel.ranks import default_workers

    shown: Progress = progress if ranks.is_main() else Silent()
    return Settings(
        work_dir,
        pick_device(device),
        workers or default_workers(),
        shown,
        tuple(force or ()),
        until,
    )


def pick_device(wanted: str) -> str:
    """``cpu`` or ``cuda``; UserError for CUDA that is not there."""
    import torch

    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {wanted}: has to be auto, cpu or cuda")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError(
            "--device cuda: this machine has no CUDA device that PyTorch can use; "
            "take --device cpu or auto, or see 'wsssbench doctor'"
        )
    return "cuda" if available and wanted != "cpu" else "cpu"


def parse_seeds(text: str) -> list[int]:
    """``0,1,2`` -> [0, 1, 2]; UserError for anything else."""
    try:
        seeds = [int(part) for part in text.split(",")]
    except ValueError:
        raise UserError(
            f"--seeds {text}: has to be whole numbers with commas, e.g. 0,1,2"
        ) from None
    if len(set(seeds)) < len(seeds):
        raise UserError(f"--seeds {text}: names a seed twice")
    return seeds


def plan_of(config: dict[str, Any], seed: Any, settings: Settings) -> Plan:
    """What running `config` with `seed` would do."""
    from wsssbench.experiment.config import resolve
    from wsssbench.experiment.plan import make_plan

    return make_plan(resolve({**config, "seed": seed}), settings)


def run_one(plan: Plan, settings: Settings, console: Any, log: Path) -> RunResult | None:
    """Run `plan`, write its report and show its ladder; None on ranks other than the main one."""
    from wsssbench.experiment.run import execute

    if ranks.is_main():
        console.rule(f"{plan.config['name']}, seed {plan.config['seed']}", align="left")
    happened = execute(plan, settings)
    if not ranks.is_main():
        return None
    from wsssbench.pages import run_page
    from wsssbench.pages.gallery import OF_RUN, RunFiles, run_gallery
    from wsssbench.pages.html import write_page
    from wsssbench.results.collect import collect, write_run
    from wsssbench.results.ladder import aggregate, ladder_table
    from wsssbench.results.table import terminal

    result = collect(plan, happened)
    directory = plan.directory(settings.work_dir)
    write_run(result, plan, directory)
    gallery = run_gallery(RunFiles.of_plan(plan), OF_RUN)
    page = run_page.render(replace(result, gallery=gallery))
    write_page(directory / "report.html", page)
    console.print()
    if result.evaluations:
        console.print(terminal(ladder_table(aggregate([result]))))
    seconds = sum(time.seconds for time in result.times)
    console.print(f"report: {directory / 'report.html'}", markup=False)
    console.print(f"computing all stages took {duration(seconds)}; log: {log}", markup=False)
    return result


def _show_plan(plan: Plan, console: Any) -> None:
    from rich import box
    from rich.table import Table

    title = f"{plan.config['name']}, seed {plan.config['seed']}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("stage", "reads", "would be", "why", "cache"):
        table.add_column(column, overflow="fold", no_wrap=column in ("stage", "cache"))
    for step in plan.steps:
        reads = ", ".join(dict.fromkeys(step.node.inputs.values()))
        table.add_row(step.node.name, reads, step.state, step.reason, step.entry.key.hash)
    console.print(table)


def _show_seeds(results: list[RunResult | None], console: Any) -> None:
    from wsssbench.results.ladder import aggregate, ladder_table
    from wsssbench.results.table import terminal

    console.print()
    ladder = aggregate([result for result in results if result])
    console.print(terminal(ladder_table(ladder)))
