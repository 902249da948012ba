"""``wsssbench data``: steps on data sets that a run never takes by itself."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Annotated, Any

import typer

from wsssbench.cli import check_data, prepare_coco, prepare_voc
from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.output_path import check_output
from wsssbench.cli.plugin_option import with_plugin_files
from wsssbench.errors import UserError

_SHOWN = 3  # names of classes
_LOOKED_AT = 100  # images
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
    classes: Annotated[
        str,
        typer.Option(
            metavar="FILE|A,B",
            help="other classes than VOC's 20, in the order of the masks' values: a text file with one name a "
            "line, or the names",
        ),
    ] = "",
) -> None:
    """Write image-level labels from masks or from the XML annotations, so that no stage has to open a mask."""
    import numpy as np

    from wsssbench.files.ground_truth import allow_masks
    from wsssbench.files.image_labels import labels_from_masks, labels_from_xml, write_labels_csv
    from wsssbench.plugins import load

    if source not in ("masks", "xml"):
        raise UserError(f"--from {source}: has to be masks or xml")
    check_output(out, "--out", replace=False, suffix=".csv")
    if masks and source == "xml":
        raise UserError(f"--masks {masks} was given, but --from xml does not read masks")
    if masks and not (voc.expanduser() / masks).is_dir():
        raise UserError(f"--masks {masks}: there is no folder {voc.expanduser() / masks}")
    names = [name.strip() for name in splits.split(",")]
    folders = dict.fromkeys(names, masks) if masks else None
    config: dict[str, Any] = {"type": "VOC2012", "root": str(voc), "masks_of": folders}
    if classes:
        config["classes"] = _classes(classes)
    dataset = load().registries.dataset.build(config, where="--voc")
    progress = ConsoleProgress(make_console())
    lists = {split: dataset.ids(split) for split in names}  # a misspelt one shows before any work
    by_id: dict[str, np.ndarray] = {}
    annotations = voc.expanduser() / "Annotations"
    if not classes:
        _refuse_other_names(
            annotations, [id for ids in lists.values() for id in ids], dataset.classes
        )
    for split, ids in lists.items():
        if source == "xml":
            by_id |= labels_from_xml(annotations, ids, dataset.classes)
        else:
            with allow_masks("data labels"):
                by_id |= labels_from_masks(dataset, split, progress)
    write_labels_csv(out, by_id, dataset.classes)
    matrix = np.stack(list(by_id.values()))
    shown = [name for name, of in zip(dataset.classes, matrix.T, strict=True) if of.any()]
    progress.say(
        f"{out}: {len(by_id)} images, {int(matrix.sum())} labels of {len(shown)} classes "
        f"({', '.join(shown[:_SHOWN])}{', ...' if len(shown) > _SHOWN else ''}), from {source}; use it with "
        f"--set data.labels={quote(str(out))}"
    )


def _refuse_other_names(annotations: Path, ids: Sequence[str], classes: Sequence[str]) -> None:
    """Raise UserError if the annotations of the first images name other classes only: masks have numbers alone."""
    from wsssbench.files.image_labels import object_names
    from wsssbench.files.image_lists import first_few
    from wsssbench.files.names import in_either_form

    names: set[str] = set()
    for id in ids[:_LOOKED_AT]:
        with suppress(UserError):  # without a file, or damaged, which is told where it is needed
            names.update(object_names(in_either_form(annotations / f"{id}.xml")))
    if names and names.isdisjoint(classes):
        raise UserError(
            f"{annotations} names {first_few(sorted(names))}, none of VOC's 20 classes: name the classes of the data "
            "set with --classes, in the order of the masks' values"
        )


def _classes(given: str) -> str | list[str]:
    """The path of a class list, absolute since a data set looks in its own folder first; or the names."""
    path = Path(given).expanduser()
    if path.is_file():
        return str(path.absolute())
    if "," not in given and (path.suffix or "/" in given):
        raise UserError(
            f"--classes {given}: there is no such file, nor are these names with commas between"
        )
    return [name.strip() for name in given.split(",")]
