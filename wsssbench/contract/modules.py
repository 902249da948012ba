"""What poolings, erasings and backbones have to keep as torch modules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.rig import Subject


def need_finite(tensor: Tensor, what: str) -> None:
    """`tensor` has to be without NaN and infinity; `what` names it."""
    bad = "there is NaN" if tensor.isnan().any() else "there are infinite values"
    need(
        bool(tensor.isfinite().all()),
        f"{bad} in {what}",
        "every value has to be finite, also where a division, logarithm, root or mean over nothing is near 0",
    )


def need_gradients(module: nn.Module, what: str = "parameter") -> None:
    """After a backward pass: a finite gradient in every parameter that is trained."""
    for name, parameter in module.named_parameters():
        if not parameter.requires_grad:
            continue
        gradient = parameter.grad
        if gradient is None:
            need(
                False,
                f"{what} '{name}' gets no gradient",
                "every parameter has to take part in the result, or be frozen with requires_grad_(False)",
            )
            continue
        need_finite(gradient, f"the gradient of {what} '{name}'")


def need_new_layers(module: nn.Module, declared: object) -> None:
    """`declared` is a tuple of the first parts of names, each of parameters of `module` that are trained."""
    need(
        isinstance(declared, tuple) and all(isinstance(path, str) for path in declared),
        f"new_layers={declared!r}",
        "it has to be a tuple of texts, empty if every layer has pretrained weights",
    )
    assert isinstance(declared, tuple)
    trained = [f"{n}." for n, p in module.named_parameters() if p.requires_grad]
    for path in declared:
        need(
            any(name.startswith(f"{path}.") for name in trained),
            f"new_layers has '{path}', but no parameter that is trained is called so",
            "it names what learns at the rate of new layers",
        )


def check_state(module: nn.Module, fresh: nn.Module, result: Callable[[nn.Module], Tensor]) -> None:
    """`fresh`, of other random weights, gives the same `result` once it has the state of `module`."""
    state = module.state_dict()
    with attempt(
        "loading its state into a new instance", "what was trained is stored and loaded again"
    ):
        fresh.load_state_dict(state)
    need_equal(
        result(fresh),
        result(module),
        "a new instance with the loaded state gives another result",
        "parameters and buffers (register_buffer) have to hold everything that was learnt",
    )


def check_spawned(
    subject: Subject, module: nn.Module, function: Callable[..., Any], *arguments: Any
) -> None:
    """``function(module, *arguments)``, an array, is the same in a spawned process."""
    there = subject.rig.spawned("an instance", function, module, *arguments)
    here = function(module, *arguments)
    need_equal(
        torch.from_numpy(there),
        torch.from_numpy(here),
        "in a spawned process it gives another result",
        "worker processes have to compute the same, from its attributes and no global variables",
    )


def need_equal(a: Tensor, b: Tensor, seen: str, required: str) -> None:
    """Two results that have to agree up to the order of sums."""
    same = a.shape == b.shape and torch.allclose(
        a.double(), b.double(), rtol=1e-3, atol=1e-4, equal_nan=True
    )
    need(same, f"{seen}{_difference(a, b)}", required)


def need_repeatable(make: Callable[[], Iterable[Tensor]], what: str) -> None:
    """Two calls of `make` give exactly the same."""
    first, second = list(make()), list(make())
    for a, b in zip(first, second, strict=True):
        need(
            torch.equal(a, b),
            f"in evaluation mode {what} differs from call to call{_difference(a, b)}",
            "it has to be a function of its input: draw random numbers only `if self.training`",
        )


def need_unchanged(before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Inputs by name, before and after a call."""
    for name, value in before.items():
        need(
            np.array_equal(np.asarray(value), np.asarray(after[name])),
            f"it changes {name} in place",
            "others go on using what was given: work on a copy",
        )


def _difference(a: Tensor, b: Tensor) -> str:
    if a.shape != b.shape:
        return f" (of shape {tuple(a.shape)} instead of {tuple(b.shape)})"
    return f" (by up to {(a.detach().double() - b.detach().double()).abs().max():.2g})"
