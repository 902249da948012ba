"""What a plugin author's own test calls."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

import wsssbench.contract
from wsssbench.contract import problems_of
from wsssbench.errors import UserError
from wsssbench.registry import Registries


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some of the broken components, as if they were installed."""
    registries = Registries()

    def register(given: Registries) -> None:
        for name in ("Good", "OneLogit", "NeedsParameter", "Unbuildable", "Absent"):
            given.pooling.add(name, f"broken_poolings:{name}", summary="for a test")
        given.refinement.add("Good", "broken_refinements:Good", summary="for a test")

    registries.register_from("broken", "broken-components", "1.0", register)
    loaded = SimpleNamespace(registries=registries)
    monkeypatch.setattr(wsssbench.contract, "load", lambda: loaded)


def test_problems_are_sentences() -> None:
    assert problems_of("Good", kind="pooling") == []
    problems = problems_of("OneLogit")
    assert len(problems) >= 1
    assert all(problem.startswith("pooling OneLogit: ") for problem in problems)
    assert "scale=-1.0 has to be positive" in problems_of("Unbuildable")[-1]
    assert problems_of("Absent")[0].startswith("pooling Absent: importing broken_poolings:Absent")


def test_a_skipped_component_is_no_success() -> None:
    with pytest.raises(UserError, match=r"without scale \(float\).* in parameters="):
        problems_of("NeedsParameter")
    assert problems_of("NeedsParameter", parameters={"scale": 2.0}) == []
    (problem,) = problems_of("NeedsParameter", parameters={"scale": "wide"})
    assert "building it with scale='wide' raised" in problem
    assert "scale='wide' has to be float" in problem


def test_names_have_to_be_clear() -> None:
    with pytest.raises(UserError, match="unknown component 'OneLogits': did you mean OneLogit"):
        problems_of("OneLogits")
    with pytest.raises(UserError, match="'Good' is registered as pooling and refinement: give ki"):
        problems_of("Good")
    with pytest.raises(UserError, match="unknown cam 'Good'"):
        problems_of("Good", kind="cam")
