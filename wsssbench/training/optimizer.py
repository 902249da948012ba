"""The optimiser of a schedule with its groups of parameters, and how the learning rate decays."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import torch
from mmengine.optim import OptimWrapper
from torch import nn
from torch.nn.modules.conv import _ConvNd

from wsssbench.errors import UserError
from wsssbench.training.precision import optim_wrapper
from wsssbench.training.schedule import Schedule


def build_optimizer(
    model: nn.Module, schedule: Schedule, multipliers: Mapping[str, float]
) -> OptimWrapper:
    """The optimiser that `schedule` describes, on what `model` has to train.

    Parameters of equal learning rate and weight decay form a group; its ``multiplier`` is the factor on the schedule's
    rate: of the layer, times `bias_lr` for a bias.

    Args:
        model: parameters with ``requires_grad=False`` and those with factor 0 are left out.
        schedule: everything but the length counts.
        multipliers: first parts of the dotted names of parameters -> factor; ``*`` stands for any part, and the
            longest that fits counts.

    Raises:
        UserError: nothing is left to train.
    """
    biases = _biases(model)
    groups: defaultdict[tuple[float, float], list[nn.Parameter]] = defaultdict(list)
    for name, parameter in model.named_parameters():
        factor, decay = _multiplier(name, multipliers), schedule.weight_decay
        if id(parameter) in biases:
            factor *= schedule.bias_lr
            decay = decay if schedule.bias_weight_decay is None else schedule.bias_weight_decay
        if parameter.requires_grad and factor > 0:
            groups[factor, decay].append(parameter)
    if not groups:
        raise UserError(
            "there is nothing to train: every parameter is frozen or has learning rate 0"
        )
    parameters = [
        {
            "params": members,
            "lr": schedule.lr * factor,
            "weight_decay": decay,
            "multiplier": factor,
        }
        for (factor, decay), members in sorted(groups.items(), key=lambda item: item[0])
    ]
    optimizer: torch.optim.Optimizer
    if schedule.optimizer == "SGD":
        optimizer = torch.optim.SGD(parameters, schedule.lr, momentum=schedule.momentum)
    else:
        optimizer = torch.optim.AdamW(parameters, schedule.lr)
    return optim_wrapper(schedule, optimizer)


def learning_rate(schedule: Schedule, size: int) -> list[dict[str, Any]]:
    """mmengine's schedulers for a training on `size` images; both multiply the rate that is there."""
    # mmengine reaches the end of a ramp one step before `end`
    end = schedule.decay_length(size) + 1
    poly = {"type": "PolyLR", "power": schedule.power, "by_epoch": False, "end": end}
    warm = schedule.warmup_iterations
    if not warm:
        return [poly]
    ramp = {"type": "LinearLR", "start_factor": 1 / (warm + 1), "by_epoch": False, "end": warm + 1}
    return [ramp, poly]


def _multiplier(name: str, multipliers: Mapping[str, float]) -> float:
    fitting = [path for path in multipliers if _leads_to(path, name)]
    return multipliers[max(fitting, key=lambda path: path.count("."))] if fitting else 1.0


def _leads_to(path: str, name: str) -> bool:
    """Are the parts of `path` the first ones of `name`, part by part?"""
    parts, given = path.split("."), name.split(".")
    return len(parts) <= len(given) and all(
        part in ("*", own) for part, own in zip(parts, given, strict=False)
    )


def _biases(model: nn.Module) -> set[int]:
    """Identities of the biases of convolutions and linear layers; a normalisation's shift is no bias."""
    layers = (m for m in model.modules() if isinstance(m, (_ConvNd, nn.Linear)))
    return {id(layer.bias) for layer in layers if layer.bias is not None}
