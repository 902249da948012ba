"""mmseg's EncoderDecoder, trained as the first two DeepLabs were: several input scales, losses at the map's size."""

from __future__ import annotations

from typing import Any

import torch
from mmengine.structures import PixelData
from mmseg.models.segmentors import EncoderDecoder
from mmseg.models.utils import resize
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor
from torch.nn import functional as F

from wsssbench.segmenters.loss import HeadLoss
from wsssbench.segmenters.settings import LossSettings


@MODELS.register_module(name="WsssbenchEncoderDecoder")
class MultiScaleEncoderDecoder(EncoderDecoder):
    """The same as mmseg's unless `LossSettings` say otherwise; see there.

    Args:
        losses: input scales beside the original, resolution of the loss, corners.
        arguments: of mmseg's EncoderDecoder.
    """

    def __init__(self, losses: LossSettings | None = None, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.losses = losses or LossSettings()
        self.progress = 0.0

    def set_progress(self, progress: float) -> None:
        """Set the share of the schedule that is done."""
        self.progress = progress

    def loss(self, inputs: Tensor, data_samples: list[SegDataSample]) -> dict[str, Tensor]:
        """The original's losses under ``decode.``, the scales' under ``decode_0.5.``, the maximum's ``decode_max.``."""
        if isinstance(self.decode_head.loss_decode, HeadLoss):
            self.decode_head.loss_decode.hand_over(inputs, data_samples, self.progress)
        original, *others = self._logits(inputs)
        terms = self._terms("decode", original, data_samples)
        for scale, logits in zip(self.losses.scales, others, strict=True):
            terms |= self._terms(f"decode_{scale:g}", logits, data_samples)
        if others:
            largest = self._largest(original, others)
            terms |= self._terms("decode_max", largest, data_samples)
        return terms

    def encode_decode(self, inputs: Tensor, batch_img_metas: list[dict[str, Any]]) -> Tensor:
        """Logits at the size of the input (N, classes, H, W)."""
        logits: Tensor = self.decode_head.predict_by_feat(self._forward(inputs), batch_img_metas)
        return logits

    def _forward(self, inputs: Tensor, data_samples: Any = None) -> Tensor:
        original, *others = self._logits(inputs)
        return self._largest(original, others)

    def _logits(self, images: Tensor) -> list[Tensor]:
        """Of the original and of each smaller scale, (N, classes, h_i, w_i)."""
        views = [images]
        for scale in self.losses.scales:
            size = [max(1, int(side * scale)) for side in images.shape[2:]]
            views.append(F.interpolate(images, size, mode="bilinear", align_corners=False))
        return [self.decode_head(self.extract_feat(view)) for view in views]

    def _largest(self, original: Tensor, others: list[Tensor]) -> Tensor:
        size, corners = original.shape[2:], self.align_corners
        resized = [
            resize(logits, size, mode="bilinear", align_corners=corners) for logits in others
        ]
        return torch.stack([original, *resized]).amax(dim=0)

    def _terms(
        self, name: str, logits: Tensor, data_samples: list[SegDataSample]
    ) -> dict[str, Tensor]:
        if self.losses.resolution == "map":
            data_samples = [_reduced(sample, logits.shape[2:]) for sample in data_samples]
        losses = self.decode_head.loss_by_feat(logits, data_samples)
        return {f"{name}.{key}": value for key, value in losses.items()}


def _reduced(sample: SegDataSample, size: torch.Size) -> SegDataSample:
    """The sample's label map at `size`: of each cell, the label at its centre."""
    label = sample.gt_sem_seg.data  # (1, H, W)
    small = F.interpolate(label[None].float(), size, mode="nearest-exact")[0]
    return SegDataSample(gt_sem_seg=PixelData(data=small.to(label.dtype)))
