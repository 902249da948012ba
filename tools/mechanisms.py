"""Does a trained method do what its paper says? One number and one picture per method, from finished runs.

    python tools/mechanisms.py scales GAP_RUN SEAM_RUN       # SEAM: maps of an image at two scales agree more
    python tools/mechanisms.py erasing GAP_RUN OC_CSE_RUN    # OC-CSE: what a class's CAM erases is that class alone
    python tools/mechanisms.py edges IRN_RUN                 # IRNet: learned edges lie on the outlines of objects

A run is a folder work/runs/NAME/ID; the first one of two is the plain classifier. Images are those of val, which
trained nothing. Prints JSON, and writes a picture (--out FILE.png) of the first --pictures images.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from wsssbench import Run, open_run
from wsssbench.errors import UserError
from wsssbench.files.ground_truth import allow_masks, read_mask
from wsssbench.interfaces import Classifier, Photo
from wsssbench.models.preprocess import normalise
from wsssbench.ops import IGNORE
from wsssbench.ops.cam import normalise as per_class
from wsssbench.pages.pictures import contours, heat_overlay, over
from wsssbench.plugins import load
from wsssbench.stages.handles import photos_of

GAP_BETWEEN = 4  # pixels between pictures


def cams(classifier: Classifier, image: Tensor, photo: Photo) -> Tensor:
    """CAMs of the classes of `photo` (K', H, W) in [0, 1], of its normalised `image` (1, 3, H, W) at one scale."""
    labels = torch.from_numpy(np.asarray(photo.labels, np.float32))[None]
    maps = F.relu(classifier.cam_maps(image, labels))
    maps = F.interpolate(maps, photo.image.shape[:2], mode="bilinear", align_corners=False)
    return per_class(maps[0, labels[0] > 0])


def tensor(photo: Photo) -> Tensor:
    """`photo` as a network takes it, (1, 3, H, W)."""
    return torch.from_numpy(normalise(photo.image))[None]


@torch.no_grad()
def scales(runs: Sequence[Run], photos: Sequence[Photo]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Compare CAMs at the scales 1 and 0.5: their mean absolute difference, and the correlation of their pixels."""
    rows, found = [[photo.image] for photo in photos], {}
    for run in runs:
        network = run.classifier().classifier
        differences, correlations, areas = [], [], []
        for photo, row in zip(photos, rows, strict=True):
            image = tensor(photo)
            half = F.interpolate(image, scale_factor=0.5, mode="bilinear", align_corners=False)
            whole, small = cams(network, image, photo), cams(network, half, photo)
            differences.append(float((whole - small).abs().mean()))
            areas.append(float(whole.mean()))
            pairs = torch.stack([whole.flatten(), small.flatten()])
            correlations.append(float(torch.corrcoef(pairs)[0, 1]))
            row += [heat(photo, whole.amax(0)), heat(photo, small.amax(0))]
        found[run.directory.name] = {
            "difference": fmean(differences),
            "correlation": float(np.nanmean(correlations)),
            "mean activation": fmean(areas),
        }
    return found, rows


@torch.no_grad()
def erasing(runs: Sequence[Run], photos: Sequence[Photo]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Erase one class of two by its CAM: how far fall the plain classifier's probabilities of it, and of the others?"""
    guide = runs[0].classifier().classifier
    photos = [photo for photo in photos if np.count_nonzero(photo.labels) > 1]
    rows, found = [[photo.image] for photo in photos], {}
    for run in runs:
        network = run.classifier().classifier
        own, others = [], []
        for photo, row in zip(photos, rows, strict=True):
            image, present = tensor(photo), np.flatnonzero(photo.labels)
            before = guide(image).logits[0, present].sigmoid()
            maps = cams(network, image, photo)
            for number, cam in enumerate(maps):
                after = guide(image * (1 - cam)).logits[0, present].sigmoid()
                fallen = before - after
                own.append(float(fallen[number]))
                rest = [float(value) for k, value in enumerate(fallen) if k != number]
                others.append(fmean(rest))
            erased = photo.image * (1 - maps[0].numpy()[..., None])
            row += [heat(photo, maps[0]), erased.astype(np.uint8)]
        found[run.directory.name] = {
            "erased class falls by": fmean(own),
            "others by": fmean(others),
        }
    return found, rows


def edges(runs: Sequence[Run], photos: Sequence[Photo]) -> tuple[dict[str, Any], list[list[Any]]]:
    """Compare the mean edge probability within two pixels of an outline of the mask with that of all other pixels."""
    (run,) = runs
    node = next(node for node, kind in run.artefacts.kinds.items() if kind.name == "fit")
    # What it learned from is another stage's, and not needed any more.
    config = {**run.artefacts.node_config(node)["refinement"], "seeds": None}
    network: Any = load().registries.refinement.build(config)
    network.load(run.artefacts.directories[node], "cpu")
    on, elsewhere, rows = [], [], []
    for photo in photos:
        probability = torch.from_numpy(network.edges(photo.image))[None, None]
        size = photo.image.shape[:2]
        full = F.interpolate(probability, size, mode="bilinear", align_corners=False)[0, 0]
        with allow_masks("mechanisms"):
            mask = read_mask(run.artefacts.dataset, photo.id, run.config["splits"]["val"])
        # Scenes have an ignored band between objects, as VOC has: it is where the outline is.
        outline = torch.from_numpy(contours(mask) | (mask == IGNORE)).float()[None, None]
        near = F.max_pool2d(outline, 5, 1, 2)[0, 0] > 0
        on.append(float(full[near].mean()))
        elsewhere.append(float(full[~near].mean()))
        rows.append([photo.image, heat(photo, full), heat(photo, outline[0, 0])])
    return {"edge probability on outlines": fmean(on), "elsewhere": fmean(elsewhere)}, rows


def heat(photo: Photo, values: Tensor) -> np.ndarray:
    """`photo` (H, W, 3) uint8 under `values` (H, W) in [0, 1]."""
    return over(photo.image, heat_overlay(values.numpy()))


def sheet(rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """One picture of `rows`, each of equally many equal pictures."""
    gap = ((0, GAP_BETWEEN), (0, GAP_BETWEEN), (0, 0))
    padded = [[np.pad(one, gap, constant_values=255) for one in row] for row in rows]
    return Image.fromarray(np.vstack([np.hstack(row) for row in padded]))


LOOKS = {"scales": scales, "erasing": erasing, "edges": edges}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("look", choices=LOOKS)
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--pictures", type=int, default=6)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    wanted = 1 if given.look == "edges" else 2
    if len(given.runs) != wanted:
        parser.error(f"{given.look} takes {wanted} runs, not {len(given.runs)}")
    try:
        runs = [open_run(path) for path in given.runs]
    except UserError as error:
        parser.error(str(error))
    photos = photos_of(runs[0].artefacts.dataset, (runs[0].config["splits"]["val"],))
    chosen = [photo for photo in list(photos)[: given.images] if np.any(photo.labels)]
    found, rows = LOOKS[given.look](runs, chosen)
    print(json.dumps({"images": len(rows), **found}, indent=1))
    if given.out is not None:
        sheet(rows[: given.pictures]).save(given.out)


if __name__ == "__main__":
    main()
