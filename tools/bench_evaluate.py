"""How much the one-pass evaluation costs beside reading the files it evaluates.

    python tools/bench_evaluate.py --voc VOC2012 [--thresholds 100] [--repeats 5]

Stores an imitated CAM (see bench_artefacts.py) for every photo of `train` and `val`, then times
(a) reading each CAM and mask once, (b) mIoU, precision and recall at all thresholds in one pass,
reading included, (c) the naive evaluation, one prediction and one confusion matrix per threshold,
reading included. The aim is (b) <= 2 x (a); (a') adds the upsampling, without which there is
nothing to compare with a mask.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np
import torch
from bench_artefacts import imitated_cam

from wsssbench.evaluation.confusion import confusion_of_labels, curve, metrics
from wsssbench.evaluation.score_files import score_files
from wsssbench.files.artefacts import read_cam, write_cam
from wsssbench.files.images import read_label
from wsssbench.ops.cam import upsample
from wsssbench.progress import Silent

NUM_CLASSES = 20
Files = list[tuple[Path, Path]]


def make_cams(voc: Path, directory: Path) -> Files:
    """(CAM file, mask file) of every image of the two lists."""
    rng = np.random.default_rng(0)
    files = []
    for split in ("train", "val"):
        for id in (voc / "ImageSets/Segmentation" / f"{split}.txt").read_text().split():
            mask = voc / "SegmentationClass" / f"{id}.png"
            path = directory / f"{id}.npz"
            write_cam(path, imitated_cam(read_label(mask), rng))
            files.append((path, mask))
    return files


def read(files: Files) -> None:
    for cam, mask in files:
        read_cam(cam)
        read_label(mask)


def load(files: tuple[Path, Path]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes, maps at the mask's size, mask."""
    cam, truth = read_cam(files[0]), read_label(files[1])
    return cam.classes, upsample(cam.maps, cam.size), truth


def load_all(files: Files) -> None:
    for pair in files:
        load(pair)


def one_pass(files: Files, thresholds: np.ndarray) -> list[float]:
    """What ``wsssbench evaluate`` does: `score_files` on the stored CAMs."""
    masks = {cam_file.stem: mask for cam_file, mask in files}
    accumulator = score_files(
        files[0][0].parent,
        list(masks),
        lambda id: read_label(masks[id]),
        "cam",
        NUM_CLASSES,
        thresholds,
        Silent(),
    )
    assert accumulator.histogram is not None
    return [point["miou"] for point in curve(accumulator.histogram)]


def naive(files: Files, thresholds: np.ndarray) -> list[float]:
    confusion = np.zeros((len(thresholds), NUM_CLASSES + 2, NUM_CLASSES + 1), np.int64)
    for cam_file, mask in files:
        cam, truth = read_cam(cam_file), read_label(mask)
        maps = upsample(cam.maps, cam.size)
        values = np.concatenate([[0], cam.classes]).astype(np.uint8)
        for i, threshold in enumerate(thresholds):
            background = np.full((1, *cam.size), threshold, np.float32)
            predicted = values[np.concatenate([background, maps]).argmax(axis=0)]
            confusion[i] += confusion_of_labels(predicted, truth, NUM_CLASSES)
    return [metrics(matrix).miou for matrix in confusion]


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voc", type=Path, required=True, help="VOC2012 directory of a devkit")
    parser.add_argument("--thresholds", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    thresholds = np.arange(arguments.thresholds, dtype=np.float32) / arguments.thresholds
    with tempfile.TemporaryDirectory() as directory:
        files = make_cams(arguments.voc, Path(directory))
        compare(files, thresholds, arguments.repeats)


def compare(files: Files, thresholds: np.ndarray, repeats: int) -> None:
    """Print the times and ratios."""
    print(f"{len(files)} images, {len(thresholds)} thresholds, one torch thread")
    some = files[::10]
    works: dict[str, Callable[[], object]] = {
        "(a) read once": lambda: read(files),
        "(a') read and upsample": lambda: load_all(files),
        "(b) one pass": lambda: one_pass(files, thresholds),
    }
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):  # in turns: the machine may be busy for a while
        for name, work in works.items():
            times[name].append(seconds(work))
    times["(c) naive"] = [seconds(lambda: naive(some, thresholds)) * len(files) / len(some)]
    base = times["(a) read once"]
    for name, taken in times.items():
        low, middle = (1000 * t / len(files) for t in (min(taken), median(taken)))
        ratio = min(taken) / min(base), median(taken) / median(base)
        print(
            f"{name:26} at best {low:7.2f} ms/image = {ratio[0]:6.2f} x (a), "
            f"median {middle:7.2f} = {ratio[1]:6.2f} x"
        )
    same = one_pass(some, thresholds) == naive(some, thresholds)
    print(f"(b) and (c) give the same mIoU at every threshold: {same}")


if __name__ == "__main__":
    main()
