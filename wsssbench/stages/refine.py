"""fit and refine: train a refinement that needs a training, and apply it to every image.

Config of both: refinement (component), splits. `refine` writes one scores artefact ``<id>.npz`` per image.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.files.artefacts import read_cam, read_scores, write_cam, write_scores
from wsssbench.files.images import image_size
from wsssbench.interfaces import (
    Cam,
    Cams,
    Dataset,
    FitItem,
    Photo,
    Refinement,
    ScoreMaps,
    Scores,
)
from wsssbench.interfaces.requirements import need_cam, need_scores
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries, called
from wsssbench.stages import infer_cams
from wsssbench.stages.handles import files_of, photos_of
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Input,
    Node,
    Nodes,
    StageKind,
    StageWork,
    distinct,
    with_nested,
    with_short_training,
)
from wsssbench.training.schedule import Schedule

_SECTION = "refine"
_FIT = "fit."


class RefineItem(NamedTuple):
    """One image, and where the result goes."""

    photo: Photo
    target: Path


class RefineJob(ImageJob[RefineItem]):
    """Refines one image's artefact; `fitted` is the directory of its trained network, if it has one."""

    def __init__(
        self, refinement: Refinement, given: Cams | ScoreMaps, fitted: Path | None, device: str
    ) -> None:
        self.refinement = refinement
        self.given = given
        self.fitted = fitted
        self.device = device

    def prepare(self) -> None:
        if self.fitted is not None:
            self.refinement.load(self.fitted, self.device)

    def valid(self, path: Path) -> None:
        (read_cam if self.refinement.gives is Cams else read_scores)(path)

    def run(self, item: RefineItem) -> None:
        photo = item.photo
        given: Cam | Scores = self.given.read(photo.id)
        size, present = image_size(photo.path), tuple(given.classes.tolist())
        made: Any = self.refinement.refine(photo, given)
        name = f"refinement {type(self.refinement).__name__} on image '{photo.id}'"
        if self.refinement.gives is Cams:
            need_cam(made, size, present, name, "refine()")
            write_cam(item.target, made)
        else:
            need_scores(made, size, present, name)
            write_scores(item.target, made)


