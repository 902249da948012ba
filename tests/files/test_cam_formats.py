"""CAM files of other repositories: read as they mean it, written as they write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsssbench.errors import UserError
from wsssbench.files.cam_formats import FORMATS, bounded, read_irn, read_psa, write_irn, write_psa
from wsssbench.interfaces import Cam
from wsssbench.ops.cam import upsample

SIZE = (37, 50)


def random_cam(seed: int = 0, grid: tuple[int, int] = SIZE) -> Cam:
    maps = np.random.default_rng(seed).random((2, *grid), np.float32)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    return Cam(np.array([1, 15], np.uint8), maps, SIZE)


def dump(path: Path, content: Any) -> Path:
    """As both families do: `numpy.save` of a dict."""
    np.save(path, content, allow_pickle=True)
    return path


def same(one: Cam, other: Cam) -> bool:
    return (
        one.classes.tolist() == other.classes.tolist()
        and one.size == other.size
        and one.maps.tobytes() == other.maps.tobytes()
    )


def test_affinitynet_dicts_become_cams(tmp_path: Path) -> None:
    planes = {14: np.full((2, 3), 0.5), 0: np.full((2, 3), 0.25, np.float16)}
    cam = read_psa(dump(tmp_path / "x.npy", planes))
    assert cam.classes.tolist() == [1, 15] and cam.maps.dtype == np.float32
    assert cam.maps[:, 0, 0].tolist() == [0.25, 0.5] and cam.size == (2, 3)
    tensors = {np.int64(14): torch.full((2, 3), 0.5), np.int64(0): torch.full((2, 3), 0.25)}
    assert same(read_psa(dump(tmp_path / "x.npy", tensors)), cam)


def irn_file(path: Path, kind: str, dtype: str = "f4") -> Cam:
    """What IRNet writes for two classes: indices and small maps are tensors, large maps an array."""
    rng = np.random.default_rng(1)
    maps, small = rng.random((2, *SIZE)).astype(dtype), rng.random((2, 10, 13)).astype(dtype)
    keys = np.array([14, 0])
    content: dict[str, Any] = {"keys": keys, "cam": small, "high_res": maps}
    if kind == "tensors":
        content = {**content, "keys": torch.tensor(keys), "cam": torch.tensor(small)}
    elif kind == "all tensors":
        content = {key: torch.tensor(value) for key, value in content.items()}
    dump(path, content)
    return Cam(np.array([1, 15], np.uint8), maps[::-1].astype(np.float32), SIZE)


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8"])
@pytest.mark.parametrize("kind", ["tensors", "all tensors", "arrays"])
def test_irnet_dicts_become_cams(tmp_path: Path, kind: str, dtype: str) -> None:
    expected = irn_file(tmp_path / "x.npy", kind, dtype)
    assert same(read_irn(tmp_path / "x.npy"), expected)


@pytest.mark.parametrize("name", list(FORMATS))
def test_files_without_classes(tmp_path: Path, name: str) -> None:
    content: dict[str, Any] = {}
    if name == "irn":
        content = {"keys": torch.zeros(0, dtype=torch.long), "high_res": np.zeros((0, *SIZE))}
    cam = FORMATS[name].read(dump(tmp_path / "x.npy", content), SIZE)
    assert not len(cam.classes) and cam.maps.shape == (0, *SIZE) and cam.size == SIZE
    FORMATS[name].write(tmp_path / "y.npy", cam)
    assert same(FORMATS[name].read(tmp_path / "y.npy", SIZE), cam)


@pytest.mark.parametrize("name", list(FORMATS))
@pytest.mark.parametrize("grid", [SIZE, (19, 25), (5, 7)])
def test_what_is_written_is_read_back(tmp_path: Path, name: str, grid: tuple[int, int]) -> None:
    """Exactly, at the image's size; and the same bytes when it is written again."""
    form, cam = FORMATS[name], random_cam(grid=grid)
    form.write(tmp_path / "x.npy", cam)
    back = form.read(tmp_path / "x.npy")
    assert same(back, Cam(cam.classes, np.clip(upsample(cam.maps, SIZE), 0, 1), SIZE))
    form.write(tmp_path / "y.npy", back)
    assert (tmp_path / "x.npy").read_bytes() == (tmp_path / "y.npy").read_bytes()


def test_affinitynet_reads_what_is_written(tmp_path: Path) -> None:
    cam = random_cam()
    write_psa(tmp_path / "x.npy", cam)
    theirs = np.load(tmp_path / "x.npy", allow_pickle=True).item()
    assert [type(key) for key in theirs] == [int, int] and list(theirs) == [0, 14]
    for key, plane in zip(theirs, cam.maps, strict=True):
        assert theirs[key].dtype == np.float32 and theirs[key].flags.writeable
        assert np.array_equal(theirs[key], plane)


