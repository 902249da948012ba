"""label: scores -> pseudo-label, one palette PNG ``<id>.png`` per image, 255 where ignored.

Config: confidence, splits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import Field

from wsssbench.errors import UserError, unknown
from wsssbench.files.artefacts import read_label
from wsssbench.files.images import write_label
from wsssbench.interfaces import Dataset, LabelMaps, ScoreMaps
from wsssbench.ops.label_map import label_map
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages import infer_cams
from wsssbench.stages.handles import LabelFiles
from wsssbench.stages.stage import Node, Nodes, StageKind, StageWork, distinct, ids_of

NODE = "label"


@dataclass(frozen=True, kw_only=True)
class LabelSection:
    """The refinement `input` becomes the pseudo-label. A pixel is ignored (255) where the best class has less than
    `confidence` of the scores' sum."""

    input: str
    confidence: Annotated[float, Field(ge=0, le=1)] = 0.0


class LabelItem(NamedTuple):
    """One image: its id, where its pseudo-label goes."""

    id: str
    target: Path


class LabelJob(ImageJob[LabelItem]):
    """Turns one image's scores into its pseudo-label."""

    def __init__(self, given: ScoreMaps, confidence: float) -> None:
        self.given = given
        self.confidence = confidence

    def valid(self, path: Path) -> None:
        read_label(path)

    def run(self, item: LabelItem) -> None:
        scores = self.given.read(item.id)
        label = label_map(scores.planes, scores.classes, scores.size, self.confidence)
        write_label(item.target, label)


class Label(StageKind):
    """Turns scores into pseudo-labels, in an experiment that has the section ``label``."""

    name = "label"
    section = "label"
    plain = {"label": LabelSection}
    title = "pseudo-label"

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        if given is None:
            return None
        section = check_parameters(LabelSection, given, self.section)
        known = (*config["refine"], *config["stages"])
        if section["input"] not in known:
            raise UserError(f"label.input: {unknown('refinement', section['input'], known)}")
        return section

    def names(self, nodes: Nodes) -> Iterable[str]:
        return (NODE,) if nodes.config[self.section] else ()

    def node(self, name: str, nodes: Nodes) -> Node:
        section = nodes.config[self.section]
        given = nodes.need(section["input"], by="label.input")
        if given.makes is not ScoreMaps:
            made = given.makes.called if given.makes else "nothing to label"
            raise UserError(
                f"label.input='{section['input']}' has to make scores, but makes {made}"
            )
        splits = distinct(nodes.split(key) for key in ("train", "evaluate"))
        return Node(
            name=name,
            kind=self,
            config={"confidence": section["confidence"], "splits": splits},
            inputs={"given": given.name},
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
        job = LabelJob(work.inputs["given"], work.config["confidence"])
        run_images(job, items, work.context, work.name)
        return {"images": len(items)}

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> LabelMaps:
        return LabelFiles(directory)

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
