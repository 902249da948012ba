"""Prediction of one image: averaged over scales and flips, with an optional dense CRF, written as a palette PNG."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseTTAModel
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.models.segmentors import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor

from wsssbench.errors import UserError
from wsssbench.files.images import read_label
from wsssbench.interfaces import IGNORE, SegmentationItem
from wsssbench.parallel import ranks
from wsssbench.parallel.jobs import worker_pool
from wsssbench.progress import Task
from wsssbench.segmenters.save_prediction import save_prediction
from wsssbench.training.checkpoints import REMEDY


class AveragedProbabilities(BaseTTAModel):
    """mmseg's test-time augmentation, but the merged probabilities stay, for the CRF.

    Views are merged one after the other, so memory does not grow with their number.

    Args:
        module: the network.
        average: what is merged, and how; see `TestSettings`.
    """

    def __init__(self, module: EncoderDecoder, average: str = "probabilities") -> None:
        super().__init__(module)
        self.average = average

    def test_step(self, data: Mapping[str, Sequence[Any]]) -> list[SegDataSample]:
        """`data`: ``inputs`` and ``data_samples``, per view a list with one image. One sample with `probabilities`."""
        merged: Tensor | None = None
        count = len(data["inputs"])
        for i in range(count):
            view = {key: values[i] for key, values in data.items()}
            (sample,) = self.module.test_step(view)  # logits at the image's size, flipped back
            logits = sample.seg_logits.data
            seen = logits if self.average == "logits" else logits.softmax(dim=0)
            if merged is None:
                merged = seen
            else:
                merged = torch.maximum(merged, seen) if self.average == "maximum" else merged + seen
        assert merged is not None
        if self.average != "maximum":
            merged = merged / count
        if self.average == "logits":
            merged = merged.softmax(dim=0)
        if not merged.isfinite().all():
            photo = data["data_samples"][0][0].metainfo["img_path"]
            raise UserError(
                f"segment: its logits for {photo} are not finite, so the training has diverged: {REMEDY}"
            )
        result = SegDataSample(metainfo=data["data_samples"][0][0].metainfo)
        result.set_data({"probabilities": PixelData(data=merged)})
        return [result]

    def merge_preds(self, data_samples_list: Any) -> Any:
        """Not used: `test_step` merges."""
        raise NotImplementedError


class WrittenIoU(IoUMetric):
    """Writes every prediction; then mmseg's IoU from the written files, also of those that were there before.

    Args:
        directory: where ``<id>.png`` go.
        items: all images; those with a label map are scored.
        crf: the CRF preset, if any.
        workers: processes for the CRF; 0 or 1 compute it here.
        bar: advanced by one per image.
    """

    def __init__(
        self,
        directory: Path,
        items: Sequence[SegmentationItem],
        crf: str | None,
        workers: int,
        bar: Task,
    ) -> None:
        super().__init__(ignore_index=IGNORE)
        self.directory = directory
        self.items = items
        self.crf = crf
        self.bar = bar
        self.limit = 2 * workers  # images that wait for the CRF: each holds its probabilities
        self._processes = ExitStack()
        pooled = crf is not None and workers > 1
        self._pool = self._processes.enter_context(worker_pool(workers)) if pooled else None
        self._waiting: deque[Future[None]] = deque()

    def process(self, data_batch: Any, data_samples: Sequence[dict[str, Any]]) -> None:
        """Write what `AveragedProbabilities` returned for one image."""
        for sample in data_samples:
            probabilities: Tensor = sample["probabilities"]["data"]
            path = self.directory / f"{sample['id']}.png"
            if self.crf is None:
                label = probabilities.argmax(dim=0).to(torch.uint8)
                save_prediction(path, label.cpu().numpy())
                self.bar.advance()
            else:
                self._refine(path, sample["img_path"], probabilities.float().cpu().numpy())

    def _refine(self, path: Path, image: str, probabilities: np.ndarray) -> None:
        if self._pool is None:
            save_prediction(path, probabilities, image, self.crf)
            self.bar.advance()
            return
        self._waiting.append(
            self._pool.submit(save_prediction, path, probabilities, image, self.crf)
        )
        self._wait(self.limit)

    def _wait(self, most: int) -> None:
        """Until at most `most` images wait."""
        while len(self._waiting) > most:
            try:
                self._waiting.popleft().result()
            except BrokenProcessPool:
                raise UserError(
                    "a process that computes the CRF died (out of memory?): give the same command again with fewer "
                    "workers; finished images are kept"
                ) from None
            self.bar.advance()

    def close(self) -> None:
        """Stop the CRF processes; images that still wait are not written."""
        self._processes.close()

    def evaluate(self, size: int) -> dict[str, float]:
        """mmseg's metrics in per cent over the items with a label map, of all ranks; {} if there are none."""
        self._wait(0)
        ranks.barrier()
        scored = [item for item in self.items if item.label is not None]
        if not scored:
            return {}
        parts = ranks.gather([self._areas(item) for item in ranks.shard(scored)])
        metrics = self.compute_metrics([areas for part in parts for areas in part])
        return {name: round(float(value), 2) for name, value in metrics.items()}

    def _areas(self, item: SegmentationItem) -> tuple[Tensor, ...]:
        assert item.label is not None
        predicted, label = read_label(self.directory / f"{item.id}.png"), read_label(item.label)
        if predicted.shape != label.shape:
            raise UserError(
                f"label map {item.label} is {label.shape}, but its image {item.image} is {predicted.shape} "
                "(height, width): they have to be of one size"
            )
        areas: tuple[Tensor, ...] = self.intersect_and_union(
            torch.from_numpy(predicted),
            torch.from_numpy(label),
            len(self.dataset_meta["classes"]),
            self.ignore_index,
        )
        return areas
