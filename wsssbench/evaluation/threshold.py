"""Select a background threshold from the activations alone."""

from __future__ import annotations

import numpy as np

from wsssbench.evaluation.confusion import ScoreHistogram


def otsu(histogram: ScoreHistogram) -> int:
    """Return the index of the threshold that splits the activations best in two.

    Otsu, "A threshold selection method from gray-level histograms", IEEE SMC 1979, eq. 18: the largest between-class
    variance w0 w1 (m0 - m1)^2 of the pixels' highest activation, over all pixels of the data set together. Activations
    are known up to the spacing of the thresholds: one counts as the middle of its interval, those above the last
    threshold as the middle of [last, 1].

    Args:
        histogram: of the CAMs against any masks, which are not looked at.

    Returns:
        The first index of the largest variance; 0 if no threshold has pixels on both sides.
    """
    counts = histogram.activations().astype(np.float64)  # (T + 1,)
    edges = np.concatenate([[0.0], histogram.thresholds, [max(1.0, histogram.thresholds[-1])]])
    middles = (edges[:-1] + edges[1:]) / 2
    below, total = np.cumsum(counts)[:-1], counts.sum()
    mass = counts * middles
    mass_below = np.cumsum(mass)[:-1]
    above = total - below
    split = (below > 0) & (above > 0)
    if not split.any():
        return 0
    means = np.divide(mass_below, below, where=split, out=np.zeros_like(below))
    others = np.divide(mass.sum() - mass_below, above, where=split, out=np.zeros_like(below))
    return int(np.argmax(np.where(split, below * above * (means - others) ** 2, -1.0)))
