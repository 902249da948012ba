"""A small world for wrong command lines: a run with all its stages, a sweep, lists, masks, CAMs of others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

import wsssbench
from wsssbench.experiment.config import config_text
from wsssbench.files.cam_formats import write_psa
from wsssbench.interfaces import Cam

NETWORK = {"type": "EfficientNetLite0", "weights": "imagenet"}
CONFIG = {
    "name": "tiny",
    "data": {"type": "SyntheticScenes", "train_images": 4, "val_images": 2, "image_size": 64},
    "classifier": {
        "backbone": {**NETWORK, "output_stride": 16},
        "pooling": {"type": "GAP"},
        "transform": {"crop": 64},
        "schedule": {"batch_size": 2, "iterations": 2, "lr": 0.01},
    },
    "cam": {"type": "MultiScaleCAM", "scales": (1.0,), "flip": False},
    "refine": {
        "crf": {"type": "DenseCRF", "input": "cam", "preset": "psa"},
        "rw": {
            "type": "AffinityWalk",
            "input": "cam",
            "backbone": NETWORK,
            "steps": 4,
            "crop": 64,
            "schedule": {"batch_size": 2, "iterations": 2, "lr": 0.01},
        },
    },
    "label": {"input": "rw", "confidence": 0.2},
    "segmenter": {
        "type": "DeepLab",
        "head": "largefov",
        "backbone": NETWORK,
        "channels": 16,
        "crop": 64,
        "schedule": {"batch_size": 2, "iterations": 3, "checkpoint_every": 1, "lr": 0.01},
    },
}
HERE = "--workers 1 --device cpu"
SOUND = (
    f"run tiny.py {HERE}",
    f"run tiny.py {HERE} --until cam --set cam.flip=false --seeds 0",
    "run tiny.py --dry-run --force cam",
    f"run tiny.py --smoke --dry-run {HERE}",
    f"sweep tiny.py --grid cam.flip=true,false --until cam --seeds 0 --name two --dry-run {HERE}",
    "sweep tiny.py --grid cam.flip=true,false --until cam --name two --collect",
    "compare {run} --metric oracle --rung CAM --format markdown",
    "compare tiny --rows rung --columns metric --resamples 10 --confidence 0.9 --out table.csv --format csv",
    "report {run} --images 2 --out page.html",
    "evaluate --pred labels --gt masks --list train.txt --format png --num-classes 20 --json scores.json",
    "evaluate --pred cams --gt masks --list train.txt --format psa --thresholds 0:0.6:0.1",
    "evaluate --pred cams --gt masks --list train.txt --format psa --threshold 0.3",
    "import-cams cams --format psa --config tiny.py --set cam.flip=false --workers 1",
    "export cams {run} --format irn --out exported --split train --workers 1",
    "data check tiny.py --workers 1 --json survey.json",
    "config show tiny.py --set seed=1",
    "plugins list --kind pooling --json",
    "plugins describe GAP",
    "weights check weights.pth",
    "doctor",
)


def build(place: Path) -> list[list[str]]:
    """Make the world in `place`, and return sound command lines of it, with paths relative to it."""
    (place / "tiny.py").write_text(config_text(CONFIG))
    run = wsssbench.run(place / "tiny.py", work_dir=place / "work", device="cpu", workers=1)
    ids = run.ids("train")
    (place / "train.txt").write_text("".join(f"{id}\n" for id in ids))
    for folder in ("cams", "labels", "masks"):
        (place / folder).mkdir()
    draw = np.random.default_rng(0)
    for id in ids:
        heat = draw.random((1, 64, 64), np.float32)
        write_psa(place / "cams" / f"{id}.npy", Cam(np.array([3], np.uint8), heat, (64, 64)))
        for folder in ("labels", "masks"):
            drawn = draw.integers(0, 4, (64, 64), np.uint8)
            Image.fromarray(drawn).save(place / folder / f"{id}.png")
    weights = next((place / "work" / "cache" / "classify").glob("*/weights.pth"))
    (place / "weights.pth").write_bytes(weights.read_bytes())
    name = str(run.directory.relative_to(place))
    return [line.format(run=name).split() for line in SOUND]
