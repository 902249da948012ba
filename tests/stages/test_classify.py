"""What the classification loss sees of a batch, on one rank and on two."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_classification import Noise, run, task
from warm_processes import run_ranks

from wsssbench.errors import UserError
from wsssbench.models.classifier import build_classifier
from wsssbench.progress import Silent
from wsssbench.stages import classify

PROGRAM = Path(__file__).with_name("tiny_classification.py")


def _batch(count: int) -> dict[str, torch.Tensor]:
    samples = [Noise()[0, position] for position in range(count)]
    return {key: torch.stack([sample[key] for sample in samples]) for key in samples[0]}


def _losses(supervised_images: int | None, count: int):
    """The losses on a batch of `count`, and the logits they come from."""
    one = task(supervised_images)
    kept = []
    one.classifier.pooling.register_forward_hook(lambda *a: kept.append(a[-1].logits))
    losses = one(_batch(count), 0.0)
    return losses.terms["loss_cls"], kept[0]


def test_only_the_first_images_get_the_classification_loss():
    loss, logits = _losses(3, 8)
    (gradient,) = torch.autograd.grad(loss, logits)
    assert (gradient[:3] != 0).all()
    assert (gradient[3:] == 0).all()
    labels = _batch(8)["labels"]
    p = logits.sigmoid()
    naive = -(labels * p.log() + (1 - labels) * (1 - p).log())[:3].mean()
    torch.testing.assert_close(loss, naive)


@pytest.mark.parametrize(("supervised", "count"), [(None, 8), (8, 8), (8, 5)])
def test_a_batch_that_is_no_larger_is_supervised_whole(supervised, count):
    loss, logits = _losses(supervised, count)
    expected = F.binary_cross_entropy_with_logits(logits, _batch(count)["labels"])
    assert torch.equal(loss, expected)


def test_a_number_that_the_ranks_cannot_share_is_a_sentence(monkeypatch):
    with pytest.raises(UserError, match=r"classifier\.supervised_images=0 has to be at least 1"):
        task(0)
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert task(8).supervised == 2
    with pytest.raises(UserError, match=r"classifier\.supervised_images=6 is .* a multiple of 4$"):
        task(6)


class Trained(Exception):
    """In place of the training."""


def _rates(monkeypatch, network, inputs):
    """The factors on the learning rate of each parameter of the classifier, by its name."""

    def record(task, data, schedule, context, multipliers, **more):
        raise Trained(task, multipliers)

    monkeypatch.setattr(classify, "train", record)
    config = {
        "classifier": {
            "backbone": {"type": "EfficientNetLite0", "weights": None},
            "pooling": {"type": "GPP", "bins": (2, 4)},
            **network,
        },
        "transform": {"crop": 32},
        "schedule": {"batch_size": 2, "iterations": 1, "lr": 0.1, "new_layers_lr": 7.0},
        "supervised_images": None,
        "augment": [],
        "split": "train",
        "val": "",
    }
    dataset = SimpleNamespace(
        classes=("a", "b"),
        ids=lambda split: ["1"],
        labels=lambda split: np.ones((1, 2), np.float32),
        image_path=lambda id: Path(f"{id}.png"),
    )
    context = SimpleNamespace(seed=0, progress=Silent())
    with pytest.raises(Trained) as caught:
        classify.Classify().run(
            SimpleNamespace(  # type: ignore[arg-type]
                config=config, inputs=inputs, dataset=dataset, context=context, name="classify"
            )
        )
    task, multipliers = caught.value.args
    return {
        name: {factor for part, factor in multipliers.items() if part in name}
        for name, _ in task.named_parameters()
    }


def test_what_imagenet_has_not_seen_learns_at_the_rate_of_new_layers(monkeypatch):
    factors = _rates(monkeypatch, {"hidden": 8}, {})
    new = {name for name in factors if not name.startswith("classifier.backbone.")}
    assert {name.split(".")[1] for name in new} == {"hidden", "head", "pooling"}
    assert all(factors[name] == ({7.0} if name in new else set()) for name in factors)


def test_of_a_classifier_that_starts_from_another_what_that_has_not_is_new(monkeypatch):
    """Its head is trained already, so it learns as the backbone does."""
    config = {
        "backbone": {"type": "EfficientNetLite0", "weights": None},
        "pooling": {"type": "GPP", "bins": (2, 4)},
    }
    start = SimpleNamespace(build=lambda: build_classifier(config, 2))
    factors = _rates(monkeypatch, {"objectives": [{"type": "ReCAM"}]}, {classify.INIT: start})
    assert {name for name, found in factors.items() if found} == {
        "classifier.objectives.0.head.weight"
    }


def _records(directory: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (directory / "scalars.jsonl").read_text().splitlines()]


def test_two_ranks_supervise_the_images_that_one_would(tmp_path):
    run_ranks(2, PROGRAM, tmp_path / "two", 4, output=tmp_path)
    one = torch.load(run(tmp_path / "one", 4), weights_only=True)
    two = torch.load(tmp_path / "two" / "weights.pth", weights_only=True)
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)
    losses = {d: [line["loss_cls"] for line in _records(tmp_path / d)] for d in ("one", "two")}
    np.testing.assert_allclose(losses["one"], losses["two"], rtol=1e-4)
    # and that is another training than with the loss on all images, from the second phase on
    run(tmp_path / "all", None)
    everywhere = [line["loss_cls"] for line in _records(tmp_path / "all")]
    assert everywhere[:5] == losses["one"][:5]
    assert (np.abs(np.subtract(everywhere, losses["one"]))[5:] > 1e-3).all()
