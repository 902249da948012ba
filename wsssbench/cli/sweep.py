"""``wsssbench sweep``: an ablation matrix, every stage computed once."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli import complete
from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.cli.sweep_display import CellsDisplay, count, show_forecast, show_warnings
from wsssbench.errors import UserError, unknown
from wsssbench.parallel import ranks

if TYPE_CHECKING:
    from wsssbench.results.sweep_record import SweepCell
    from wsssbench.sweep.cells import PlannedSweep
    from wsssbench.sweep.launch import LaunchOptions
    from wsssbench.sweep.matrix import Matrix

EXAMPLES = """Examples:

  wsssbench sweep configs/ablations/table1_gpp.py --seeds 0,1,2

  wsssbench sweep configs/ablations/table1_gpp.py --base voc --set data.root=VOCdevkit/VOC2012 --dry-run

  wsssbench sweep configs/aeft_synthetic.py --grid pooling=GAP,GPP --grid erasing=none,RigidErasing,AEFT

  wsssbench sweep configs/aeft_synthetic.py --grid "pooling=GPP(bins=(2,)),GPP(bins=(2,4))" --until cam --jobs 2

  wsssbench sweep configs/ablations/table2_aeft.py --executor slurm --slurm slurm_partition=gpu --ranks 4

The same command again goes on where it stopped; --retry runs what failed, too; --collect shows what is there.
Afterwards: wsssbench compare work/sweeps/NAME, wsssbench report work/sweeps/NAME.
"""
EXECUTORS = ("here", "slurm", "local", "debug")
DEVICES = ("auto", "cpu", "cuda")


def sweep(
    config: Annotated[Path, typer.Argument(help="a matrix file, or an experiment with --grid")],
    grid: Annotated[
        list[str] | None,
        typer.Option(
            metavar="AXIS=V,V",
            help="an axis: pooling, erasing, or any key of the config",
            autocompletion=complete.grids,
        ),
    ] = None,
    seeds: Annotated[
        str, typer.Option(help="comma-separated; default: the matrix's, or the base's")
    ] = "",
    base: Annotated[str, typer.Option(help="a matrix's base by name, e.g. voc; or a config")] = "",
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="KEY=VALUE", help="in every row", autocompletion=complete.assignments
        ),
    ] = None,
    until: Annotated[
        str | None, typer.Option(metavar="STAGE", help="stop after it; default: the matrix's")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ROW", help="run these rows only; repeatable")
    ] = None,
    name: Annotated[str, typer.Option(help="of the folder in work/sweeps")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show the stages as a tree, what is cached, how long")
    ] = False,
    retry: Annotated[bool, typer.Option("--retry", help="run failed cells again")] = False,
    collect: Annotated[
        bool, typer.Option("--collect", help="run nothing, tabulate what is there")
    ] = False,
    smoke: Annotated[
        bool, typer.Option("--smoke", help="on a handful of images, tiny trainings")
    ] = False,
    limit: Annotated[
        int | None, typer.Option(metavar="N", help="the first N images of each split only")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="cells at the same time on this machine")] = 1,
    executor: Annotated[
        str,
        typer.Option(
            metavar="here|slurm|local|debug",
            help="slurm: jobs of a cluster (docs/clusters.md); slurm, local, debug: by submitit",
            autocompletion=complete.executors,
        ),
    ] = "here",
    slurm: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY=VALUE", help="for submitit, e.g. slurm_partition=gpu"),
    ] = None,
    ranks_: Annotated[
        int, typer.Option("--ranks", min=1, help="processes of a cell (torchrun)")
    ] = 1,
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="cache and results")] = Path("work"),
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="of every cell; default: its share of the CPU cores")
    ] = None,
) -> None:
    """Run an ablation matrix: rows times seeds; cells that share stages share the work."""
    from wsssbench.api import make_settings
    from wsssbench.cli.run import parse_seeds, show_missing
    from wsssbench.experiment.weight_files import refuse
    from wsssbench.sweep.cells import plan_cells, write
    from wsssbench.sweep.launch import LaunchOptions
    from wsssbench.sweep.matrix import read_matrix

    if executor not in EXECUTORS:
        raise UserError(f"--executor: {unknown('executor', executor, EXECUTORS)}")
    for idle, why in (
        (jobs > 1 and executor != "here", f"--jobs {jobs}: {executor} runs all cells at once"),
        (retry and collect, "--retry: --collect runs nothing"),
        (dry_run and collect, "--dry-run: --collect runs nothing, but shows results"),
    ):
        if idle:
            raise UserError(f"{why}; give one of the two")
    if ranks.world_size() > 1:
        raise UserError(
            "sweep starts the processes of its cells itself: leave torchrun out and give --ranks"
        )
    options = _options(slurm or [], executor)
    console = make_console()
    progress = ConsoleProgress(console)
    with log_noise(work_dir / "logs" / "sweep.txt", progress):
        matrix = read_matrix(config, grid or (), base)
        matrix = replace(matrix, until=until or matrix.until)
        # A plan needs no device; where the cells run elsewhere, that machine's counts.
        away = executor == "slurm"
        if away and device not in DEVICES:
            raise UserError(f"--device {device}: has to be auto, cpu or cuda")
        here = "cpu" if away else device
        settings = make_settings(work_dir, here, workers, progress, until=matrix.until)
        wanted = parse_seeds(seeds) if seeds else matrix.seeds
        planned = plan_cells(matrix, settings, wanted, set_ or (), smoke, name, limit)
        cells = _selected(planned, matrix, only or [])
        if dry_run:
            shown = replace(planned, plans={c.id: planned.plans[c.id] for c in cells})
            show_forecast(shown, console, settings.device)
            show_missing((planned.plans[cell.id] for cell in cells), console)
            return
        if not collect:
            refuse({file: of for c in cells for file, of in planned.plans[c.id].missing.items()})
        write(planned)
        for row, reason in planned.impossible():
            progress.warn(f"row {row!r} cannot run: {reason}")
        code = 0
        if not collect:
            at_once = jobs if executor == "here" else 1
            share = max(1, ranks.default_workers() // (at_once * ranks_))  # of the CPU cores
            launch_options = LaunchOptions(
                work_dir,
                device if away else settings.device,
                workers or (None if away else share),
                ranks_,
                share,
            )
            chosen = _to_run(planned, cells, retry, progress)
            code = _run(planned, chosen, launch_options, executor, jobs, options, console)
    _show_result(planned, console)
    raise typer.Exit(code)


def _options(given: Sequence[str], executor: str) -> dict[str, Any]:
    """Return ``--slurm key=value`` as parameters of submitit's executor; numbers as numbers."""
    if given and executor == "here":
        raise UserError(f"--slurm {given[0]}: goes with --executor slurm, local or debug")
    options: dict[str, Any] = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not equals or not key.isidentifier():
            raise UserError(f"--slurm {text}: has to be of the form key=value")
        options[key] = int(value) if value.lstrip("-").isdigit() else value
    return options


