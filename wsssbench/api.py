"""The toolkit from Python: run an experiment, open a finished one, score files, compare.

    run = wsssbench.run("configs/aeft_synthetic.py", set={"cam.flip": False}, until="cam")
    pandas.DataFrame(run.ladder())
    run.cam("train_00003")[run.classes.index("cat")]      # (H, W) float32 in [0, 1]
    run.classifier()(image).logits                        # of an (H, W, 3) uint8 image

It works in a script, at the prompt and in a notebook; the command line calls the same functions. A mistake of the
caller is a `wsssbench.errors.UserError` of one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import Field

from wsssbench.errors import UserError, unknown
from wsssbench.evaluation.score_folder import evaluate
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides, as_overrides, refuse_repeated
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.run import execute
from wsssbench.experiment.trial import tried
from wsssbench.experiment.weight_files import refuse
from wsssbench.pages.run_report import write_run_page
from wsssbench.parallel import ranks
from wsssbench.progress import Progress, Silent
from wsssbench.registry import Parameter, check_value
from wsssbench.results.collect import collect, write_run
from wsssbench.results.collection import load
from wsssbench.results.compare import make_comparison
from wsssbench.results.finished_run import REPORT, Run
from wsssbench.results.formats import records
from wsssbench.results.layout import Options
from wsssbench.results.run import RunResult, read_run
from wsssbench.results.run_artefacts import RunArtefacts
from wsssbench.results.started import announced

MOST_WORKERS = 1024
__all__ = ["Run", "compare", "evaluate", "open_run", "run"]


def run(
    config: str | Path | Mapping[str, Any],
    *,
    set: Mapping[str, Any] | Sequence[str] | str = (),
    seed: int | None = None,
    until: str | None = None,
    force: Sequence[str] | str = (),
    smoke: bool = False,
    limit: int | None = None,
    work_dir: str | Path = "work",
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
) -> Run:
    """Run an experiment; what is in the cache is reused, what was interrupted goes on.

    Args:
        config: a file, or the content of one.
        set: overrides, ``{"cam.flip": False}``, or one or several texts as ``--set`` takes them.
        seed: by default the config's.
        until: the last stage, e.g. ``cam``.
        force: a stage, or several, to compute again, with all that descends from them.
        smoke: all stages on a handful of images, with tiny trainings; the numbers mean nothing.
        limit: at most so many images of each split, the first ones.
        work_dir: where the cache and the results are.
        device: ``auto``, ``cpu`` or ``cuda``.
        workers: processes; by default the CPU cores.
        progress: told what is going on; by default nothing is shown. With
            ``wsssbench.cli.console.ConsoleProgress(wsssbench.cli.console.make_console())`` it is the command line's.

    Raises:
        UserError: whatever is wrong with the config, the data, or these arguments.
    """
    settings = make_settings(work_dir, device, workers, progress, force, until)
    loaded = read(config, set, smoke, limit, seed is not None, settings.progress)
    planned = plan(loaded, settings, seed)
    return run_plan(planned, settings)


def open_run(path: str | Path) -> Run:
    """Open a finished run.

    Args:
        path: its folder, ``work/runs/<name>/<id>``.

    Raises:
        UserError: it is not the folder of a run.
    """
    directory = Path(_checked("path", path, str | Path))
    return Run(directory, read_run(directory))


def compare(
    *paths: str | Path, progress: Progress | None = None, **options: Any
) -> list[dict[str, Any]]:
    """The numbers of runs or sweeps beside each other, a dict per number.

    Args:
        paths: folders of runs or sweeps.
        progress: told what is going on.
        options: of `wsssbench.results.layout.Options`: ``rung``, ``metric``, ``baseline``, ``rows``, ``columns`` ...

    Raises:
        UserError: a folder of neither, or an option that does not exist or does not fit.
    """
    if not paths:
        raise UserError("nothing to compare: give the folders of runs or sweeps")
    known = [option.name for option in fields(Options)]
    for name in options:
        if name not in known:
            raise UserError(f"compare: {unknown('option', name, known)}")
    chosen = Options(**options)
    if chosen.resamples < 1:
        raise UserError(f"resamples={chosen.resamples} has to be at least 1")
    if not 0 < chosen.confidence < 1:
        raise UserError(f"confidence={chosen.confidence} has to be between 0 and 1")
    collection = load([Path(_checked("path", path, str | Path)) for path in paths])
    return records(make_comparison(collection, chosen, progress or Silent()))


def read(
    config: str | Path | Mapping[str, Any],
    set: Mapping[str, Any] | Sequence[str] | str = (),
    smoke: bool = False,
    limit: int | None = None,
    seeded: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """A config with overrides, not resolved yet.

    Args:
        config, set, smoke, limit, progress: as of `run`.
        seeded: the seed is given besides, so an override of it would have no effect.
    """
    if isinstance(config, Mapping):
        loaded = dict(config)
    else:
        loaded = read_config(Path(_checked("config", config, str | Path | dict[str, Any])))
    given = as_overrides(set) if isinstance(set, Mapping) else _texts("set", set)
    refuse_repeated(given)
    if seeded and any(text.partition("=")[0].strip() == "seed" for text in given):
        raise UserError(
            "the seed is given twice, with --seeds and with --set seed: give one of them"
        )
    changed = apply_overrides(loaded, given)
    small, few = _checked("smoke", smoke, bool), _checked("limit", limit, int | None)
    return tried(changed, loaded, small, few, given, (progress or Silent()).warn)


def make_settings(
    work_dir: str | Path = "work",
    device: str = "auto",
    workers: int | None = None,
    progress: Progress | None = None,
    force: Sequence[str] | str = (),
    until: str | None = None,
) -> Settings:
    """How to run; arguments as of `run`. Ranks but the main one say nothing."""
    processes = _checked("workers", workers, Annotated[int, Field(ge=1, le=MOST_WORKERS)] | None)
    shown = progress if progress is not None and ranks.is_main() else Silent()
    directory = Path(_checked("work_dir", work_dir, str | Path))
    there = next((place for place in (directory, *directory.parents) if place.exists()), directory)
    if there.exists() and not there.is_dir():
        raise UserError(f"work directory {directory} cannot be used: {there} is not a folder")
    return Settings(
        directory,
        pick_device(device),
        processes or ranks.default_workers(),
        shown,
        tuple(_texts("force", force)),
        _checked("until", until, str | None),
    )


def pick_device(wanted: str) -> str:
    """``cpu`` or ``cuda``; UserError for CUDA that is not there."""
    if wanted not in ("auto", "cpu", "cuda"):
        raise UserError(f"--device {wanted}: has to be auto, cpu or cuda")
    available = torch.cuda.is_available()
    if wanted == "cuda" and not available:
        raise UserError(
            "--device cuda: this machine has no CUDA device that PyTorch can use; "
            "take --device cpu or auto, or see 'wsssbench doctor'"
        )
    return "cuda" if available and wanted != "cpu" else "cpu"


def plan(config: Mapping[str, Any], settings: Settings, seed: Any = None) -> Plan:
    """What running `config`, as of `read`, would do."""
    # A config's own seed is checked with the rest of it.
    return make_plan(resolve(config if seed is None else {**config, "seed": seed}), settings)


def run_plan(planned: Plan, settings: Settings) -> Run:
    """Do what is planned, and write the run's folder, page included, on the main rank."""
    refuse(planned.missing)
    with announced(planned, settings.work_dir) if ranks.is_main() else nullcontext():
        happened = execute(planned, settings)
        result = collect(planned, happened)
        directory = planned.directory(settings.work_dir)
        if ranks.is_main():
            write_run(result, planned, directory)
    if ranks.is_main():
        _report(result, planned, directory, settings.progress)
    ranks.barrier()
    return Run(directory, result)


def _report(result: RunResult, planned: Plan, directory: Path, progress: Progress) -> None:
    """Write the page of a run; whatever is wrong with it costs a warning, since the run itself has finished."""
    try:
        target = directory / REPORT
        write_run_page(target, directory, result, lambda: RunArtefacts.of_plan(planned))
    except Exception as error:  # a chart, a picture, the disk
        progress.warn(
            f"the run is finished, but its report could not be written ({type(error).__name__}: {error}); "
            f"make it again with 'wsssbench report {directory}'"
        )


def _texts(name: str, given: Sequence[str] | str) -> Sequence[str]:
    several: Sequence[str] = [given] if isinstance(given, str) else given
    return list(_checked(name, several, tuple[str, ...] | list[str]))


def _checked(name: str, value: Any, annotation: Any) -> Any:
    """The argument `name`, whose type is looked at as that of a parameter in a config; UserError if it is another."""
    return check_value(Parameter(name, annotation, None), value, "arguments")
