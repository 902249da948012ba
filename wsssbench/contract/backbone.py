"""The checks of a backbone: images (N, 3, H, W) -> feature maps, coarse last."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import (
    check_spawned,
    check_state,
    need_equal,
    need_finite,
    need_gradients,
    need_new_layers,
    need_repeatable,
    need_unchanged,
)
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import make_images
from wsssbench.interfaces import Backbone

SIZE = (32, 48)


def attributes(subject: Subject) -> None:
    """`channels` and `strides` are tuples of as many positive numbers, strides ascending."""
    backbone = subject.shared()
    channels, strides = (getattr(backbone, name, ()) for name in ("channels", "strides"))
    good = all(
        isinstance(numbers, tuple)
        and numbers
        and all(isinstance(n, int) and n > 0 for n in numbers)
        for numbers in (channels, strides)
    )
    need(
        good and len(channels) == len(strides) and list(strides) == sorted(strides),
        f"channels={channels} and strides={strides}",
        "both have to be tuples of one positive number per feature map, strides from fine to coarse",
    )


def shapes(subject: Subject) -> None:
    """Feature map i of images (N, 3, H, W) is (N, channels[i], ceil(H / strides[i]), ceil(W / strides[i])) float32."""
    _check_shapes(subject, 2, (64, 64))


def odd_sizes(subject: Subject) -> None:
    """Sizes that the stride does not divide are rounded up."""
    for size in ((33, 43), (50, 33)):
        _check_shapes(subject, 2, size)


def batch_of_one(subject: Subject) -> None:
    """In evaluation mode it works on a single image, and gives it the features it has in a batch."""
    _check_shapes(subject, 1, SIZE)
    images = make_images(2, *SIZE)
    need_equal(
        _features(subject.shared().eval(), images[1:])[-1],
        _features(subject.shared().eval(), images)[-1][1:],
        "in evaluation mode an image alone has other features than in a batch",
        "images are independent there",
    )


def every_stage(subject: Subject) -> None:
    """`stage_features` end with the maps of forward(), and are as `stage_channels` and `stage_strides` say."""
    backbone, images = subject.shared().eval(), make_images(1, 33, 43)
    with torch.no_grad(), attempt("stage_features()", "by default it returns what forward() does"):
        maps, last = backbone.stage_features(images), _features(backbone, images)
    declared = zip(backbone.stage_channels, backbone.stage_strides, strict=True)
    expected: list[tuple[int, ...]] = [(1, c, -(-33 // s), -(-43 // s)) for c, s in declared]
    shapes: list[tuple[int, ...]] = [tuple(one.shape) for one in maps]
    need(
        shapes == expected,
        f"of images (N, 3, 33, 43) stage_features() are {_listed(shapes)}",
        f"by stage_channels and stage_strides they have to be {_listed(expected)}, sizes rounded up",
    )
    need(
        len(maps) >= len(last)
        and all(torch.equal(a, b) for a, b in zip(maps[-len(last) :], last, strict=True)),
        "the last of stage_features() are not the maps of forward()",
        "they are the same network's",
    )


def gradients(subject: Subject) -> None:
    """In training, finite gradients reach every parameter that is not frozen."""
    backbone = subject.build().train()
    features = _features(backbone, make_images(2, *SIZE))
    with attempt("the backward pass", "the features have to be differentiable"):
        sum((f.float().square().mean() for f in features), torch.zeros(())).backward()
    need_gradients(backbone)


def deterministic(subject: Subject) -> None:
    """In evaluation mode the same images give the same features."""
    backbone, images = subject.shared().eval(), make_images(1, *SIZE)
    with torch.no_grad():
        need_repeatable(lambda: _features(backbone, images), "its result")


def inputs_unchanged(subject: Subject) -> None:
    """The images it is given stay as they are."""
    images = make_images(1, *SIZE)
    given = images.clone()
    with torch.no_grad():
        _features(subject.shared().eval(), given)
    need_unchanged({"the images": images}, {"the images": given})


def half_precision(subject: Subject) -> None:
    """Under bfloat16 autocast the features are finite."""
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        features = _features(subject.shared().eval(), make_images(1, 32, 32))
    for i, feature in enumerate(features):
        need_finite(feature, f"feature map {i} under bfloat16 autocast")


def new_layers(subject: Subject) -> None:
    """`new_layers` is a tuple of the first parts of names, each of parameters that are trained."""
    need_new_layers(subject.shared(), subject.shared().new_layers)


def state(subject: Subject) -> None:
    """A new instance that loads its state gives the same features."""
    check_state(subject.shared().eval(), subject.build(seed=1).eval(), _last)


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process it gives the same features."""
    check_spawned(subject, subject.shared().eval(), _last_array)


CHECKS = (
    attributes,
    shapes,
    odd_sizes,
    batch_of_one,
    every_stage,
    gradients,
    deterministic,
    inputs_unchanged,
    half_precision,
    new_layers,
    state,
    spawned_process,
)


def _check_shapes(subject: Subject, n: int, size: tuple[int, int]) -> None:
    backbone: Backbone = subject.shared().eval()
    with torch.no_grad():
        features = _features(backbone, make_images(n, *size))
    shapes: list[tuple[int, ...]] = [tuple(f.shape) for f in features]
    declared = zip(backbone.channels, backbone.strides, strict=True)
    expected: list[tuple[int, ...]] = [
        (n, c, -(-size[0] // s), -(-size[1] // s)) for c, s in declared
    ]
    need(
        shapes == expected,
        f"of images (N, 3, {size[0]}, {size[1]}) the feature maps are {_listed(shapes)}",
        f"by its channels and strides they have to be {_listed(expected)}, sizes rounded up",
    )
    for i, feature in enumerate(features):
        need(
            feature.dtype == torch.float32,
            f"feature map {i} is {feature.dtype}",
            "it has to be float32, as the images are",
        )
        need_finite(feature, f"feature map {i}")


def _listed(shapes: list[tuple[int, ...]]) -> str:
    return " and ".join(f"(N, {', '.join(map(str, shape[1:]))})" for shape in shapes)


def _features(backbone: Any, images: Tensor) -> tuple[Tensor, ...]:
    with attempt(
        f"forward() of images {tuple(images.shape)}",
        "images (N, 3, H, W) of every size from 32 on have to be taken",
    ):
        features = backbone(images)
    need(
        isinstance(features, tuple) and all(isinstance(f, Tensor) for f in features),
        f"forward() returns a {type(features).__name__}",
        "a tuple of feature maps is needed, coarse last",
    )
    return features


def _last(backbone: Any) -> Tensor:
    with torch.no_grad():
        return _features(backbone, make_images(1, *SIZE))[-1]


def _last_array(backbone: Any) -> np.ndarray:
    return np.asarray(_last(backbone))
