"""Where a name leads: to the sweep or the runs in the work directory, whatever else is called so."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsssbench.cli.places import find


def file(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path.parent


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_folder_of_another_kind_hides_no_run() -> None:
    run = file(Path("work/runs/cats/0a-seed0/metrics.json"))
    assert find(Path("cats"), Path("work")) == run.parent
    file(Path("cats/images/a.jpg"))  # a data set, say
    assert find(Path("cats"), Path("work")) == run.parent
    sweep = file(Path("work/sweeps/cats/sweep.json"))
    assert find(Path("cats"), Path("work")) == sweep


@pytest.mark.parametrize("name", ["metrics.json", "sweep.json", "0a-seed0/metrics.json"])
def test_a_folder_of_results_is_what_it_says(name: str) -> None:
    file(Path("work/runs/cats/0a-seed0/metrics.json"))
    file(Path("cats") / name)
    assert find(Path("cats"), Path("work")) == Path("cats")


@pytest.mark.parametrize("path", [".", "..", "../x", "gone", "work/runs/cats"])
def test_no_name_is_a_path(path: str) -> None:
    file(Path("work/runs/cats/0a-seed0/metrics.json"))
    Path("work/sweeps").mkdir()
    assert find(Path(path), Path("work")) == Path(path)
