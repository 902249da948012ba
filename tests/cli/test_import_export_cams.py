"""``wsssbench import-cams`` and ``export cams``: from another repository's files to a run and back."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import call, refused
from mini_devkit import (
    CLASSES_IN_MASKS,
    TRAIN,
    experiment_on,
    make_devkit,
    scores_of,
    write_config,
)

from wsssbench.files.images import read_label


@dataclass(frozen=True)
class Bench:
    """A devkit, an experiment on it, and CAMs of its training images in both families' formats."""

    folder: Path
    root: Path
    config: Path

    def cams(self, form: str) -> Path:
        return self.folder / form

    def importing(self, form: str, *more: object) -> list[object]:
        return ["import-cams", self.cams(form), "--format", form, "--config", self.config,
                "--work-dir", self.folder / "work", *more]  # fmt: skip

    def running(self, form: str, *more: object) -> list[object]:
        return ["run", self.config, "--set", f"import_cams.directory={self.cams(form)}", "--set",
                f"import_cams.format={form}", "--work-dir", self.folder / "work", "--device", "cpu",
                *more]  # fmt: skip

    def runs(self) -> list[Path]:
        return sorted((self.folder / "work" / "runs" / "tiny").iterdir())

    def metrics(self, run: Path) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((run / "metrics.json").read_text())
        return found

    def evaluated(self, form: str, *more: object) -> dict[str, Any]:
        """`wsssbench evaluate` on the original files."""
        return scores_of(self.root, self.cams(form), form, options=more)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    root = make_devkit(tmp_path)
    rng = np.random.default_rng(0)
    for name in ("psa", "irn"):
        (tmp_path / name).mkdir()
    for id in TRAIN:
        mask = read_label(root / "SegmentationClass" / f"{id}.png")
        classes = CLASSES_IN_MASKS[id]
        maps = [(mask == k) * 0.3 + rng.random(mask.shape, np.float32) * 0.7 for k in classes]
        stacked = np.stack(maps).astype(np.float32)
        psa: Any = {k - 1: plane for k, plane in zip(classes, stacked, strict=True)}
        irn: Any = {"keys": torch.tensor(classes) - 1, "cam": torch.rand(len(classes), 12, 12),
                    "high_res": stacked}  # fmt: skip
        np.save(tmp_path / "psa" / f"{id}.npy", psa, allow_pickle=True)
        np.save(tmp_path / "irn" / f"{id}.npy", irn, allow_pickle=True)
    return Bench(tmp_path, root, write_config(tmp_path, experiment_on(root)))


@pytest.mark.parametrize("form", ["psa", "irn"])
def test_imported_cams_score_like_the_original_files(bench: Bench, form: str) -> None:
    """Import, refine, evaluate; the CAM rung is exactly what `evaluate` says of the files."""
    outcome = call(*bench.importing(form))
    assert (outcome.code, outcome.err) == (0, ""), outcome
    assert f"--set import_cams.directory={bench.cams(form)}" in outcome.out
    assert f"--set import_cams.format={form} --work-dir" in outcome.out
    (run,) = bench.runs()
    (rung,) = bench.metrics(run)["rungs"]
    fixed, swept = bench.evaluated(form, "--threshold", 0.25), bench.evaluated(form)
    for name in ("miou", "precision", "recall", "threshold"):
        assert rung["chosen"][name] == fixed[name]
        assert rung["oracle"][name] == swept[name]
    assert [point["miou"] for point in rung["curve"]] == [p["miou"] for p in swept["curve"]]
    assert 0 < fixed["miou"] < swept["miou"]
    outcome = call(*bench.running(form, "--until", "crf"))
    assert outcome.code == 0 and "cam: reused" in outcome.out, outcome
    (going_on,) = set(bench.runs()) - {run}
    rungs = bench.metrics(going_on)["rungs"]
    assert [r["name"] for r in rungs] == ["CAM", "+ CRF"] and rungs[0]["chosen"] == rung["chosen"]


def test_a_whole_run_from_imported_cams(bench: Bench) -> None:
    """No classifier is trained; AffinityNet learns from the imported maps."""
    outcome = call(*bench.running("psa"))
    assert outcome.code == 0, outcome
    stages = json.loads((bench.runs()[0] / "run.json").read_text())["stages"]
    assert "classify" not in stages and {"cam", "fit.rw", "refine.rw", "label"} <= set(stages)


