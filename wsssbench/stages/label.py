"""label: photos, with scores or CAMs of them -> one palette PNG ``<id>.png`` per image, 255 where ignored.

Config: labelling (component, of its levels the one that counts), splits.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.files.artefacts import read_label
from wsssbench.files.images import image_size, write_label
from wsssbench.interfaces import (
    Cams,
    Dataset,
    Labelling,
    LabelMaps,
    Photo,
    ScoreMaps,
)
from wsssbench.interfaces.requirements import need_label_map
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries, called, signature_parameters
from wsssbench.stages import infer_cams, select_threshold
from wsssbench.stages.handles import LabelFiles, photos_of
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Input,
    Node,
    Nodes,
    StageKind,
    StageWork,
    distinct,
)

NODE = "label"
_DEFAULT = "FromScores"
_MORE = "stages"  # the section in which there may be labellings beside stages
_THRESHOLD = "threshold"
_OTSU = "otsu"


class LabelItem(NamedTuple):
    """One image, and where its label map goes."""

    photo: Photo
    target: Path


class LabelJob(ImageJob[LabelItem]):
    """Makes one image's label map.

    Args:
        labelling: built.
        given: what it reads, if anything.
        num_classes: K.
    """

    def __init__(self, labelling: Labelling, given: Cams | ScoreMaps | None, num_classes: int):
        self.labelling = labelling
        self.given = given
        self.num_classes = num_classes

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        photo = item.photo
        given = None if self.given is None else self.given.read(photo.id)
        label = self.labelling.label(photo, given)
        name = f"labelling {type(self.labelling).__name__} on image '{photo.id}'"
        need_label_map(label, image_size(photo.path), range(self.num_classes + 1), name)
        write_label(item.target, label)


class Label(StageKind):
    """Makes the pseudo-labels, in an experiment that has the section ``label``, and label maps under ``stages``."""

    name = "label"
    section = "label"
    slots = {"label": "labelling"}
    plain = {"label": Input}
    default_types = {"label": "FromScores"}
    title = "pseudo-label"

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        if given is None:
            return None
        section = resolve_labelling({"type": _DEFAULT, **given}, self.section, registries)
        known = (infer_cams.NODE, *config["refine"], *config[_MORE])
        if section["input"] not in (*known, None) and "." not in section["input"]:
            raise UserError(f"label.input: {unknown('artefact', section['input'], known)}")
        return section

    def names(self, nodes: Nodes) -> Iterable[str]:
        if nodes.config[IMPORTED_LABELS]:
            return ()
        own = (NODE,) if nodes.config[self.section] else ()
        return (*labellings(nodes.config[_MORE]), *own)

    def node(self, name: str, nodes: Nodes) -> Node:
        own = name == NODE
        where = self.section if own else f"{_MORE}.{name}"
        section = nodes.config[self.section] if own else nodes.config[_MORE][name]
        cls, component, inputs = _class(section), dict(section), {}
        given = _given(component.pop("input"), cls, where, nodes)
        if given is not None:
            inputs["given"] = given.name
        level = _level(component, given, cls, where)
        if given is not None and given.makes is Cams and level:
            if component[level] is None:
                component[level] = nodes.config["evaluate"]["threshold"]
            elif component[level] == _OTSU:
                del component[level]
                chosen = nodes.config["evaluate"]["selection"]
                by = select_threshold.NODE if chosen == _OTSU else select_threshold.FOR_LABELS
                inputs[_THRESHOLD] = nodes.need(by).name
        keys = ["train", "evaluate"]
        if not own and given is not None and nodes.split("heldout") in given.splits:
            # The CAM inference of a next round may read the labels, of all its images.
            keys.append("heldout")
        splits = distinct(nodes.split(key) for key in keys)
        return Node(
            name=name,
            kind=self,
            config={"labelling": component, "splits": splits},
            inputs=inputs,
            splits=splits,
            makes=LabelMaps,
            title=self.title if own else cls.title or name,
            scored=nodes.split("evaluate"),
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        own = node.local == NODE
        _build(node.config, dataset, where=self.section if own else f"{_MORE}.{node.local}")

    def run(self, work: StageWork) -> dict[str, Any]:
        """Make the label map of every image of the splits."""
        photos = photos_of(work.dataset, work.config["splits"])
        items = [LabelItem(photo, work.directory / f"{photo.id}.png") for photo in photos]
        config = dict(work.config)
        if _THRESHOLD in work.inputs:
            level = _class(config["labelling"]).levels[Cams]
            chosen, _ = select_threshold.read_selected(work.inputs[_THRESHOLD])
            config["labelling"] = {**config["labelling"], level: chosen}
        labelling = _build(config, work.dataset)
        job = LabelJob(labelling, work.inputs.get("given"), len(work.dataset.classes))
        run_images(job, items, work.context, work.name)
        return {"images": len(items)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> LabelMaps:
        return LabelFiles(directory)

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        component = node.config["labelling"]
        level = _class(component).levels.get(Cams)
        card = {"crf": (), **above, "labels_at_inference": True}
        if component["type"] != _DEFAULT:
            card["labelling"] = {key: value for key, value in component.items() if key != level}
        if _THRESHOLD in node.inputs:
            card["label threshold"] = _OTSU
        elif level in component:
            card["label threshold"] = component[level]
        return card

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        files = LabelFiles(directory)
        return files.read(id) if files.path(id).is_file() else None

    def stands_for(self, config: Mapping[str, Any]) -> Iterable[str]:
        """Name a refinement of another one that equals the pseudo-label pixel by pixel: one picture will do."""
        section = config[self.section]
        if not section or section.get("type", _DEFAULT) != _DEFAULT or section["confidence"]:
            return ()
        source = config["refine"].get(section["input"])
        cams = source is None or source["input"] == infer_cams.NODE
        return () if cams else (f"refine.{section['input']}",)


def resolve_labelling(given: Any, where: str, registries: Registries) -> dict[str, Any]:
    """Return a labelling and its ``input``, checked, with every default filled in.

    Raises:
        UserError: any mistake that the section alone shows.
    """
    component = {key: value for key, value in given.items() if key != "input"}
    resolved = registries.labelling.resolve(component, where)
    source, cls = given.get("input"), _class(resolved)
    named = f"{where} (labelling {resolved['type']})"
    if source is None and cls.takes:
        raise UserError(
            f"{named}: parameter 'input' has to be given: the name of a stage that makes {called(cls.takes)}"
        )
    if source is not None and not cls.takes:
        raise UserError(
            f"{where}.input={source!r} has no effect, since labelling {resolved['type']} reads neither CAMs nor "
            "scores: leave it out"
        )
    if not isinstance(source, str | None):
        raise UserError(f"{named}: input={source!r} has to be the name of a stage")
    return {"type": resolved.pop("type"), "input": source, **resolved}


def labellings(stages: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names under ``stages`` at which there is a labelling."""
    return (name for name, section in stages.items() if is_labelling(section, load().registries))


