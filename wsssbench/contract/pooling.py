"""The checks of a pooling: class maps (N, K, h, w) -> logits (N, K)."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import (
    check_spawned,
    check_state,
    need_equal,
    need_finite,
    need_gradients,
    need_repeatable,
    need_unchanged,
)
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import K, make_maps
from wsssbench.interfaces import Pooled, Pooling
from wsssbench.interfaces.requirements import need_pooled

SIZES = ((7, 5), (3, 17), (1, 1))


def shapes(subject: Subject) -> None:
    """It returns a Pooled with logits (N, K) float32 and an attention (N, K, h, w) or none."""
    maps = make_maps(3, 8, 8)
    pooled = _pool(subject.build(), maps)
    _check_logits(pooled, maps)


def odd_sizes(subject: Subject) -> None:
    """It pools maps of every size, down to 1 x 1, in training and in evaluation mode."""
    for height, width in SIZES:
        for training in (True, False):
            maps = make_maps(2, height, width)
            _train(subject.build().train(training), maps)


def batch_of_one(subject: Subject) -> None:
    """It pools a single image, in training and in evaluation mode."""
    for training in (True, False):
        _train(subject.build().train(training), make_maps(1, 8, 8))


def one_class(subject: Subject) -> None:
    """It works for data sets of one class."""
    maps = make_maps(2, 8, 8, classes=1)
    _check_logits(_pool(subject.build(1), maps), maps)


def gradients(subject: Subject) -> None:
    """Finite gradients reach the maps and every parameter."""
    pooling = subject.build()
    _train(pooling, make_maps(3, 8, 8))
    need_gradients(pooling)


def constant_maps(subject: Subject) -> None:
    """Maps of one value everywhere, also of large ones, give finite logits and gradients."""
    for value in (0.0, 50.0, -50.0):
        maps = torch.full((2, K, 8, 8), value, requires_grad=True)
        logits = _pool(subject.build(), maps).logits
        given = f"maps that are {value:g} everywhere"
        need_finite(logits, f"the logits of {given}")
        _backward(logits.sum(), maps)
        if maps.grad is not None:
            need_finite(maps.grad, f"the gradient of {given}")


def deterministic(subject: Subject) -> None:
    """In evaluation mode the same maps give the same logits."""
    pooling, maps = subject.build().eval(), make_maps(4, 8, 8)
    need_repeatable(lambda: [_pool(pooling, maps).logits], "its result")


def one_image_at_a_time(subject: Subject) -> None:
    """In evaluation mode an image's logits do not depend on the others of its batch."""
    pooling, maps = subject.build().eval(), make_maps(4, 8, 8)
    need_equal(
        _pool(pooling, maps[2:3]).logits,
        _pool(pooling, maps).logits[2:3],
        "in evaluation mode an image alone has other logits than in a batch",
        "images are independent there",
    )


def inputs_unchanged(subject: Subject) -> None:
    """The maps it is given stay as they are."""
    maps = make_maps(2, 8, 8)
    given = maps.clone()
    _pool(subject.build(), given)
    need_unchanged({"the maps": maps}, {"the maps": given})


def half_precision(subject: Subject) -> None:
    """Under bfloat16 autocast it gives nearly the same logits, and finite gradients."""
    pooling = subject.build().eval()
    maps = make_maps(2, 8, 8).bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = _pool(pooling, maps, " under bfloat16 autocast").logits
    need_equal_half(logits, _pool(pooling, maps.detach().float()).logits)
    _backward(logits.float().sum(), maps)
    if maps.grad is not None:
        need_finite(maps.grad, "the gradient of the maps under bfloat16 autocast")


def state(subject: Subject) -> None:
    """A new instance that loads its state gives the same logits."""
    check_state(_trained(subject), subject.build(seed=1).eval(), lambda m: _logits(m))


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process it gives the same logits."""
    check_spawned(subject, _trained(subject), _logits_array)


CHECKS = (
    shapes,
    odd_sizes,
    batch_of_one,
    one_class,
    gradients,
    constant_maps,
    deterministic,
    one_image_at_a_time,
    inputs_unchanged,
    half_precision,
    state,
    spawned_process,
)


def need_equal_half(half: Tensor, full: Tensor) -> None:
    """Results in bfloat16 and in float32 agree to what 8 bits can hold."""
    gap = (half.detach().float() - full.detach()).abs()
    need(
        bool((gap <= 0.05 + 0.05 * full.detach().abs()).all()),
        f"under bfloat16 autocast its result differs by up to {gap.max():.2g}",
        "half precision may cost 5 % at most",
    )


def _pool(pooling: Pooling, maps: Tensor, where: str = "") -> Pooled:
    with attempt(
        f"pooling maps {tuple(maps.shape)}{where}",
        "maps (N, K, h, w) of every size have to be pooled",
    ):
        pooled = _of_own_features(pooling, maps)
    need_pooled(pooled, maps)
    return pooled


def _of_own_features(pooling: Pooling, maps: Tensor) -> Pooled:
    """Pool `maps` that are their own features: by a head that leaves them as they are."""
    classes = maps.shape[1]
    head = nn.Conv2d(classes, classes, 1, bias=False)
    with torch.no_grad():
        head.weight.copy_(torch.eye(classes)[:, :, None, None])
    return pooling.pool(maps, maps, head)


def _check_logits(pooled: Pooled, maps: Tensor) -> None:
    given = f"the logits of maps {tuple(maps.shape)}"
    need(
        pooled.logits.dtype == torch.float32,
        f"{given} are {pooled.logits.dtype}",
        "they have to be float32 if the maps are",
    )
    need_finite(pooled.logits, given)


def _train(pooling: Pooling, maps: Tensor) -> Pooled:
    """One training step but for the optimiser, with finite gradients that reach the maps."""
    maps = maps.requires_grad_()
    pooled = _pool(pooling, maps)
    _check_logits(pooled, maps)
    _backward(pooled.logits.square().sum(), maps)
    gradient = maps.grad
    need(
        gradient is not None and bool(gradient.any()),
        f"no gradient reaches maps {tuple(maps.shape)}",
        "the classifier is trained through the pooling",
    )
    if gradient is not None:
        need_finite(gradient, f"the gradient of maps {tuple(maps.shape)}")
    return pooled


def _backward(loss: Tensor, maps: Tensor) -> None:
    with attempt(
        f"the backward pass of maps {tuple(maps.shape)}",
        "the classifier is trained through the pooling",
    ):
        loss.backward()


def _trained(subject: Subject) -> nn.Module:
    """A pooling whose parameters are not those of any constructor call."""
    pooling: nn.Module = subject.build().eval()
    with torch.no_grad():
        for parameter in pooling.parameters():
            parameter.normal_(std=0.5)
    return pooling


def _logits(pooling: nn.Module) -> Tensor:
    with torch.no_grad():
        return _of_own_features(cast(Pooling, pooling), make_maps(3, 8, 8)).logits


def _logits_array(pooling: nn.Module) -> np.ndarray:
    return np.asarray(_logits(pooling))
