from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import Outcome, call, refused
from PIL import Image

from wsssbench.experiment.graph import split_uses
from wsssbench.files.images import write_label

CONFIG = """
name = "mine"
data = dict(type="FolderDataset", root={root!r}, images="images", labels="labels.csv", masks="masks",
            classes=("cat", "dog", "cow"))
splits = dict(train="train", evaluate="train", val="val")
classifier = dict(
    backbone=dict(type="EfficientNetLite0"),
    pooling=dict(type="GAP"),
    transform=dict(resize_long=(32, 48), crop=32),
    schedule=dict(batch_size=2, epochs=1, lr=0.01),
)
cam = dict(type="MultiScaleCAM", scales=(1.0,), flip=False)
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    lines = ["id,labels,split"]
    for folder in ("images", "masks"):
        (tmp_path / folder).mkdir()
    for i in range(30):
        name, split = f"{i:03d}", "train" if i < 24 else "val"
        image = rng.integers(0, 256, (16, 20, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "images" / f"{name}.png")
        mask = np.zeros((16, 20), np.uint8)
        mask[2:8, 2:8] = 1 + i % 2
        write_label(tmp_path / "masks" / f"{name}.png", mask)
        lines.append(f"{name},{('cat', 'dog')[i % 2]},{split}")
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    path = tmp_path / "config.py"
    path.write_text(CONFIG.format(root=str(tmp_path)))
    return path


def check(config: Path, *arguments: object) -> Outcome:
    return call("data", "check", config, *arguments)


def test_a_good_data_set(config: Path, tmp_path: Path) -> None:
    outcome = check(config, "--json", tmp_path / "s.json", "--workers", "2")
    assert outcome.code == 0, outcome
    assert "FolderDataset: 3 classes" in outcome.out and "no problems" in outcome.out
    assert ["cat", "12", "50.0%", "3", "50.0%"] in [x.split() for x in outcome.out.splitlines()]
    assert "train: no image of cow" in outcome.out
    assert "30 images and 30 masks read" in outcome.out
    written = json.loads((tmp_path / "s.json").read_text())
    assert written["uses"] == {"train": ["trains", "scores pseudo-labels"], "val": ["watched"]}
    assert written["splits"][0]["labels"]["images"] == {"cat": 12, "dog": 12, "cow": 0}
    assert written["splits"][0]["labels"]["together"] == [[12, 0, 0], [0, 12, 0], [0, 0, 0]]
    assert written["problems"] == []


def test_problems_of_scored_splits_stop_a_run(config: Path, tmp_path: Path) -> None:
    for i in range(22):
        (tmp_path / "masks" / f"{i:03d}.png").write_bytes(b"no mask")
    (tmp_path / "images" / "023.png").unlink()
    outcome = check(config, "--json", tmp_path / "s.json")
    assert outcome.code == 2 and "23 problems, 23 of which would stop a run" in outcome.out
    assert outcome.out.count("stops  train: ") == 20 and "and 3 more problems" in outcome.out
    problems = json.loads((tmp_path / "s.json").read_text())["problems"]
    assert len(problems) == 23
    assert {p["file"] for p in problems if p["kind"] == "mask"} == {
        str(tmp_path / "masks" / f"{i:03d}.png") for i in range(22)
    }


def test_every_kind_of_problem_is_shown(config: Path, tmp_path: Path) -> None:
    for i in range(22):
        (tmp_path / "images" / f"{i:03d}.png").write_bytes(b"no image")
    (tmp_path / "masks" / "023.png").write_bytes(b"no mask")
    outcome = check(config)
    assert "stops  train: label map" in outcome.out and "and 3 more problems" in outcome.out
    assert "8 images and 29 masks read" in outcome.out


def test_a_reason_that_several_splits_share_is_given_once(config: Path, tmp_path: Path) -> None:
    (tmp_path / "images" / "003.png").unlink()
    (tmp_path / "part.txt").write_text("000\n003\n")
    outcome = check(config, "--set", f"+data.splits.part={tmp_path / 'part.txt'}", "--set",
                    "splits.evaluate=part")  # fmt: skip
    assert outcome.code == 2 and "1 problem, 1 of which would stop a run" in outcome.out
    assert "stops  train+part: '003' has no image" in outcome.out


def test_masks_that_no_stage_opens_are_minor(config: Path, tmp_path: Path) -> None:
    write_label(tmp_path / "masks" / "025.png", np.full((16, 20), 9, np.uint8))
    outcome = check(config)
    assert outcome.code == 0 and "1 problem, 0 of which would stop a run" in outcome.out
    assert "minor  val: mask" in outcome.out and "has the label 9" in outcome.out


def test_what_deserves_a_line(config: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.csv"
    text = labels.read_text()
    for i in range(1, 24, 2):  # every dog with a cat
        text = text.replace(f"{i:03d},dog,", f"{i:03d},dog;cat,")
    labels.write_text(text)
    (tmp_path / "images" / "029.png").write_bytes((tmp_path / "images" / "000.png").read_bytes())
    (tmp_path / "val.txt").write_text("000\n029\n")
    out = check(config, "--set", f"+data.splits.mine={tmp_path / 'val.txt'}", "--set",
                "splits.val=mine").out  # fmt: skip
    assert "dog + cat: 12 images, 100% of those of dog, 50% of those of cat" in out
    assert "never the only class of an image: dog" in out and "dog never without cat" in out
    assert "train: in the labels, but not in the mask: cat in 12 (e.g. 001)" in out
    assert "train and mine share 1 images: '000'" in out
    assert "the same file under different ids in one split: 1 times: 000 = 029" in out


def test_a_data_set_without_masks(config: Path) -> None:
    outcome = check(config, "--set", "data.masks=None")
    assert outcome.code == 0 and "30 images and 0 masks" in outcome.out
    assert "pixels" not in outcome.out


def test_a_generated_data_set_is_made_for_the_check(tmp_path: Path) -> None:
    config = tmp_path / "config.py"
    text = CONFIG.format(root="")
    begin, end = text.index("data ="), text.index("splits =")
    made = "data = dict(type='SyntheticScenes', train_images=6, val_images=3, image_size=64)\n"
    config.write_text(text[:begin] + made + text[end:])
    outcome = check(config)
    assert outcome.code == 0 and "9 images and 9 masks read" in outcome.out


def test_mistakes_are_one_sentence(config: Path, tmp_path: Path) -> None:
    assert "--json" in refused("data", "check", config, "--json", tmp_path)
    assert "did you mean" in refused("data", "check", tmp_path / "confg.py")
    assert "folder" in refused("data", "check", config, "--set", "data.images=nowhere")
    outcome = check(config, "--set", "splits.val=vall")
    assert outcome.code == 2 and "unknown split 'vall': did you mean val" in outcome.out


def test_what_each_split_is_for() -> None:
    splits = {"train": "aug", "evaluate": "train", "val": "val", "test": "test", "heldout": ""}
    config: dict[str, Any] = {
        "splits": splits,
        "cam": {"type": "MultiScaleCAM"},
        "segmenter": {"type": "DeepLab"},
        "import_cams": None,
        "stages": {},
    }
    assert texts(config) == {
        "aug": ["trains"],
        "train": ["scores pseudo-labels"],
        "val": ["scores the segmenter"],
        "test": ["is predicted"],
    }
    assert with_masks(config) == ["train", "val", "test"]
    assert [s for s, of in split_uses(config).items() if not of[0].labels] == ["test"]
    alone = {**config, "segmenter": None}
    assert texts(alone) == {
        "aug": ["trains"],
        "train": ["scores pseudo-labels"],
        "val": ["watched"],
        "test": ["is not used"],
    }
    assert with_masks(alone) == ["train"]
    assert texts({**alone, "import_cams": {"format": "psa"}})["aug"] == ["gets CAMs"]
    same = {**splits, "evaluate": "aug", "heldout": "held"}
    assert texts({**config, "splits": same}) == {
        "aug": ["trains", "scores pseudo-labels"],
        "val": ["scores the segmenter"],
        "test": ["is predicted"],
        "held": ["selects the threshold"],
    }


def texts(config: dict[str, Any]) -> dict[str, list[str]]:
    return {split: [use.text for use in of] for split, of in split_uses(config).items()}


def with_masks(config: dict[str, Any]) -> list[str]:
    return [split for split, of in split_uses(config).items() if any(use.masks for use in of)]
