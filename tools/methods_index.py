"""Write the table of all methods, docs/methods/index.md, from what is registered.

python tools/methods_index.py

Names, papers and summaries are those of the registry; passes are counted in a training step on generated images;
published numbers are the `reference` of a method's config. What nothing else knows, such as how faithful a method is,
stands in docs/methods/facts.json; what it has nothing about is [?].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from wsssbench.contract import Rig, Subject
from wsssbench.contract.objective_passes import classifier_with, losses_of
from wsssbench.contract.samples import CLASSES, make_batch
from wsssbench.errors import MissingPackageError
from wsssbench.experiment.config import read_config
from wsssbench.interfaces import Backbone
from wsssbench.plugins import load
from wsssbench.registry import Component

REPOSITORY = Path(__file__).parents[1]
INDEX = REPOSITORY / "docs" / "methods" / "index.md"
FACTS = REPOSITORY / "docs" / "methods" / "facts.json"
PLUGINS = ("core", "aeft", "baselines")
KINDS = (
    "pooling", "erasing", "objective", "augmentation", "cam", "refinement", "labelling", "loss", "stage",
)  # fmt: skip
SIDE = 128  # of the images that passes are counted with, pixels
COLUMNS = (
    "method", "paper", "what it is", "supervision", "passes per image", "published numbers", "faithful to",
)  # fmt: skip
HEAD = """# Methods

Every method of the toolkit and its plugins, by its kind. The heading of a kind leads to its page: what it is given and
returns, what each method changes and costs, and the command that tries it. Measured times are in [cost.md](cost.md).
This page is made by `python tools/methods_index.py`; a test keeps it up to date.

**Supervision**: beside a backbone's ImageNet weights. **Passes per image**: how often the network, or another one, sees
the pixels of an image in a step of the training; 1 is the plain classifier, and a view of a third of the side counts as
0.1. Of CAM inference: of a photo with one class, at the method's own scales; a pass forwards and back counts as one.
**Published numbers**: mIoU in per cent on VOC 2012 train, of DeepLab on val, of the whole method with its own
backbone; the method's config in `configs/` says where they are from. **Faithful to**: the paper, or the released
code where that says more or something else; `wsssbench plugins describe NAME` tells what differs, and what could not be
verified. [?]: nobody has said.
"""
LEFT_OUT = "not in"  # the facts about methods that are not registered
NOT_IN = """## Not in, and why

Methods of the same literature that are not here, so that nobody looks for them. A method whose formulas or constants
are not public does not get its name given to a guess.
"""


def main() -> None:
    INDEX.write_text(page(), encoding="utf-8")


def page() -> str:
    """The page as Markdown, with a table for each kind, and one of what is left out."""
    facts = json.loads(FACTS.read_text(encoding="utf-8"))
    registries = load().registries
    parts = [HEAD]
    with Rig(registries) as rig:
        for kind in KINDS:
            components = methods(registries[kind].components.values())
            rows = [row(rig, one, facts.get(kind, {}).get(one.name)) for one in components]
            parts.append("\n".join([f"## [{kind}]({kind}.md)\n", *table(rows, COLUMNS)]) + "\n")
    left_out = [(name, one["paper"], one["why"]) for name, one in facts[LEFT_OUT].items()]
    parts.append("\n".join([NOT_IN, *table(left_out, ("method", "paper", "why"))]) + "\n")
    return "\n".join(parts)


def methods(components: Any) -> list[Component]:
    """Those with a paper, the others being no method of the literature, in an order that no installation changes."""
    ours = [one for one in components if one.plugin in PLUGINS and one.reference]
    return sorted(ours, key=lambda one: PLUGINS.index(one.plugin))


def row(rig: Rig, one: Component, facts: Mapping[str, str] | None) -> tuple[str, ...]:
    known = facts or {}
    return (
        f"`{one.name}`",
        one.reference,
        one.summary,
        "[?]" if facts is None else facts.get("supervision", "image labels"),
        ", ".join(filter(None, (passes(rig, one), known.get("passes")))) or "–",
        published(known),
        known.get("fidelity", "[?]"),
    )


def table(rows: list[tuple[str, ...]], columns: tuple[str, ...]) -> list[str]:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return ["| " + " | ".join(cells) + " |" for cells in lines]


def published(facts: Mapping[str, str]) -> str:
    """The published numbers, of the method's config if it has one."""
    if "config" not in facts:
        return facts.get("numbers", "–")
    reference = read_config(REPOSITORY / "configs" / f"{facts['config']}.py").get("reference", {})
    return ", ".join(f"{rung} {value}" for rung, value in reference.items()) or "–"


def passes(rig: Rig, one: Component) -> str:
    """How often images pass a network in a training step, or in CAM inference; empty if nothing is known."""
    if one.kind == "pooling":
        return "1"
    if one.kind == "refinement" and rig.registries.refinement.get(one.name).fitted:  # type: ignore[attr-defined]
        return "trains a network of its own"
    if one.kind not in ("erasing", "objective", "cam"):
        return ""
    subject = Subject(rig, one)
    if one.kind == "cam":
        try:
            built = rig.registries.cam.build(subject.config(quick=False), CLASSES)
        except MissingPackageError:
            return ""
        known = built.passes()
        return "" if known is None else f"{known:.3g}"
    classifier = classifier_with(subject, "an attention pooling")  # which some of them need
    batch, seen = make_batch(4, SIDE, SIDE), []

    def count(module: nn.Module, given: tuple[Any, ...], _: Any) -> None:
        if isinstance(module, Backbone):
            seen.append(given[0].numel() / batch.images.numel())

    with register_module_forward_hook(count):
        losses_of(classifier, batch, "of generated images")
    return f"{sum(seen):.2g}"


if __name__ == "__main__":
    main()