def is_labelling(section: Any, registries: Registries) -> bool:
    """Tell whether `section` is of a labelling, and not of a stage of that name."""
    name = section.get("type") if isinstance(section, Mapping) else None
    known: Collection[str] = registries.labelling.components
    return name in known and name not in registries.stage.components


def _given(source: str | None, cls: type[Labelling], where: str, nodes: Nodes) -> Node | None:
    """Return the node called `source`, which a labelling reads; UserError if it cannot."""
    if source is None:
        return None
    given = nodes.need(source, by=f"{where}.input")
    if given.makes is None or not issubclass(given.makes, cls.takes):
        made = given.makes.called if given.makes else "nothing to label"
        raise UserError(
            f"{where}.input='{source}' has to make {called(cls.takes)}, but makes {made}"
        )
    return given


def _level(
    component: dict[str, Any], given: Node | None, cls: type[Labelling], where: str
) -> str | None:
    """Return the level that counts for what is `given`, and take the others out of `component`.

    Raises:
        UserError: another one was set.
    """
    made = None if given is None else given.makes
    mine = next((name for one, name in cls.levels.items() if made and issubclass(made, one)), None)
    for name in set(cls.levels.values()) - {mine}:
        value = component.pop(name)
        if (
            given is not None
            and made is not None
            and value != signature_parameters(cls)[name].default
        ):
            remedy = f"set {where}.{mine} instead" if mine else "leave it out"
            raise UserError(
                f"{where}.{name}={value!r} does not go with {where}.input='{given.name}', which makes {made.called}: "
                f"{remedy}"
            )
    return mine


def _class(component: Mapping[str, Any]) -> type[Labelling]:
    return cast(type[Labelling], load().registries.labelling.get(component["type"]))


def _build(config: Mapping[str, Any], dataset: Dataset, where: str = "") -> Labelling:
    registry = load().registries.labelling
    return cast(Labelling, registry.build(config["labelling"], dataset.classes, where=where))
