"""fit and refine: train a refinement if it has to be, and apply it to every image.

Config of both: refinement (component), kind of the artefact it reads (``cam`` or ``scores``), splits.
`refine` writes one scores artefact ``<id>.npz`` per image.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from wsssbench.files.artefacts import read_cam, read_scores, write_scores
from wsssbench.files.images import read_image
from wsssbench.interfaces import Cam, FitItem, Refinement, Scores
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.plugins import load
from wsssbench.stages.work import StageWork, ids_of

READERS: dict[str, Callable[[Path], Cam | Scores]] = {"cam": read_cam, "scores": read_scores}


class RefineItem(NamedTuple):
    """One image: its file, the artefact to refine, where the result goes."""

    image: Path
    given: Path
    target: Path


class RefineJob(ImageJob[RefineItem]):
    """Refines one image's artefact; `fitted` is where `fit` left its network, if it has one."""

    def __init__(self, refinement: Refinement, kind: str, fitted: Path | None, device: str) -> None:
        self.refinement = refinement
        self.kind = kind
        self.fitted = fitted
        self.device = device

    def prepare(self) -> None:
        if self.fitted is not None:
            self.refinement.load(self.fitted, self.device)

    def target(self, item: RefineItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_scores(path)

    def run(self, item: RefineItem) -> None:
        given = READERS[self.kind](item.given)
        write_scores(item.target, self.refinement.refine(read_image(item.image), given))


def fit(work: StageWork) -> dict[str, Any]:
    """Train the refinement on the artefacts of the training split."""
    dataset = work.dataset
    items = [
        FitItem(id, dataset.image_path(id), work.inputs["given"] / f"{id}.npz")
        for id, _ in ids_of(dataset, work.config["splits"])
    ]
    refinement = load().registries.refinement.build(work.config["refinement"])
    refinement.fit(items, len(dataset.classes), work.context)
    return {"images": len(items)}


def run(work: StageWork) -> dict[str, Any]:
    """Refine every image of the splits."""
    dataset = work.dataset
    items = [
        RefineItem(
            dataset.image_path(id), work.inputs["given"] / f"{id}.npz", work.directory / f"{id}.npz"
        )
        for id, _ in ids_of(dataset, work.config["splits"])
    ]
    refinement = load().registries.refinement.build(work.config["refinement"])
    job = RefineJob(refinement, work.config["kind"], work.inputs.get("fitted"), work.context.device)
    on_gpu = refinement.fitted and work.context.device == "cuda"
    run_images(job, items, work.context, work.config["title"], in_process=on_gpu)
    return {"images": len(items)}
