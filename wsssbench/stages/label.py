"""label: scores or CAMs -> pseudo-label, one palette PNG ``<id>.png`` per image, 255 where ignored.

Config: splits; of scores confidence; of CAMs threshold, if it is a number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import Field

from wsssbench.errors import UserError, unknown
from wsssbench.files.artefacts import read_label
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam, Cams, Dataset, LabelMaps, ScoreMaps, Scores
from wsssbench.ops.label_map import label_map, thresholded
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages import infer_cams, select_threshold
from wsssbench.stages.evaluate import Threshold
from wsssbench.stages.handles import LabelFiles
from wsssbench.stages.stage import (
    IMPORTED_LABELS,
    Node,
    Nodes,
    StageKind,
    StageWork,
    distinct,
    ids_of,
)

NODE = "label"
_OTSU = "otsu"


@dataclass(frozen=True, kw_only=True)
class LabelSection:
    """The result `input` becomes the pseudo-label.

    Attributes:
        input: a refinement, or ``cam``: the class with the largest activation, where that exceeds `threshold`.
        confidence: of scores: a pixel is ignored (255) where the best class has less of their sum.
        threshold: of CAMs: a number; ``otsu``, Otsu's criterion on the activations; None: ``evaluate.threshold``.
    """

    input: str
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0
    threshold: Threshold | Literal["otsu"] | None = None


class LabelItem(NamedTuple):
    """One image: its id, where its pseudo-label goes."""

    id: str
    target: Path


class LabelJob(ImageJob[LabelItem]):
    """Turns one image's scores, or its CAM, into its pseudo-label.

    Args:
        given: scores, or CAMs.
        level: the confidence for scores, the threshold for CAMs.
    """

    def __init__(self, given: Cams | ScoreMaps, level: float) -> None:
        self.given = given
        self.level = level

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        given: Cam | Scores = self.given.read(item.id)
        if isinstance(given, Cam):
            label = thresholded(given.maps, given.classes, given.size, self.level)
        else:
            label = label_map(given.planes, given.classes, given.size, self.level)
        write_label(item.target, label)


class Label(StageKind):
    """Turns scores or CAMs into pseudo-labels, in an experiment that has the section ``label``."""

    name = "label"
    section = "label"
    plain = {"label": LabelSection}
    title = "pseudo-label"

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        if given is None:
            return None
        section = check_parameters(LabelSection, given, self.section)
        known = (infer_cams.NODE, *config["refine"], *config["stages"])
        if section["input"] not in known:
            raise UserError(f"label.input: {unknown('artefact', section['input'], known)}")
        return section

    def names(self, nodes: Nodes) -> Iterable[str]:
        given = nodes.config[self.section] and not nodes.config[IMPORTED_LABELS]
        return (NODE,) if given else ()

    def node(self, name: str, nodes: Nodes) -> Node:
        section = nodes.config[self.section]
        given = nodes.need(section["input"], by="label.input")
        if given.makes not in (Cams, ScoreMaps):
            made = given.makes.called if given.makes else "nothing to label"
            raise UserError(
                f"label.input='{section['input']}' has to make scores or CAMs, but makes {made}"
            )
        inputs, level = {"given": given.name}, _level(section, given)
        if level == {"threshold": None}:
            level = {"threshold": nodes.config["evaluate"]["threshold"]}
        elif level == {"threshold": _OTSU}:
            level, chosen = {}, nodes.config["evaluate"]["selection"]
            by = select_threshold.NODE if chosen == _OTSU else select_threshold.FOR_LABELS
            inputs["threshold"] = nodes.need(by).name
        splits = distinct(nodes.split(key) for key in ("train", "evaluate"))
        return Node(
            name=name,
            kind=self,
            config={**level, "splits": splits},
            inputs=inputs,
            splits=splits,
            makes=LabelMaps,
            title=self.title,
            scored=nodes.split("evaluate"),
        )

    def run(self, work: StageWork) -> dict[str, Any]:
        """Make the pseudo-label of every image of the splits."""
        items = [
            LabelItem(id, work.directory / f"{id}.png")
            for id, _ in ids_of(work.dataset, work.config["splits"])
        ]
        level = work.config.get("confidence", work.config.get("threshold"))
        if "threshold" in work.inputs:
            level, _ = select_threshold.read_selected(work.inputs["threshold"])
        run_images(LabelJob(work.inputs["given"], level), items, work.context, work.name)
        return {"images": len(items)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> LabelMaps:
        return LabelFiles(directory)

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        if "confidence" in node.config:
            return dict(above)
        return {**above, "label threshold": node.config.get("threshold", _OTSU)}

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        files = LabelFiles(directory)
        return files.read(id) if files.path(id).is_file() else None

    def stands_for(self, config: Mapping[str, Any]) -> Iterable[str]:
        """Name a refinement of another one that equals the pseudo-label pixel by pixel: one picture will do."""
        section = config[self.section]
        if not section or section["confidence"]:
            return ()
        source = config["refine"].get(section["input"])
        cams = source is None or source["input"] == infer_cams.NODE
        return () if cams else (f"refine.{section['input']}",)


def _level(section: Mapping[str, Any], given: Node) -> dict[str, Any]:
    """Return the parameter that counts for what is `given`; UserError if the other one was set."""
    mine, other = (
        ("threshold", "confidence") if given.makes is Cams else ("confidence", "threshold")
    )
    if section[other]:
        made = "CAMs" if given.makes is Cams else "scores"
        raise UserError(
            f"label.{other}={section[other]!r} does not go with label.input='{section['input']}', which makes {made}: "
            f"set label.{mine} instead"
        )
    return {mine: section[mine]}
