"""Every published method has its recipe on VOC 2012, a config which docs/methods/facts.json names."""

from __future__ import annotations

import json

import pytest
from method_rows import CONFIGS, types

from wsssbench.experiment.config import read_config, resolve
from wsssbench.plugins import load

FACTS = json.loads((CONFIGS.parent / "docs" / "methods" / "facts.json").read_text(encoding="utf-8"))
# kind.name -> why it has no recipe of its own.
WITHOUT = {
    "pooling.GAP": "the plain classifier, which _base_/psa_resnet38d.py and _base_/irn_resnet50.py have",
    "erasing.RigidErasing": "an ablation of the AEFT paper; the method of several rounds is ae_psl_voc.py",
    "cam.MultiScaleCAM": "what all others are compared with",
    "cam.GradCAM": "of any classifier; no recipe for segmentation on VOC is published",
    "refinement.DenseCRF": "a part of most recipes, with a preset for each",
}
RECIPES = [
    (kind, name, known["config"])
    for kind, methods in FACTS.items()
    if kind != "not in"
    for name, known in methods.items()
    if "config" in known
]


def test_every_published_method_has_a_recipe() -> None:
    registries = load().registries
    published = {
        f"{kind}.{one.name}"
        for kind in FACTS
        if kind != "not in"
        for one in registries[kind].components.values()
        if one.reference and one.plugin in ("core", "aeft", "baselines")
    }
    with_recipe = {f"{kind}.{name}" for kind, name, _ in RECIPES}
    assert published - with_recipe - set(WITHOUT) == set(), (
        "these need a configs/methods/NAME_voc.py"
    )
    assert set(WITHOUT) & with_recipe == set(), "these have a recipe now: take them out of WITHOUT"


def test_every_recipe_belongs_to_a_method() -> None:
    named = {config for _, _, config in RECIPES}
    files = {f"methods/{path.stem}" for path in (CONFIGS / "methods").glob("*_voc.py")}
    assert files <= named


@pytest.mark.parametrize(("kind", "name", "config"), RECIPES)
def test_the_recipe_has_the_method(kind: str, name: str, config: str) -> None:
    resolved = resolve(read_config(CONFIGS / f"{config}.py"))
    assert resolved["data"]["type"] == "VOC2012"
    assert name in set(types(resolved)), (kind, name)
