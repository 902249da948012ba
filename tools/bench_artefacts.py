"""What CAM artefacts cost and change: bytes and mIoU against full-resolution float32 maps.

    python tools/bench_artefacts.py --voc VOCdevkit/VOC2012 [--split train] [--limit 60]

The CAMs are imitations made from the masks: each class's mask, averaged to stride 16 and blurred,
strong on some parts, leaking into the surroundings, with noise, summed over the usual four scales
and upsampled. They have the sharpness and about the mIoU of real CAMs, and need no network.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import gaussian_filter

from wsssbench.datasets.voc.dataset import VOC2012
from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.images import read_label
from wsssbench.interfaces import IGNORE, Cam
from wsssbench.ops.cam import upsample

LEVELS = 200  # thresholds of the curve


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voc", required=True, help="folder with JPEGImages and SegmentationClass")
    parser.add_argument("--split", default="train")
    parser.add_argument("--limit", type=int, help="use only the first images")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    dataset = VOC2012(root=arguments.voc)
    ids = dataset.ids(arguments.split)[: arguments.limit]
    paths = [dataset.mask_path(id, arguments.split) for id in ids]
    masks = (read_label(path) for path in paths if path is not None)
    for line in measure(masks, arguments.seed):
        print(line)


def measure(masks: Iterator[np.ndarray], seed: int = 0) -> list[str]:
    """The table's lines."""
    rng = np.random.default_rng(seed)
    full, stored = Curve(), Curve()
    full_bytes, stored_bytes, write_seconds, read_seconds, count = 0, 0, 0.0, 0.0, 0
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "cam.npz"
        for mask in masks:
            cam = imitated_cam(mask, rng)
            start = time.perf_counter()
            write_cam(path, cam)
            middle = time.perf_counter()
            back = read_cam(path)
            read_seconds += time.perf_counter() - middle
            write_seconds += middle - start
            full_bytes += cam.maps.nbytes
            stored_bytes += path.stat().st_size
            count += 1
            full.add(cam.maps, cam.classes, mask)
            stored.add(upsample(back.maps, cam.size), cam.classes, mask)
    best, best_stored = full.miou().max(), stored.miou().max()
    shift = np.abs(full.miou() - stored.miou()).max()
    return [
        f"images                         {count}",
        f"float32, full resolution       {full_bytes / count / 1e3:10.1f} kB per image",
        f"artefact                       {stored_bytes / count / 1e3:10.1f} kB per image",
        f"ratio                          {full_bytes / stored_bytes:10.1f}",
        f"write, read                    {1e3 * write_seconds / count:6.1f}, "
        f"{1e3 * read_seconds / count:.1f} ms per image",
        f"mIoU at the best threshold     {best:10.3f} -> {best_stored:.3f} "
        f"({best_stored - best:+.3f})",
        f"largest change at a threshold  {shift:10.3f}",
    ]


def imitated_cam(mask: np.ndarray, rng: np.random.Generator) -> Cam:
    """A CAM as a classifier at stride 16 might see `mask` (H, W), at full resolution."""
    classes = np.array([v for v in np.unique(mask) if v not in (0, IGNORE)], dtype=np.uint8)
    height, width = mask.shape
    maps = np.zeros((len(classes), height, width), dtype=np.float32)
    for k, value in enumerate(classes):
        part, leak = (_smooth_noise((height, width), rng) for _ in range(2))
        for scale in (0.5, 1.0, 1.5, 2.0):
            size = (max(1, round(height * scale / 16)), max(1, round(width * scale / 16)))
            seen = gaussian_filter(_means(mask == value, size), 0.7 * scale, mode="nearest")
            seen = seen * np.exp(0.7 * _means(part, size)) + 0.35 * _means(leak, size)
            seen = np.maximum(seen + 0.15 * rng.standard_normal(size), 0)
            maps[k] += upsample(seen[None], (height, width))[0]
        maps[k] /= max(maps[k].max(), 1e-5)
    return Cam(classes, maps, (height, width))


def _smooth_noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    coarse = (-(-size[0] // 8), -(-size[1] // 8))
    noise = gaussian_filter(rng.standard_normal(coarse), 0.1 * max(coarse), mode="nearest")
    return upsample(noise[None] / noise.std(), size)[0]


def _means(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    tensor = torch.from_numpy(plane.astype(np.float32))[None, None]
    return F.interpolate(tensor, size, mode="area")[0, 0].numpy()


class Curve:
    """mIoU over the background threshold, from a histogram of (truth, prediction, its score)."""

    def __init__(self, num_classes: int = 20) -> None:
        self.counts = np.zeros((num_classes + 1, num_classes + 1, LEVELS), dtype=np.int64)

    def add(self, maps: np.ndarray, classes: np.ndarray, mask: np.ndarray) -> None:
        counted = mask != IGNORE
        predicted = classes[maps.argmax(axis=0)[counted]]
        level = np.minimum((maps.max(axis=0)[counted] * LEVELS).astype(np.int64), LEVELS - 1)
        index = np.ravel_multi_index((mask[counted], predicted, level), self.counts.shape)
        counts = np.bincount(index, minlength=self.counts.size)
        self.counts += counts.reshape(self.counts.shape)

    def miou(self) -> np.ndarray:
        """Per cent at each threshold, averaged over background and the classes that occur."""
        counts = self.counts
        # predicted as a class where the score reaches the threshold, else as background
        reached = counts[..., ::-1].cumsum(axis=2)[..., ::-1]  # (truth, class, threshold)
        background = counts.sum(axis=(1, 2))[:, None] - reached.sum(axis=1)  # (truth, threshold)
        truth = counts.sum(axis=(1, 2))
        ious = [background[0] / (truth[0] + background.sum(axis=0) - background[0])]
        for k in np.flatnonzero(truth[1:]) + 1:
            ious.append(reached[k, k] / (truth[k] + reached[:, k].sum(axis=0) - reached[k, k]))
        return 100 * np.mean(ious, axis=0)


if __name__ == "__main__":
    main()
