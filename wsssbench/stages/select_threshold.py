"""select_threshold: the CAM's background threshold, without the scored split's pixel truth. Writes ``threshold.json``.

Config: method, split (whose CAMs are looked at), and for ``heldout`` thresholds (first, last, step).

``heldout``: the best mIoU on the pixel truth of a split that is not scored. ``otsu``: the threshold that parts the
activations best in two, in steps of 0.01; no truth, nothing to tune.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from wsssbench.evaluation.confusion import ScoreHistogram, best
from wsssbench.evaluation.threshold import otsu
from wsssbench.files.atomic import write_atomically
from wsssbench.files.ground_truth import read_mask
from wsssbench.files.images import image_size
from wsssbench.stages.evaluate import SELECTED, Truth, score_files, threshold_grid
from wsssbench.stages.work import StageWork

OTSU_GRID = (0.0, 0.99, 0.01)


def run(work: StageWork) -> dict[str, Any]:
    """Select, and write what was selected where the evaluation reads it."""
    method = work.config["method"]
    if method == "heldout":
        histogram = _histogram(work, work.config["thresholds"], _truth(work))
        index = best(histogram)
    else:
        histogram = _histogram(work, OTSU_GRID, _nothing(work))
        index = otsu(histogram)
    # str() gives the shortest decimal that means the same float32
    found = {"threshold": float(str(histogram.thresholds[index])), "choice": method}
    write_atomically(work.directory / SELECTED, (json.dumps(found) + "\n").encode())
    return found


def _truth(work: StageWork) -> Truth:
    """The masks of the held-out split."""
    return lambda id: read_mask(work.dataset, id, work.config["split"])


def _nothing(work: StageWork) -> Truth:
    """Blank maps of the images' sizes: the activations are counted, the truth is not looked at."""
    return lambda id: np.zeros(image_size(work.dataset.image_path(id)), np.uint8)


def _histogram(work: StageWork, grid: tuple[float, float, float], truth: Truth) -> ScoreHistogram:
    tally = score_files(
        work.inputs["given"],
        work.dataset.ids(work.config["split"]),
        truth,
        "cam",
        len(work.dataset.classes),
        threshold_grid(*grid),
        work.context.progress,
    )
    assert tally.histogram is not None  # CAMs are scored at thresholds
    return tally.histogram
