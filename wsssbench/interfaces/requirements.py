"""The part of the contracts that is checked each time a component returns something, and the sentence if it is broken.

``wsssbench plugins check`` asks the same, and more, before. What is asked here costs no synchronisation with a GPU:
types, shapes and dtypes of tensors; values of the arrays of one image.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
from torch import Tensor

from wsssbench.errors import UserError
from wsssbench.interfaces.values import IGNORE, Cam, Losses, Pooled, Scores


class BrokenContractError(UserError):
    """A component does not keep its contract: `seen`, but `required`.

    Args:
        seen: what it returned, or raised.
        required: what it has to do.
        component: which one it is, e.g. ``pooling TopPooling``; empty where that is said elsewhere.
    """

    def __init__(self, seen: str, required: str, component: str = "") -> None:
        # The arguments themselves, so that it can be pickled from one process to another.
        super().__init__(seen, required, component)
        self.seen, self.required, self.component = seen, required, component

    @property
    def whole(self) -> str:
        where = f"{self.component}: " if self.component else ""
        return f"{where}{self.seen}, but {self.required}"


def need(kept: bool, seen: str, required: str, component: str = "") -> None:
    """Raise BrokenContractError unless `kept`."""
    if not kept:
        raise BrokenContractError(seen, required, component)


def need_features(features: Any, images: Tensor, channels: tuple[int, ...], component: str) -> None:
    """A backbone's feature maps of `images`: a tuple of (N, channels[i], h_i, w_i)."""
    need(
        isinstance(features, tuple) and all(isinstance(f, Tensor) for f in features),
        f"forward() returns a {type(features).__name__}",
        "a tuple of feature maps is needed, coarse last",
        component,
    )
    shapes = [tuple(f.shape) for f in features]
    need(
        [s[:2] for s in shapes] == [(len(images), c) for c in channels]
        and all(len(s) == 4 for s in shapes),
        f"of images {tuple(images.shape)} the feature maps are {listed(shapes)}",
        f"by its channels they have to be {listed([(len(images), c, 'h', 'w') for c in channels])}",
        component,
    )


def need_pooled(pooled: Any, maps: Tensor, component: str = "") -> None:
    """A pooling's result for `maps` (N, K, h, w): logits (N, K), and attention as large as the maps, or none."""
    need(
        isinstance(pooled, Pooled),
        f"forward() returns {type(pooled).__name__}",
        "a wsssbench.interfaces.Pooled is needed",
        component,
    )
    n, k = maps.shape[:2]
    logits, attention = pooled.logits, pooled.attention
    need(
        isinstance(logits, Tensor) and logits.shape == (n, k) and logits.is_floating_point(),
        f"the logits of maps {tuple(maps.shape)} are {described(logits)}",
        f"they have to be float of shape (N, K), here {(n, k)}",
        component,
    )
    need(
        attention is None or (isinstance(attention, Tensor) and attention.shape == maps.shape),
        f"the attention of maps {tuple(maps.shape)} is {described(attention)}",
        "it has to be as large as the maps",
        component,
    )


def need_losses(losses: Any, where: str = "", component: str = "") -> None:
    """An objective's losses: scalar float tensors by name; what is logged are scalars, too."""
    need(
        isinstance(losses, Losses) and isinstance(losses.terms, Mapping),
        f"losses() returns {type(losses).__name__}",
        "a wsssbench.interfaces.Losses is needed",
        component,
    )
    for name, term in losses.terms.items():
        need(
            isinstance(term, Tensor) and term.shape == () and term.is_floating_point(),
            f"{where} the loss '{name}' is {described(term)}".strip(),
            "losses are scalar float tensors",
            component,
        )
    for name, value in losses.log.items():
        need(
            isinstance(value, Tensor) and value.shape == (),
            f"{where} the logged '{name}' is {described(value)}".strip(),
            "logged values are scalar tensors",
            component,
        )


def need_loss(loss: Any, component: str = "") -> None:
    """A segmenter's loss: a scalar float tensor."""
    need(
        isinstance(loss, Tensor) and loss.shape == () and loss.is_floating_point(),
        f"forward() returns {described(loss)}",
        "a scalar float tensor is needed",
        component,
    )


def need_class_maps(given: Any, maps: Tensor, component: str = "") -> None:
    """The class maps that an objective gives CAM inference, as large as the classifier's `maps`."""
    need(
        isinstance(given, Tensor) and given.shape == maps.shape,
        f"maps() gives {described(given)}",
        f"class maps (N, K, h, w) are needed, here {tuple(maps.shape)}",
        component,
    )


