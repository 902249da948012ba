"""Multi-scale inputs and the resolution of the loss, against the formulas written out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from wsssbench.segmenters.settings import HeadSettings, LossSettings
from wsssbench.training.quiet import quiet

SCALES = (0.5, 0.75)


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    with quiet(tmp_path_factory.mktemp("log") / "log"):
        from wsssbench.segmenters.network import build_network

    def build(**losses):
        torch.manual_seed(0)
        head = HeadSettings("v2", dilations=(1, 2))
        backbone = {"type": "TinyBackbone"}
        return build_network(backbone, head, 4, "cpu", crop=64, losses=LossSettings(**losses))

    return build


def _samples(labels):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


def _labels(size=61):
    labels = torch.randint(0, 4, (2, 1, size, size), generator=torch.Generator().manual_seed(3))
    labels[0, :, :20] = 255
    return labels


def _of_scale(model, images, scale):
    size = [int(side * scale) for side in images.shape[2:]]
    smaller = F.interpolate(images, size, mode="bilinear")
    return model.decode_head(model.backbone(smaller))


def _all_logits(model, images):
    logits = [_of_scale(model, images, scale) for scale in (1.0, *SCALES)]
    size = logits[0].shape[2:]
    resized = [F.interpolate(x, size, mode="bilinear") for x in logits]
    largest = resized[0]
    for other in resized[1:]:
        largest = torch.where(other > largest, other, largest)
    return [*logits, largest]


def _reduced(labels, size):
    """Pillow's nearest neighbour, which takes the pixel at the centre."""
    images = [Image.fromarray(label[0].numpy().astype(np.uint8)) for label in labels]
    small = [np.array(image.resize(size[::-1], Image.Resampling.NEAREST)) for image in images]
    return torch.from_numpy(np.stack(small)).long()


@pytest.mark.parametrize("resolution", ["image", "map"])
def test_every_scale_and_the_maximum_have_a_loss(build, resolution):
    model = build(scales=SCALES, resolution=resolution).eval()
    images, labels = torch.randn(2, 3, 61, 61), _labels()
    losses = model(images, _samples(labels), mode="loss")
    names = ("decode", "decode_0.5", "decode_0.75", "decode_max")
    for name, logits in zip(names, _all_logits(model, images), strict=True):
        if resolution == "map":
            target = _reduced(labels, tuple(logits.shape[2:]))
        else:
            logits, target = F.interpolate(logits, (61, 61), mode="bilinear"), labels[:, 0]
        expected = F.cross_entropy(logits, target, ignore_index=255)
        torch.testing.assert_close(losses[f"{name}.loss_ce"], expected, msg=name)
    total, _ = model.parse_losses(losses)
    terms = [value for name, value in losses.items() if name.endswith("loss_ce")]
    assert len(terms) == 4
    torch.testing.assert_close(total, torch.stack(terms).sum())


def test_the_prediction_is_the_maximum(build):
    model = build(scales=SCALES).eval()
    images = torch.randn(1, 3, 61, 50)
    *_, largest = _all_logits(model, images)
    torch.testing.assert_close(model(images, mode="tensor"), largest)
    (sample,) = model(images, mode="predict")
    expected = F.interpolate(largest, (61, 50), mode="bilinear")
    torch.testing.assert_close(sample.seg_logits.data, expected[0])
    assert not torch.equal(largest, _of_scale(model, images, 1.0))


def test_windows_see_every_scale(build):
    from mmengine.config import ConfigDict

    model = build(scales=SCALES).eval()
    images = torch.randn(1, 3, 40, 40)
    (whole,) = model(images, mode="predict")
    model.test_cfg = ConfigDict(mode="slide", crop_size=(64, 64), stride=(32, 32))
    (windows,) = model(images, mode="predict")
    torch.testing.assert_close(windows.seg_logits.data, whole.seg_logits.data)


def test_corners(build):
    model = build(align_corners=True).eval()
    images = torch.randn(1, 3, 64, 64)
    (sample,) = model(images, mode="predict")
    logits = model(images, mode="tensor")
    merged = sample.seg_logits.data
    torch.testing.assert_close(merged[:, 0, 0], logits[0, :, 0, 0])
    torch.testing.assert_close(merged[:, -1, -1], logits[0, :, -1, -1])