def test_the_command_to_go_on_with_works_for_a_folder_that_looks_like_a_number(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.cams("psa").rename(bench.folder / "2012")
    monkeypatch.chdir(bench.folder)
    command = bench.importing("psa")
    command[1] = "2012"
    said = call(*command).out.partition("go on with: wsssbench ")[2]
    outcome = call(*shlex.split(said), "--until", "cam")
    assert outcome.code == 0 and "cam: reused" in outcome.out, outcome


def test_changed_files_are_imported_again(bench: Bench) -> None:
    assert call(*bench.importing("psa")).code == 0
    assert "cam: reused" in call(*bench.importing("psa")).out
    content: Any = {6: np.full((48, 48), 0.5, np.float32)}
    np.save(bench.cams("psa") / f"{TRAIN[1]}.npy", content, allow_pickle=True)
    outcome = call(*bench.importing("psa"))
    assert outcome.code == 0 and "cam: computed" in outcome.out


def test_what_cannot_be_imported_is_told_before_any_work(bench: Bench) -> None:
    wrong_way_round = bench.importing("psa")
    wrong_way_round[3] = "irn"
    assert "is of the AffinityNet family, format psa" in refused(*wrong_way_round)
    (bench.cams("psa") / f"{TRAIN[0]}.npy").unlink()
    for arguments in (bench.importing("psa"), bench.running("psa")):
        assert f"lacks 1 of the 3 CAM files that are needed: '{TRAIN[0]}.npy'" in refused(
            *arguments
        )
    shutil.copy(bench.cams("irn") / f"{TRAIN[0]}.npy", bench.cams("psa"))
    assert "is a file of the IRNet family" in refused(*bench.importing("psa"))
    assert "did you mean psa" in refused(
        "import-cams", bench.cams("psa"), "--format", "pas", "--config", bench.config
    )
    assert not (bench.folder / "work" / "cache").exists()


@pytest.fixture
def run(bench: Bench) -> Path:
    assert call(*bench.importing("psa")).code == 0
    return bench.runs()[0]


def exporting(run: Path, form: str, out: Path, *more: object) -> list[object]:
    return ["export", "cams", run, "--format", form, "--out", out, *more]


def test_export_gives_the_imported_maps_back(bench: Bench, run: Path) -> None:
    out = bench.folder / "out"
    outcome = call(*exporting(run, "psa", out, "--split", "train"))
    assert outcome.code == 0 and "3 CAM files" in outcome.out
    assert sorted(path.stem for path in out.glob("*.npy")) == TRAIN
    for id in TRAIN:
        ours, theirs = (
            np.load(folder / f"{id}.npy", allow_pickle=True).item()
            for folder in (out, bench.cams("psa"))
        )
        assert list(ours) == list(theirs)
        assert all(ours[key].tobytes() == theirs[key].tobytes() for key in ours)


def test_export_goes_on_and_mends(bench: Bench, run: Path) -> None:
    out = bench.folder / "out"
    assert call(*exporting(run, "irn", out)).code == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    (out / f"{TRAIN[0]}.npy").unlink()
    (out / f"{TRAIN[1]}.npy").write_bytes(before[f"{TRAIN[1]}.npy"][:-100])
    outcome = call(*exporting(run, "irn", out))
    assert outcome.code == 0 and "1 of 3 images are done already" in outcome.out
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_folders_that_are_not_written_to(bench: Bench, run: Path) -> None:
    out = bench.folder / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    assert "holds files of something else" in refused(*exporting(run, "psa", out))
    assert [path.name for path in out.iterdir()] == ["notes.txt"]
    other = bench.folder / "other"
    assert call(*exporting(run, "psa", other)).code == 0
    assert "holds files of something else" in refused(*exporting(run, "irn", other))


def test_runs_that_cannot_be_exported(bench: Bench, run: Path) -> None:
    out = bench.folder / "out"
    assert "is not the folder of a run" in refused(*exporting(bench.root, "psa", out))
    assert "did you mean psa" in refused(*exporting(run, "pas", out))
    assert "unknown split 'trian'" in refused(*exporting(run, "psa", out, "--split", "trian"))
    assert "--split val: 1 of its 1 images have no CAM in this run" in refused(
        *exporting(run, "psa", out, "--split", "val")
    )
    assert not out.exists()
    moved = bench.folder / "moved"
    (bench.folder / "work").rename(moved)
    there = moved / run.relative_to(bench.folder / "work")
    assert call(*exporting(there, "psa", out)).code == 0
    shutil.rmtree(moved / "cache")
    assert "run the experiment again with --until cam" in refused(*exporting(there, "psa", out))


def test_help_names_the_formats(command: Callable[..., Any]) -> None:
    assert "AffinityNet family" in command("import-cams", "--help").stdout
    assert "psa|irn" in command("export", "cams", "--help").stdout
