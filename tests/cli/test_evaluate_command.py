"""``wsssbench evaluate`` on files that wsssbench did not make."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from in_process import call, refused
from naive_evaluation import predicted_at, scores_of
from PIL import Image
from warm_processes import WarmProcess

from wsssbench.files.artefacts import write_cam
from wsssbench.files.images import write_label
from wsssbench.files.npy import save_array_dict
from wsssbench.interfaces import Cam

SIZE = (8, 10)
IDS = ["2007_000032", "2007_000039", "2007_000063"]


@dataclass(frozen=True)
class Files:
    """Masks, label maps, AffinityNet dicts and CAMs of three images, in folders of `root`."""

    root: Path
    truths: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]
    maps: dict[str, dict[int, np.ndarray]]

    def arguments(self, form: str, *more: str) -> list[str]:
        return [
            "evaluate", "--pred", str(self.root / form), "--gt", str(self.root / "gt"),
            "--list", str(self.root / "list.txt"), "--format", form, *more,
        ]  # fmt: skip

    def json(self, form: str, *more: str) -> dict[str, Any]:
        path = self.root / "scores.json"
        outcome = call(*self.arguments(form, "--json", str(path), *more))
        assert (outcome.code, outcome.err) == (0, ""), outcome
        found: dict[str, Any] = json.loads(path.read_text())
        return found

    def expected(self, threshold: float) -> dict[str, Any]:
        return scores_of(
            (predicted_at(self.maps[id], threshold, SIZE), self.truths[id]) for id in IDS
        )


@pytest.fixture
def files(tmp_path: Path) -> Files:
    rng = np.random.default_rng(0)
    for name in ("gt", "png", "psa", "cam"):
        (tmp_path / name).mkdir()
    (tmp_path / "list.txt").write_text("\n".join(IDS) + "\n")
    truths, labels, maps = {}, {}, {}
    for id in IDS:
        truths[id] = rng.choice([0, 0, 1, 3, 255], SIZE).astype(np.uint8)
        labels[id] = rng.choice([0, 1, 2, 3, 255], SIZE).astype(np.uint8)
        maps[id] = {k: rng.random(SIZE, np.float32) * np.float32(0.7) for k in (1, 3)}
        write_label(tmp_path / "gt" / f"{id}.png", truths[id])
        Image.fromarray(labels[id]).save(tmp_path / "png" / f"{id}.png")  # grey: others write so
        np.save(tmp_path / "psa" / f"{id}.npy", {k - 1: m for k, m in maps[id].items()},  # type: ignore[arg-type]
                allow_pickle=True)  # fmt: skip
        stacked = np.stack(list(maps[id].values()))
        write_cam(tmp_path / "cam" / f"{id}.npz", Cam(np.array([1, 3], np.uint8), stacked, SIZE))
    return Files(tmp_path, truths, labels, maps)


def check_point(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name in ("miou", "precision", "recall"):
        assert found[name] == pytest.approx(wanted[name]), name


def test_label_maps(files: Files) -> None:
    found = files.json("png", "--num-classes", "3")
    wanted = scores_of((files.labels[id], files.truths[id]) for id in IDS)
    check_point(found, wanted)
    assert found["iou"] == pytest.approx({str(k): v for k, v in wanted["iou"].items()})
    assert (found["images"], found["curve"], found["threshold"]) == (3, [], None)
    assert files.json("png") == found  # the number of classes is a check only


def test_the_curve_of_affinitynet_files(files: Files) -> None:
    found = files.json("psa", "--thresholds", "0.05:0.65:0.05")
    assert {"miou", "precision", "recall", "iou", "curve"} <= set(found)
    assert [point["threshold"] for point in found["curve"]] == [
        pytest.approx(i / 20) for i in range(1, 14)
    ]
    for point in found["curve"]:
        assert set(point) == {"threshold", "miou", "precision", "recall"}
        check_point(point, files.expected(point["threshold"]))
    best = max(found["curve"], key=lambda point: point["miou"])
    assert (found["threshold"], found["threshold_choice"]) == (best["threshold"], "oracle")
    check_point(found, best)
    assert len(files.json("psa")["curve"]) == 61


def test_one_threshold(files: Files) -> None:
    found = files.json("psa", "--threshold", "0.35")
    wanted = files.expected(0.35)
    check_point(found, wanted)
    assert (found["threshold"], found["threshold_choice"]) == (0.35, "fixed")
    assert found["iou"] == pytest.approx({str(k): v for k, v in wanted["iou"].items()})
    assert len(found["curve"]) == 1


@pytest.mark.parametrize("empty", [{}, {"keys": np.zeros(0, int), "high_res": np.zeros(0)}])
def test_an_image_without_any_map_is_background(files: Files, empty: dict[Any, Any]) -> None:
    form = "irn" if empty else "psa"
    (files.root / form).mkdir(exist_ok=True)
    for id in IDS:
        maps = files.maps[id]
        content: dict[Any, Any] = (
            {"keys": np.array(list(maps)) - 1, "high_res": np.stack(list(maps.values()))}
            if empty
            else {k - 1: plane for k, plane in maps.items()}
        )
        save_array_dict(files.root / form / f"{id}.npy", empty if id == IDS[1] else content)
    files.maps[IDS[1]].clear()
    found = files.json(form, "--threshold", "0.35")
    assert found["miou"] == pytest.approx(files.expected(0.35)["miou"])


def test_our_cams(files: Files) -> None:
    """Ours are stored at half resolution, so they are compared with what the file holds."""
    for id in IDS:
        stored = np.load(files.root / "cam" / f"{id}.npz")
        half = stored["maps"].astype(np.float32) / 255
        assert half.shape == (2, 4, 5)
        flat = np.repeat(np.repeat(half, 2, axis=1), 2, axis=2)  # no interpolation: constant blocks
        constant = Cam(stored["classes"], np.full((2, 1, 1), flat.max(), np.float32), SIZE)
        write_cam(files.root / "cam" / f"{id}.npz", constant)
        level = np.rint(flat.max() * 255) / 255
        files.maps[id].update({k: np.full(SIZE, level) for k in (1, 3)})
    for threshold in (0.3, 0.99):
        check_point(files.json("cam", "--threshold", str(threshold)), files.expected(threshold))


def test_affinitynet_style_lists(files: Files) -> None:
    before = files.json("png")
    lines = [f"/JPEGImages/{id}.jpg /SegmentationClassAug/{id}.png" for id in IDS]
    (files.root / "list.txt").write_text("\n".join(lines))
    assert files.json("png") == before


def test_what_the_terminal_shows(files: Files) -> None:
    done = call(*files.arguments("psa", "--threshold", "0.35"))
    wanted = files.expected(0.35)
    assert f"mIoU {wanted['miou']:.2f}" in done.out
    assert "threshold 0.35 (fixed), 3 images, 3 classes that occur" in done.out
    assert done.err == ""


def test_a_mistake_in_a_process_of_its_own(files: Files, tmp_path: Path) -> None:
    process = WarmProcess("wsssbench", *files.arguments("npz"), output=tmp_path / "output.txt")
    assert process.wait() == 2
    assert process.output == "error: format: unknown format 'npz': known: cam, irn, png, psa\n"


@pytest.mark.parametrize(
    ("form", "options", "sentence"),
    [
        ("png", ["--threshold", "0.3"], "label maps need no threshold"),
        ("png", ["--thresholds", "0:1:0.1"], "label maps need no threshold"),
        ("psa", ["--threshold", "0.3", "--thresholds", "0:1:0.1"], "exclude each other"),
        ("psa", ["--threshold", "30"], "threshold 30.0: has to be in [0, 1]"),
        ("psa", ["--threshold", "nan"], "has to be in [0, 1]"),
        ("psa", ["--thresholds", "0:1"], "has to be A:B:STEP"),
        ("psa", ["--thresholds", "0:b:0.1"], "has to be A:B:STEP"),
        ("psa", ["--thresholds", "0.5:0.1:0.1"], "0 <= first <= last <= 1"),
        ("psa", ["--thresholds", "0:1:0"], "<= step <= 1"),
        ("psa", ["--thresholds", "0:1:1e-9"], "<= step <= 1"),
        ("psa", ["--thresholds", "0:1:inf"], "<= step <= 1"),
        ("scores", [], "unknown format 'scores'"),
        ("psaa", [], "did you mean psa"),
        ("png", ["--json", "no/such/folder.json"], "the folder no/such does not exist"),
        ("png", ["--json", "."], "is a folder"),
        (
            "png",
            ["--num-classes", "2"],
            "gt/2007_000032.png has the label 3, but there are 2 classes",
        ),
        ("psa", ["--num-classes", "2"], "255, which alone is ignored"),
    ],
)
def test_wrong_options(files: Files, form: str, options: list[str], sentence: str) -> None:
    assert sentence in refused(*files.arguments(form, *options))


@pytest.mark.parametrize("options", [["--num-classes", "0"], ["--num-classes", "x"], ["--thresh"]])
def test_options_that_are_none(files: Files, options: list[str]) -> None:
    outcome = call(*files.arguments("png", *options))
    assert outcome.code == 2 and options[0] in outcome.err and "Traceback" not in outcome.err
    missing = call("evaluate", "--pred", "x")
    assert missing.code == 2 and "--gt" in missing.err


def test_files_that_cannot_be_scored(files: Files) -> None:
    first, second = (files.root / "png" / f"{id}.png" for id in IDS[:2])
    first.unlink()
    assert "no prediction for 1 images of the list, the first is 2007_000032.png" in refused(
        *files.arguments("png")
    )
    Image.new("RGB", SIZE[::-1]).save(first)
    assert f"label map {first} cannot be read: it is a colour image" in refused(
        *files.arguments("png")
    )
    write_label(first, np.zeros((8, 11), np.uint8))
    assert f"{first} is 11 x 8, but its mask is 10 x 8 pixels" in refused(*files.arguments("png"))
    write_label(first, files.labels[IDS[0]])
    second.write_bytes(second.read_bytes()[:60])
    assert str(second) in refused(*files.arguments("png"))
    (files.root / "psa" / f"{IDS[0]}.npy").write_bytes(b"nothing")
    assert "cannot be read as a .npy file" in refused(*files.arguments("psa"))
    (files.root / "cam" / f"{IDS[0]}.npz").write_bytes(b"nothing")
    assert "not a readable artefact" in refused(*files.arguments("cam"))
    save_array_dict(files.root / "cam" / f"{IDS[0]}.npz", {0: np.zeros(SIZE)})  # of another kind
    assert "not a readable artefact" in refused(*files.arguments("cam"))


def test_folders_and_lists_that_cannot_be_used(files: Files) -> None:
    arguments = files.arguments("png")
    at = {name: arguments.index(name) + 1 for name in ("--pred", "--gt", "--list")}

    def changed(option: str, value: Path) -> str:
        return refused(*arguments[: at[option]], value, *arguments[at[option] + 1 :])

    nowhere = files.root / "nowhere"
    assert changed("--pred", nowhere) == f"prediction folder {nowhere} does not exist"
    assert changed("--gt", nowhere) == f"mask folder {nowhere} does not exist"
    assert changed("--list", nowhere) == f"list {nowhere} does not exist"
    empty = files.root / "empty.txt"
    empty.write_text("\n# nothing\n")
    assert f"list {empty} is empty" in changed("--list", empty)
    assert str(files.root) in changed("--list", files.root)
    empty.write_text("2007_000032\n2007_999999\n")
    assert "no mask for 1 images of the list, the first is 2007_999999.png" in changed(
        "--list", empty
    )


def test_masks_without_a_counted_pixel(files: Files) -> None:
    for id in IDS:
        write_label(files.root / "gt" / f"{id}.png", np.full(SIZE, 255, np.uint8))
    for form in ("png", "psa"):
        assert "nothing but 255" in refused(*files.arguments(form))


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full")
def test_a_full_disk(files: Files) -> None:
    assert "the disk is full" in refused(*files.arguments("png", "--json", "/dev/full"))