def _selected(planned: PlannedSweep, matrix: Matrix, only: Sequence[str]) -> list[SweepCell]:
    """Return the cells of the rows that `only` names, or of all rows, without those that cannot run."""
    names = {matrix.row(name).name for name in only}
    return [
        cell
        for cell in planned.sweep.cells
        if cell.id in planned.plans and (not names or cell.row in names)
    ]


def _to_run(
    planned: PlannedSweep, cells: Sequence[SweepCell], retry: bool, progress: ConsoleProgress
) -> list[SweepCell]:
    """Return the cells without results; those that failed, or are said to run elsewhere, only on request."""
    from wsssbench.sweep.launch import shared_stages_first

    states = {cell.id: planned.sweep.status(cell).state for cell in cells}
    number: Counter[str] = Counter(states.values())
    skipped = {"done"} if retry else {"done", "failed", "running"}
    chosen = [cell for cell in cells if states[cell.id] not in skipped]
    text = f"{planned.sweep.name}: {count(len(cells), 'cell')}, {number['done']} done, {len(chosen)} to run"
    for state, words in (("failed", "failed before"), ("running", "running elsewhere")):
        if number[state] and not retry:
            text += f", {number[state]} {words} (--retry runs them again)"
    progress.say(text)
    return shared_stages_first(chosen, planned.plans)


def _run(
    planned: PlannedSweep,
    cells: Sequence[SweepCell],
    launch_options: LaunchOptions,
    executor: str,
    jobs: int,
    options: dict[str, Any],
    console: Any,
) -> int:
    """Run `cells`; the exit code, 1 if one failed."""
    from wsssbench.sweep import launch, slurm

    if not cells:
        return 0
    sweep = planned.sweep
    with CellsDisplay(console, len(cells)) as display:
        if executor == "here":
            devices = _cuda_devices(launch_options)
            launch.run_here(sweep, cells, launch_options, jobs, devices, display)
        else:
            submitted = slurm.submit(sweep, cells, launch_options, executor, options)
            slurm.wait_for(sweep, cells, submitted, display)
    failed = [cell for cell in cells if sweep.status(cell).state == "failed"]
    for cell in failed:
        reason = sweep.status(cell).reason
        console.print(f"{cell.row}, seed {cell.seed} failed: {reason}", style="red", markup=False)
    return 1 if failed else 0


def _cuda_devices(options: LaunchOptions) -> list[str]:
    """Return the CUDA devices to share out among the cells."""
    if options.device != "cuda":
        return []
    import torch

    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return visible.split(",") if visible else [str(i) for i in range(torch.cuda.device_count())]


def _show_result(planned: PlannedSweep, console: Any) -> None:
    """The table of what is there, and where to go from here."""
    from wsssbench.cli.compare import show
    from wsssbench.results.collection import load
    from wsssbench.results.compare import make_comparison
    from wsssbench.results.layout import Options

    directory = planned.sweep.directory
    show_warnings(planned.sweep, console)
    if any(planned.sweep.status(cell).state == "done" for cell in planned.sweep.cells):
        console.print()
        show(make_comparison(load([directory]), Options()))
    console.print(f"table: wsssbench compare {directory} --format latex", markup=False)
    console.print(f"report: wsssbench report {directory}", markup=False)
