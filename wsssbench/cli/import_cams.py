"""``wsssbench import-cams``: another repository's CAMs as the CAM stage of an experiment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli.importing import run_import

EXAMPLES = """Formats: psa = AffinityNet family, one .npy dict per image of class index 0..K-1 -> (H, W) map in [0, 1];
irn = IRNet family, one .npy dict per image of keys and high_res (or attn_highres of CLIP-ES, hr_cam of Puzzle-CAM).
Tensors are read, other objects are refused.

Example:

  wsssbench import-cams psa/out_cam --format psa --config configs/aeft_voc.py --set data.root=VOCdevkit/VOC2012
"""


def import_cams(
    directory: Annotated[Path, typer.Argument(metavar="DIR", help="holds <image id>.npy")],
    format_: Annotated[str, typer.Option("--format", metavar="psa|irn")],
    config: Annotated[Path, typer.Option(help="the experiment whose CAM stage they become")],
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="override a value")
    ] = None,
    work_dir: Annotated[Path, typer.Option(metavar="DIR", help="cache and results")] = Path("work"),
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Bring another repository's CAMs into the pipeline, score them, and say how to go on from them."""
    from wsssbench.stages.import_cams import NODE, ImportCams, find_format

    find_format(format_)
    section, more = ImportCams.section, {"format": format_}
    run_import(section, directory, more, NODE, config, set_ or [], work_dir, workers)
