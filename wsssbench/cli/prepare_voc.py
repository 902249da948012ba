"""``wsssbench data prepare voc``: the 10,582 training images from the official archives."""

from __future__ import annotations

from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, make_console

if TYPE_CHECKING:
    from wsssbench.datasets.voc.prepare import Prepared
    from wsssbench.progress import Progress

EXAMPLES = """Masks: an image of VOC's train (1,464) or val (1,449) gets VOC's own mask, which has an
ignored contour and is finer; every other image gets SBD's.

Example:

  wsssbench data prepare voc --voc VOCdevkit/VOC2012 --sbd benchmark_RELEASE
"""


def prepare_voc(
    voc: Annotated[Path, typer.Option(help="a VOC 2012 devkit folder, VOCdevkit/VOC2012")],
    sbd: Annotated[Path, typer.Option(help="SBD, unpacked: benchmark_RELEASE")],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="replace masks and a list that differ")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Make SegmentationClassAug and train_aug.txt (10,582 images) out of the devkit and SBD."""
    from wsssbench.datasets.voc import prepare as voc_prepare
    from wsssbench.datasets.voc.dataset import VOC2012
    from wsssbench.parallel.ranks import default_workers
    from wsssbench.plugins import load

    dataset = load().registries.dataset.build({"type": "VOC2012", "root": str(voc)}, where="--voc")
    assert isinstance(dataset, VOC2012)
    progress = ConsoleProgress(make_console())
    made = voc_prepare.prepare_voc(
        dataset.root, sbd, workers or default_workers(), progress, overwrite
    )
    _tell(made, dataset.root, progress)


def _tell(made: Prepared, root: Path, progress: Progress) -> None:
    from wsssbench.datasets.voc.prepare import LIST, MASKS
    from wsssbench.datasets.voc.sbd import TRAIN_AUG
    from wsssbench.files.image_lists import first_few

    if not made.expected:
        counts = ", ".join(f"{name} {count}" for name, count in made.counts.items())
        progress.warn(
            f"{LIST} has {made.train_aug} images instead of the literature's {TRAIN_AUG}, so "
            f"numbers will not compare; the lists it comes from: {counts}"
        )
    if made.different:
        progress.warn(
            f"{len(made.different)} masks in {MASKS} were there before, differ from VOC's and "
            f"SBD's, and are left alone: {first_few(made.different)}; --overwrite replaces them"
        )
    if made.list_kept:
        progress.warn(f"{LIST}.txt was there before with other ids; --overwrite replaces it")
    progress.say(
        f"{root / MASKS}: {made.written} masks written, {made.kept} were there; "
        f"{LIST}: {made.train_aug} images"
    )
    if not (root / "labels.csv").is_file():
        progress.say(
            f"next, the image-level labels: wsssbench data labels --voc {quote(str(root))} --from xml "
            f"--splits {LIST},val --out {quote(str(root / 'labels.csv'))}"
        )
