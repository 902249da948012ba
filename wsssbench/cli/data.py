"""``wsssbench data``: steps on data sets that a run never takes by itself."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import Annotated

import typer

from wsssbench.cli import check_data, prepare_coco, prepare_voc
from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.output_path import check_output
from wsssbench.cli.plugin_option import with_plugin_files
from wsssbench.errors import UserError

app = typer.Typer(help="Data sets.", no_args_is_help=True)
prepare = typer.Typer(help="Turn published archives into a data set.", no_args_is_help=True)
app.add_typer(prepare, name="prepare")
prepare.command("voc", epilog=prepare_voc.EXAMPLES)(prepare_voc.prepare_voc)
prepare.command("coco", epilog=prepare_coco.EXAMPLES)(prepare_coco.prepare_coco)

app.command("check", epilog=check_data.EXAMPLES)(with_plugin_files(check_data.check))


@app.callback()
def _group() -> None:
    """Data sets."""


@prepare.callback()
def _prepare_group() -> None:
    """Turn published archives into a data set."""


@app.command("labels")
def labels(
    out: Annotated[Path, typer.Option(help="the CSV to write")],
    voc: Annotated[Path, typer.Option(help="a VOC 2012 devkit folder")],
    splits: Annotated[str, typer.Option(help="comma-separated")] = "train,val",
    source: Annotated[str, typer.Option("--from", metavar="masks|xml")] = "masks",
    masks: Annotated[str, typer.Option(help="mask folder inside the devkit")] = "",
) -> None:
    """Write image-level labels from masks or from the XML annotations, so that no stage has to open a mask."""
    import numpy as np

    from wsssbench.files.ground_truth import allow_masks
    from wsssbench.files.image_labels import labels_from_masks, labels_from_xml, write_labels_csv
    from wsssbench.plugins import load

    if source not in ("masks", "xml"):
        raise UserError(f"--from {source}: has to be masks or xml")
    check_output(out, "--out", replace=False)
    if masks and source == "xml":
        raise UserError(f"--masks {masks} was given, but --from xml does not read masks")
    if masks and not (voc.expanduser() / masks).is_dir():
        raise UserError(f"--masks {masks}: there is no folder {voc.expanduser() / masks}")
    names = [name.strip() for name in splits.split(",")]
    folders = dict.fromkeys(names, masks) if masks else None
    config = {"type": "VOC2012", "root": str(voc), "masks_of": folders}
    dataset = load().registries.dataset.build(config, where="--voc")
    progress = ConsoleProgress(make_console())
    lists = {split: dataset.ids(split) for split in names}  # a misspelt one shows before any work
    by_id: dict[str, np.ndarray] = {}
    for split, ids in lists.items():
        if source == "xml":
            by_id |= labels_from_xml(voc.expanduser() / "Annotations", ids, dataset.classes)
        else:
            with allow_masks("data labels"):
                by_id |= labels_from_masks(dataset, split, progress)
    write_labels_csv(out, by_id, dataset.classes)
    matrix = np.stack(list(by_id.values()))
    progress.say(
        f"{out}: {len(by_id)} images, {int(matrix.sum())} labels of {int(matrix.any(0).sum())} "
        f"classes, from {source}; use it with --set data.labels={quote(str(out))}"
    )
