"""evaluate: score a run's label maps or CAMs against masks, and the contours of label maps.

Leaves the counts of every image in ``image_counts.npz``, and the confusion matrix in ``confusion.csv``.

Config: split; for CAMs threshold (fixed) and thresholds (first, last, step).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from wsssbench.errors import UserError
from wsssbench.evaluation.boundary import Boundaries, boundary_scores
from wsssbench.evaluation.class_rates import class_rates
from wsssbench.evaluation.confusion import class_counts
from wsssbench.evaluation.confusion_file import FILE as CONFUSION
from wsssbench.evaluation.confusion_file import write_confusion
from wsssbench.evaluation.doubts import Names
from wsssbench.evaluation.image_counts import FILE as IMAGE_COUNTS
from wsssbench.evaluation.image_counts import write_image_counts
from wsssbench.evaluation.score_files import FORMATS as FILES
from wsssbench.evaluation.score_files import MIN_STEP, score_files, summarise, threshold_grid
from wsssbench.files.ground_truth import read_mask
from wsssbench.interfaces import Artefact, Cams, LabelMaps, ScoreMaps
from wsssbench.parallel import ranks
from wsssbench.registry import Registries, check_parameters
from wsssbench.stages import select_threshold
from wsssbench.stages.stage import Node, Nodes, StageKind, StageWork

# Artefacts that can be scored -> the format of `wsssbench.evaluation.score_files` to read them in.
FORMATS: Mapping[type[Artefact], str] = {Cams: "cam", ScoreMaps: "scores", LabelMaps: "png"}
_PREFIX = "evaluate."
Threshold = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True, kw_only=True)
class EvaluateSection:
    """The background threshold at which CAMs are scored.

    Attributes:
        threshold: the value that is fixed beforehand.
        selection: ``fixed`` takes that value. ``heldout`` takes the best one on the masks of ``splits.heldout``.
            ``otsu`` applies Otsu's criterion to the activations of the scored split, without any mask or parameter.
        thresholds: (first, last, step) of the curve, from which the held-out split and the oracle choose.
    """

    threshold: Threshold = 0.25
    selection: Literal["fixed", "otsu", "heldout"] = "fixed"
    thresholds: tuple[Threshold, Threshold, Annotated[float, Field(ge=MIN_STEP, le=1)]] = (
        0.0,
        0.6,
        0.01,
    )


class Evaluate(StageKind):
    """Scores the result of every stage that can be scored."""

    name = "evaluate"
    section = "evaluate"
    default = {}
    plain = {"evaluate": EvaluateSection}
    follows = True

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        section = check_parameters(EvaluateSection, given, self.section)
        try:
            threshold_grid(*section["thresholds"])
        except ValueError as error:
            raise UserError(f"evaluate.thresholds={error}") from error
        _check_heldout(section["selection"], config["splits"])
        return section

    def names(self, nodes: Nodes) -> Iterable[str]:
        return ()

    def follower(self, node: Node, nodes: Nodes) -> str:
        if node.makes not in FORMATS or not node.scored:
            return ""
        masks = nodes.dataset.generated or nodes.dataset.has_masks(node.scored)
        return f"{_PREFIX}{node.short}" if masks else ""

    def node(self, name: str, nodes: Nodes) -> Node:
        target = nodes.need(name.removeprefix(_PREFIX), by=name)
        section = nodes.config[self.section]
        config: dict[str, Any] = {"split": target.scored}
        inputs = {"given": target.name}
        if target.makes is Cams:
            config |= {key: section[key] for key in ("threshold", "thresholds")}
            if section["selection"] != "fixed":
                inputs["threshold"] = nodes.need(select_threshold.NODE).name
        return Node(
            name=name,
            kind=self,
            config=config,
            inputs=inputs,
            splits=(target.scored,),
            labels=False,
            masks=(target.scored,),
            title=target.scored_title or target.title,
        )

    def run(self, work: StageWork) -> dict[str, Any]:
        """Score at the fixed or selected threshold, at the best one, and at those of the whole curve."""
        config, dataset, given = work.config, work.dataset, work.inputs["given"]
        split = config["split"]
        ids = dataset.ids(split)
        form = next(form for makes, form in FORMATS.items() if isinstance(given, makes))
        threshold, choice, grid = config.get("threshold", 0.0), "fixed", np.zeros(1, np.float32)
        if "threshold" in work.inputs:
            threshold, choice = select_threshold.read_selected(work.inputs["threshold"])
        if "thresholds" in config:
            grid = threshold_grid(*config["thresholds"])
        boundaries = Boundaries(given.directory, len(dataset.classes))
        has_boundaries = isinstance(given, LabelMaps)

        def truth(id: str) -> np.ndarray:
            mask = read_mask(dataset, id, split)
            if has_boundaries:
                boundaries.add(id, mask)  # while what was read before is counted
            return mask

        accumulator = score_files(
            given.directory,
            ids,
            truth,
            form,
            len(dataset.classes),
            np.unique(np.append(grid, np.float32(threshold))),
            work.context.progress,
            per_image=True,
        )
        thresholds: dict[str, float | None] = {"chosen": threshold}
        if accumulator.histogram is not None:
            thresholds["oracle"] = None  # the best one
        boundaries, *others = ranks.gather(boundaries)
        for other in others:
            boundaries.merge(other)
        of_boundaries = boundaries.image_counts(ids) if has_boundaries else None
        confusion = accumulator.confusion(accumulator.index_of(threshold))
        if ranks.is_main():
            counts = {
                name: accumulator.image_counts(ids, accumulator.index_of(value))
                for name, value in thresholds.items()
            }
            if of_boundaries:
                counts["boundary"] = of_boundaries
            write_image_counts(work.directory / IMAGE_COUNTS, ids, counts)
            write_confusion(work.directory / CONFUSION, confusion, dataset.classes)
        chosen = summarise(accumulator, threshold, dataset.classes, choice)
        chosen |= class_rates(class_counts(confusion), ["background", *dataset.classes])
        oracle = summarise(accumulator, None, dataset.classes) if "oracle" in thresholds else None
        names = Names(
            mask=lambda id: dataset.mask_path(id, split),
            file=lambda id: given.directory / f"{id}{FILES[form].suffix}",
            classes=dataset.classes,
        )
        warnings = [doubt.text for doubt in accumulator.doubts(names)]
        boundary = boundary_scores(of_boundaries) if of_boundaries else None
        return {"chosen": chosen, "oracle": oracle, "boundary": boundary, "warnings": warnings}


def _check_heldout(selection: str, splits: Mapping[str, str]) -> None:
    held = splits["heldout"]
    if selection != "heldout":
        if held:
            raise UserError(
                f"splits.heldout='{held}' is used by evaluate.selection='heldout' only; set both or none"
            )
        return
    if not held:
        raise UserError(
            "evaluate.selection='heldout' needs splits.heldout: a small split with masks that is not scored"
        )
    if held == splits["evaluate"]:
        raise UserError(
            f"splits.heldout is '{held}', which is also scored (splits.evaluate): its threshold would be the "
            "oracle's; hold out another split"
        )
