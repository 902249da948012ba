"""``wsssbench export voc-submission``: predictions as the archive that the VOC server takes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.errors import UserError

if TYPE_CHECKING:
    from wsssbench.datasets.voc.submission import Report
    from wsssbench.experiment.plan import Plan, Settings
    from wsssbench.progress import Progress

EXAMPLES = """comp5 is for methods trained on VOC 2012's trainval data only, comp6 for those trained on other data,
too; the server's rules have the last word.

Example:

  wsssbench export voc-submission work/runs/aeft_voc/3f2a9c1e-seed0 --split test
"""


def export_submission(
    run: Annotated[Path, typer.Argument(help="a run's folder, work/runs/<name>/<id>")],
    split: Annotated[str, typer.Option(help="the server scores test")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="the .tar.gz; default: in the run's folder")
    ] = None,
    competition: Annotated[str, typer.Option(metavar="comp5|comp6")] = "comp6",
    recompute: Annotated[
        bool,
        typer.Option("--recompute", help="also train again what the cache does not have any more"),
    ] = False,
    work_dir: Annotated[
        Path | None, typer.Option(metavar="DIR", help="default: the one the run is in")
    ] = None,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Predict a split with a run's segmenter, check it and write the server's archive."""
    from wsssbench.api import make_settings
    from wsssbench.datasets.voc.submission import COMPETITIONS
    from wsssbench.errors import unknown
    from wsssbench.experiment.run import execute

    if competition not in COMPETITIONS:
        raise UserError(f"--competition: {unknown('competition', competition, COMPETITIONS)}")
    if not split:
        raise UserError("--split is empty: give the name of a split, e.g. test or val")
    config, name = _config(run, split)
    work = work_dir or _work_dir(run, recompute)
    target = _target(out, run / f"voc2012-{split}-{competition}.tar.gz")
    progress = ConsoleProgress(make_console())
    with log_noise(work / "logs" / "export.txt", progress):
        settings = make_settings(work, device, workers, progress, until=name)
        plan, only = _plan(config, settings, name, recompute)
        execute(plan, settings, only)
        report = _write(plan, name, target, competition, progress)
    _tell(report, split, competition, plan.dataset.classes, progress)


def _config(run: Path, split: str) -> tuple[dict[str, Any], str]:
    """Return the run's config, to predict `split`, too, and the node that does.

    Raises:
        UserError: no segmenter in it; not VOC's classes.
    """
    from wsssbench.datasets.voc.dataset import VOC2012, VOC_CLASSES
    from wsssbench.experiment.config import resolve
    from wsssbench.results.run_files import read_config
    from wsssbench.stages.generate import build_dataset
    from wsssbench.stages.segment import predicting

    read = read_config(run)
    try:
        config, name = predicting(resolve(read), split)
    except UserError as error:
        raise UserError(f"run {run}: {error}") from error
    if config.get("trial"):
        raise UserError(
            f"run {run} is a trial on few images, but the server scores every image: run it without --smoke and --limit"
        )
    dataset = build_dataset(config)
    if not isinstance(dataset, VOC2012) or dataset.classes != VOC_CLASSES:
        raise UserError(
            f"run {run} is on {type(dataset).__name__} with {len(dataset.classes)} classes of its own, but the server "
            "scores VOC2012 with its 20 classes only"
        )
    return config, name


def _work_dir(run: Path, recompute: bool) -> Path:
    """Find the folder of the run's cache: three folders up, or the one that the run names if it was moved."""
    from wsssbench.results.run_files import read_stages
    from wsssbench.stages.segment import NODE

    stages = read_stages(run)
    if NODE not in stages:
        raise UserError(
            f"{run / 'run.json'} does not say where the run's segmenter is: has the run come to an end?"
        )
    trained = Path(stages[NODE].directory)
    candidates = [*run.absolute().parents[2:3], *trained.absolute().parents[2:3]]
    for work in candidates:
        if (work / "cache" / trained.parent.name / trained.name).is_dir():
            return work
    if recompute:
        return candidates[0]
    raise UserError(
        f"the segmenter of run {run} is not in {candidates[0] / 'cache'} any more: give the folder that has its "
        "cache with --work-dir, or --recompute it"
    )


def _target(out: Path | None, default: Path) -> Path:
    if out is None:
        return default
    if out.exists():
        raise UserError(f"--out {out}: exists already; remove it or choose another name")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: the folder {out.parent} does not exist")
    return out


def _plan(
    config: dict[str, Any], settings: Settings, name: str, recompute: bool
) -> tuple[Plan, set[str] | None]:
    """Return the plan, and its stages to run: the prediction alone if the segmenter is there, else all on request."""
    from wsssbench.experiment.plan import make_plan

    plan = make_plan(config, settings)
    needed = {name, *plan[name].node.inputs.values()}
    if all(plan[other].state == "reused" for other in needed - {name}):
        return plan, needed
    if not recompute:
        stale = [step for step in plan.steps if step.state != "reused" and step.node.name != name]
        names = ", ".join(step.node.name for step in stale)
        raise UserError(
            f"the cache in {settings.work_dir} does not have this run's segmenter as it would be now: {names} would "
            f"be computed again (the first: {stale[0].reason}); --recompute does it, which may take as long as the run"
        )
    return plan, None


def _write(plan: Plan, name: str, target: Path, competition: str, progress: Progress) -> Report:
    from wsssbench.datasets.voc.submission import write_submission

    step, dataset = plan[name], plan.dataset
    split = step.node.config["split"]
    items = [(id, dataset.image_path(id)) for id in dataset.ids(split)]
    return write_submission(
        step.entry.directory / split, items, len(dataset.classes), target, competition, progress
    )


def _tell(
    report: Report, split: str, competition: str, classes: tuple[str, ...], progress: Progress
) -> None:
    from wsssbench.datasets.voc.submission import COMPETITIONS, TEST_IMAGES

    if split != "test":
        progress.warn(
            f"this archive is a trial: the server scores the test split only, not {split}"
        )
    elif report.images != TEST_IMAGES:
        progress.warn(
            f"the server expects the {TEST_IMAGES} images of VOC 2012's test list, not {report.images}"
        )
    absent = [
        name for name, count in zip(classes, report.occurrences[1:], strict=True) if not count
    ]
    if absent:
        progress.say(f"classes that are nowhere predicted: {', '.join(absent)}")
    progress.say(
        f"{report.path}: {report.images} predictions, {report.size / 1e6:.1f} MB, checked; "
        f"{competition} is for methods {COMPETITIONS[competition]}"
    )
