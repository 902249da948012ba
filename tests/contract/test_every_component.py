"""Every registered component, whoever wrote it, keeps the contract of its kind: each check of the shipped test."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from data_sets import MAKERS

from wsssbench.contract import Rig, Subject, checks_of
from wsssbench.contract.checks import BrokenContractError
from wsssbench.contract.every import parameter_ranges
from wsssbench.contract.objective_passes import classifier_with, losses_of
from wsssbench.contract.rig import Check
from wsssbench.contract.samples import make_batch
from wsssbench.errors import UserError
from wsssbench.plugins import load
from wsssbench.registry import Component

REGISTRIES = load().registries
COMPONENTS = [c for registry in REGISTRIES for c in registry.components.values()]
CASES = [
    pytest.param(
        component,
        check,
        id=f"{component.kind}-{component.name}-{check.__name__}",
        # A backbone is large, and built at both ends of every range.
        marks=[pytest.mark.slow] * (component.kind == "backbone" and check is parameter_ranges),
    )
    for component in COMPONENTS
    for check in checks_of(component, REGISTRIES)
]


@pytest.fixture(scope="module")
def subject_of(
    rig: Rig, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Component], Subject]:
    """One subject per component, so that what is trained for one check serves the others."""
    made: dict[tuple[str, str], Subject] = {}

    def get(component: Component) -> Subject:
        key = (component.kind, component.name)
        if key not in made:
            made.clear()  # tests come in the order of the components; networks take memory
            parameters = {}
            if component.name in MAKERS:
                folder: Path = tmp_path_factory.mktemp(component.name)
                parameters = MAKERS[component.name](folder)
            made[key] = Subject(rig, component, parameters)
        return made[key]

    return get


def test_the_built_in_components_are_among_those_tested() -> None:
    names = {(component.kind, component.name) for component in COMPONENTS}
    assert {("pooling", "GAP"), ("pooling", "GPP")} <= names
    assert {("erasing", "AEFT"), ("erasing", "AEFTReleased"), ("erasing", "RigidErasing")} <= names
    assert {("objective", "SEAM"), ("objective", "ReCAM")} <= names
    # The rest come from plugins of others only.
    rest = {"stage", "augmentation", "loss"}
    assert {c.kind for c in COMPONENTS} >= {r.kind for r in REGISTRIES} - rest


@pytest.mark.filterwarnings("ignore:GPP. bin:UserWarning")
@pytest.mark.parametrize("pooling", sorted(REGISTRIES.pooling.components))
@pytest.mark.parametrize("name", ["AEFT", "AEFTReleased", "RigidErasing"])
def test_the_built_in_erasings_learn_from_a_single_image(rig: Rig, name: str, pooling: str) -> None:
    """More than the contract asks for: others may need a second image."""
    subject = Subject(rig, REGISTRIES.erasing.components[name])
    try:
        classifier = classifier_with(subject, pooling)
        losses = losses_of(classifier, make_batch(1, 32, 32), "of a single image")
    except BrokenContractError as refusal:
        assert isinstance(refusal.__cause__, UserError) and pooling in str(refusal)
        return
    assert losses.terms
    sum(losses.terms.values()).backward()
    assert classifier.head.weight.grad.any()


@pytest.mark.parametrize(("component", "check"), CASES)
def test_it_keeps_its_contract(
    subject_of: Callable[[Component], Subject], component: Component, check: Check
) -> None:
    finding = subject_of(component).run(check)
    if finding.state == "skipped":
        pytest.skip(finding.sentence)
    assert finding.state == "ok", finding.sentence
