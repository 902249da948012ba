"""``wsssbench evaluate``: score anybody's label maps or CAMs against pixel ground truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.output_path import check_output
from wsssbench.errors import UserError

EXAMPLES = """Formats: png = label maps (0 background, 1..K, 255 ignored); cam = our CAM artefacts (.npz);
psa = AffinityNet-style .npy dicts of class index 0..K-1 -> float map (background = the threshold);
irn = IRNet-style .npy dicts, of which high_res is scored (or attn_highres of CLIP-ES, hr_cam of Puzzle-CAM).

Examples:

  wsssbench evaluate --pred labels --gt VOC2012/SegmentationClass --list train.txt --format png

  wsssbench evaluate --pred cams --gt VOC2012/SegmentationClass --list train.txt --format psa
  --num-classes 20 --thresholds 0:0.6:0.01 --json scores.json
"""
DEFAULT_THRESHOLDS = "0:0.6:0.01"


def evaluate(
    pred: Annotated[Path, typer.Option(help="folder of predictions, one file per image id")],
    gt: Annotated[Path, typer.Option(help="folder of masks, <id>.png")],
    list_: Annotated[Path, typer.Option("--list", help="image ids, plain or AffinityNet-style")],
    format_: Annotated[str, typer.Option("--format", metavar="png|cam|psa|irn")],
    num_classes: Annotated[
        int | None, typer.Option(min=1, max=254, help="K; default: any label up to 254 is allowed")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="background threshold of CAMs")] = None,
    thresholds: Annotated[
        str | None,
        typer.Option(
            metavar="A:B:STEP", help=f"score all, report the best; default {DEFAULT_THRESHOLDS}"
        ),
    ] = None,
    json_: Annotated[Path | None, typer.Option("--json", help="write the result here")] = None,
) -> None:
    """Score predictions: mIoU, precision, recall in per cent, over the classes that occur."""
    from wsssbench import api

    if json_ is not None:
        check_output(json_, "--json")
    console = make_console()
    progress = ConsoleProgress(console)
    scores = api.evaluate(
        pred,
        gt,
        list_,
        format=format_,
        num_classes=num_classes,
        threshold=threshold,
        thresholds=_parts(thresholds),
        progress=progress,
    )
    result = {"images": scores.pop("images"), "format": scores.pop("format")}
    result |= {"split_list": str(list_), **scores}
    if json_ is not None:
        json_.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    _show(result, console)
    for text in result["warnings"]:  # below the number that they are about
        progress.warn(text)


def _parts(text: str | None) -> tuple[float, float, float] | None:
    """(first, last, step) of the thresholds to score CAMs at."""
    if text is None:
        return None
    try:
        first, last, step = (float(part) for part in text.split(":"))
    except ValueError:
        raise UserError(
            f"--thresholds {text}: has to be A:B:STEP, e.g. {DEFAULT_THRESHOLDS}"
        ) from None
    return first, last, step


def _show(result: dict[str, Any], console: Any) -> None:
    from rich import box
    from rich.table import Table

    at = ""
    if result["threshold"] is not None:
        at = f" at threshold {result['threshold']:.3g} ({result['threshold_choice']})"
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("class")
    table.add_column("IoU", justify="right")
    for name, value in result["iou"].items():
        table.add_row(name, f"{value:.1f}")
    console.print(table)
    console.print(
        f"mIoU {result['miou']:.2f}  precision {result['precision']:.2f}  recall {result['recall']:.2f}"
        f"{at}, {result['images']} images, {len(result['iou'])} classes that occur"
    )
