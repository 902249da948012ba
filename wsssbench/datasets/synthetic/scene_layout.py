"""The layout of a synthetic scene before anything is painted: objects, their badges, occluders."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import ndimage

from wsssbench.datasets.synthetic.outlines import BODIES, Patch, outline, place
from wsssbench.datasets.synthetic.textures import BADGES, MATERIALS
from wsssbench.ops import IGNORE

MOST_CLASSES = len(BADGES)
LEAST_SPAN = 12  # pixels an object has to span, or its badge is no longer a pattern
LEAST_VISIBLE = 16  # pixels of a labelled class in the mask
TRIES = 25


@dataclass(frozen=True)
class SceneParameters:
    """The parameters of scenes, documented in ``SyntheticScenes``; ValueError for values out of range."""

    num_classes: int = 8
    image_size: int = 128
    objects: tuple[int, int] = (1, 3)
    object_size: tuple[float, float] = (0.3, 0.7)
    overlap: float = 0.3
    occluders: float = 0.25
    part_size: float = 0.1
    part_contrast: float = 1.0
    classes_per_body: int = 2
    context_probability: float = 0.9
    context_leak: float = 0.03
    context_size: tuple[float, float] = (2.2, 3.6)
    clutter: float = 0.25
    boundary: int = 1

    def __post_init__(self) -> None:
        _within("num_classes", self.num_classes, 2, MOST_CLASSES)
        _within("image_size", self.image_size, 32, 1024)
        _within("overlap", self.overlap, 0, 0.6)
        _within("part_size", self.part_size, 0.02, 0.5)
        _within("classes_per_body", self.classes_per_body, 1, self.num_classes)
        _within("clutter", self.clutter, 0, 0.8)
        _within("boundary", self.boundary, 0, 4)
        for name in ("occluders", "part_contrast", "context_probability", "context_leak"):
            _within(name, getattr(self, name), 0, 1)
        _ordered("objects", self.objects, 1, 6)
        _ordered("object_size", self.object_size, 0.02, 0.8)
        _ordered("context_size", self.context_size, 0.5, 20)
        span = self.object_size[0] * self.image_size
        if span < LEAST_SPAN:
            raise ValueError(
                f"object_size={self.object_size} makes objects of {span:.1f} pixels in an image of "
                f"{self.image_size}, but the smallest has to span {LEAST_SPAN}: raise one of the two"
            )


def _within(name: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise ValueError(f"{name}={value} has to lie between {low} and {high}")


def _ordered(name: str, value: tuple[float, float], low: float, high: float) -> None:
    if not low <= value[0] <= value[1] <= high:
        raise ValueError(
            f"{name}={value} has to be (smallest, largest), both between {low} and {high}"
        )


@dataclass(frozen=True)
class Thing:
    """One object.

    Attributes:
        category: index of its class, from 0.
        centre: (x, y) in pixels.
        span: square root of its area in pixels.
        patch: its body in the image.
        badge: its discriminative part in the image (to be cut to the body).
        body: pixels of the body inside the image, (H, W) bool, whether hidden or not.
        part: pixels of the discriminative part, a subset of `body`.
        visible: pixels of `body` that nothing hides.
    """

    category: int
    centre: tuple[float, float]
    span: float
    patch: Patch
    badge: Patch
    body: np.ndarray
    part: np.ndarray
    visible: np.ndarray


@dataclass(frozen=True)
class Layout:
    """The objects from back to front, the occluders in front of them, and the label map (H, W) uint8."""

    things: tuple[Thing, ...]
    occluders: tuple[Patch, ...]
    mask: np.ndarray


def arrange(rng: np.random.Generator, parameters: SceneParameters, first: int) -> Layout:
    """A random layout in which the class `first` and every other one that was placed is visible.

    Raises:
        ValueError: the parameters leave too little of any object visible.
    """
    for _ in range(TRIES):
        things = _arrange_things(rng, parameters, first)
        things, occluders = _add_occluders(rng, parameters, things)
        mask = _label_map(things, parameters)
        counts = np.bincount(mask.ravel(), minlength=IGNORE + 1)
        if all(counts[thing.category + 1] >= LEAST_VISIBLE for thing in things):
            return Layout(tuple(things), tuple(occluders), mask)
    raise ValueError(
        f"boundary={parameters.boundary} and overlap={parameters.overlap} leave fewer than "
        f"{LEAST_VISIBLE} labelled pixels of objects this small: raise object_size or image_size"
    )


def body_style(category: int, classes_per_body: int) -> tuple[int, str, str]:
    """The body that a class shares with its group: (number of the group, outline family, material)."""
    group = category // classes_per_body
    materials = list(MATERIALS)
    material = materials[(2 * group + group // len(BODIES)) % len(materials)]
    return group, BODIES[group % len(BODIES)], material


def _arrange_things(
    rng: np.random.Generator, parameters: SceneParameters, first: int
) -> list[Thing]:
    count = int(rng.integers(parameters.objects[0], parameters.objects[1] + 1))
    others = rng.integers(0, parameters.num_classes, count - 1).tolist()
    things: list[Thing] = []
    for category in (first, *others):
        for _ in range(TRIES):
            thing = _propose(rng, parameters, category)
            if thing is None:
                continue
            behind = _hide(things, thing.body)
            if all(_shows(other, 1 - parameters.overlap) for other in behind):
                things = [*behind, thing]
                break
    return things


def _propose(rng: np.random.Generator, parameters: SceneParameters, category: int) -> Thing | None:
    """A random object; None if the image's edge would cut off too much of it."""
    size = parameters.image_size
    span = rng.uniform(*parameters.object_size) * size
    x, y = rng.uniform(0.3 * span, size - 0.3 * span, 2).tolist()
    family = body_style(category, parameters.classes_per_body)[1]
    patch = place(outline(rng, family), size, (x, y), span**2, rng.uniform(0, 2 * np.pi))
    body = patch.inside(size)
    if body.sum() < 0.75 * span**2:
        return None
    badge = _place_badge(rng, body, parameters.part_size * span**2)
    return Thing(category, (x, y), span, patch, badge, body, badge.inside(size) & body, body)


