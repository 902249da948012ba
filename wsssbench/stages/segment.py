"""segment: train the segmenter on the pseudo-labels; predict: its label maps, ``<split>/<id>.png``.

Config: segmenter (component), split or splits, gallery (images of the training side that are predicted for the report).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from wsssbench.interfaces import SegmentationItem
from wsssbench.plugins import load
from wsssbench.stages.work import StageWork


def train(work: StageWork) -> dict[str, Any]:
    """Train on the pseudo-labels of the training split; sees no pixel truth."""
    items = [
        SegmentationItem(id, work.dataset.image_path(id), work.inputs["label"] / f"{id}.png")
        for id in work.dataset.ids(work.config["split"])
    ]
    segmenter = load().registries.segmenter.build(work.config["segmenter"], work.dataset.classes)
    segmenter.train(items, work.context)
    return {"images": len(items)}


def predict(work: StageWork) -> dict[str, Any]:
    """Predict the split, into a folder of its name (with the framework's own score beside ours), and the gallery."""
    dataset, split = work.dataset, work.config["split"]
    segmenter = load().registries.segmenter.build(work.config["segmenter"], dataset.classes)
    scored = [
        SegmentationItem(id, dataset.image_path(id), dataset.mask_path(id, split))
        for id in dataset.ids(split)
    ]
    shown = [
        SegmentationItem(id, dataset.image_path(id))
        for id in gallery_ids(dataset.ids(work.config["gallery_split"]), work.config["gallery"])
    ]
    own: dict[str, Any] = {}
    for name, items in ((split, scored), ("gallery", shown)):
        if not items:
            continue
        directory = work.directory / name
        directory.mkdir(exist_ok=True)
        context = replace(work.context, directory=directory)
        metrics = segmenter.predict(items, work.inputs["segment"], context)
        if items is scored:
            own = {f"mmseg {key}": value for key, value in metrics.items()}
    return own


def gallery_ids(ids: list[str], count: int) -> list[str]:
    """`count` ids spread evenly over the list: the same ones for every method, so that pictures compare."""
    count = min(count, len(ids))
    return [ids[i * len(ids) // count] for i in range(count)] if count else []
