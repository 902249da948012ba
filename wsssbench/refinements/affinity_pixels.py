"""AffinityNet's training crops as the released code cuts them (jiwoon-ahn/psa, and the copies of SEAM and AEFT).

They begin at any pixel, and are black outside of the image. The labels of a crop come from the two CRFs' scores inside
it, so the scores of every image are kept at full size while the network is trained: about 1 MB per image of VOC.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.files.artefacts import read_cam, read_scores, write_scores
from wsssbench.files.images import read_image
from wsssbench.interfaces import FitItem, RunContext, Scores
from wsssbench.models.preprocess import normalise
from wsssbench.ops.affinity import affinity_labels, block_mean
from wsssbench.ops.crf import dense_crf
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.refinements.affinity_training import AffinityCrops, LabelItem, LabelMaker, place
from wsssbench.refinements.score_maps import Background, start_scores


@dataclass(frozen=True)
class ScoreMaker(ImageJob[LabelItem]):
    """CAM -> scores after a CRF, at full size, for one of the backgrounds of a `LabelMaker`."""

    maker: LabelMaker
    background: Background

    def target(self, item: LabelItem) -> Path:
        return item.target

    def valid(self, path: Path) -> None:
        read_scores(path)

    def run(self, item: LabelItem) -> None:
        image, cam = read_image(item.image), read_cam(item.given)
        planes = dense_crf(image, start_scores(image, cam, self.background), self.maker.crf)
        write_scores(item.target, Scores(cam.classes, planes, cam.size))


def make_scores(
    items: Sequence[FitItem], maker: LabelMaker, directory: Path, context: RunContext
) -> list[tuple[Path, Path]]:
    """Write the scores of all `items` with much and with little background, where they are not there and whole.

    Returns:
        Two files per item, in their order.
    """
    written = []
    for name, background in zip(("much", "little"), maker.backgrounds, strict=True):
        folder = directory / name
        folder.mkdir(parents=True, exist_ok=True)
        jobs = [LabelItem(item.image, item.given, folder / f"{item.id}.npz") for item in items]
        run_images(ScoreMaker(maker, background), jobs, context, f"scores, {name} background")
        written.append([job.target for job in jobs])
    ranks.barrier()
    return list(zip(*written, strict=True))


class PixelCrops(AffinityCrops):
    """Random crops at any pixel, black and ignored outside of the image; `labels` are pairs as of `make_scores`."""

    def cut(self, index: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        image = read_image(self.images[index])
        low, high = (read_scores(path) for path in self.labels[index])
        (top, to_top), (left, to_left) = (place(n, self.crop, rng) for n in image.shape[:2])

        def window(planes: np.ndarray) -> np.ndarray:
            part = planes[..., top : top + self.crop, left : left + self.crop]
            whole = np.zeros((len(planes), self.crop, self.crop), planes.dtype)
            height, width = part.shape[1:]
            whole[:, to_top : to_top + height, to_left : to_left + width] = part
            return whole

        below, above = (block_mean(window(scores.planes), self.stride) for scores in (low, high))
        pixels = window(image.transpose(2, 0, 1)).transpose(1, 2, 0)
        return normalise(pixels), affinity_labels(below, above, low.classes)
