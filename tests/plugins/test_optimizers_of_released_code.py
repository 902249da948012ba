"""Our optimiser and its decay, set as configs of the AffinityNet lineage do, against its released optimisers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import golden
from mmengine.registry import PARAM_SCHEDULERS
from torch import nn

from wsssbench.training.optimizer import build_optimizer, learning_rate
from wsssbench.training.schedule import Schedule

SEEDS = pytest.mark.parametrize("seed", [0, 1])


class Layer(nn.Linear):
    """A layer with given weights and bias, of any shape."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None = None) -> None:
        super().__init__(1, 1, bias=False)
        self.weight = nn.Parameter(torch.from_numpy(weight))
        self.bias = None if bias is None else nn.Parameter(torch.from_numpy(bias))


def steps(
    model: nn.Module, schedule: Schedule, new: float, gradients: list[list[np.ndarray]]
) -> list[tuple[list[np.ndarray], list[float]]]:
    """The parameters, and the rate of each, after every step with `gradients`."""
    optimizer = build_optimizer(model, schedule, {"1": new}).optimizer
    (decay,) = (
        PARAM_SCHEDULERS.build(one, default_args={"optimizer": optimizer})
        for one in learning_rate(schedule, 1)
    )
    parameters, after = list(model.parameters()), []
    for step in gradients:
        for parameter, gradient in zip(parameters, step, strict=True):
            parameter.grad = torch.from_numpy(gradient)
        rate = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
        optimizer.step()
        decay.step()
        values = [parameter.detach().numpy().copy() for parameter in parameters]
        after.append((values, [rate[id(parameter)] for parameter in parameters]))
    return after


@SEEDS
@pytest.mark.parametrize("name", ["psa", "puzzle"])
def test_psas_four_groups(name: str, seed: int) -> None:
    """Puzzle-CAM's has Nesterov's momentum, and the same rates; its steps are not ours."""
    given, wanted, parameters = golden(f"{name}-poly-optimizer-{seed}")
    model = nn.Sequential(
        Layer(given["start0"], given["start1"]), Layer(given["start2"], given["start3"])
    )
    schedule = Schedule(
        batch_size=1,
        lr=parameters["lr"],
        iterations=parameters["max_step"],
        power=parameters["power"],
        momentum=parameters["sgd_momentum"],
        weight_decay=parameters["weight_decay"],
        bias_lr=2.0,
        bias_weight_decay=0.0,
    )
    count = parameters["max_step"]
    gradients = [[given[f"gradient{j}"][t] for j in range(4)] for t in range(count)]
    for t, (values, rates) in enumerate(steps(model, schedule, 10.0, gradients)):
        np.testing.assert_allclose(rates, wanted["lr"][t], rtol=1e-12)
        if not parameters["nesterov"]:
            for j in range(4):
                np.testing.assert_allclose(values[j], wanted[f"weight{j}"][t], atol=1e-12)


@SEEDS
def test_irns_two_groups(seed: int) -> None:
    given, wanted, parameters = golden(f"irnet-poly-optimizer-{seed}")
    model = nn.Sequential(*(Layer(weight) for weight in given["weights"]))
    schedule = Schedule(
        batch_size=1,
        lr=parameters["lr"][0],
        iterations=parameters["max_step"],
        power=parameters["power"],
        momentum=parameters["momentum"],
        weight_decay=parameters["weight_decay"],
    )
    gradients = [list(one) for one in given["gradients"][: parameters["max_step"]]]
    new = parameters["lr"][1] / parameters["lr"][0]
    for t, (values, rates) in enumerate(steps(model, schedule, new, gradients)):
        np.testing.assert_allclose(rates, wanted["lrs"][t], rtol=1e-12)
        np.testing.assert_allclose(values, wanted["weights_after"][t], atol=1e-12)
