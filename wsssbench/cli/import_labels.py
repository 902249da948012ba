"""``wsssbench import-labels``: somebody else's label maps as the pseudo-labels of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli.importing import run_import

EXAMPLES = """A label map is a palette or grey PNG of its image's size: 0 is background, 1..K the data set's classes in
order, 255 is ignored. Nothing above the pseudo-labels is made then, and every table says where they are from.

Example:

  wsssbench import-labels irn/sem_seg --config configs/aeft_voc.py --set data.root=VOCdevkit/VOC2012
"""


def import_labels(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="holds <image id>.png")],
    config: Annotated[Path, typer.Option(help="the experiment whose pseudo-labels they become")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a value")
    ] = None,
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="cache and results")] = Path("work"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Bring somebody else's pseudo-labels into the pipeline, score them, and say how to go on from them."""
    from wsssbench.stages.import_labels import NODE, ImportLabels

    section = ImportLabels.section
    run_import(section, directory, {}, NODE, config, set_ or [], work_dir, workers)
