"""DeepLab: trains, resumes exactly, predicts at the images' sizes, scores like mmseg; one process and two."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_segmentation import SCHEDULE, context, deeplab, make_items
from torch.nn import functional as F

from wsssbench.data.images import read_image, read_label, voc_palette
from wsssbench.errors import UserError
from wsssbench.ops.crf import PRESETS, dense_crf
from wsssbench.training.noise import quiet

PROGRAM = Path(__file__).with_name("tiny_segmentation.py")


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    return make_items(tmp_path_factory.mktemp("items"))


@pytest.fixture(scope="module")
def trained(tmp_path_factory, items):
    """Directory of a trained largefov network."""
    torch.set_num_threads(1)
    directory = tmp_path_factory.mktemp("trained")
    deeplab().train(items, context(directory))
    return directory


def _weights(directory: Path):
    return torch.load(directory / "weights.pth", weights_only=True)


def _same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def _program(directory: Path, *arguments: str, ranks: int = 1) -> subprocess.CompletedProcess:
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
    command = [sys.executable, *(launcher if ranks > 1 else []), str(PROGRAM), str(directory)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [*command, *arguments], env=environment, capture_output=True, text=True, timeout=240
    )


def _miou(directory: Path, items) -> float:
    """Dataset-level mIoU over the classes that occur, in per cent, pixel by pixel."""
    pairs = [(read_label(directory / f"{i.id}.png"), read_label(i.label)) for i in items]
    predicted = np.concatenate([p[t != 255] for p, t in pairs])
    truth = np.concatenate([t[t != 255] for _, t in pairs])
    ious = []
    for k in range(3):
        union = ((predicted == k) | (truth == k)).sum()
        ious.append(((predicted == k) & (truth == k)).sum() / union if union else np.nan)
    return 100 * float(np.nanmean(ious))


@pytest.mark.parametrize("head", ["largefov", "v2", "v3plus"])
def test_every_head_trains_and_predicts_at_the_images_sizes(tmp_path, items, head):
    settings = {"head": head, "channels": None if head == "v2" else 8}
    network = deeplab(schedule={"batch_size": 2, "iterations": 1, "lr": 0.01}, **settings)
    network.train(items, context(tmp_path / "train"))
    metrics = network.predict(items, tmp_path / "train", context(tmp_path / "out"))
    for item in items:
        with Image.open(tmp_path / "out" / f"{item.id}.png") as image:
            assert image.mode == "P"
            assert image.getpalette()[:9] == voc_palette()[:3].ravel().tolist()
            label = np.asarray(image)
        assert label.shape == read_image(item.image).shape[:2]
        assert label.max() <= 2
    assert metrics["mIoU"] == pytest.approx(_miou(tmp_path / "out", items), abs=0.02)


def test_it_learns_the_colours(tmp_path, items):
    schedule = {"batch_size": 6, "iterations": 60, "lr": 0.02, "new_layers_lr": 5.0}
    network = deeplab(
        schedule=schedule, dilations=(1,), dropout=0.0, channels=16, resize=(1.0, 1.0)
    )
    network.train(items, context(tmp_path / "train"))
    assert network.predict(items, tmp_path / "train", context(tmp_path / "out"))["mIoU"] > 60


def test_killed_it_ends_with_the_same_weights(tmp_path, trained):
    result = _program(tmp_path, "2", "4")
    assert result.returncode == -signal.SIGKILL, result.stderr
    again = context(tmp_path / "train")
    deeplab().train(make_items(tmp_path / "data0"), again)
    assert again.progress.lines == ["segment: resumed at iteration 2 of 6"]
    assert _same(_weights(tmp_path / "train"), _weights(trained))
    lines = (tmp_path / "train" / "scalars.jsonl").read_text()
    assert lines == (trained / "scalars.jsonl").read_text()


def test_a_finished_training_returns_at_once(trained, items):
    before = (trained / "weights.pth").stat().st_mtime_ns
    deeplab().train(items, context(trained))
    assert (trained / "weights.pth").stat().st_mtime_ns == before


def test_frozen_and_pretrained_layers(tmp_path, items):
    network = deeplab(backbone={"type": "TinyBackbone", "marked": True})
    network.train(items, context(tmp_path))
    weight = _weights(tmp_path)["backbone.network.fine.0.weight"]
    assert torch.equal(weight, torch.full_like(weight, 0.25))


def test_predictions_that_are_there_are_kept_and_scored(tmp_path, trained, items):
    network = deeplab()
    whole = network.predict(items, trained, context(tmp_path / "whole"))
    out = tmp_path / "out"
    network.predict(items[:3], trained, context(out))
    (out / "im0.png").write_bytes((out / "im0.png").read_bytes()[:50])  # half written
    Image.fromarray(np.zeros((3, 3), np.uint8)).save(out / "im1.png")  # of another image
    stamp = (out / "im2.png").stat().st_mtime_ns
    again = context(out, workers=2)
    assert network.predict(items, trained, again) == whole
    assert again.progress.lines == ["predict: 1 of 6 images are done already"]
    assert (out / "im2.png").stat().st_mtime_ns == stamp
    for item in items:
        name = f"{item.id}.png"
        assert (out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert network.predict(items, trained, context(out)) == whole  # nothing left to do


def test_without_label_maps_there_is_no_score(tmp_path, trained, items):
    bare = [replace(item, label=None) for item in items[:2]]
    assert deeplab().predict(bare, trained, context(tmp_path)) == {}
    mixed = [bare[0], items[1]]
    metrics = deeplab().predict(mixed, trained, context(tmp_path))
    assert metrics["mIoU"] == pytest.approx(_miou(tmp_path, mixed[1:]), abs=0.02)


def _views(trained: Path, item, scales, flip, log: Path) -> torch.Tensor:
    """Logits of the views at the image's size (views, labels, H, W), without mmseg's pipeline."""
    import cv2

    with quiet(log):
        from wsssbench.segmenters.run import _network

        model = _network(deeplab(), "cpu").eval()
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
        model = _network(network, "cpu").eval()
        state = _weights(trained)  # made far from uniform, so that the ways to merge differ
        generator = torch.Generator().manual_seed(2)
        state["decode_head.conv_seg.weight"] = 4 * torch.randn(3, 8, 1, 1, generator=generator)
        state["decode_head.convs.0.conv.weight"] *= 10
        state["decode_head.convs.1.bn.weight"] *= 3
        torch.save(state, tmp_path / "weights.pth")
        model.load_state_dict(state)
        settings = TestSettings(scales=(0.5, 1.25), flip=True)
        data = Items(items[:1], network.names, test_pipeline(settings), test_mode=True)
        with torch.no_grad():
            batch = pseudo_collate([data[0]])
            (sample,) = AveragedProbabilities(model, average).test_step(batch)
    views = _views(tmp_path, items[0], (0.5, 1.25), True, tmp_path / "log")
    merged = {name: merge(views) for name, merge in MERGED.items()}
    found = sample.probabilities.data.numpy()
    np.testing.assert_allclose(found, merged[average], atol=1e-4)
    others = [merged[name] for name in merged if name != average]
    assert min(abs(found - other).max() for other in others) > 2e-3  # 20 times the tolerance above


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


def test_nothing_reaches_the_terminal(tmp_path, items, capfd):
    network = deeplab()
    network.train(items, context(tmp_path / "train", workers=1))
    network.predict(items, tmp_path / "train", context(tmp_path / "out", workers=1))
    output = capfd.readouterr()
    assert output.out == output.err == ""
    from mmengine.registry import DefaultScope

    assert not DefaultScope._instance_dict


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"head": "v4"}, "head='v4'"),
        ({"head": "v2", "channels": None, "dropout": 0.5}, "is one layer and has no dropout"),
        ({"head": "v2", "norm": True}, "head 'v2' has no batch normalisation"),
        ({"head": "v3plus", "norm": False}, "head 'v3plus' needs batch normalisation"),
        ({"norm_momentum": 0.0}, "norm_momentum=0.0"),
        ({"photometric": "hsv"}, "photometric='hsv'"),
        ({"resize_step": 0.0}, "resize_step=0.0"),
        ({"multi_scale_inputs": (0.5, 1.0)}, "multi_scale_inputs=(0.5, 1.0)"),
        ({"multi_scale_inputs": (0.5, 0.5)}, "each scale beside the original once"),
        ({"loss_at": "logits"}, "loss_at='logits'"),
        ({"test": {"average": "mean"}}, "average='mean'"),
        ({"init": {"weights": "a.pth"}}, "'trained_on'"),
        ({"init": {"weights": "a.pth", "trained_on": " "}}, "must not be empty"),
        ({"init": {"weights": "a", "trained_on": "COCO", "part": "head"}}, "part='head'"),
        ({"crop": 0}, "crop=0"),
        ({"resize": (1.5, 0.5)}, "resize="),
        ({"dropout": 1.0}, "dropout=1.0"),
        ({"dilations": (1, 2)}, "one atrous convolution"),
        ({"test": {"scale": (1.0,)}}, "did you mean scales"),
        ({"test": {"crf": "deeplb"}}, "did you mean deeplab"),
        ({"test": {"scales": ()}}, "at least one scale"),
        ({"schedule": {"batch_size": 4, "lr": 0.1}}, "exactly one of the two"),
        ({"backbone": {"type": "TinyBackbon"}}, "did you mean TinyBackbone"),
        ({"backbone": {"type": "TinyBackbone", "marked": "perhaps"}}, "marked='perhaps'"),
    ],
)
def test_wrong_parameters_get_one_sentence(wrong, sentence):
    with pytest.raises(UserError) as error:
        deeplab(**wrong)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_mistakes_in_training_get_one_sentence(tmp_path, items):
    with pytest.raises(UserError, match="there is no image to train on"):
        deeplab().train([], context(tmp_path))
    with pytest.raises(UserError, match="'im0' has no pseudo-label"):
        deeplab().train([replace(items[0], label=None)], context(tmp_path))
    with pytest.raises(UserError, match="at least 2 images per process"):
        single = {**SCHEDULE, "batch_size": 1}
        deeplab(head="v3plus", schedule=single).train(items, context(tmp_path))
    with pytest.raises(UserError, match="there is no trained network"):
        deeplab().predict(items, tmp_path, context(tmp_path / "out"))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_bad_label_map_is_a_sentence_from_a_loading_process_too(tmp_path, items, workers):
    Image.fromarray(np.full((9, 9), 77, np.uint8)).save(tmp_path / "bad.png")
    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "image.png")
    bad = [replace(items[0], image=tmp_path / "image.png", label=tmp_path / "bad.png")]
    with pytest.raises(UserError) as error:
        deeplab().train(bad, context(tmp_path / "train", workers))
    assert str(error.value).startswith(f"label map {tmp_path / 'bad.png'} holds the value 77")
    assert "\n" not in str(error.value)


def test_two_ranks_train_and_predict_as_one(tmp_path):
    result = _program(tmp_path, "0", ranks=2)
    assert result.returncode == 0, result.stderr
    scores = [(tmp_path / f"metrics{rank}.txt").read_text() for rank in (0, 1)]
    assert scores[0] == scores[1]
    items = make_items(tmp_path / "data0")
    assert dict(eval(scores[0]))["mIoU"] == pytest.approx(_miou(tmp_path / "out", items), abs=0.02)
    # One process predicts the same from these weights.
    deeplab().predict(items, tmp_path / "train", context(tmp_path / "single"))
    for item in items:
        name = f"{item.id}.png"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "single" / name).read_bytes()