class Fit(StageKind):
    """Trains a refinement on the training split, if it needs a training."""

    name = "fit"
    random = True
    trains = "refinement network"

    def names(self, nodes: Nodes) -> Iterable[str]:
        return ()  # each is read by its refinement

    def lazy_names(self, nodes: Nodes) -> Iterable[str]:
        return [
            f"{_FIT}{name}" for name in nodes.config[_SECTION] if _class(nodes.config, name).fitted
        ]

    def node(self, name: str, nodes: Nodes) -> Node:
        section = nodes.config[_SECTION][name.removeprefix(_FIT)]
        splits = (nodes.split("train"),)
        return Node(
            name=name,
            kind=self,
            config={"refinement": _component(section), "splits": splits},
            inputs={"given": _given(section["input"], name, nodes).name},
            splits=splits,
        )

    def rehearse(self, work: StageWork, pretrained: bool) -> None:
        refinement = load().registries.refinement.build(work.config["refinement"])
        refinement.rehearse(work.context, pretrained)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Train the refinement on the artefacts of the training split."""
        given = work.inputs["given"]
        items = [
            FitItem(photo.id, photo.path, given.path(photo.id))
            for photo in photos_of(work.dataset, work.config["splits"])
        ]
        refinement = load().registries.refinement.build(work.config["refinement"])
        refinement.fit(items, len(work.dataset.classes), work.context)
        return {"images": len(items)}


class Refine(StageKind):
    """Applies the refinements of an experiment; each reads the CAMs or the result of another one."""

    name = "refine"
    prefix = "refine."
    section = _SECTION
    default = {}
    slots = {"refine.*": "refinement", "refine.*.backbone": "backbone"}
    plain = {"refine.*": Input, "refine.*.schedule": Schedule}

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        resolved: dict[str, dict[str, Any]] = {}
        others = (infer_cams.NODE, *config["stages"])
        previous = infer_cams.NODE
        for name, section in given.items():
            where = f"{_SECTION}.{name}"
            if name in (*others, "label"):
                raise UserError(
                    f"{where}: a refinement cannot be called '{name}', as a stage is: give one of them another name"
                )
            if not name.replace("_", "").isalnum():
                raise UserError(
                    f"{where}: a refinement cannot be called '{name}': take letters, digits and _"
                )
            if not isinstance(section, Mapping):
                raise UserError(f"{where} is {section!r}, but has to be dict(type='Name', ...)")
            source = section.get("input", previous)
            if source not in (*others, *resolved) and "." not in str(source):
                known = (*others, *resolved)
                raise UserError(f"{where}.input: {unknown('artefact', str(source), known)}")
            component = registries.refinement.resolve(_component(section), where)
            resolved[name] = {"input": source, **with_nested(component, where, registries)}
            previous = name
        return resolved

    def smoke(self, section: Any) -> Any:
        return {name: with_short_training(one) for name, one in section.items()}

    def names(self, nodes: Nodes) -> Iterable[str]:
        if nodes.config[IMPORTED_LABELS]:
            return ()
        return [f"{self.prefix}{name}" for name in nodes.config[_SECTION]]

    def node(self, name: str, nodes: Nodes) -> Node:
        short = name.removeprefix(self.prefix)
        section = nodes.config[_SECTION][short]
        given = _given(section["input"], name, nodes)
        inputs = {"given": given.name}
        cls = _class(nodes.config, short)
        if cls.fitted:
            inputs["fitted"] = nodes.need(f"{_FIT}{short}").name
        before = "" if given.kind.title else given.title
        splits = distinct(nodes.split(key) for key in ("train", "evaluate"))
        return Node(
            name=name,
            kind=self,
            config={"refinement": _component(section), "splits": splits},
            inputs=inputs,
            splits=splits,
            makes=cls.gives,
            title=f"{before} + {cls.title or short}".strip(),
            scored=nodes.split("evaluate"),
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        load().registries.refinement.build(node.config["refinement"], where=node.name)

    def run(self, work: StageWork) -> dict[str, Any]:
        """Refine every image of the splits."""
        photos = photos_of(work.dataset, work.config["splits"])
        items = [RefineItem(photo, work.directory / f"{photo.id}.npz") for photo in photos]
        refinement = load().registries.refinement.build(work.config["refinement"])
        device = work.context.device
        job = RefineJob(refinement, work.inputs["given"], work.inputs.get("fitted"), device)
        on_gpu = refinement.fitted and device == "cuda"
        run_images(job, items, work.context, work.name, in_process=on_gpu)
        return {"images": len(items)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> Any:
        cls: Any = load().registries.refinement.get(config["refinement"]["type"])
        return files_of(cls.gives, directory)

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        own = load().registries.refinement.build(node.config["refinement"]).card()
        return {
            **above,
            **{k: (*above.get(k, ()), *v) if isinstance(v, tuple) else v for k, v in own.items()},
        }

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        return infer_cams.layer_over(directory, id)


def _given(source: str, name: str, nodes: Nodes) -> Node:
    """The node called `source`, which the refinement node `name` reads; UserError if it cannot refine that."""
    given, short = nodes.need(source, by=name), name.rpartition(".")[2]
    cls = _class(nodes.config, short)
    if given.makes is None or not issubclass(given.makes, cls.takes):
        made = given.makes.called if given.makes else "nothing to refine"
        raise UserError(
            f"{_SECTION}.{short}.input='{source}' has to make {called(cls.takes)}, but makes {made}, which "
            f"{cls.__name__} does not refine"
        )
    return given


def _component(section: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in section.items() if key != "input"}


def _class(config: Mapping[str, Any], name: str) -> type[Refinement]:
    kind = config[_SECTION][name]["type"]
    return cast(type[Refinement], load().registries.refinement.get(kind))
