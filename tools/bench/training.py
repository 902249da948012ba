"""Classifier training at default settings against a bare loop on the same network, images and loading processes.

    python tools/bench/training.py [--iterations 30] [--batch 8] [--workers 2] [--repeats 2]

Prints the median seconds of both, which take turns, and their ratio, as JSON. By default a training writes a checkpoint
after each tenth of its iterations, but at most every 20; the bare loop writes none, and seeds nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from wsssbench.datasets.synthetic.dataset import SyntheticScenes
from wsssbench.interfaces import RunContext
from wsssbench.models.classifier import build_classifier
from wsssbench.progress import Silent
from wsssbench.stages.handles import photos_of
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.loading import ImageLabels, collate_views, start_method, start_worker
from wsssbench.training.sampler import StreamBatches, StreamSampler
from wsssbench.training.schedule import Schedule
from wsssbench.training.transforms import TrainTransform

CLASSIFIER = {
    "backbone": {"type": "EfficientNetLite0", "weights": None, "output_stride": 16},
    "pooling": {"type": "GAP"},
}


def ours(images: ImageLabels, schedule: Schedule, workers: int, classes: int) -> float:
    """Return the seconds of `train`."""
    seed_everything(0)
    task = ClassificationTask(build_classifier(CLASSIFIER, classes))
    with tempfile.TemporaryDirectory() as folder:
        context = RunContext(Path(folder), "cpu", workers, 0, Silent())
        start = time.perf_counter()
        train(task, images, schedule, context, collate=collate_views)
        return time.perf_counter() - start


def bare(images: ImageLabels, schedule: Schedule, workers: int, classes: int) -> float:
    """Return the seconds of a loop over one `DataLoader` with torch's own SGD."""
    seed_everything(0)
    task = ClassificationTask(build_classifier(CLASSIFIER, classes)).train()
    sizes = schedule.batch_sizes(len(images))
    stream = StreamSampler(
        len(images), sizes, rank=0, world=1, seed=0, round_iterations=sizes.iterations
    )
    start = time.perf_counter()
    optimizer = torch.optim.SGD(
        task.parameters(), schedule.lr, schedule.momentum, weight_decay=schedule.weight_decay
    )
    loader = DataLoader(
        images,
        batch_sampler=StreamBatches(stream),
        num_workers=workers,
        collate_fn=collate_views,
        multiprocessing_context=start_method(workers),
        worker_init_fn=start_worker,
    )
    for batch in loader:
        optimizer.zero_grad()
        torch.stack(list(task(batch, 0.0).terms.values())).sum().backward()
        optimizer.step()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in {"iterations": 30, "batch": 8, "workers": 2, "repeats": 2}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    schedule = Schedule(batch_size=given.batch, iterations=given.iterations, lr=0.01)
    with tempfile.TemporaryDirectory() as folder:
        scenes = SyntheticScenes(train_images=64, val_images=1, image_size=128)
        scenes.generate(Path(folder), Silent())
        data = scenes.at(Path(folder))
        images = ImageLabels(photos_of(data, ("train",)), TrainTransform(crop=128), seed=0)
        times: dict[str, list[float]] = {"ours": [], "bare": []}
        for repeat in range(given.repeats + 1):
            for name, measure in (("ours", ours), ("bare", bare)):
                seconds = measure(images, schedule, given.workers, len(data.classes))
                if repeat:  # the first ones import and warm up
                    times[name].append(seconds)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(json.dumps({**vars(given), **medians, "ratio": medians["ours"] / medians["bare"]}))


if __name__ == "__main__":
    main()
