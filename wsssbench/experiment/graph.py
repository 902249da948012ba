"""An experiment as a graph of stages: which stage reads what, in the order in which they can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from wsssbench.experiment.config import ARCHITECTURE
from wsssbench.interfaces import Dataset, Refinement
from wsssbench.plugins import load
from wsssbench.stages.import_cams import fingerprint
from wsssbench.stages.work import ids_of

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
        splits: splits whose images it reads.
        truth: may it open pixel ground truth?
        labels: does it read the image-level labels of its splits? A test split has none.
        title: what the ladder calls an evaluation, or a refinement's result.
        outside: role -> folder outside the cache that it reads; its content counts (a checksum in `config`), not where
            it is.
    """

    name: str
    stage: str
    run: str
    config: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    truth: bool = False
    labels: bool = True
    title: str = ""
    outside: Mapping[str, Path] = field(default_factory=dict)


def nodes_of(config: Mapping[str, Any], dataset: Dataset, memo: Path | None = None) -> list[Node]:
    """The stages of a resolved `config`, each after what it reads.

    A split without masks is not evaluated; a generated data set is made by a stage of its own.

    Args:
        memo: a file that remembers the checksums of imported CAMs from one process to the next.
    """
    chain = _chain(config, dataset, memo)
    nodes = [n for n in chain if n.stage != "evaluate" or _scored(n, dataset)]
    if not dataset.generated:
        return nodes
    made = Node("data", "generate", "generate:run", config["data"])
    return [made, *(_with_data(node) for node in nodes)]


def unscored_splits(config: Mapping[str, Any], dataset: Dataset) -> list[str]:
    """The splits whose rungs are left out, for want of masks."""
    rungs = [node for node in _chain(config, dataset, None) if node.stage == "evaluate"]
    return list(dict.fromkeys(n.config["split"] for n in rungs if not _scored(n, dataset)))


def _scored(node: Node, dataset: Dataset) -> bool:
    return dataset.generated or dataset.has_masks(node.config["split"])


def _with_data(node: Node) -> Node:
    return Node(**{**vars(node), "inputs": {"data": "data", **node.inputs}})


def _chain(config: Mapping[str, Any], dataset: Dataset, memo: Path | None) -> Iterator[Node]:
    splits = config["splits"]
    train, evaluate = splits["train"], splits["evaluate"]
    both = tuple(dict.fromkeys((train, evaluate)))
    with_maps = tuple(split for split in (*both, splits["heldout"]) if split)
    if config["import_cams"] is None:
        yield from _cams(config, with_maps)
    else:
        yield _imported(config["import_cams"], dataset, with_maps, memo)
    yield from _threshold(config)
    yield _evaluation(config, "cam", "cam", evaluate, "CAM")
    yield from _refinements(config, train, both)
    if config["label"] is not None:
        yield from _labels(config, both)
    if config["segmenter"] is not None:
        yield from _segmentation(config, dataset)


def _imported(
    given: Mapping[str, str], dataset: Dataset, splits: tuple[str, ...], memo: Path | None
) -> Node:
    """The node called ``cam`` of somebody else's files."""
    directory, form = Path(given["directory"]), given["format"]
    checksum = fingerprint(directory, form, [id for id, _ in ids_of(dataset, splits)], memo)
    order = {"format": form, "splits": splits, "checksum": checksum}
    return Node(
        *("cam", "import_cams", "import_cams:run"),
        order,
        splits=splits,
        outside={"cams": directory},
    )


def _cams(config: Mapping[str, Any], splits: tuple[str, ...]) -> Iterator[Node]:
    """A classifier, and the node called ``cam`` of its maps."""
    yield _classify(config)
    architecture = {key: config["classifier"][key] for key in ARCHITECTURE}
    order = {"cam": config["cam"], "classifier": architecture, "splits": splits}
    yield Node("cam", "infer_cams", "infer_cams:run", order, {"classify": "classify"}, splits)


def _threshold(config: Mapping[str, Any]) -> Iterator[Node]:
    """Where the CAM's threshold is not fixed in the config: the stage that selects it."""
    method = config["evaluate"]["selection"]
    if method == "fixed":
        return
    split = config["splits"]["heldout" if method == "heldout" else "evaluate"]
    order: dict[str, Any] = {"method": method, "split": split}
    if method == "heldout":
        order["thresholds"] = config["evaluate"]["thresholds"]
    yield Node(
        "threshold",
        "select_threshold",
        "select_threshold:run",
        order,
        {"given": "cam"},
        (split,),
        truth=method == "heldout",
    )


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
            "supervised_images": config["classifier"]["supervised_images"],
            "split": splits["train"],
            "val": splits["val"],
            "seed": config["seed"],
        },
        splits=tuple(split for split in (splits["train"], splits["val"]) if split),
    )


def _refinements(config: Mapping[str, Any], train: str, both: tuple[str, ...]) -> Iterator[Node]:
    titles = {"cam": ""}
    for name, section in config["refine"].items():
        source = section["input"]
        component = {key: value for key, value in section.items() if key != "input"}
        cls = cast(type[Refinement], load().registries.refinement.get(component["type"]))
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
            *(f"refine.{name}", "refine", "refine:run"),
            {**order, "splits": both},
            inputs,
            both,
            title=titles[name],
        )
        evaluate = config["splits"]["evaluate"]
        yield _evaluation(config, f"refine.{name}", "scores", evaluate, titles[name])


def _labels(config: Mapping[str, Any], both: tuple[str, ...]) -> Iterator[Node]:
    source = config["label"]["input"]
    given = "refine." + source
    order = {"confidence": config["label"]["confidence"], "splits": both}
    yield Node("label", "label", "label:run", order, {"given": given}, both)
    yield _evaluation(config, "label", "png", config["splits"]["evaluate"], "pseudo-label")


def _segmentation(config: Mapping[str, Any], dataset: Dataset) -> Iterator[Node]:
    splits = config["splits"]
    order = {"segmenter": config["segmenter"], "split": splits["train"], "seed": config["seed"]}
    yield Node("segment", "segment", "segment:train", order, {"label": "label"}, (splits["train"],))
    for name, split, gallery in (
        ("predict", splits["val"], GALLERY),
        ("predict.test", splits["test"], 0),
    ):
        if not split:
            continue
        order = {
            "segmenter": config["segmenter"],
            "split": split,
            "gallery": gallery,
            "gallery_split": splits["evaluate"],
        }
        # The framework's own test run scores what it predicts, so this stage counts as evaluation.
        seen = (split, splits["evaluate"]) if gallery else (split,)
        inputs = {"segment": "segment"}
        yield Node(name, "predict", "segment:predict", order, inputs, seen, True, labels=False)
        title = f"{config['segmenter']['type']} {split}"
        yield _evaluation(config, name, "png", split, title, folder=split)


def _evaluation(
    config: Mapping[str, Any], given: str, form: str, split: str, title: str, folder: str = ""
) -> Node:
    section = config["evaluate"]
    order = {
        "format": form,
        "split": split,
        "folder": folder,
        "threshold": section["threshold"],
        "thresholds": section["thresholds"],
    }
    inputs = {"given": given}
    if given == "cam" and section["selection"] != "fixed":
        inputs["threshold"] = "threshold"
    return Node(
        f"evaluate.{given.removeprefix('refine.')}",
        "evaluate",
        "evaluate:run",
        order,
        inputs,
        (split,),
        truth=True,
        labels=False,
        title=title,
    )
