"""The training of a classifier with objectives, augmentations and a guide: ranks, resumes, and what is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_objective
import torch
from tiny_classification import SCHEDULE, Mean, Thin
from torch import nn
from warm_processes import run_ranks

from wsssbench.interfaces import (
    Batch,
    Classifier,
    Erasing,
    Losses,
    Objective,
    Output,
    RunContext,
)
from wsssbench.models.classifier import build_classifier
from wsssbench.progress import Silent
from wsssbench.stages.handles import WEIGHTS, ClassifierFile
from wsssbench.training.classification import ClassificationTask
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.loading import ImageLabels, collate_views
from wsssbench.training.transforms import TrainTransform

PROGRAM = Path(__file__).with_name("tiny_objective.py")
GUIDE = {
    "backbone": {"type": "EfficientNetLite0", "weights": None},
    "pooling": {"type": "GAP"},
    "dropout": 0.5,
}


@pytest.mark.slow
def test_two_ranks_draw_what_one_does(tmp_path: Path) -> None:
    run_ranks(2, PROGRAM, tmp_path / "two", output=tmp_path)
    one = torch.load(tiny_objective.run(tmp_path / "one"), weights_only=True)
    two = torch.load(tmp_path / "two" / WEIGHTS, weights_only=True)
    assert "classifier.objectives.0.head.weight" in one
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_draws_are_of_the_seed_the_position_the_view_and_the_component() -> None:
    images, labels = torch.zeros(4, 3, 2, 2), torch.zeros(4, 2)
    positions = torch.tensor([7, 8, 7, 8])  # two views of two photos

    def drawn(key: str = "A", seed: int = 0, share: slice = slice(None)) -> list[float]:
        batch = Batch(images[share], labels[share], positions=positions[share], views=2, seed=seed)
        return [one.random() for one in batch.generators(key)]

    whole = drawn()
    assert len({*whole, *drawn("B"), *drawn(seed=1)}) == 12
    assert drawn() == whole
    for rank in range(2):
        assert drawn(share=slice(rank, None, 2)) == whole[rank::2]
    assert len({one.random() for one in Batch(images, labels).generators("A")}) == 4


class Weighted(Objective):
    """Only sets the weight of the classification loss."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.classification_weight = weight

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        return Losses({"none": 0 * output.logits.sum()})


def test_weights_of_the_classification_loss_multiply() -> None:
    torch.manual_seed(0)
    batch = {"images": torch.randn(2, 3, 8, 8), "labels": torch.tensor([[1.0, 0.0], [0.0, 1.0]])}

    def loss(*weights: float) -> torch.Tensor:
        torch.manual_seed(1)
        objectives = [Weighted(weight) for weight in weights]
        task = ClassificationTask(Classifier(Thin(), Mean(2), 2, objectives=objectives))
        return task(batch, 0.0).terms["loss_cls"]

    torch.testing.assert_close(loss(0.5, 3.0), 1.5 * loss())
    assert loss(0.0) == 0 and torch.equal(loss(1.0), loss())


class Guided(Erasing):
    """Asks a guide, which is built in the first step, and has the classifier drop features after that."""

    dies_at = -1

    def __init__(self, guide: ClassifierFile) -> None:
        super().__init__()
        self.guide = guide.frozen()
        self.steps = 0

    def losses(self, classifier: Classifier, batch: Batch, output: Output) -> Losses:
        if self.steps == self.dies_at:
            raise KeyboardInterrupt
        self.steps += 1
        erased = batch.images * output.maps.mean((1, 2, 3), keepdim=True).sigmoid()
        answer = self.guide(erased).logits  # draws initial weights in its first step ...
        again: Output = classifier(erased)  # ... before this dropout
        return Losses({"guide": (answer - again.logits).square().mean()})


def _guided(directory: Path, guide: ClassifierFile, dies_at: int = -1) -> dict[str, torch.Tensor]:
    data = ImageLabels(tiny_objective.photos(), TrainTransform(crop=8), 3)
    seed_everything(4)
    erasing = Guided(guide)
    erasing.dies_at = dies_at
    task = ClassificationTask(Classifier(Thin(), Mean(2), 2, [erasing], dropout=0.5), seed=3)
    context = RunContext(directory, "cpu", 0, 3, Silent())
    schedule = replace(SCHEDULE, checkpoint_every=3)
    path = train(task, data, schedule, context, title="tiny", collate=collate_views)
    assert erasing.steps == (8 if directory.name == "unbroken" else 2)  # 8 iterations in all
    return torch.load(path, weights_only=True)


@pytest.mark.slow
def test_a_resumed_training_with_a_guide_has_the_same_dropout(tmp_path: Path) -> None:
    """The guide is built anew after a kill, which must not move the random stream."""
    torch.manual_seed(0)
    state = build_classifier(GUIDE, 2).state_dict()
    torch.save({f"classifier.{name}": value for name, value in state.items()}, tmp_path / WEIGHTS)
    guide = ClassifierFile(tmp_path, GUIDE, 2)
    unbroken = _guided(tmp_path / "unbroken", guide)
    with pytest.raises(KeyboardInterrupt):
        _guided(tmp_path / "broken", guide, dies_at=6)
    resumed = _guided(tmp_path / "broken", guide)
    assert unbroken.keys() == resumed.keys()
    assert not [name for name in unbroken if "erasing" in name]
    assert all(torch.equal(resumed[name], value) for name, value in unbroken.items())


class Attention(Mean):
    """BES-like: the features are weighted before the head."""

    def pool(self, maps: torch.Tensor, features: torch.Tensor, head: nn.Conv2d) -> object:
        weight = features.flatten(2).softmax(2).view_as(features)
        return self(head(features * weight))


def test_a_pooling_may_look_at_the_input_of_the_head() -> None:
    torch.manual_seed(0)
    classifier = Classifier(Thin(), Attention(2), 2, hidden=4).eval()
    output = classifier(torch.randn(2, 3, 8, 8))
    hidden = torch.einsum("nchw,dc->ndhw", output.features[-1], classifier.hidden.weight[..., 0, 0])
    hidden = hidden.clamp(min=0).detach().numpy()
    weight = np.exp(hidden) / np.exp(hidden).sum((2, 3), keepdims=True)
    head = classifier.head.weight[..., 0, 0].detach().numpy()
    logits = np.einsum("ndhw,kd->nk", hidden * weight, head) / weight[0, 0].size
    torch.testing.assert_close(output.logits, torch.tensor(logits))
    assert not torch.allclose(output.logits, output.maps.mean((2, 3)))
