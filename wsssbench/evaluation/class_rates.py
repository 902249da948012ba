"""Precision and recall of every class: low precision is over-activation, low recall under-activation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsssbench.evaluation.class_counts import ClassCounts


def class_rates(counts: ClassCounts, names: Sequence[str]) -> dict[str, dict[str, float]]:
    """``class_precision`` and ``class_recall`` by name, per cent, of the classes that occur in the masks.

    Their means are the precision and the recall of `wsssbench.evaluation.confusion.Metrics`: a class that occurs and is
    never predicted has precision 0.

    Args:
        counts: (K + 1,) integer each, summed over the data set.
        names: of the label-map values 0..K.
    """
    rates: dict[str, dict[str, float]] = {"class_precision": {}, "class_recall": {}}
    for value in np.flatnonzero(counts.true).tolist():
        correct = 100 * float(counts.correct[value])
        predicted, true = float(counts.predicted[value]), float(counts.true[value])
        rates["class_precision"][names[value]] = correct / max(predicted, 1)
        rates["class_recall"][names[value]] = correct / true
    return rates
