"""The optimiser of the AffinityNet lineage, written out by hand: groups x1, x2, x10, x20, poly decay, its momentum."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from toy_training import Points, context

from wsssbench.interfaces import Losses
from wsssbench.training.engine import seed_everything, train
from wsssbench.training.schedule import Schedule
from wsssbench.training.task import TrainingTask

STEPS = 20
LINEAGE = {"momentum": 5e-4, "weight_decay": 5e-4, "bias_lr": 2.0, "bias_weight_decay": 0.0}


class Small(TrainingTask):
    """A convolution, a normalisation and a new linear layer, all with biases; keeps its batches."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv1d(1, 4, 3)
        self.norm = nn.GroupNorm(2, 4)
        self.head = nn.Linear(16, 6)
        self.seen: list[torch.Tensor] = []

    def loss(self, point: torch.Tensor) -> torch.Tensor:
        hidden = self.norm(self.conv(point[:, None])).relu()
        return (self.head(hidden.flatten(1)) - point).pow(2).mean()

    def forward(self, batch, progress):
        self.seen.append(batch["point"].clone())
        return Losses({"fit": self.loss(batch["point"])})


# name -> factor on the learning rate, weight decay
GROUPS = {
    "conv.weight": (1, 5e-4),
    "conv.bias": (2, 0.0),
    "norm.weight": (1, 5e-4),
    "norm.bias": (1, 5e-4),  # the shift of a normalisation is no bias
    "head.weight": (10, 5e-4),
    "head.bias": (20, 0.0),
}


def _by_hand(network: Small, points: list[torch.Tensor], horizon: int, momentum: float) -> None:
    """SGD with the classic momentum buffer, one parameter at a time."""
    parameters = dict(network.named_parameters())
    assert parameters.keys() == GROUPS.keys()
    buffers: dict[str, torch.Tensor] = {}
    for i in range(STEPS):
        gradients = torch.autograd.grad(network.loss(points[i]), list(parameters.values()))
        with torch.no_grad():
            for (name, parameter), gradient in zip(parameters.items(), gradients, strict=True):
                factor, decay = GROUPS[name]
                step = gradient + decay * parameter
                buffers[name] = momentum * buffers[name] + step if i else step.clone()
                parameter -= 0.05 * factor * (1 - i / horizon) ** 0.9 * buffers[name]


def _trained(tmp_path, **setting) -> tuple[dict[str, torch.Tensor], Small, Small]:
    seed_everything(2)
    task, reference = Small(), Small()
    reference.load_state_dict(task.state_dict())
    schedule = Schedule(**{"batch_size": 4, "lr": 0.05, "power": 0.9, **LINEAGE, **setting})
    path = train(task, Points(), schedule, context(tmp_path), {"head": 10.0})
    return torch.load(path, weights_only=True), task, reference


@pytest.mark.parametrize("momentum", [5e-4, 0.9])
def test_twenty_steps_are_those_of_the_lineage(tmp_path, momentum):
    trained, task, reference = _trained(tmp_path, iterations=STEPS, momentum=momentum)
    before = {name: value.clone() for name, value in reference.state_dict().items()}
    _by_hand(reference, task.seen, STEPS, momentum)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(trained[name], value, rtol=1e-4, atol=1e-6, msg=name)
        assert (value - before[name]).abs().max() > 1e-3, name


def test_twenty_steps_of_a_longer_decay(tmp_path):
    # 4 epochs of 20 images by fours are 20 steps; by twos the decay has 40
    trained, task, reference = _trained(tmp_path, epochs=4, decay_batch_size=2)
    _by_hand(reference, task.seen, 40, 5e-4)
    for name, value in reference.state_dict().items():
        torch.testing.assert_close(trained[name], value, rtol=1e-4, atol=1e-6, msg=name)
