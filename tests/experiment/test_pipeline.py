"""The pipeline: what is reused, what is computed again and why; damage; the leak guard."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pluggy
import pytest
from PIL import Image

from wsssbench import hookspecs
from wsssbench.errors import LeakError, UserError
from wsssbench.experiment import run as pipeline
from wsssbench.experiment.config import resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.experiment.plan import Plan, Settings, make_plan
from wsssbench.experiment.run import execute
from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import Cam, Photo, Refinement, Scores
from wsssbench.plugins import load
from wsssbench.progress import Silent


class Recorder(Silent):
    """A progress that remembers what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


def settings(work_dir: Path, **changes: Any) -> Settings:
    return Settings(
        **{"work_dir": work_dir, "device": "cpu", "workers": 1, "progress": Recorder(), **changes}
    )


def plan_of(config: dict[str, Any], work_dir: Path, *overrides: str, **changes: Any) -> Plan:
    return make_plan(resolve(apply_overrides(config, overrides)), settings(work_dir, **changes))


def states(plan: Plan) -> dict[str, str]:
    return {step.node.name: step.state for step in plan.steps}


def contents(plan: Plan, node: str) -> dict[str, bytes]:
    directory = plan[node].entry.directory
    return {
        p.name: p.read_bytes() for p in sorted(directory.iterdir()) if p.suffix in (".npz", ".png")
    }


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One finished run of the tiny experiment."""
    from tiny_experiment import TINY

    work_dir = tmp_path_factory.mktemp("work")
    plan = plan_of(TINY, work_dir)
    assert set(states(plan).values()) == {"computed"}
    execute(plan, settings(work_dir))
    return TINY, work_dir


def test_the_same_again_reuses_everything(done: tuple[dict[str, Any], Path]) -> None:
    plan = plan_of(*done)
    assert set(states(plan).values()) == {"reused"}
    assert [step.node.name for step in plan.steps] == [
        "data", "classify", "cam", "evaluate.cam", "refine.crf", "evaluate.crf",
        "fit.rw", "refine.rw", "evaluate.rw", "label", "evaluate.label",
    ]  # fmt: skip


def test_only_what_depends_on_a_change_is_computed(done: tuple[dict[str, Any], Path]) -> None:
    plan = plan_of(*done, "refine.crf.alpha=8.0")
    computed = [name for name, state in states(plan).items() if state == "computed"]
    assert computed == ["refine.crf", "evaluate.crf"]
    assert plan["refine.crf"].reason == "refinement.alpha changed 4.0 -> 8.0"
    scales = plan_of(*done, "cam.scales=(0.5, 1.0)")
    assert scales["cam"].reason == "cam.scales changed [1.0] -> [0.5, 1.0]"
    assert states(scales)["classify"] == "reused" and states(scales)["label"] == "computed"


def test_how_it_runs_is_not_in_the_hash(done: tuple[dict[str, Any], Path]) -> None:
    assert set(states(plan_of(*done, workers=7)).values()) == {"reused"}


def test_a_seed_is_another_experiment_on_the_same_data(done: tuple[dict[str, Any], Path]) -> None:
    found = states(plan_of(*done, "seed=1"))
    assert found["data"] == "reused" and found["classify"] == "computed"


def test_damaged_artefacts_are_made_again_and_nothing_else(
    done: tuple[dict[str, Any], Path],
) -> None:
    config, work_dir = done
    before = plan_of(config, work_dir)
    cams, labels = contents(before, "cam"), contents(before, "label")
    cut, flipped, gone = sorted(cams)[:3]
    directory = before["cam"].entry.directory
    (directory / cut).write_bytes(cams[cut][:50])
    (directory / flipped).write_bytes(cams[flipped][:60] + b"\0\1\2" + cams[flipped][63:])
    (directory / gone).unlink()
    kept = sorted(cams)[3]
    written = (directory / kept).stat().st_mtime_ns

    plan = plan_of(config, work_dir)
    assert {n: s for n, s in states(plan).items() if s != "reused"} == {"cam": "resumed"}
    assert "3 damaged files" in plan["cam"].reason
    execute(plan, settings(work_dir))
    assert contents(plan, "cam") == cams and contents(plan, "label") == labels
    assert (directory / kept).stat().st_mtime_ns == written


def test_bit_rot_that_the_check_of_times_misses_is_repaired_when_read(
    done: tuple[dict[str, Any], Path],
) -> None:
    config, work_dir = done
    plan = plan_of(config, work_dir)
    cams = contents(plan, "cam")
    name = sorted(cams)[0]
    path = plan["cam"].entry.directory / name
    stat = path.stat()
    middle = len(cams[name]) // 2
    path.write_bytes(
        cams[name][:middle] + bytes([cams[name][middle] ^ 255]) + cams[name][middle + 1 :]
    )
    import os

    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    forced = plan_of(config, work_dir, force=("crf",))
    assert states(forced)["cam"] == "reused" and forced["refine.crf"].reason == "forced"
    how = settings(work_dir)
    execute(forced, how)
    assert contents(plan, "cam") == cams
    assert any("cam makes it again" in text for text in how.progress.said)


def test_what_descends_from_a_forced_stage_is_made_again(done: tuple[dict[str, Any], Path]) -> None:
    steps = plan_of(*done, force=("classify",)).steps
    assert {step.node.name: step.state for step in steps if step.state != "computed"} == {
        "data": "reused"
    }
    by_name = {step.node.name: step for step in steps}
    assert by_name["classify"].reason == "forced"
    assert by_name["cam"].reason == "forced: classify is computed again"
    assert all(step.forced for step in steps if step.node.name != "data")


def test_until_runs_what_the_stage_needs_and_scores_it(done: tuple[dict[str, Any], Path]) -> None:
    plan = plan_of(*done, until="rw")
    assert list(states(plan)) == [
        "data", "classify", "cam", "evaluate.cam", "fit.rw", "refine.rw", "evaluate.rw"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"force": ("camm",)}, ["--force", "unknown stage 'camm'", "cam"]),
        ({"until": "labl"}, ["--until", "did you mean label"]),
    ],
)
def test_misspelt_stages(
    done: tuple[dict[str, Any], Path], changes: dict[str, Any], words: list[str]
) -> None:
    with pytest.raises(UserError) as error:
        plan_of(*done, **changes)
    for word in words:
        assert word in str(error.value)


def test_methods_that_do_not_go_together_show_before_training(
    tiny: dict[str, Any], tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="attention"):
        plan_of(tiny, tmp_path, "classifier.pooling=GAP", "classifier.erasing=AEFT")
    assert not (tmp_path / "cache").exists()


class Thief(Refinement):
    """A refinement that looks at the answer."""

    def refine(self, photo: Photo, given: Cam | Scores) -> Scores:
        folder = next(p for p in Path(self.where).rglob("SegmentationClass"))
        Image.open(next(folder.glob("*.png"))).load()
        raise AssertionError("the mask could be read")

    where = ""


def test_an_image_level_stage_cannot_open_a_mask(
    done: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config, work_dir = done
    registry = load().registries.refinement
    monkeypatch.setattr(registry, "components", dict(registry.components))
    registry.add("Thief", f"{__name__}:Thief", summary="steals")
    monkeypatch.setattr(Thief, "where", str(work_dir / "cache" / "generate"))
    monkeypatch.setitem(sys.modules, __name__, sys.modules[__name__])
    plan = plan_of(config, work_dir, "+refine.crf={'type': 'Thief', 'input': 'cam'}")
    with pytest.raises(LeakError, match=r"refine\.crf"):
        execute(plan, settings(work_dir))


def test_hooks_observe_stages_and_one_that_fails_is_warned_about(
    done: tuple[dict[str, Any], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, str]] = []

    class Observer:
        @hookimpl
        def before_stage(self, node: str, run: dict[str, Any]) -> None:
            assert run["name"] == "tiny" and run["seed"] == 0
            seen.append(("before", node))

        @hookimpl
        def after_stage(self, node: str, result: dict[str, Any]) -> None:
            assert result["seconds"] >= 0 and result["peak_mib"] > 0
            seen.append(("reused" if result["reused"] else "after", node))

    class Broken:
        @hookimpl
        def after_stage(self, node: str) -> None:
            raise OSError("no server")

    class Heard(Silent):
        def warn(self, text: str) -> None:
            warned.append(text)

    manager = pluggy.PluginManager("wsssbench")
    manager.add_hookspecs(hookspecs)
    manager.register(Observer())
    manager.register(Broken(), name="broken")  # called first
    loaded = load()
    monkeypatch.setattr(
        pipeline, "load", lambda: type(loaded)(loaded.plugins, loaded.registries, manager.hook)
    )
    warned: list[str] = []
    config, work_dir = done
    plan = plan_of(config, work_dir, force=("label",))
    execute(plan, settings(work_dir, progress=Heard()))
    expected = [("reused", step.node.name) for step in plan.steps]
    for name in ("label", "evaluate.label"):  # what descends from it is made again, too
        at = expected.index(("reused", name))
        expected[at : at + 1] = [("before", name), ("after", name)]
    assert seen == expected
    assert "after_stage of plugin 'broken' failed at label: OSError: no server" in warned
