"""The contract test that ships with the toolkit: what a component of each kind has to keep, checked.

For a test of your own package:

    from wsssbench.contract import problems_of

    def test_the_contract():
        assert problems_of("TopPooling") == []

``wsssbench plugins check PATH|NAME`` does the same for everything a package registers, installed or not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsssbench.contract import (
    augmentation,
    backbone,
    cam,
    dataset,
    every,
    labelling,
    loss,
    objective,
    pooling,
    refinement,
    segmenter,
    stage,
)
from wsssbench.contract.checks import Finding
from wsssbench.contract.rig import Check, Rig, Subject
from wsssbench.errors import UserError, unknown
from wsssbench.plugins import load
from wsssbench.registry import Component, Registries

__all__ = ["Finding", "Rig", "Subject", "check_component", "checks_of", "problems_of"]

_CHECKS: dict[str, tuple[Check, ...]] = {
    "dataset": dataset.CHECKS,
    "backbone": backbone.CHECKS,
    "pooling": pooling.CHECKS,
    "erasing": objective.CHECKS,
    "objective": objective.CHECKS,
    "augmentation": augmentation.CHECKS,
    "cam": cam.CHECKS,
    "refinement": refinement.CHECKS,
    "labelling": labelling.CHECKS,
    "loss": loss.CHECKS,
    "segmenter": segmenter.CHECKS,
    "stage": stage.CHECKS,
}


def checks_of(component: Component, registries: Registries) -> tuple[Check, ...]:
    """The checks of a component, in the order in which they depend on each other."""
    own = _CHECKS[component.kind]
    try:
        cls = registries[component.kind].get(component.name)
    except UserError:
        return every.CHECKS[:1]  # importing it, which fails
    if getattr(cls, "fitted", False):
        own = (*refinement.FITTED, *own)
    if getattr(cls, "generated", False):
        own = (*own, *dataset.GENERATED)
    return (*every.CHECKS, *own)


def check_component(
    component: Component,
    registries: Registries,
    parameters: Mapping[str, Any] | None = None,
    *,
    splits: Sequence[str] = (),
    rig: Rig | None = None,
) -> list[Finding]:
    """Every check of one component.

    Args:
        component: as registered in `registries`.
        registries: where it is.
        parameters: for its constructor; needed for those without a default.
        splits: of a data set, beside the usual names.
        rig: of several components that share its process and directory; by default one of its own.

    Returns:
        A finding per check. If it cannot be imported or built, that is the last one.
    """
    if rig is None:
        with Rig(registries) as own:
            return check_component(component, registries, parameters, splits=splits, rig=own)
    subject = Subject(rig, component, parameters, splits)
    findings = []
    for check in checks_of(component, registries):
        findings.append(subject.run(check))
        if check in (every.imports, every.builds) and findings[-1].state != "ok":
            break
    return findings


def problems_of(
    name: str, kind: str | None = None, parameters: Mapping[str, Any] | None = None
) -> list[str]:
    """What is wrong with an installed component, one sentence for each failed check; empty if all is well.

    Args:
        name: as registered.
        kind: where several kinds have a component of that name.
        parameters: for its constructor; those without a default have to be given.

    Raises:
        UserError: no such component, several of them, or a missing parameter.
    """
    registries = load().registries
    components = [c for c in registries.find(name) if kind in (None, c.kind)]
    if not components:
        known = [c for r in registries for c in r.components if kind in (None, r.kind)]
        raise UserError(unknown(kind or "component", name, known))
    if len(components) > 1:
        kinds = " and ".join(component.kind for component in components)
        raise UserError(f"'{name}' is registered as {kinds}: give kind=")
    findings = check_component(components[0], registries, parameters)
    if (findings[-1].check, findings[-1].state) == ("builds", "skipped"):
        raise UserError(f"{findings[-1].sentence}, or here in parameters=")
    return [finding.sentence for finding in findings if finding.state == "failed"]
