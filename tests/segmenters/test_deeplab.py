"""DeepLab: trains, resumes exactly, predicts at the images' sizes, scores like mmseg; one process and two."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_segmentation import SCHEDULE, context, deeplab, make_items
from warm_processes import WarmProcess, run_ranks

from wsssbench.errors import UserError
from wsssbench.files.images import read_image, read_label, voc_palette

PROGRAM = Path(__file__).with_name("tiny_segmentation.py")


def _weights(directory: Path):
    return torch.load(directory / "weights.pth", weights_only=True)


def _same(a, b) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


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
    process = WarmProcess(PROGRAM, tmp_path, 2, 4, output=tmp_path / "output.txt")
    assert process.wait() == -signal.SIGKILL, process.output
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
        ({"dilations": (1, 2)}, "has one rate"),
        ({"test": {"scale": (1.0,)}}, "did you mean scales"),
        ({"test": {"crf": "deeplb"}}, "did you mean deeplab"),
        ({"test": {"scales": ()}}, "of at least 1"),
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
    run_ranks(2, PROGRAM, tmp_path, 0, output=tmp_path / "output")
    scores = [(tmp_path / f"metrics{rank}.txt").read_text() for rank in (0, 1)]
    assert scores[0] == scores[1]
    items = make_items(tmp_path / "data0")
    assert dict(eval(scores[0]))["mIoU"] == pytest.approx(_miou(tmp_path / "out", items), abs=0.02)
    # One process predicts the same from these weights.
    deeplab().predict(items, tmp_path / "train", context(tmp_path / "single"))
    for item in items:
        name = f"{item.id}.png"
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "single" / name).read_bytes()
