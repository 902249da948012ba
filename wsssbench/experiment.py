"""An experiment as a graph of stages: which stage reads what, in the order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from wsssbench.config import ARCHITECTURE
from wsssbench.plugins import load

if TYPE_CHECKING:
    from wsssbench.interfaces import Refinement

GALLERY = 8  # pictures per run in the report


@dataclass(frozen=True)
class Node:
    """One stage of an experiment.

    Attributes:
        name: unique; what ``--force`` and ``--until`` take.
        stage: the kind of work; names the cache folder.
        run: ``module:function`` in `wsssbench.stages` that does it.
        config: resolved; part of the content hash.
        inputs: role -> name of the node it reads.
        splits: splits whose images and image-level labels it reads.
        truth: may it open pixel ground truth?
        title: what the ladder calls an evaluation.
    """

    name: str
    stage: str
    run: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    truth: bool = False
    title: str = ""


def nodes_of(config: Mapping[str, Any], generated: bool) -> list[Node]:
    """The stages of a resolved `config`, each after what it reads.

    Args:
        generated: the data set is made by a stage of its own.
    """
    nodes = list(_chain(config))
    if not generated:
        return nodes
    made = Node("data", "generate", "generate:run", config["data"])
    return [made, *(_with_data(node) for node in nodes)]


def _with_data(node: Node) -> Node:
    return Node(**{**vars(node), "inputs": {"data": "data", **node.inputs}})


def _chain(config: Mapping[str, Any]) -> Iterator[Node]:
    train, evaluate = config["splits"]["train"], config["splits"]["evaluate"]
    both = (train,) if train == evaluate else (train, evaluate)
    yield _classify(config)
    architecture = {key: config["classifier"][key] for key in ARCHITECTURE}
    yield Node(
        "cam",
        "infer_cams",
        "infer_cams:run",
        {"cam": config["cam"], "classifier": architecture, "splits": both},
        {"classify": "classify"},
        both,
    )
    yield _evaluation(config, "cam", "cam", evaluate, "CAM")
    yield from _refinements(config, train, both)
    if config["label"] is not None:
        yield from _labels(config, both)
    if config["segmenter"] is not None:
        yield from _segmentation(config)


def _classify(config: Mapping[str, Any]) -> Node:
    splits = config["splits"]
    return Node(
        "classify",
        "classify",
        "classify:run",
        {
            "classifier": {key: config["classifier"][key] for key in ARCHITECTURE},
            "transform": config["classifier"]["transform"],
            "schedule": config["classifier"]["schedule"],
            "split": splits["train"],
            "val": splits["val"],
            "seed": config["seed"],
        },
        splits=(splits["train"], splits["val"]),
    )


def _refinements(config: Mapping[str, Any], train: str, both: tuple[str, ...]) -> Iterator[Node]:
    titles = {"cam": ""}
    for name, section in config["refine"].items():
        source = section["input"]
        component = {key: value for key, value in section.items() if key != "input"}
        cls = cast("type[Refinement]", load().registries.refinement.get(component["type"]))
        titles[name] = f"{titles[source]} + {cls.title or name}".strip()
        order = {
            "refinement": component,
            "kind": "cam" if source == "cam" else "scores",
            "title": f"refine.{name}",
        }
        given = source if source == "cam" else f"refine.{source}"
        inputs = {"given": given}
        if cls.fitted:
            fit = {"refinement": component, "splits": (train,), "seed": config["seed"]}
            yield Node(f"fit.{name}", "fit", "refine:fit", fit, inputs, (train,))
            inputs = {**inputs, "fitted": f"fit.{name}"}
        yield Node(
            f"refine.{name}", "refine", "refine:run", {**order, "splits": both}, inputs, both
        )
        evaluate = config["splits"]["evaluate"]
        yield _evaluation(config, f"refine.{name}", "scores", evaluate, titles[name])


def _labels(config: Mapping[str, Any], both: tuple[str, ...]) -> Iterator[Node]:
    source = config["label"]["input"]
    given = "refine." + source
    order = {"confidence": config["label"]["confidence"], "splits": both}
    yield Node("label", "label", "label:run", order, {"given": given}, both)
    yield _evaluation(config, "label", "png", config["splits"]["evaluate"], "pseudo-label")


def _segmentation(config: Mapping[str, Any]) -> Iterator[Node]:
    splits = config["splits"]
    order = {"segmenter": config["segmenter"], "split": splits["train"], "seed": config["seed"]}
    yield Node("segment", "segment", "segment:train", order, {"label": "label"}, (splits["train"],))
    order = {
        "segmenter": config["segmenter"],
        "split": splits["val"],
        "gallery": GALLERY,
        "gallery_split": splits["evaluate"],
    }
    # The framework's own test run scores what it predicts, so this stage counts as evaluation.
    yield Node(
        "predict",
        "predict",
        "segment:predict",
        order,
        {"segment": "segment"},
        (splits["val"], splits["evaluate"]),
        truth=True,
    )
    title = f"{config['segmenter']['type']} {splits['val']}"
    yield _evaluation(config, "predict", "png", splits["val"], title, folder="val")


def _evaluation(
    config: Mapping[str, Any], given: str, form: str, split: str, title: str, folder: str = ""
) -> Node:
    order = {"format": form, "split": split, "folder": folder, **config["evaluate"]}
    return Node(
        f"evaluate.{given.removeprefix('refine.')}",
        "evaluate",
        "evaluate:run",
        order,
        {"given": given},
        (split,),
        truth=True,
        title=title,
    )
