"""A package of somebody else with two stages: one makes an artefact of its own, the other reads it."""

from __future__ import annotations

from typing import Any

from wsssbench.hookspecs import hookimpl


@hookimpl
def register(registries: Any) -> None:
    registries.stage.add(
        "MeanActivation", "stages_package.stages:MeanActivation", summary="mean activation"
    )
    registries.stage.add(
        "AboveMean", "stages_package.stages:AboveMean", summary="what is above the mean activation"
    )
    registries.stage.add(
        "AboveMeanOf", "stages_package.stages:AboveMeanOf", summary="reads label maps"
    )
    registries.stage.add("Draw", "stages_package.stages:Draw", summary="a number from the seed")
    registries.stage.add("Figures", "stages_package.figures:Figures", summary="returns anything")
    registries.stage.add("OfVal", "stages_package.figures:OfVal", summary="scores of one split")
    registries.stage.add(
        "DenseCRF", "stages_package.figures:DenseCRF", summary="has the name of a refinement"
    )
    registries.refinement.add(
        "Guided", "stages_package.guided:GuidedRefinement", summary="is given a stage"
    )
    registries.erasing.add("Guided", "stages_package.guided:GuidedErasing", summary="likewise")