def need_cam(
    cam: Any,
    image: tuple[int, int],
    present: tuple[int, ...],
    component: str = "",
    method: str = "infer()",
) -> None:
    """The `Cam` of an `image` (H, W) with the `present` classes: maps (K', h, w) float32 in [0, 1]."""
    need(
        isinstance(cam, Cam),
        f"{method} returns a {type(cam).__name__}",
        "a wsssbench.interfaces.Cam is needed",
        component,
    )
    need_planes(
        cam.classes, cam.maps, cam.size, extra=0, image=image, present=present, component=component
    )
    need(
        not cam.maps.size or bool(cam.maps.max() <= 1),
        f"of an image {image} with the classes {list(present)} `maps` goes up to "
        f"{cam.maps.max() if cam.maps.size else 0:.4g}",
        "maps are in [0, 1]",
        component,
    )


def need_scores(
    scores: Any,
    image: tuple[int, int],
    present: tuple[int, ...],
    component: str = "",
    method: str = "refine()",
) -> None:
    """The `Scores` of an `image` (H, W) with the `present` classes: planes (1 + K', h, w) float32, not negative."""
    need(
        isinstance(scores, Scores),
        f"{method} returns a {type(scores).__name__}",
        "a wsssbench.interfaces.Scores is needed",
        component,
    )
    need_planes(
        scores.classes,
        scores.planes,
        scores.size,
        extra=1,
        image=image,
        present=present,
        component=component,
    )


def need_label_map(
    label: Any, image: tuple[int, int], allowed: Collection[int], component: str = ""
) -> None:
    """The label map (H, W) uint8 of an `image` (H, W): `allowed` values, and 255."""
    need(
        isinstance(label, np.ndarray) and label.dtype == np.uint8 and label.shape == image,
        f"of an image {image} label() returns {described(label)}",
        "a label map (H, W) of uint8 is needed",
        component,
    )
    strange = sorted(set(np.unique(label).tolist()) - {*allowed, IGNORE})
    need(
        not strange,
        f"of an image {image} its label map has the value {(strange or [0])[0]}",
        f"values are 0, classes ({', '.join(map(str, sorted(set(allowed) - {0}))) or 'none here'}), and {IGNORE} where "
        "it is ignored",
        component,
    )


def need_planes(
    classes: Any,
    planes: Any,
    size: Any,
    *,
    extra: int,
    image: tuple[int, int],
    present: tuple[int, ...],
    component: str = "",
) -> None:
    """`planes` (extra + K', h, w) float32, finite and not negative, of the `present` classes of an `image` (H, W)."""
    given = f"of an image {image} with the classes {list(present)}"
    need(
        isinstance(classes, np.ndarray) and classes.dtype == np.uint8 and classes.ndim == 1,
        f"{given} `classes` is {described(classes)}",
        "a vector (K',) of uint8 is needed",
        component,
    )
    need(
        classes.tolist() == list(present),
        f"{given} `classes` holds {classes.tolist()}",
        "it has to hold the label-map values 1..K of the present classes, ascending",
        component,
    )
    name = "planes" if extra else "maps"
    need(
        isinstance(planes, np.ndarray) and planes.dtype == np.float32 and planes.ndim == 3,
        f"{given} `{name}` is {described(planes)}",
        f"float32 of shape {_shape(extra, present)} is needed",
        component,
    )
    need(
        len(planes) == extra + len(present),
        f"{given} `{name}` has shape {planes.shape}",
        f"{_shape(extra, present)} is needed",
        component,
    )
    height, width = image
    need(
        tuple(size) == (height, width),
        f"{given} `size` is {size}",
        "it has to be the image's (H, W)",
        component,
    )
    need(
        1 <= planes.shape[1] <= height and 1 <= planes.shape[2] <= width,
        f"{given} `{name}` has shape {planes.shape}",
        "it may be smaller than the image, but neither larger nor empty",
        component,
    )
    need(
        bool(np.isfinite(planes).all()),
        f"{given} `{name}` has NaN or infinite values",
        f"it has to be finite{' (has a training diverged?)' if component else ''}",
        component,
    )
    need(
        not planes.size or bool(planes.min() >= 0),
        f"{given} `{name}` goes down to {planes.min() if planes.size else 0:.4g}",
        "it must not be negative",
        component,
    )


def described(value: Any) -> str:
    """What `value` is: dtype and shape of a tensor or an array, the type of anything else."""
    if isinstance(value, (np.ndarray, Tensor)):
        return f"{value.dtype} of shape {tuple(value.shape)}"
    return f"a {type(value).__name__}"


def listed(shapes: list[tuple[Any, ...]]) -> str:
    """Shapes in words."""
    return " and ".join(f"({', '.join(map(str, shape))})" for shape in shapes) or "none"


def _shape(extra: int, present: tuple[int, ...]) -> str:
    return f"({'1 + ' if extra else ''}K', h, w), here {extra + len(present)} planes,"
