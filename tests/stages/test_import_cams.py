"""Another repository's CAMs as a stage: checked before any work, exact, resumable, scored like the originals."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.evaluation.score_files import score_files, summarise, threshold_grid
from wsssbench.experiment.export_cams import write_cams
from wsssbench.files.artefacts import read_cam
from wsssbench.files.contents import content_id
from wsssbench.interfaces import Dataset, RunContext
from wsssbench.parallel import jobs
from wsssbench.progress import Silent
from wsssbench.stages import import_cams
from wsssbench.stages.import_cams import ImportCams, check_import, foreign_files
from wsssbench.stages.stage import StageWork

SIZES = {"a": (20, 31), "b": (17, 16), "c": (24, 24), "none": (9, 12)}
PRESENT = {"a": [1, 3], "b": [2], "c": [1, 2, 4], "none": []}


class Photos(Dataset):
    """Three photos and one without any class; `c` is of the second split, too."""

    classes = ("cat", "dog", "cow", "bus")
    empty_images = True

    def __init__(self, root: Path) -> None:
        self.root = root

    def ids(self, split: str) -> list[str]:
        return {"train": ["a", "b", "c", "none"], "val": ["c"]}[split]

    def labels(self, split: str) -> np.ndarray:
        rows = [[float(k in PRESENT[id]) for k in (1, 2, 3, 4)] for id in self.ids(split)]
        return np.array(rows, np.float32)

    def image_path(self, id: str) -> Path:
        return self.root / f"{id}.png"

    def mask_path(self, id: str, split: str) -> Path | None:
        return None

    def mask_directories(self) -> tuple[Path, ...]:
        return ()


@dataclass
class Told(Silent):
    """Remembers warnings."""

    warnings: list[str] = field(default_factory=list)

    def warn(self, text: str) -> None:
        self.warnings.append(text)


@dataclass(frozen=True)
class Given:
    """Photos, and CAMs of them in a folder."""

    dataset: Photos
    cams: Path
    maps: Mapping[str, Mapping[int, np.ndarray]]
    told: Told = field(default_factory=Told)

    def write(self, form: str = "psa") -> None:
        for id, planes in self.maps.items():
            content: dict[Any, Any] = {k - 1: plane for k, plane in planes.items()}
            if form == "irn":
                stacked = np.array(list(planes.values())).reshape(-1, *SIZES[id])
                content = {"keys": torch.tensor([k - 1 for k in planes], dtype=torch.long),
                           "cam": torch.zeros(len(planes), 2, 2), "high_res": stacked}  # fmt: skip
            self.change(id, content)

    def change(self, id: str, content: Any) -> None:
        np.save(self.cams / f"{id}.npy", content, allow_pickle=True)

    def run(self, form: str = "psa", workers: int = 1) -> tuple[Path, dict[str, Any]]:
        directory = self.cams.parent / "stage"
        directory.mkdir(exist_ok=True)
        config = {"format": form, "splits": ("train", "val"),
                  "checksum": ""}  # fmt: skip
        context = RunContext(directory, "cpu", workers, 0, self.told)
        work = StageWork("cam", config, {}, {"cams": self.cams}, self.dataset, context)
        return directory, ImportCams().run(work)

    def check(self, form: str = "psa") -> None:
        check_import(self.cams, form, self.dataset, ("train", "val"))


@pytest.fixture
def given(tmp_path: Path) -> Given:
    rng = np.random.default_rng(0)
    for name in ("photos", "cams"):
        (tmp_path / name).mkdir()
    for id, size in SIZES.items():
        Image.new("RGB", size[::-1]).save(tmp_path / "photos" / f"{id}.png")
    maps = {id: {k: rng.random(SIZES[id], np.float32) for k in v} for id, v in PRESENT.items()}
    given = Given(Photos(tmp_path / "photos"), tmp_path / "cams", maps)
    given.write()
    return given


@pytest.mark.parametrize("form", ["psa", "irn"])
def test_every_image_gets_its_maps_exactly(given: Given, form: str) -> None:
    given.write(form)
    given.check(form)
    directory, result = given.run(form)
    assert result == {"images": 4, "clipped": 0, "missing": 0} and not given.told.warnings
    assert sorted(p.name for p in directory.iterdir()) == [f"{id}.npz" for id in SIZES]
    for id, planes in given.maps.items():
        cam = read_cam(directory / f"{id}.npz")
        assert cam.classes.tolist() == PRESENT[id] and cam.size == SIZES[id]
        assert cam.maps.shape == (len(planes), *SIZES[id])
        assert all(np.array_equal(m, planes[k]) for k, m in zip(cam.classes, cam.maps, strict=True))


def test_scores_equal_those_of_the_original_files(given: Given) -> None:
    """At every threshold, also at one that is the value of a pixel."""
    directory, _ = given.run()
    rng = np.random.default_rng(1)
    ids = ["a", "b", "c"]
    truths = {id: rng.choice([0, 1, 2, 3, 4, 255], SIZES[id]).astype(np.uint8) for id in ids}
    grid = np.unique(np.append(threshold_grid(0, 1, 0.01), given.maps["b"][2][:3].ravel()))
    found = [
        summarise(score_files(folder, ids, truths.__getitem__, kind, 4, grid, Silent()), None)
        for folder, kind in ((given.cams, "psa"), (directory, "cam"))
    ]
    assert found[0] == found[1]
    assert len(found[0]["curve"]) > 101


@pytest.mark.parametrize("form", ["psa", "irn"])
def test_export_and_import_again_are_the_same_bytes(
    given: Given, form: str, tmp_path: Path
) -> None:
    directory, _ = given.run()
    before = {path.name: path.read_bytes() for path in directory.iterdir()}
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        out.mkdir()
        write_cams(directory, list(SIZES), form, RunContext(out, "cpu", 1, 0, Silent()))
        Given(given.dataset, out, {}).run(form)
        assert {path.name: path.read_bytes() for path in directory.iterdir()} == before
        for path in directory.iterdir():
            path.unlink()
        Given(given.dataset, out, {}).run(form)
    for id, planes in given.maps.items():
        assert (first / f"{id}.npy").read_bytes() == (second / f"{id}.npy").read_bytes()
        if form == "psa":
            theirs = np.load(first / f"{id}.npy", allow_pickle=True).item()
            assert list(theirs) == [k - 1 for k in planes]
            assert all(theirs[k - 1].tobytes() == plane.tobytes() for k, plane in planes.items())


def test_an_image_without_class_needs_no_file(given: Given) -> None:
    (given.cams / "none.npy").unlink()
    given.check()
    directory, _ = given.run()
    cam = read_cam(directory / "none.npz")
    assert not len(cam.classes) and cam.size == SIZES["none"]


def test_whole_artefacts_are_kept(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    directory, _ = given.run()
    whole = {path: path.read_bytes() for path in sorted(directory.iterdir())}
    (directory / "a.npz").write_bytes(b"torn")
    (directory / "b.npz").unlink()
    made: list[str] = []
    convert = import_cams.convert
    monkeypatch.setattr(
        import_cams, "convert", lambda item, *more: made.append(item.id) or convert(item, *more)
    )
    assert given.run()[1]["images"] == 4
    assert made == ["a", "b"]
    assert {path: path.read_bytes() for path in sorted(directory.iterdir())} == whole


@pytest.mark.usefixtures("warm_workers")
def test_processes_count_together(given: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_POOL_FROM", 1)
    for id in "ac":
        given.maps[id][1][0, 0] = -1e-5
    del given.maps["c"][2]  # type: ignore[attr-defined]
    given.write()
    directory, result = given.run(workers=2)
    assert result == {"images": 4, "clipped": 2, "missing": 1}
    assert len(given.told.warnings) == 2
    assert "2 of 4 CAM files were slightly outside" in given.told.warnings[0]
    assert "1 of 4 CAM files lack classes" in given.told.warnings[1]
    assert read_cam(directory / "a.npz").maps[0, 0, 0] == 0
    assert read_cam(directory / "c.npz").classes.tolist() == [1, 4]
    assert (directory / "notes.txt").read_text() == "clipped a\nclipped c\nmissing c\n"
    assert len(list(directory.iterdir())) == 5


def test_what_was_noticed_before_a_kill_is_counted(
    given: Given, monkeypatch: pytest.MonkeyPatch
) -> None:
    given.maps["a"][1][0, 0] = 1.0005
    given.write()
    write, written = import_cams.write_cam, []

    def killed(path: Path, *more: Any, **options: Any) -> None:
        written.append(path.name)
        if len(written) == 2:
            raise KeyboardInterrupt
        write(path, *more, **options)

    with monkeypatch.context() as patch:
        patch.setattr(import_cams, "write_cam", killed)
        with pytest.raises(KeyboardInterrupt):
            given.run()
    assert written == ["a.npz", "b.npz"]
    assert given.run()[1]["clipped"] == 1
    (given.cams.parent / "stage" / "b.npz").unlink()
    assert given.run()[1]["clipped"] == 1  # also if another artefact has to be made again


def test_missing_files_are_told_before_any_work(given: Given) -> None:
    for id in ("b", "c", "none"):
        (given.cams / f"{id}.npy").unlink()
    sentence = r"cams lacks 2 of the 3 CAM files that are needed: 'b\.npy', 'c\.npy'$"
    with pytest.raises(UserError, match=sentence):
        given.check()
    with pytest.raises(UserError, match=sentence):
        given.run()
    assert not list((given.cams.parent / "stage").iterdir())
    with pytest.raises(UserError, match=r"folder of CAM files .*nowhere does not exist"):
        check_import(given.cams / "nowhere", "psa", given.dataset, ("train",))


def wrong(given: Given) -> dict[str, tuple[Any, str]]:
    a = given.maps["a"]
    crf = {0: a[1] * 0.1, 1: a[1], 3: a[3]}
    return {
        "size": ({0: np.ones((20, 30)), 2: np.ones((20, 30))}, "30 x 20, but its image is 31 x 20"),
        "class": ({0: a[1], 1: a[3]}, r"class index 1 \(dog\).*labels of its image \(cat, cow\)"),
        "beyond": ({0: a[1], 9: a[3]}, r"class index 9 \(no such class\)"),
        "crf": (crf, r"holds CRF scores \(0 = background"),
        "percent": ({0: a[1] * 100, 2: a[3]}, r"normalised to \[0, 1\]"),
        "nan": ({0: a[1] * np.nan, 2: a[3]}, r"holds NaN or infinite values"),
        "other family": ({"keys": np.array([0]), "high_res": a[1][None]}, "format irn"),
        "code": ({0: os.system}, "could run code"),
    }


@pytest.mark.parametrize(
    "name", ["size", "class", "beyond", "crf", "percent", "nan", "other family", "code"]
)
def test_files_that_cannot_be_imported(given: Given, name: str) -> None:
    content, sentence = wrong(given)[name]
    given.change("a", content)
    for attempt in (given.check, given.run):
        with pytest.raises(UserError, match=sentence) as error:
            attempt()
        assert str(given.cams / "a.npy") in str(error.value)


def test_a_damaged_file_is_no_damaged_artefact(given: Given) -> None:
    """Which the pipeline would try to make again."""
    (given.cams / "a.npy").write_bytes(b"torn")
    with pytest.raises(UserError, match=r"a\.npy cannot be read as a \.npy file"):
        given.run()
    with pytest.raises(CorruptArtefactError, match="no such file"):
        read_cam(given.cams.parent / "stage" / "a.npz")


def test_unknown_formats(given: Given) -> None:
    with pytest.raises(UserError, match="unknown CAM format 'pas': did you mean psa"):
        given.check("pas")
    with pytest.raises(UserError, match="known: irn, psa"):
        foreign_files(given.cams, "npz", ["a"])


def test_the_content_that_is_hashed_is_of_the_files_that_are_read(
    given: Given, tmp_path: Path
) -> None:
    def content(directory: Path, format: str, ids: list[str]) -> str:
        return content_id(foreign_files(directory, format, ids))

    ids = list(SIZES)
    first = content(given.cams, "psa", ids)
    assert len(first) == 16 and content(given.cams, "psa", ids[::-1]) == first
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in given.cams.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert content(copy, "psa", ids) == first
    (copy / "other.npy").write_bytes(b"not of the data set")
    assert content(copy, "psa", ids) == first
    assert content(given.cams, "psa", ids[:2]) != first != content(given.cams, "irn", ids)
