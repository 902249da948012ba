"""``wsssbench export labels`` and ``export predictions``: a run's label maps as PNGs in a folder of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.result_folder import result_folder
from wsssbench.errors import CorruptArtefactError, UserError, unknown

LABELS_EXAMPLES = """0 is background, 1..K the classes, 255 is ignored.

Example:

  wsssbench export labels work/runs/aeft_voc/0a1b2c3d-seed0 pseudo_labels
"""
PREDICTIONS_EXAMPLES = """0 is background, 1..K the classes.

Example:

  wsssbench export predictions work/runs/aeft_voc/0a1b2c3d-seed0 predictions --split val
"""
FORMATS = ("palette", "grey")
Run = Annotated[Path, typer.Argument(help="a run, work/runs/<name>/<id>")]
Out = Annotated[Path, typer.Argument(metavar="OUT", help="folder for <image id>.png")]
Format = Annotated[
    str,
    typer.Option(
        "--format",
        metavar="palette|grey",
        help="indices with VOC's colours, or indices as grey values",
    ),
]
Overwrite = Annotated[
    bool, typer.Option("--overwrite", help="into a folder that holds files; the same names are replaced")
]  # fmt: skip


def export_labels(
    run: Run, out: Out, format_: Format = "palette", overwrite: Overwrite = False
) -> None:
    """Write a run's pseudo-labels as PNGs."""
    from wsssbench.stages.label import NODE

    _export(result_folder(run, NODE, "pseudo-labels"), out, format_, overwrite, "pseudo-labels")


def export_predictions(
    run: Run,
    out: Out,
    split: Annotated[str, typer.Option(help="default: the first that was predicted")] = "",
    format_: Format = "palette",
    overwrite: Overwrite = False,
) -> None:
    """Write what a run's segmentation network predicted as PNGs."""
    from wsssbench.experiment.cache import read_manifest
    from wsssbench.results.run_files import read_stages
    from wsssbench.stages.segment import PREDICT, PREDICTIONS

    first = result_folder(run, PREDICT, "predictions")
    there = read_stages(run)
    folders = [result_folder(run, node, "predictions") for node in PREDICTIONS if node in there]
    by_split = {str(read_manifest(folder)["config"]["split"]): folder for folder in folders}
    chosen = split or str(read_manifest(first)["config"]["split"])
    if chosen not in by_split:
        raise UserError(f"--split: {unknown('split', chosen, by_split)} (what this run predicted)")
    what = f"predictions of {chosen}"
    _export(by_split[chosen] / chosen, out, format_, overwrite, what)


def _export(source: Path, out: Path, format_: str, overwrite: bool, what: str) -> None:
    """Write the label maps in `source`, each in its sub-folder if it is in one, into `out`."""
    if format_ not in FORMATS:
        raise UserError(f"--format: {unknown('format', format_, FORMATS)}")
    names = sorted(path.relative_to(source) for path in source.rglob("*.png"))
    if not names:
        raise UserError(f"there are no {what} in {source}")
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: give a folder")
    if out.is_dir() and not overwrite and any(out.iterdir()):
        raise UserError(
            f"{out} holds files already: choose an empty folder, or replace files of the same names with --overwrite"
        )
    progress = ConsoleProgress(make_console())
    _write(source, names, out, format_, progress)
    progress.say(f"{out}: {len(names)} {what}, format {format_}")


def _write(
    source: Path, names: Sequence[Path], out: Path, format_: str, progress: ConsoleProgress
) -> None:
    from wsssbench.files.artefacts import read_label
    from wsssbench.files.images import write_label

    with progress.track("export", total=len(names)) as task:
        for name in names:
            try:
                label = read_label(source / name)
            except CorruptArtefactError as error:
                raise UserError(
                    f"{error}; run the experiment again to have it made again"
                ) from None
            target = out / name
            target.parent.mkdir(parents=True, exist_ok=True)
            write_label(target, label, coloured=format_ == FORMATS[0])
            task.advance()
