"""A trained classifier as an artefact: built again, and frozen for those who only look through it."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from torch import nn

from wsssbench.models.classifier import build_classifier
from wsssbench.stages.handles import WEIGHTS, ClassifierFile

ARCHITECTURE = {
    "backbone": {"type": "EfficientNetLite0", "weights": None, "output_stride": 16},
    "pooling": {"type": "GAP"},
    "dropout": 0.5,
}


@pytest.fixture
def trained(tmp_path: Path) -> ClassifierFile:
    torch.manual_seed(3)
    state = build_classifier(ARCHITECTURE, 2).state_dict()
    torch.save({f"classifier.{name}": value for name, value in state.items()}, tmp_path / WEIGHTS)
    return ClassifierFile(tmp_path, ARCHITECTURE, 2)


def test_a_frozen_classifier_is_the_trained_one_and_only_the_images_get_a_gradient(
    trained: ClassifierFile,
) -> None:
    images = torch.randn(2, 3, 48, 48, requires_grad=True)
    frozen = trained.frozen()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    output = frozen(images)  # loads the network, for which initial weights are drawn
    assert torch.equal(torch.rand(3), expected)
    by_hand = trained.build().eval()
    torch.testing.assert_close(output.logits, by_hand(images).logits)
    assert torch.equal(frozen(images).logits, output.logits)  # no dropout
    output.logits.sum().backward()
    assert images.grad is not None and images.grad.abs().sum() > 0
    network = frozen._network  # type: ignore[attr-defined]
    assert all(p.grad is None and not p.requires_grad for p in network.parameters())


def test_whoever_keeps_it_neither_trains_nor_saves_it(trained: ClassifierFile) -> None:
    class Guided(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.guide = trained.frozen()

    guided = Guided()
    guided.guide(torch.zeros(1, 3, 32, 32))
    assert not guided.state_dict() and not list(guided.parameters())
    assert len(pickle.dumps(guided.guide)) < 2000  # it is loaded anew in another process
