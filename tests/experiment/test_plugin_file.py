"""A plugin of one file in experiments, and what is said if a component breaks its contract, or raises, in a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from in_process import call, refused

from wsssbench import plugin_files
from wsssbench.experiment.config import config_text
from wsssbench.parallel import jobs

FILE = Path(__file__).parent / "plugin_file" / "methods.py"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the plugin file that the test may change; no file is loaded after the test."""
    monkeypatch.setenv(plugin_files.VARIABLE, "")
    return Path(shutil.copy(FILE, tmp_path / "methods.py"))


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test has computed is there for the next one."""
    return tmp_path_factory.mktemp("work")


@pytest.fixture
def experiment(tiny: dict[str, Any], tmp_path: Path, work: Path) -> list[object]:
    """A command on an experiment whose backbone and pooling are in the file."""
    tiny["classifier"] |= {"backbone": {"type": "Small"}, "pooling": {"type": "Mean"}}
    tiny |= {"refine": {}, "label": None}
    tiny["classifier"]["schedule"] |= {"new_layers_lr": 10.0}
    config = tmp_path / "config.py"
    config.write_text(config_text(tiny))
    return ["run", config, "--work-dir", work, "--device", "cpu", "--workers", 1]  # fmt: skip


def test_a_run_with_a_plugin_file(
    experiment: list[object], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same content is the same result, whatever it is called; another content is another one."""
    first = call(*experiment, "--plugin", file)
    assert first.code == 0 and "classify: computed" in first.out, first
    monkeypatch.setenv(plugin_files.VARIABLE, str(file.rename(file.with_name("moved.py"))))
    assert "classify: reused" in call(*experiment).out
    moved = file.with_name("moved.py")
    moved.write_text(moved.read_text() + "\n# a comment\n")
    said = refused(*experiment)
    assert said == f"plugin file {moved} has changed since it was loaded: start Python again"
    monkeypatch.setenv(plugin_files.VARIABLE, str(moved.rename(file.with_name("other.py"))))
    again = call(*experiment)
    assert "classify: computed (code of plugin file changed)" in again.out, again


def test_without_the_file_its_components_are_unknown(experiment: list[object]) -> None:
    assert "unknown backbone 'Small'" in refused(*experiment)


BROKEN = [
    (
        "classifier.backbone=BareTensor",
        "backbone BareTensor: forward() returns a Tensor, but a tuple of feature maps is needed, coarse last",
    ),
    (
        "classifier.pooling=OneLogit",
        "pooling OneLogit: the logits of maps (2, 8, 16, 16) are torch.float32 of shape (2, 1), but they have to be "
        "float of shape (N, K), here (2, 8)",
    ),
    (
        "classifier.erasing=VectorLoss",
        "erasing VectorLoss: the loss 'energy' is torch.float32 of shape (2,), but losses are scalar float tensors",
    ),
    (
        "classifier.erasing=SmallMaps",
        "erasing SmallMaps: maps() gives torch.float32 of shape (2, 8, 32, 31), but class maps (N, K, h, w) are "
        "needed, here (2, 8, 32, 32)",
    ),
    (
        "cam=FromZero",
        "cam FromZero on image 'train_00000': of an image (64, 64) with the classes [1, 8] `classes` holds [0, 7], "
        "but it has to hold the label-map values 1..K of the present classes, ascending",
    ),
    (
        "+refine.own=NotANumber",
        "refinement NotANumber on image 'train_00000': of an image (64, 64) with the classes [1, 8] `planes` has NaN "
        "or infinite values, but it has to be finite (has a training diverged?)",
    ),
    (
        "+refine.own=Doubles",
        "refinement Doubles on image 'train_00000': of an image (64, 64) with the classes [1, 8] `planes` is float64 "
        "of shape (3, 64, 64), but float32 of shape (1 + K', h, w), here 3 planes, is needed",
    ),
]
QUICK = ("OneLogit", "SmallMaps", "NotANumber")  # a kind of component each


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        pytest.param(*one, marks=() if one[0].endswith(QUICK) else pytest.mark.slow)
        for one in BROKEN
    ],
)
def test_a_contract_that_is_broken_in_a_run_is_one_sentence(
    experiment: list[object], file: Path, setting: str, sentence: str
) -> None:
    """What is trained is told by the rehearsal, before the first stage."""
    said = refused(*experiment, "--plugin", file, "--set", setting)
    assert said == sentence


def test_an_exception_in_a_plugin_is_one_sentence_with_its_place(
    experiment: list[object], file: Path, work: Path
) -> None:
    said = refused(*experiment, "--plugin", file, "--set", "classifier.pooling=RaisingPooling")
    lines = file.read_text().splitlines()
    line = next(i for i, text in enumerate(lines, 1) if "new_zeros(3, 3)" in text)
    log = work / "logs" / "rank0.txt"
    assert said.startswith(
        "classify: pooling RaisingPooling raised RuntimeError: mat1 and mat2 shapes"
    )
    assert said.endswith(f" ({file}, line {line}); the whole traceback is in {log}")
    assert "Traceback (most recent call last)" in log.read_text()


def test_a_component_ends_no_command(experiment: list[object], file: Path) -> None:
    said = refused(*experiment, "--plugin", file, "--set", "classifier.pooling=ExitingPooling")
    assert said.startswith(f"pooling ExitingPooling raised SystemExit: no licence ({file}, line ")


@pytest.mark.slow
def test_worker_processes_have_the_file_and_tell_what_it_raised(
    experiment: list[object], file: Path, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a spawned process, which unpickles the component; its exception cannot be pickled back."""
    monkeypatch.setattr(jobs, "_POOL_FROM", 0)  # processes for any number of images
    experiment[-1] = 2
    said = refused(*experiment, "--plugin", file, "--set", "+refine.own=Raising")
    assert said.startswith("refinement Raising raised KeyError: ") and str(file) in said
