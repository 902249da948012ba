"""Experiment configs: text-style mmengine files with ``_base_``, overrides from the command line, and their check.

A config reads like the method section of a paper; its sections are the dataclasses below and its slots are components,
``dict(type='Name', ...)``. `resolve` checks everything that can be known before work starts and fills in every default,
so that the resolved config says all there is to say about an experiment.
"""

from __future__ import annotations

import pprint
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wsssbench.errors import UserError, unknown
from wsssbench.plugins import load
from wsssbench.registry import Registries, check_parameters


@dataclass(frozen=True, kw_only=True)
class Splits:
    """Which split is for what; an empty name is none.

    Attributes:
        train: its image-level labels train the classifier, its pseudo-labels the segmenter.
        evaluate: the rungs before the segmenter are scored on it.
        val: the segmenter is scored on it.
        test: the segmenter predicts it, too; it may have no masks (VOC's is scored by a server).
        heldout: a small split whose pixel truth selects the CAM's threshold, if ``evaluate.selection`` says so.
    """

    train: str = "train"
    evaluate: str = "train"
    val: str = "val"
    test: str = ""
    heldout: str = ""


@dataclass(frozen=True, kw_only=True)
class ImportSection:
    """Another repository's CAMs instead of a classifier's: the folder of ``<id>.npy`` and their format."""

    directory: str
    format: Literal["psa", "irn"]


@dataclass(frozen=True, kw_only=True)
class ClassifierSection:
    """What `classify` trains: backbone -> dropout (-> 1x1 to `hidden` channels) -> 1x1 head -> maps -> pooling, beside
    any number of erasings. The first `supervised_images` of a batch get the classification loss; None: all."""

    backbone: dict[str, Any]
    pooling: dict[str, Any]
    erasing: tuple[dict[str, Any], ...] = ()
    dropout: float = 0.0
    hidden: int = 0
    supervised_images: int | None = None
    transform: dict[str, Any]
    schedule: dict[str, Any]


OPTIONAL = ("import_cams", "label", "segmenter")  # sections whose absence means something
ARCHITECTURE = (
    "backbone",
    "pooling",
    "erasing",
    "dropout",
    "hidden",
)  # what makes the network itself


@dataclass(frozen=True, kw_only=True)
class LabelSection:
    """Which refinement becomes the pseudo-label; a pixel whose best class has less than `confidence` of the
    scores' sum is 255 (ignored)."""

    input: str
    confidence: float = 0.0


@dataclass(frozen=True, kw_only=True)
class EvaluateSection:
    """The background threshold of the CAM rung.

    Attributes:
        threshold: the one that is fixed beforehand.
        selection: whether that one counts, or one that is selected: ``heldout``: the best on the pixel truth of
            ``splits.heldout``; ``otsu``: by Otsu's criterion on the activations of the scored split,
            without any pixel truth or parameter.
        thresholds: (first, last, step) of the curve, from which the held-out split and the oracle choose.
    """

    threshold: float = 0.25
    selection: Literal["fixed", "otsu", "heldout"] = "fixed"
    thresholds: tuple[float, float, float] = (0.0, 0.6, 0.01)


@dataclass(frozen=True, kw_only=True)
class ExperimentSection:
    """The top level of a config."""

    name: str
    seed: int = 0
    data: dict[str, Any]
    splits: dict[str, Any] | None = None
    classifier: dict[str, Any]
    cam: dict[str, Any]
    import_cams: dict[str, Any] | None = None
    refine: dict[str, dict[str, Any]] | None = None
    label: dict[str, Any] | None = None
    segmenter: dict[str, Any] | None = None
    evaluate: dict[str, Any] | None = None
    reference: dict[str, float] | None = None
    smoke: dict[str, Any] | None = None


SECTIONS: dict[str, type] = {
    "": ExperimentSection,
    "splits": Splits,
    "import_cams": ImportSection,
    "classifier": ClassifierSection,
    "label": LabelSection,
    "evaluate": EvaluateSection,
}


