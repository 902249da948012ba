"""``plugins``, ``config``, ``doctor``, ``data`` and every ``--help``."""

from __future__ import annotations

import shlex
import sys
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
import pytest
from in_process import call, refused
from mini_devkit import CLASSES_IN_MASKS, experiment_on, make_devkit, write_config
from shipped import EXPERIMENTS

from wsssbench import plugins
from wsssbench.cli import doctor
from wsssbench.datasets.voc.dataset import VOC2012, VOC_CLASSES
from wsssbench.experiment.config import read_config, resolve
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.files.images import write_label
from wsssbench.plugins import GROUP, load, load_entry_points


@pytest.fixture
def with_broken_plugins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed plugins, one that cannot be imported, and one with a component that cannot."""
    (tmp_path / "half_plugin.py").write_text(
        "from wsssbench.hookspecs import hookimpl\n"
        "@hookimpl\n"
        "def register(registries):\n"
        "    registries.pooling.add('Gone', 'no_such_module:Gone', summary='was here')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "half_plugin", raising=False)
    points = [*entry_points(group=GROUP), EntryPoint("absent", "absent_plugin", GROUP),
              EntryPoint("half", "half_plugin", GROUP)]  # fmt: skip
    loaded = load_entry_points(tuple(points))
    monkeypatch.setattr(plugins, "load", lambda: loaded)


def test_every_component_is_listed() -> None:
    outcome = call("plugins", "list")
    assert (outcome.code, outcome.err) == (0, "")
    words = outcome.out.split()
    for registry in load().registries:
        assert registry.kind in words
        for component in registry.components.values():
            assert component.name in words and component.plugin in words
    assert "broken" not in outcome.out


def test_a_broken_plugin_is_listed_beside_the_others(with_broken_plugins: None) -> None:
    outcome = call("plugins", "list")
    assert outcome.code == 0
    assert "broken plugin 'absent'" in outcome.out
    assert "No module named 'absent_plugin'" in outcome.out
    assert {"GPP", "GAP", "Gone", "DeepLab"} <= set(outcome.out.split())
    assert "No module named 'no_such_module'" in refused("plugins", "describe", "Gone")
    sick = call("doctor")
    assert sick.code == 1 and "Traceback" not in sick.out
    assert "BAD plugin absent" in sick.out and "BAD plugin half" in sick.out
    assert "2 of" in sick.out and "checks failed" in sick.out


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_a_shown_config_is_that_config(path: Path, tmp_path: Path) -> None:
    overrides = ["+reference={'CAM': 56.0}", "evaluate.threshold=0.3"]
    options = [word for override in overrides for word in ("--set", override)]
    outcome = call("config", "show", path, *options)
    assert (outcome.code, outcome.err) == (0, "")
    shown = tmp_path / "shown.py"
    shown.write_text(outcome.out)
    expected = resolve(apply_overrides(read_config(path), overrides))
    assert resolve(read_config(shown)) == expected
    assert expected["evaluate"]["threshold"] == 0.3


def test_config_show_fills_in_defaults_and_refuses(tmp_path: Path) -> None:
    path = write_config(tmp_path, experiment_on(make_devkit(tmp_path)))
    assert "'gaussian_sxy': None" in call("config", "show", path).out
    assert "did you mean pooling" in refused("config", "show", path, "--set", "classifier.poling=1")
    smoke = call("config", "show", path, "--smoke").out
    assert "trial = {'images': 8, 'smoke': True}" in smoke and "'iterations': 2," in smoke


def test_doctor(tmp_path: Path) -> None:
    outcome = call("doctor", "--work-dir", tmp_path / "not" / "yet")
    assert (outcome.code, outcome.err) == (0, "")
    for text in (
        "Python 3",
        "onedl-mmengine",
        "torch",
        "plugin aeft: 3 components",
        "bfloat16 on this CPU: ",
        "GiB free",
    ):
        assert text in outcome.out
    assert not (tmp_path / "not").exists()


def test_doctor_sees_both_families_over_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = {
        "onedl-mmengine": "0.10.12", "onedl-mmcv": "2.3.6", "mmcv-lite": "2.1.0",
        "mmsegmentation": "1.2.2",
    }  # fmt: skip
    monkeypatch.setattr(doctor, "_version", installed.get)
    outcome = call("doctor")
    assert outcome.code == 1
    bad = [line for line in outcome.out.splitlines() if line.startswith("BAD")]
    assert [line.removeprefix("BAD ") for line in bad] == [
        "mmcv: mmcv-lite 2.1.0 lies over onedl-mmcv 2.3.6; "
        "run: pip uninstall -y mmcv-lite onedl-mmcv && pip install onedl-mmcv",
        "mmseg: mmsegmentation 1.2.2 is installed instead of onedl-mmsegmentation; "
        "run: pip uninstall -y mmsegmentation && pip install onedl-mmsegmentation",
    ]
    assert "ok  mmengine: onedl-mmengine 0.10.12" in outcome.out


def of_masks(dataset: VOC2012, split: str) -> list[list[int]]:
    return [(np.flatnonzero(row) + 1).tolist() for row in dataset.labels(split)]


def test_labels_from_masks(tmp_path: Path) -> None:
    root = make_devkit(tmp_path)
    (root / "labels.csv").unlink()
    out = tmp_path / "made.csv"
    outcome = call("data", "labels", "--voc", root, "--out", out)
    assert (outcome.code, outcome.err) == (0, "")
    assert f"{out}: 4 images, 6 labels of 5 classes" in outcome.out
    dataset = VOC2012(root=str(root), labels=str(out))
    for split in ("train", "val"):
        assert of_masks(dataset, split) == [CLASSES_IN_MASKS[id] for id in dataset.ids(split)]
    before = out.read_text()
    other = out.with_suffix(".npy")
    assert "has to end in .csv" in refused("data", "labels", "--voc", root, "--out", other)
    assert "exists already" in refused("data", "labels", "--voc", root, "--out", out)
    assert out.read_text() == before
    some = tmp_path / "some.csv"
    (root / "Mine").mkdir()
    for id in dataset.ids("train"):
        write_label(root / "Mine" / f"{id}.png", np.full((48, 48), 3, np.uint8))
    arguments = ("--out", some, "--splits", "train", "--masks", "Mine")
    assert call("data", "labels", "--voc", root, *arguments).code == 0
    assert of_masks(VOC2012(root=str(root), labels=str(some)), "train") == [[3]] * 3


def test_labels_from_xml(tmp_path: Path) -> None:
    root = make_devkit(tmp_path)
    (root / "Annotations").mkdir()
    for id, values in CLASSES_IN_MASKS.items():
        objects = "".join(f"<object><name>{VOC_CLASSES[v - 1]}</name></object>" for v in values)
        (root / "Annotations" / f"{id}.xml").write_text(f"<annotation>{objects}</annotation>")
    for mask in (root / "SegmentationClass").iterdir():
        mask.unlink()  # are not needed
    out = tmp_path / "made.csv"
    assert call("data", "labels", "--voc", root, "--out", out, "--from", "xml").code == 0
    dataset = VOC2012(root=str(root), labels=str(out))
    assert of_masks(dataset, "train") == [CLASSES_IN_MASKS[id] for id in dataset.ids("train")]


@pytest.mark.parametrize("source", ["masks", "xml"])
def test_labels_of_own_classes(tmp_path: Path, source: str) -> None:
    root, names = make_devkit(tmp_path), [f"kind {k}" for k in range(1, 21)]
    (root / "labels.csv").unlink()
    (root / "Annotations").mkdir()
    for id, values in CLASSES_IN_MASKS.items():
        objects = "".join(f"<object><name>{names[v - 1]}</name></object>" for v in values)
        (root / "Annotations" / f"{id}.xml").write_text(f"<annotation>{objects}</annotation>")
    out = tmp_path / "made.csv"
    command = ("data", "labels", "--voc", root, "--out", out, "--from", source)
    # The masks' numbers fit VOC's classes: the annotations say that they mean others.
    assert "none of VOC's 20 classes" in refused(*command)
    assert "no such file" in refused(*command, "--classes", "none.txt")
    (tmp_path / "names.txt").write_text("\n".join(names))
    for classes in (tmp_path / "names.txt", ", ".join(names)):
        outcome = call(*command, "--classes", classes)
        assert (outcome.code, outcome.err) == (0, "")
        dataset = VOC2012(root=str(root), labels=str(out), classes=tuple(names))
        assert of_masks(dataset, "train") == [CLASSES_IN_MASKS[id] for id in dataset.ids("train")]
        assert "kind 1" in out.read_text() and "aeroplane" not in out.read_text()
        out.unlink()


def test_commands_to_copy_are_quoted(tmp_path: Path) -> None:
    (tmp_path / "two words").mkdir()
    root = make_devkit(tmp_path / "two words")
    (root / "labels.csv").unlink()
    config = write_config(tmp_path, experiment_on(root))
    outcome = call("run", config, "--work-dir", tmp_path / "work", "--device", "cpu")
    command = outcome.err.partition("or make it from the masks: wsssbench ")[2].splitlines()[0]
    words = shlex.split(command)
    assert words[:6] == ["data", "labels", "--voc", str(root), "--splits", "train,val"]
    made = call(*words)
    assert (made.code, made.err) == (0, "") and (root / "labels.csv").is_file()
    assert f"--set data.labels='{root / 'labels.csv'}'" in made.out


def test_labels_that_cannot_be_made(tmp_path: Path) -> None:
    root, out = make_devkit(tmp_path), tmp_path / "made.csv"
    arguments = ("data", "labels", "--voc", root, "--out", out)
    assert "has to be masks or xml" in refused(*arguments, "--from", "json")
    assert "did you mean train" in refused(*arguments, "--splits", "trian")
    assert "no XML file" in refused(*arguments, "--from", "xml")
    assert f"no folder {root / 'Nowhere'}" in refused(*arguments, "--masks", "Nowhere")
    assert "does not read masks" in refused(*arguments, "--from", "xml", "--masks", "Mine")
    late = call(*arguments, "--splits", "train,vla")
    assert "did you mean val" in late.err and "labels of" not in late.out  # before any work
    assert "root '/nowhere' does not exist" in refused(
        "data", "labels", "--voc", "/nowhere", "--out", out
    )
    assert "does not exist" in refused(
        "data", "labels", "--voc", root, "--out", tmp_path / "a/b.csv"
    )
    (root / "SegmentationClass/2008_000001.png").unlink()
    assert "2008_000001.png does not exist" in refused(*arguments)
    assert not out.exists()


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("", ["run", "evaluate", "plugins", "config", "data", "doctor"]),
        ("run", ["--set", "--seeds", "--smoke", "--limit", "--dry-run", "--force", "--until", "--device",
                 "wsssbench run configs/aeft_synthetic.py"]),
        ("evaluate", ["--pred", "--gt", "--format", "--num-classes", "--thresholds", "--json"]),
        ("plugins", ["list", "describe", "check", "new"]),
        ("plugins list", ["--kind", "--json"]),
        ("plugins describe", ["component"]),
        ("plugins new", ["--kind", "--out", "wsssbench plugins new my-pooling"]),
        ("config", ["show", "diff"]),
        ("config show", ["--set", "--smoke", "--limit"]),
        ("config diff", ["--json", "wsssbench config diff"]),
        ("runs list", ["--json", "--work-dir", "wsssbench runs list"]),
        ("cache", ["size", "clean"]),
        ("cache clean", ["--yes", "--work-dir"]),
        ("data", ["labels"]),
        ("data labels", ["--voc", "--out", "--from", "--splits", "--masks"]),
        ("doctor", ["--work-dir"]),
    ],
)  # fmt: skip
def test_help(command: str, words: list[str]) -> None:
    outcome = call(*command.split(), "--help")
    assert (outcome.code, outcome.err) == (0, "")
    for word in words:
        assert word in outcome.out, word


def test_commands_that_are_none() -> None:
    outcome = call("rum")
    assert outcome.code == 2 and "rum" in outcome.err and "Traceback" not in outcome.err
