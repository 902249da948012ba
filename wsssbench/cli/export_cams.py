"""``wsssbench export cams``: a run's CAMs as the files that other repositories read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.result_folder import result_folder
from wsssbench.errors import UserError

EXAMPLES = """Formats: psa = AffinityNet family, irn = IRNet family; see 'wsssbench import-cams --help'.

Example:

  wsssbench export cams work/runs/aeft_voc/0a1b2c3d-seed0 --format psa --out out_cam
"""
MARK = ".cams.json"  # in the folder that is written: which CAMs, in which format
_LAYOUTS = {
    "irn": 2
}  # changes of what a format's files hold, which does not mix: IRNet asks for tensors


def export_cams(
    run: Annotated[Path, typer.Argument(help="a run, work/runs/<name>/<id>")],
    format_: Annotated[str, typer.Option("--format", metavar="psa|irn")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder for <image id>.npy")],
    split: Annotated[str, typer.Option(help="default: all images that have a CAM")] = "",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Write a run's CAMs as other repositories' files; what was interrupted goes on."""
    from wsssbench.experiment.export_cams import write_cams
    from wsssbench.interfaces import RunContext
    from wsssbench.parallel.ranks import default_workers
    from wsssbench.stages.import_cams import NODE, find_format

    find_format(format_)
    directory = result_folder(run, NODE, "CAMs")
    ids = (
        _split_ids(run, split, directory)
        if split
        else sorted(p.stem for p in directory.glob("*.npz"))
    )
    layout = {"layout": _LAYOUTS[format_]} if format_ in _LAYOUTS else {}
    _open_folder(out, {"cams": directory.name, "format": format_, **layout})
    progress = ConsoleProgress(make_console())
    context = RunContext(out, "cpu", workers or default_workers(), 0, progress)
    write_cams(directory, ids, format_, context)
    progress.say(f"{out}: {len(ids)} CAM files, format {format_}")


def _split_ids(run: Path, split: str, directory: Path) -> list[str]:
    from wsssbench.files.image_lists import first_few
    from wsssbench.results.run_files import read_config
    from wsssbench.stages.generate import build_dataset

    ids = build_dataset(read_config(run)).ids(split)
    missing = [id for id in ids if not (directory / f"{id}.npz").is_file()]
    if missing:
        raise UserError(
            f"--split {split}: {len(missing)} of its {len(ids)} images have no CAM in this run: {first_few(missing)}"
        )
    return ids


def _open_folder(out: Path, mark: dict[str, str | int]) -> None:
    """Make `out` a folder that holds nothing but files of this export, or that is to."""
    from wsssbench.files.atomic import remove_partials, write_atomically

    if out.is_dir() and any(out.iterdir()):
        try:
            present = json.loads((out / MARK).read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            present = None
        if present != mark:
            raise UserError(
                f"--out {out}: holds files of something else, with which these would be mixed up; "
                "choose an empty folder"
            )
        remove_partials(out)
        return
    out.mkdir(parents=True, exist_ok=True)
    write_atomically(out / MARK, json.dumps(mark).encode())