def read_config(path: Path) -> dict[str, Any]:
    """The config file at `path` with its ``_base_`` files merged in, as plain dicts."""
    from mmengine.config import Config

    if not path.is_file():
        raise UserError(_missing_file(path))
    if path.suffix != ".py":
        raise UserError(f"config {path} is not a Python config file (*.py)")
    try:
        loaded = Config.fromfile(path, lazy_import=False, import_custom_modules=False)
    except (
        Exception
    ) as error:  # whatever goes wrong inside a user's Python file is the user's to mend
        reason = str(error).strip().splitlines()
        raise UserError(
            f"config {path} cannot be read: {type(error).__name__}: {reason[0] if reason else ''}"
        ) from error
    return _plain(loaded.to_dict())


def config_text(config: Mapping[str, Any]) -> str:
    """The resolved config as a Python config file."""
    lines = []
    for key, value in config.items():
        start = f"{key} = "
        text = pprint.pformat(value, width=100 - len(start), sort_dicts=False)
        lines.append(start + text.replace("\n", "\n" + " " * len(start)) + "\n")
    return "".join(lines)


def _missing_file(path: Path) -> str:
    siblings = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
    return f"{unknown('config', path.name, siblings)} (looked in {path.parent}/)"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain(item) for item in value)
    return value


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check `config` and fill in every default.

    Raises:
        UserError: unknown section, component or parameter; value of the wrong type; refinement that reads an unknown
            one.
    """
    registries = load().registries
    top = check_parameters(ExperimentSection, dict(config), "config")
    top.pop("smoke")
    resolved = {key: {} if value is None and key not in OPTIONAL else value
                for key, value in top.items()}  # fmt: skip
    resolved["splits"] = check_parameters(Splits, resolved["splits"], "splits")
    resolved["evaluate"] = check_parameters(EvaluateSection, resolved["evaluate"], "evaluate")
    resolved["data"] = registries.dataset.resolve(resolved["data"], "data")
    resolved["classifier"] = _resolve_classifier(resolved["classifier"], registries)
    resolved["cam"] = registries.cam.resolve(resolved["cam"], "cam")
    if resolved["import_cams"] is not None:
        resolved["import_cams"] = check_parameters(
            ImportSection, resolved["import_cams"], "import_cams"
        )
    resolved["refine"] = _resolve_refinements(resolved["refine"], registries)
    if resolved["label"] is not None:
        resolved["label"] = check_parameters(LabelSection, resolved["label"], "label")
        if resolved["label"]["input"] not in resolved["refine"]:
            name = resolved["label"]["input"]
            raise UserError(f"label.input: {unknown('refinement', name, resolved['refine'])}")
    if resolved["segmenter"] is not None:
        resolved["segmenter"] = _with_nested(
            registries.segmenter.resolve(resolved["segmenter"], "segmenter"),
            "segmenter",
            registries,
        )
        if resolved["label"] is None:
            raise UserError("segmenter needs pseudo-labels: add label=dict(input='<refinement>')")
    _check_ranges(resolved)
    return resolved


def _resolve_classifier(section: Mapping[str, Any], registries: Registries) -> dict[str, Any]:
    from wsssbench.training.engine import Schedule
    from wsssbench.training.transforms import TrainTransform

    erasing = section.get("erasing", ())
    if isinstance(erasing, Mapping):
        raise UserError(
            "classifier.erasing is a dict, but has to be a list: [dict(type='Name', ...)]"
        )
    checked = check_parameters(ClassifierSection, section, "classifier")
    checked["backbone"] = registries.backbone.resolve(checked["backbone"], "classifier.backbone")
    checked["pooling"] = registries.pooling.resolve(checked["pooling"], "classifier.pooling")
    checked["erasing"] = [
        registries.erasing.resolve(item, f"classifier.erasing.{i}")
        for i, item in enumerate(checked["erasing"])
    ]
    checked["transform"] = check_parameters(
        TrainTransform, checked["transform"], "classifier.transform"
    )
    Schedule.from_config(checked["schedule"], "classifier.schedule")
    checked["schedule"] = check_parameters(Schedule, checked["schedule"], "classifier.schedule")
    return checked


def _with_nested(component: dict[str, Any], where: str, registries: Registries) -> dict[str, Any]:
    """`component` with the defaults of the backbone and the schedule it may have, by these names."""
    from wsssbench.training.schedule import Schedule

    filled = dict(component)
    backbone, schedule = filled.get("backbone"), filled.get("schedule")
    if isinstance(backbone, Mapping) and "type" in backbone:
        filled["backbone"] = registries.backbone.resolve(backbone, f"{where}.backbone")
    if isinstance(schedule, Mapping):
        filled["schedule"] = check_parameters(Schedule, schedule, f"{where}.schedule")
    return filled


def _resolve_refinements(
    section: Mapping[str, Any], registries: Registries
) -> dict[str, dict[str, Any]]:
    resolved: dict[str, dict[str, Any]] = {}
    previous = "cam"
    for name, given in section.items():
        if name in ("cam", "label") or not name.replace("_", "").isalnum():
            raise UserError(f"refine.{name}: a refinement cannot be called '{name}'")
        if not isinstance(given, Mapping):
            raise UserError(f"refine.{name} is {given!r}, but has to be dict(type='Name', ...)")
        source = given.get("input", previous)
        _check_input(source, resolved, f"refine.{name}.input")
        own = {key: value for key, value in given.items() if key != "input"}
        where = f"refine.{name}"
        component = _with_nested(registries.refinement.resolve(own, where), where, registries)
        resolved[name] = {"input": source, **component}
        previous = name
    return resolved


def _check_input(source: Any, above: Mapping[str, Any], where: str) -> None:
    if source not in ("cam", *above):
        raise UserError(f"{where}: {unknown('artefact', str(source), ('cam', *above))}")


def _check_ranges(resolved: Mapping[str, Any]) -> None:
    if not 0 <= resolved["seed"] < 2**32:
        raise UserError(f"seed={resolved['seed']} has to be in 0..2^32-1")
    classifier, label, section = resolved["classifier"], resolved["label"], resolved["evaluate"]
    if classifier["hidden"] < 0:
        raise UserError(f"classifier.hidden={classifier['hidden']} has to be 0 (none) or channels")
    supervised = classifier["supervised_images"]
    if supervised is not None and supervised < 1:
        raise UserError(f"classifier.supervised_images={supervised} has to be at least 1")
    if label is not None and not 0 <= label["confidence"] <= 1:
        raise UserError(f"label.confidence={label['confidence']} has to be in [0, 1]")
    first, last, step = section["thresholds"]
    if not (0 <= first <= last <= 1 and 0.0001 <= step <= 1):
        raise UserError(
            f"evaluate.thresholds={(first, last, step)} has to be (first, last, step) with "
            "0 <= first <= last <= 1 and 0.0001 <= step <= 1"
        )
    splits = resolved["splits"]
    for name in ("train", "evaluate"):
        if not splits[name]:
            raise UserError(f"splits.{name} is empty, but has to name a split")
    if section["selection"] == "heldout":
        held = splits["heldout"]
        if not held:
            raise UserError(
                "evaluate.selection='heldout' needs splits.heldout: a small split with masks that is not scored"
            )
        if held == splits["evaluate"]:
            raise UserError(
                f"splits.heldout is '{held}', which is also scored (splits.evaluate): its threshold would be the "
                "oracle's; hold out another split"
            )
    elif splits["heldout"]:
        raise UserError(
            f"splits.heldout='{splits['heldout']}' is used by evaluate.selection='heldout' only; set both or none"
        )
    if not 0 <= section["threshold"] <= 1:
        raise UserError(f"evaluate.threshold={section['threshold']} has to be in [0, 1]")
