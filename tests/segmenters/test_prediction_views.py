"""Prediction from several views of an image: scales, mirror images, windows, the CRF."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_segmentation import context, deeplab
from torch.nn import functional as F

from wsssbench.files.images import read_image, read_label
from wsssbench.ops.crf import PRESETS, dense_crf
from wsssbench.training.quiet import quiet


def _weights(directory: Path):
    return torch.load(directory / "weights.pth", weights_only=True)


def _views(trained: Path, item, scales, flip, log: Path) -> torch.Tensor:
    """Logits of the views at the image's size (views, labels, H, W), without mmseg's pipeline."""
    import cv2

    with quiet(log):
        from wsssbench.segmenters.run import _network

        model = _network(deeplab().settings, "cpu").eval()
    model.load_state_dict(_weights(trained))
    image = read_image(item.image)
    height, width = image.shape[:2]
    mean, std = np.array([0.485, 0.456, 0.406]) * 255, np.array([0.229, 0.224, 0.225]) * 255
    views = []
    for scale in scales:
        size = (int(width * scale + 0.5), int(height * scale + 0.5))
        seen = ((cv2.resize(image, size) - mean) / std).transpose(2, 0, 1)
        x = torch.tensor(seen, dtype=torch.float32)[None]
        for mirrored in (False, True)[: 1 + flip]:
            with torch.no_grad():
                logits = model(x.flip(3) if mirrored else x, mode="tensor")
            logits = F.interpolate(logits, x.shape[2:], mode="bilinear")
            logits = logits.flip(3) if mirrored else logits
            views.append(F.interpolate(logits, (height, width), mode="bilinear")[0])
    return torch.stack(views)


MERGED = {
    "probabilities": lambda views: views.softmax(1).mean(0).numpy(),
    "logits": lambda views: views.mean(0).softmax(0).numpy(),
    "maximum": lambda views: views.softmax(1).amax(0).numpy(),
}


@pytest.mark.parametrize("average", MERGED)
def test_scales_flips_and_crf(tmp_path, trained, items, average):
    scales, item = (0.75, 1.0, 1.5), items[3]
    expected = MERGED[average](_views(trained, item, scales, True, tmp_path / "log"))
    test = {"scales": scales, "flip": True, "average": average}
    deeplab(test=test).predict([item], trained, context(tmp_path / "plain"))
    plain = read_label(tmp_path / "plain" / f"{item.id}.png")
    assert (plain == expected.argmax(0)).mean() > 0.999
    deeplab(test={**test, "crf": "deeplab"}).predict([item], trained, context(tmp_path / "crf"))
    refined = read_label(tmp_path / "crf" / f"{item.id}.png")
    posterior = dense_crf(read_image(item.image), expected, PRESETS["deeplab"])
    assert (refined == posterior.argmax(0)).mean() > 0.999


@pytest.mark.parametrize("average", MERGED)
def test_the_merged_probabilities_are_kept(tmp_path, trained, items, average):
    with quiet(tmp_path / "log"):
        from mmengine.dataset import pseudo_collate

        from wsssbench.segmenters.data import Items, test_pipeline
        from wsssbench.segmenters.predictor import AveragedProbabilities
        from wsssbench.segmenters.run import _network
        from wsssbench.segmenters.settings import TestSettings

        network = deeplab()
        model = _network(network.settings, "cpu").eval()
        state = _weights(trained)  # made far from uniform, so that the ways to merge differ
        generator = torch.Generator().manual_seed(2)
        state["decode_head.conv_seg.weight"] = 4 * torch.randn(3, 8, 1, 1, generator=generator)
        state["decode_head.convs.0.conv.weight"] *= 10
        state["decode_head.convs.1.bn.weight"] *= 3
        torch.save(state, tmp_path / "weights.pth")
        model.load_state_dict(state)
        settings = TestSettings(scales=(0.5, 1.25), flip=True)
        data = Items(items[:1], network.settings.names, test_pipeline(settings), test_mode=True)
        with torch.no_grad():
            batch = pseudo_collate([data[0]])
            (sample,) = AveragedProbabilities(model, average).test_step(batch)
    views = _views(tmp_path, items[0], (0.5, 1.25), True, tmp_path / "log")
    merged = {name: merge(views) for name, merge in MERGED.items()}
    probabilities = sample.probabilities.data.numpy()
    np.testing.assert_allclose(probabilities, merged[average], atol=1e-4)
    others = [merged[name] for name in merged if name != average]
    # 20 times the tolerance above.
    assert min(abs(probabilities - other).max() for other in others) > 2e-3


@pytest.mark.usefixtures("warm_workers")
def test_crf_in_processes_of_its_own(tmp_path, items):
    with quiet(tmp_path / "log"):
        from wsssbench.progress import Silent
        from wsssbench.segmenters.predictor import WrittenIoU
    rng = np.random.default_rng(0)
    samples = []
    for item in items[:3]:
        raw = rng.random((3, *read_image(item.image).shape[:2])).astype(np.float32)
        data = torch.from_numpy(raw / raw.sum(0))
        samples.append(
            {"id": item.id, "img_path": str(item.image), "probabilities": {"data": data}}
        )
    scores = []
    for workers in (1, 2):
        out = tmp_path / str(workers)
        out.mkdir()
        with Silent().track("", 3) as bar, quiet(tmp_path / "log"):
            metric = WrittenIoU(out, items[:3], "seg_test", workers, bar)
            metric.dataset_meta = {"classes": ("background", "red", "green")}
            for sample in samples:
                metric.process(None, [sample])
            scores.append(metric.evaluate(3))
            metric.close()
    assert scores[0] == scores[1]
    for item in items[:3]:
        name = f"{item.id}.png"
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_windows(tmp_path, trained, items):
    """One window over a small image is the whole image; several are still one label map of its size."""
    for crop, same in ((64, True), (24, False)):
        whole, slide = (tmp_path / f"{crop}{kind}" for kind in ("whole", "slide"))
        deeplab(crop=crop).predict(items, trained, context(whole))
        deeplab(crop=crop, test={"slide": True}).predict(items, trained, context(slide))
        for item in items:
            a, b = (read_label(d / f"{item.id}.png") for d in (whole, slide))
            assert a.shape == b.shape
            assert not same or (a == b).all()
