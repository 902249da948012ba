"""select_threshold: the CAM's background threshold, without the scored split's masks. Writes ``threshold.json``.

Config: method, split (of the CAMs to look at), and for ``heldout`` thresholds (first, last, step).

``heldout``: the best mIoU on the masks of a split that is not scored. ``otsu``: the threshold that
splits the activations best in two, in steps of 0.01; no mask, nothing to tune.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.evaluation.confusion import ScoreHistogram, best
from wsssbench.evaluation.score_files import MaskReader, score_files, threshold_grid
from wsssbench.evaluation.threshold import otsu
from wsssbench.files.atomic import write_atomically
from wsssbench.files.ground_truth import read_mask
from wsssbench.files.image_lists import first_few
from wsssbench.files.images import image_size
from wsssbench.interfaces import Cams, Dataset
from wsssbench.progress import Progress
from wsssbench.stages import infer_cams
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    SplitUse,
    StageKind,
    StageWork,
)

NODE = "threshold"
FOR_LABELS = "threshold.otsu"
OTSU_GRID = (0.0, 0.99, 0.01)
_FILE = "threshold.json"


class SelectThreshold(StageKind):
    """Selects the CAM's threshold, where it is not fixed in the config (section ``evaluate``)."""

    name = "select_threshold"

    def names(self, nodes: Nodes) -> Iterable[str]:
        config = nodes.config
        none = config["evaluate"]["selection"] == "fixed" or config[IMPORTED_LABELS]
        return () if none else (NODE,)

    def lazy_names(self, nodes: Nodes) -> Iterable[str]:
        return (FOR_LABELS,)  # if the pseudo-labels are to be cut there

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        return {"heldout": SplitUse("selects the threshold", masks=True)}

    def node(self, name: str, nodes: Nodes) -> Node:
        section = nodes.config["evaluate"]
        method = "otsu" if name == FOR_LABELS else section["selection"]
        held = method == "heldout"
        split = nodes.split("heldout" if held else "evaluate")
        config = {"method": method, "split": split}
        given = nodes.need(infer_cams.NODE)
        if given.makes is None or not issubclass(given.makes, Cams):
            raise UserError(
                f"evaluate.selection='{method}' selects the threshold of CAMs, but {given.name} makes "
                f"{given.makes.called if given.makes else 'none'}, which need none: leave it out"
            )
        return Node(
            name=name,
            kind=self,
            config={**config, "thresholds": section["thresholds"]} if held else config,
            inputs={"given": given.name},
            splits=(split,),
            masks=(split,) if held else (),
        )

    def check_data(
        self, node: Node, nodes: Mapping[str, Node], dataset: Dataset, progress: Progress
    ) -> Iterator[str]:
        """Compare the images that select the threshold with the scored ones: none in common, the same classes."""
        if not node.masks:
            return
        held, split = node.config["split"], nodes[node.inputs["given"]].scored
        occurs, there = (dataset.labels(name).any(axis=0) for name in (split, held))
        names = [dataset.classes[k] for k in np.flatnonzero(occurs & ~there).tolist()]
        if names:
            progress.warn(
                f"splits.heldout '{held}' ({len(dataset.ids(held))} images) has no image of {first_few(names)}, which "
                f"'{split}' has: its best threshold may be far from that of '{split}'"
            )
        shared = sorted(set(dataset.ids(held)) & set(dataset.ids(split)))
        if shared:
            yield (
                f"splits.heldout '{held}' shares {len(shared)} images with the scored split '{split}' "
                f"({first_few(shared)}): hold out images that are not scored"
            )

    def run(self, work: StageWork) -> dict[str, Any]:
        """Select the threshold, and write it where the evaluation reads it."""
        dataset, split = work.dataset, work.config["split"]
        if work.config["method"] == "heldout":
            histogram = _histogram(
                work, work.config["thresholds"], lambda id: read_mask(dataset, id, split)
            )
            index = best(histogram)
        else:
            # Blank maps of the images' sizes: the activations are counted, no mask is looked at.
            histogram = _histogram(
                work, OTSU_GRID, lambda id: np.zeros(image_size(dataset.image_path(id)), np.uint8)
            )
            index = otsu(histogram)
        # str() gives the shortest decimal that means the same float32
        threshold = float(str(histogram.thresholds[index]))
        selected = {"threshold": threshold, "choice": work.config["method"]}
        write_atomically(work.directory / _FILE, (json.dumps(selected) + "\n").encode())
        return selected

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        return {"held out": node.config["split"]} if node.masks else {}


def read_selected(directory: Path) -> tuple[float, str]:
    """Return the threshold that `select_threshold` left in `directory`, and how it was chosen.

    Raises:
        CorruptArtefactError: missing or damaged.
    """
    path = directory / _FILE
    try:
        selected = json.loads(path.read_text(encoding="utf-8"))
        return float(selected["threshold"]), str(selected["choice"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CorruptArtefactError(path, str(error)) from error


def _histogram(
    work: StageWork, grid: tuple[float, float, float], read: MaskReader
) -> ScoreHistogram:
    accumulator = score_files(
        work.inputs["given"].directory,
        work.dataset.ids(work.config["split"]),
        read,
        "cam",
        len(work.dataset.classes),
        threshold_grid(*grid),
        work.context.progress,
    )
    assert accumulator.histogram is not None  # CAMs are scored at thresholds
    return accumulator.histogram
