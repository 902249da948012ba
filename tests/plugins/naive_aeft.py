"""The AEFT paper's equations in float64 loops, straight from the text: the tests' reference."""

from __future__ import annotations

import math

import numpy as np


def relu(x):
    return np.maximum(x, 0)


def cell_means(plane, bins):
    """The mean of each of bins x bins cells; a cell holds every pixel that it touches."""
    h, w = plane.shape
    out = np.zeros((bins, bins))
    for i in range(bins):
        for j in range(bins):
            rows = slice(i * h // bins, math.ceil((i + 1) * h / bins))
            columns = slice(j * w // bins, math.ceil((j + 1) * w / bins))
            out[i, j] = plane[rows, columns].mean()
    return out


def resize(plane, size):
    """Bilinear, pixel centres at half integers (align_corners=False), edges repeated."""
    out = np.zeros(size)
    for y in range(size[0]):
        for x in range(size[1]):
            sy = max((y + 0.5) * plane.shape[0] / size[0] - 0.5, 0)
            sx = max((x + 0.5) * plane.shape[1] / size[1] - 0.5, 0)
            y0, x0 = int(sy), int(sx)
            y1, x1 = min(y0 + 1, plane.shape[0] - 1), min(x0 + 1, plane.shape[1] - 1)
            fy, fx = sy - y0, sx - x0
            top = plane[y0, x0] * (1 - fx) + plane[y0, x1] * fx
            bottom = plane[y1, x0] * (1 - fx) + plane[y1, x1] * fx
            out[y, x] = top * (1 - fy) + bottom * fy
    return out


def pyramid_level(f, bins):
    """P_bins of one image's maps (K, h, w)."""
    return np.stack([resize(cell_means(plane, bins), plane.shape) for plane in f])


def gate(x, y, weight):
    """Eq. 2 for one image: x, y (K, h, w), weight (2, 2K, 3, 3) -> (2, h, w)."""
    both = np.concatenate([relu(x), relu(y)])
    padded = np.pad(both, ((0, 0), (1, 1), (1, 1)))
    out = np.zeros((2, *x.shape[1:]))
    for o in range(2):
        for i in range(x.shape[1]):
            for j in range(x.shape[2]):
                z = (weight[o] * padded[:, i : i + 3, j : j + 3]).sum()
                out[o, i, j] = 1 / (1 + math.exp(-z))
    return out


def gpp_attention(f, order, alphas, betas):
    """Eq. 3 and 4: the levels of `order` folded one after the other."""
    attention = pyramid_level(f, order[0])
    for bins, wa, wb in zip(order[1:], alphas, betas, strict=True):
        level = pyramid_level(f, bins)
        a, b = gate(attention, level, wa), gate(-attention, -level, wb)
        attention = (relu(attention) * a[0] + relu(level) * a[1]) / 2 - (
            relu(-attention) * b[0] + relu(-level) * b[1]
        ) / 2
    return attention


def logits(f, attention):
    """Eq. 5 before the sigmoid, one image."""
    k, h, w = f.shape
    out = np.zeros(k)
    for c in range(k):
        for i in range(h):
            for j in range(w):
                p, v = attention[c, i, j], f[c, i, j]
                out[c] += max(p, 0) * max(v, 0) - max(-p, 0) * max(-v, 0)
    return out / (h * w)


def cam(f):
    """Eq. 1, one image; a class without any positive value stays zero."""
    out = np.zeros_like(f)
    for c, plane in enumerate(relu(f)):
        if plane.max() > 0:
            out[c] = plane / plane.max()
    return out


def foreground(a, classes):
    """Eq. 6 over `classes`, one image."""
    out = np.zeros(a.shape[1:])
    for c in classes:
        out = np.maximum(out, a[c])
    return out


def masked(image, fg, t_high, hard):
    """Eq. 7, one image (3, H, W); with `hard` the image is not dimmed below the threshold."""
    fg = resize(fg, image.shape[1:])
    out = np.zeros_like(image)
    for i in range(image.shape[1]):
        for j in range(image.shape[2]):
            if fg[i, j] < t_high:
                out[:, i, j] = image[:, i, j] * (1 if hard else fg[i, j])
    return out


def unit(e):
    return e / math.sqrt((e**2).sum())


def embedding(p):
    """e_A, e_P, e_N of one image's attention (K, h, w)."""
    return unit(p.mean(axis=(1, 2)))


def low_embedding(p, a, t_low):
    """Eq. 8, one image."""
    e = np.zeros(len(p))
    for c in range(len(p)):
        chosen = [p[c, i, j] for i, j in np.ndindex(p.shape[1:]) if a[c, i, j] < t_low]
        e[c] = sum(chosen) / len(chosen) if chosen else 0.0
    return unit(e)


def distance(a, b, how):
    total = sum((x - y) ** 2 for x, y in zip(a, b, strict=True))
    return total / len(a) if how == "mean" else total


def negative(labels, anchor):
    """The next image in batch order, cyclically, that shares no class with `anchor`, or None."""
    n = len(labels)
    for step in range(1, n):
        other = (anchor + step) % n
        if not set(np.flatnonzero(labels[anchor])) & set(np.flatnonzero(labels[other])):
            return other
    return None


def repel(pushed, full, labels, margin, how):
    """Eq. 10: the mean over the anchors that have a negative."""
    costs = []
    for anchor in range(len(labels)):
        other = negative(labels, anchor)
        if other is not None:
            costs.append(max(margin - distance(pushed[anchor], full[other], how), 0))
    return sum(costs) / len(costs) if costs else 0.0


def binary_cross_entropy(z, y):
    p = 1 / (1 + np.exp(-z))
    return float(-(y * np.log(p) + (1 - y) * np.log(1 - p)).mean())
