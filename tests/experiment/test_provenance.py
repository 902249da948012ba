"""The code version follows the code that a component uses, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsssbench.experiment import provenance
from wsssbench.experiment.graph import STAGES
from wsssbench.experiment.provenance import code_version
from wsssbench.plugins import load
from wsssbench.stages.stage import StageKind


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "somepkg"
    root.mkdir()
    (root / "__init__.py").write_text("")
    (root / "used.py").write_text("VALUE = 1\n")
    (root / "other.py").write_text("VALUE = 2\n")
    (root / "component.py").write_text("from .used import VALUE\nimport json\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    return root


def version() -> dict[str, str]:
    for function in (provenance._closure, provenance._source):
        function.cache_clear()
    return provenance.code_version(["somepkg.component"])


def test_a_change_in_what_is_imported_counts(package: Path) -> None:
    before = version()
    assert set(before) == {"somepkg"}
    (package / "other.py").write_text("VALUE = 3\n")
    assert version() == before
    (package / "used.py").write_text("VALUE = 4\n")
    assert version() != before


def test_a_stage_depends_on_the_maths_it_uses() -> None:
    closure = provenance._closure(("wsssbench.stages.evaluate",))
    assert "wsssbench.evaluation.confusion" in closure
    assert not any(name.startswith("wsssbench.cli") for name in closure)
    assert "wsssbench.errors" not in closure  # its sentences change no result


@pytest.mark.parametrize("kind", STAGES, ids=lambda kind: kind.name)
def test_wording_tables_and_pages_are_no_part_of_a_stage(kind: StageKind) -> None:
    """Another colour of a table is no reason to train again."""
    closure = provenance._closure((type(kind).__module__,))
    rooms = {name.split(".")[1] for name in closure if "." in name}
    assert rooms.isdisjoint({"api", "cli", "pages", "results", "sweep", "experiment", "contract"})


def test_the_code_of_components_does_not_cover_what_shows_results() -> None:
    for registry in load().registries:
        for component in registry.components.values():
            module = component.target.partition(":")[0]
            rooms = {name.split(".")[1] for name in provenance._closure((module,)) if "." in name}
            assert rooms.isdisjoint({"api", "cli", "pages", "results", "sweep"}), component


def test_environment_names_the_packages_that_matter() -> None:
    found = provenance.environment()
    assert found["torch"][0].isdigit() and found["python"][0] == "3"


def test_the_version_of_every_components_package_is_known() -> None:
    for registry in load().registries:
        for component in registry.components.values():
            module = component.target.partition(":")[0]
            release = code_version([module])[module.partition(".")[0]]
            assert release.startswith(component.version), (component, release)
