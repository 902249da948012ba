"""custom: run a stage of a plugin, a component of the kind ``stage`` that a config has under ``stages``.

Config: stage (component), splits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.files.image_lists import first_few
from wsssbench.interfaces import Artefact, Dataset, Photos, Stage
from wsssbench.parallel import ranks
from wsssbench.plugins import load
from wsssbench.progress import Progress
from wsssbench.registry import Registries
from wsssbench.stages.evaluate import FORMATS
from wsssbench.stages.handles import LabelFiles, files_of, photos_of
from wsssbench.stages.infer_cams import layer_over
from wsssbench.stages.label import is_labelling, labellings, resolve_labelling
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Input,
    Node,
    Nodes,
    SplitUse,
    StageKind,
    StageWork,
    distinct,
)

_SECTION = "stages"


class Custom(StageKind):
    """Runs the stages that a config adds, if another stage reads them or their result can be scored."""

    name = "custom"
    section = _SECTION
    default = {}
    slots = {"stages.*": "stage|labelling"}
    plain = {"stages.*": Input}

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        for name in given:
            if not str(name).replace("_", "").isalnum():
                raise UserError(
                    f"{_SECTION}.{name}: a stage cannot be called '{name}': take letters, digits and _"
                )
        return {
            name: _resolved(item, f"{_SECTION}.{name}", registries) for name, item in given.items()
        }

    def names(self, nodes: Nodes) -> Iterable[str]:
        config = nodes.config
        if config[IMPORTED_LABELS]:
            return ()
        return [name for name in _stages(config) if _class(config, name).makes in FORMATS]

    def lazy_names(self, nodes: Nodes) -> Iterable[str]:
        config = nodes.config
        return [name for name in _stages(config) if _class(config, name).makes not in FORMATS]

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        """Return the use of the test split: of the others, the core's own stages have more to say."""
        read = {key for name in _stages(config) for key in _class(config, name).splits}
        return {"test": SplitUse("is read by a stage", labels=False)} if "test" in read else {}

    def node(self, name: str, nodes: Nodes) -> Node:
        cls = _class(nodes.config, name)
        splits = distinct(nodes.split(key) for key in cls.splits)
        evaluate = nodes.split("evaluate")
        return Node(
            name=name,
            kind=self,
            config={"stage": nodes.config[_SECTION][name], "splits": splits},
            splits=splits,
            makes=cls.makes,
            title=cls.title or name,
            scored=evaluate if evaluate in splits else "",
        )

    def check(self, node: Node, dataset: Dataset, progress: Progress) -> None:
        _build(node.config, dataset, where=f"{_SECTION}.{node.local}")

    def run(self, work: StageWork) -> dict[str, Any]:
        """Call the plugin's stage: on every rank if it is parallel, else on the main one."""
        stage = _build(work.config, work.dataset)
        if not (stage.parallel or ranks.is_main()):
            return {}
        photos = photos_of(work.dataset, work.config["splits"])
        figures = _figures(stage.run(photos, work.context), f"stage '{work.name}'")
        if stage.parallel:
            ranks.barrier()  # every rank has left its files
        _check_files(stage, photos, work)
        return figures

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> Artefact:
        cls = cast(type[Stage], load().registries.stage.get(config["stage"]["type"]))
        return files_of(cls.makes, directory, config["stage"])

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        return {**above, "labels_at_inference": True}

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        """Look at the file that the stage left: a label map, a CAM, or scores."""
        if LabelFiles(directory).path(id).is_file():
            return LabelFiles(directory).read(id)
        return layer_over(directory, id)


def _resolved(section: Any, where: str, registries: Registries) -> dict[str, Any]:
    if is_labelling(section, registries):
        return resolve_labelling(section, where, registries)
    name = section.get("type") if isinstance(section, Mapping) else None
    if isinstance(name, str) and name not in registries.stage.components:
        known = (*registries.stage.components, *registries.labelling.components)
        raise UserError(f"{where}: {unknown('stage or labelling', name, known)}")
    return registries.stage.resolve(section, where)


def _stages(config: Mapping[str, Any]) -> list[str]:
    """Return the names of stages in the section; those of labellings are `Label`'s."""
    others = set(labellings(config[_SECTION]))
    return [name for name in config[_SECTION] if name not in others]


def _figures(result: Any, where: str) -> dict[str, Any]:
    """Return what a stage of a plugin returned, as JSON has it: numbers and arrays of NumPy or torch as plain ones.

    Raises:
        UserError: it cannot be written as JSON.
    """
    if result is None:
        return {}
    if isinstance(result, Mapping):
        with suppress(TypeError, ValueError, AttributeError, RecursionError):
            plain: dict[str, Any] = json.loads(json.dumps(dict(result), default=_plain))
            return plain
    raise UserError(
        f"{where} returned {result!r}, but has to return figures as JSON has them: a dict of names to numbers, texts, "
        "lists or dicts"
    )


def _plain(value: Any) -> Any:
    return value.tolist()


def _check_files(stage: Stage, photos: Photos, work: StageWork) -> None:
    """Check that there is a file for every photo of what can be scored; UserError that names those that lack."""
    if stage.makes not in FORMATS:
        return
    left: Any = files_of(stage.makes, work.directory)
    missing = [path.name for id in photos.ids if not (path := left.path(id)).is_file()]
    if missing:
        raise UserError(
            f"stage '{work.name}' ({work.config['stage']['type']}) has to leave {stage.makes.called}, but of "
            f"{len(photos)} images it left no file for {len(missing)}: {first_few(missing)}"
        )


def _class(config: Mapping[str, Any], name: str) -> type[Stage]:
    kind = config[_SECTION][name]["type"]
    return cast(type[Stage], load().registries.stage.get(kind))


def _build(config: Mapping[str, Any], dataset: Dataset, where: str = "") -> Stage:
    stage = load().registries.stage.build(config["stage"], dataset.classes, where=where)
    return cast(Stage, stage)
