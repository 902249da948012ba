"""What AEFT's released code computes, in float64 loops from a description of it: the tests' reference.

Every function takes one image, or one row, unless it says batch. `naive_aeft` has what both have in common.
"""

from __future__ import annotations

import math

import naive_aeft as naive
import numpy as np


def activation(f):
    """Per class: ReLU, minimum and 1e-5 off, nothing below 0, over (range + 1e-5)."""
    out = np.zeros_like(f)
    for c, plane in enumerate(naive.relu(f)):
        low, high = plane.min(), plane.max()
        for i, j in np.ndindex(plane.shape):
            out[c, i, j] = max(plane[i, j] - low - 1e-5, 0) / (high - low + 1e-5)
    return out


def image_foreground(f, classes, size, activate):
    """The class maps' positive parts at the image's size, activated there, their maximum."""
    large = np.stack([naive.resize(naive.relu(plane), size) for plane in f])
    return naive.foreground(activate(large), classes)


def mean(plane):
    return sum(plane[i, j] for i, j in np.ndindex(plane.shape)) / plane.size


def mean_where(plane, mask):
    chosen = [plane[i, j] for i, j in np.ndindex(plane.shape) if mask[i, j]]
    return sum(chosen) / len(chosen) if chosen else 0.0


def over_peak(p):
    """P16 of each class over its largest absolute value (+ 1e-5)."""
    return np.stack([plane / (max(abs(v) for v in plane.flat) + 1e-5) for plane in p])


def scaled(e, norm):
    length = math.sqrt(sum(v * v for v in e))
    return np.array([v / max(length, 1e-5) for v in e]) if norm == "vector" else np.array(e)


def own(e, y, classes):
    return np.array([v if classes == "all" or y[c] else 0.0 for c, v in enumerate(e)])


def to_attract(p, y, *, rectified, norm, classes):
    """e_A or e_P of the attraction, for the labels `y` of the anchor."""
    means = [mean(naive.relu(plane) if rectified else plane) for plane in p]
    return own(scaled(means, norm), y, classes)


def to_repel(p, a, y, *, t_low, norm, classes):
    """The anchor's low-activation embedding; a pixel counts where the class's activation is low."""
    p = over_peak(p) if norm == "peak" else p
    means = [mean_where(p[c], a[c] < t_low) for c in range(len(p))]
    return own(scaled(means, norm), y, classes)


def as_negative(p, a, y, *, region, norm, classes):
    """The negative's embedding, masked by the negative's labels `y`."""
    p = over_peak(p) if norm == "peak" else p
    everywhere = np.ones(p.shape[1:], dtype=bool)
    masks = [everywhere if region == "all" else plane < 1.0 for plane in a]
    means = [mean_where(p[c], masks[c]) for c in range(len(p))]
    return own(scaled(means, norm), y, classes)


def attract(anchors, positives, how):
    """Batch: mean absolute difference over images and classes, or the squares summed over classes."""
    total = 0.0
    for a, p in zip(anchors, positives, strict=True):
        for x, y in zip(a, p, strict=True):
            total += abs(x - y) / len(a) if how == "absolute" else (x - y) ** 2
    return total / len(anchors)


def negative(labels, anchor, scores):
    """Batch: of the images without a common class the one that drew the highest score, or None."""
    best = None
    for other in range(len(labels)):
        if other == anchor or any(
            x and y for x, y in zip(labels[anchor], labels[other], strict=True)
        ):
            continue
        if best is None or scores[anchor][other] > scores[anchor][best]:
            best = other
    return best


def repel(pushed, others, chosen, margin, rows):
    """Batch: the mean cost of all anchors that have a negative, or of the hard ones if more than 4 are."""
    costs = []
    for anchor, other in enumerate(chosen):
        if other is None:
            continue
        d = sum((x - y) ** 2 for x, y in zip(pushed[anchor], others[other], strict=True))
        if rows == "all" or d < margin:
            costs.append(max(margin - d, 0))
    if not costs or (rows == "hard" and len(costs) <= 4):
        return 0.0
    return sum(costs) / len(costs)