def test_irnet_reads_what_is_written(tmp_path: Path) -> None:
    cam = random_cam()
    write_irn(tmp_path / "x.npy", cam)
    theirs = np.load(tmp_path / "x.npy", allow_pickle=True).item()
    assert set(theirs) == {"keys", "cam", "high_res"}
    assert theirs["keys"].tolist() == [0, 14] and theirs["keys"].dtype == np.int64
    assert np.array_equal(theirs["high_res"], cam.maps) and theirs["high_res"].dtype == np.float32
    assert theirs["cam"].shape == (2, 10, 13) and theirs["cam"].dtype == np.float32
    assert theirs["cam"].max(axis=(1, 2)).tolist() == [1, 1] and theirs["cam"].min() >= 0


def test_small_maps_of_irnet_are_cell_means(tmp_path: Path) -> None:
    maps = np.random.default_rng(2).random((1, 12, 16), np.float32)
    write_irn(tmp_path / "x.npy", Cam(np.array([3], np.uint8), maps, (12, 16)))
    small = np.load(tmp_path / "x.npy", allow_pickle=True).item()["cam"]
    means = maps.reshape(1, 3, 4, 4, 4).mean(axis=(2, 4))
    np.testing.assert_allclose(small, means / means.max(), rtol=1e-6)
    zero = Cam(np.array([3], np.uint8), np.zeros((1, 12, 16), np.float32), (12, 16))
    write_irn(tmp_path / "x.npy", zero)
    assert not np.load(tmp_path / "x.npy", allow_pickle=True).item()["cam"].any()


ONES = np.ones((2, 3), np.float32)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({}, "holds no class map"),
        ({254: ONES}, r"not in 0\.\.253"),
        ({-1: ONES}, "-1 is not a class index"),
        ({"cat": ONES}, "'cat' is not a class index"),
        ({"1" * 5000: ONES}, "'1111"),
        ({"1": ONES, 1: ONES}, "name a class twice"),
        ({0: ONES, 1: np.zeros((2, 2))}, r"not one \(H, W\)"),
        ({0: np.zeros(4)}, r"not one \(H, W\)"),
        ({0: np.zeros((0, 3))}, r"not one \(H, W\)"),
        ({0: ONES * 1j}, "complex64, not real numbers"),
        ({"keys": np.array([0]), "cam": ONES, "high_res": ONES[None]}, "format irn"),
    ],
)
def test_affinitynet_dicts_of_another_kind(tmp_path: Path, content: Any, sentence: str) -> None:
    path = dump(tmp_path / "x.npy", content)
    with pytest.raises(UserError, match=sentence) as error:
        read_psa(path)
    assert str(path) in str(error.value)


def irn(keys: Any, maps: Any, **more: Any) -> dict[str, Any]:
    return {"keys": np.array(keys), "high_res": maps, **more}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({0: ONES, 14: ONES}, "format psa"),
        ({"keys": np.array([0]), "cam": ONES[None]}, "lacks 'keys' or 'high_res'"),
        (irn([0.5], ONES[None]), "keys are float64"),
        (irn([0, 1], ONES[None]), r"shape \(1, 2, 3\) for 2 keys"),
        (irn([0], ONES), r"shape \(2, 3\) for 1 keys"),
        (irn([0], np.zeros((1, 0, 3))), r"shape \(1, 0, 3\)"),
        (irn([3, 3], np.stack([ONES, ONES])), "twice"),
        (irn([-1], ONES[None]), r"not in 0\.\.253"),
        (irn([254], ONES[None]), r"not in 0\.\.253"),
        (irn([0], ONES[None] * 1j), "not real numbers"),
    ],
)
def test_irnet_dicts_of_another_kind(tmp_path: Path, content: Any, sentence: str) -> None:
    path = dump(tmp_path / "x.npy", content)
    with pytest.raises(UserError, match=sentence) as error:
        read_irn(path)
    assert str(path) in str(error.value)


def test_values_slightly_outside_are_clipped() -> None:
    inside = random_cam()
    same_cam, clipped = bounded(inside, Path("x"))
    assert same_cam is inside and not clipped
    maps = inside.maps.copy()
    maps[0, :2, 0] = -0.0009, 1.0009
    cut, clipped = bounded(Cam(inside.classes, maps, SIZE), Path("x"))
    assert clipped and cut.maps[0, :2, 0].tolist() == [0, 1]
    maps[0, :2, 0] = 0, 1
    assert np.array_equal(cut.maps, maps)


@pytest.mark.parametrize("value", [1.0011, -0.0011, 255, np.nan, np.inf, -np.inf])
def test_maps_that_are_not_normalised(value: float) -> None:
    maps = random_cam().maps.copy()
    maps[1, 3, 3] = value
    with pytest.raises(UserError, match=r"x\.npy has values from .* normalised to \[0, 1\]"):
        bounded(Cam(np.array([1, 15], np.uint8), maps, SIZE), Path("x.npy"))