def _place_badge(rng: np.random.Generator, body: np.ndarray, area: float) -> Patch:
    """A badge of `area` pixels anywhere on `body` (H, W) where, if possible, all of it fits."""
    radius = np.sqrt(area / np.pi)
    size = len(body)
    # The image's edge bounds a body as well: an object cut off there still shows its whole badge.
    margin = ndimage.distance_transform_edt(np.pad(body, 1))[1:-1, 1:-1]
    candidates = np.argwhere(margin >= min(radius, 0.9 * margin.max()))
    y, x = candidates[rng.integers(len(candidates))]
    return place(outline(rng, "disc"), size, (x, y), area, rng.uniform(-0.5, 0.5))


def _hide(things: list[Thing], front: np.ndarray) -> list[Thing]:
    """`things` with the pixels `front` (H, W) hidden."""
    return [replace(thing, visible=thing.visible & ~front) for thing in things]


def _shows(thing: Thing, share: float) -> bool:
    """Whether `share` of the body and most of the badge are visible, so that a label can be verified."""
    return bool(
        thing.visible.sum() >= share * thing.body.sum()
        and (thing.visible & thing.part).sum() >= 0.7 * thing.part.sum()
    )


def _add_occluders(
    rng: np.random.Generator, parameters: SceneParameters, things: list[Thing]
) -> tuple[list[Thing], list[Patch]]:
    """Put unlabelled things in front of some objects; each hides at most a third of what was visible."""
    size = parameters.image_size
    occluders: list[Patch] = []
    for index in range(len(things)):
        wanted = rng.uniform() < parameters.occluders
        for _ in range(TRIES if wanted else 0):
            thing = things[index]
            x, y = (c + rng.normal(0, 0.25 * thing.span) for c in thing.centre)
            area = rng.uniform(0.2, 0.4) * thing.span**2
            patch = place(outline(rng, "bar"), size, (x, y), area, rng.uniform(0, 2 * np.pi))
            hidden = _hide(things, patch.inside(size))
            share = _area(hidden) / np.maximum(_area(things), 1)
            if share[index] < 0.97 and share.min() > 2 / 3 and all(_shows(t, 0) for t in hidden):
                things, occluders = hidden, [*occluders, patch]
                break
    return things, occluders


def _area(things: list[Thing]) -> np.ndarray:
    return np.array([thing.visible.sum() for thing in things])


def _label_map(things: list[Thing], parameters: SceneParameters) -> np.ndarray:
    mask = np.zeros((parameters.image_size, parameters.image_size), dtype=np.uint8)
    # by object, not by class: objects of one class have a boundary between them as well
    owner = np.zeros(mask.shape, dtype=np.int16)
    for number, thing in enumerate(things, start=1):
        mask[thing.visible] = thing.category + 1
        owner[thing.visible] = number
    if parameters.boundary:
        window = 2 * parameters.boundary + 1
        low, high = ndimage.minimum_filter(owner, window), ndimage.maximum_filter(owner, window)
        mask[low != high] = IGNORE
    return mask
