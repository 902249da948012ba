"""``wsssbench data prepare coco``: index and label maps from MS-COCO 2014's official files."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated, get_args

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.errors import UserError, unknown

EXAMPLES = """Masks: COCO-Stuff's pixel maps (stuffthingmaps_trainval2017.zip; objects do not overlap there), or
painted from the instance files. Published numbers exist for both, and differ by points; see --overlap
for the second. Crowd regions are painted below all objects.

Examples:

  wsssbench data prepare coco --coco coco --masks stuff --stuff coco/stuffthingmaps

  wsssbench data prepare coco --coco coco --masks instances --overlap last --out coco-last
"""


def prepare_coco(
    coco: Annotated[
        Path, typer.Option(help="has annotations/instances_train2014.json, train2014/, ...")
    ],
    masks: Annotated[str, typer.Option(metavar="stuff|instances|none", help="see below")],
    stuff: Annotated[
        Path | None, typer.Option(help="COCO-Stuff's pixel maps; default: COCO/stuffthingmaps")
    ] = None,
    split: Annotated[str, typer.Option(help="comma-separated")] = "train,val",
    overlap: Annotated[
        str,
        typer.Option(metavar="smallest|last", help="which object of the instance file is on top"),
    ] = "smallest",
    out: Annotated[
        Path | None, typer.Option(help="gets index/ and masks/; default: the folder of --coco")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Make the index and the label maps of MS-COCO 2014, once; whole files that are there are kept."""
    from wsssbench.datasets.coco.annotations import SPLITS
    from wsssbench.datasets.coco.prepare import CocoPreparation
    from wsssbench.datasets.coco.regions import Overlap
    from wsssbench.interfaces import RunContext
    from wsssbench.parallel.ranks import default_workers

    splits = [name.strip() for name in split.split(",")]
    _check("--masks", "kind of masks", [masks], ("stuff", "instances", "none"))
    _check("--overlap", "rule", [overlap], get_args(Overlap))
    _check("--split", "split", splits, SPLITS)
    if not coco.is_dir():
        raise UserError(f"--coco {coco}: no such folder")
    if stuff is not None and masks != "stuff":
        raise UserError(f"--stuff {stuff} was given, but --masks {masks} does not read it")
    progress = ConsoleProgress(make_console())
    target = out or coco
    preparation = CocoPreparation(
        coco=coco,
        out=target,
        masks=masks,
        stuff=stuff or coco / "stuffthingmaps",
        overlap="last" if overlap == "last" else "smallest",
    )
    context = RunContext(target, "cpu", workers or default_workers(), 0, progress)
    preparation.run(splits, context)
    elsewhere = f" --set data.prepared={quote(str(out))}" if out else ""
    progress.say(
        f"{target}: {', '.join(splits)} prepared; use it with --set data.root={quote(str(coco))} "
        f"--set data.masks={masks}{elsewhere}"
    )


def _check(option: str, kind: str, given: list[str], allowed: tuple[str, ...]) -> None:
    for value in given:
        if value not in allowed:
            raise UserError(f"{option}: {unknown(kind, value, allowed)}")
