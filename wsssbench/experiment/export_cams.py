"""Writes CAM artefacts as the files of other repositories, into a folder of the user's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.artefacts import read_cam
from wsssbench.files.cam_formats import FORMATS
from wsssbench.interfaces import RunContext
from wsssbench.parallel.jobs import ImageJob, run_images


class ExportItem(NamedTuple):
    """One image: its CAM artefact and the file to write."""

    source: Path
    target: Path


class ExportJob(ImageJob[ExportItem]):
    """Writes one file."""

    def __init__(self, format: str) -> None:
        self.format = format

    def valid(self, path: Path) -> None:
        try:
            FORMATS[self.format].read(path, (1, 1))
        except UserError as error:
            raise CorruptArtefactError(path, str(error)) from error

    def run(self, item: ExportItem) -> None:
        FORMATS[self.format].write(item.target, read_cam(item.source))


def write_cams(directory: Path, ids: Sequence[str], format: str, context: RunContext) -> None:
    """Write ``<id>.npy`` of `format` into ``context.directory`` for the artefacts of `ids` in `directory`.

    Files that are there and whole are kept.

    Raises:
        UserError: an artefact cannot be read.
    """
    suffix = FORMATS[format].suffix
    items = [ExportItem(directory / f"{id}.npz", context.directory / f"{id}{suffix}") for id in ids]
    try:
        run_images(ExportJob(format), items, context, "export")
    except CorruptArtefactError as error:
        raise UserError(f"{error}; run the experiment again to have it made again") from error
