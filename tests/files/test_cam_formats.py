"""CAM files of other repositories: read as they mean it, written as they write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from wsssbench.errors import UserError
from wsssbench.files.cam_formats import FORMATS, bounded, read_irn, read_psa, write_irn, write_psa
from wsssbench.files.npy import load_array_dict, save_array_dict
from wsssbench.files.npy_tensors import SavedTensor
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


KEYS_OF_TWO = {
    "array": np.array([14, 0]),
    "small integers": np.array([14, 0], np.uint8),
    "tensor": torch.tensor([14, 0]),
    "list": [14, 0],
    "tuple of numpy's numbers": (np.int64(14), np.int32(0)),
    "list of tensors": [torch.tensor(14), torch.tensor(0)],
    "objects": np.array([14, 0], dtype=object),
    "whole floats": np.array([14.0, 0.0], np.float32),
    "a column": torch.tensor([[14], [0]]),
}


@pytest.mark.parametrize("name", list(KEYS_OF_TWO))
def test_keys_of_every_kind(tmp_path: Path, name: str) -> None:
    expected = irn_file(tmp_path / "x.npy", "arrays")
    content = np.load(tmp_path / "x.npy", allow_pickle=True).item()
    assert same(
        read_irn(dump(tmp_path / "y.npy", {**content, "keys": KEYS_OF_TWO[name]})), expected
    )


def test_one_class_that_lost_its_axis(tmp_path: Path) -> None:
    """``torch.nonzero(label).squeeze()`` of one class is a number, and selects a map of two dimensions."""
    plane = np.random.default_rng(0).random(SIZE, np.float32)
    expected = Cam(np.array([4], np.uint8), plane[None], SIZE)
    for key in (torch.tensor(3), np.int64(3), 3, np.array(3)):
        assert same(read_irn(dump(tmp_path / "x.npy", {"keys": key, "high_res": plane})), expected)
    for key in (torch.tensor(3), np.int64(3), 3, "3"):
        assert same(read_psa(dump(tmp_path / "x.npy", {key: plane})), expected)


@pytest.mark.parametrize("array", [np.array, torch.tensor, list])
def test_the_families_on_top_of_irnet(tmp_path: Path, array: Any) -> None:
    """The maps as Puzzle-CAM (a key of the background, then class index + 1) and CLIP-ES (half precision) save them."""
    expected = irn_file(tmp_path / "x.npy", "arrays", "f2")
    maps = np.load(tmp_path / "x.npy", allow_pickle=True).item()["high_res"]
    puzzle = {"keys": array([0, 15, 1]), "cam": torch.zeros(2, 10, 13), "hr_cam": maps}
    assert same(read_irn(dump(tmp_path / "y.npy", puzzle)), expected)
    clip_es = {"keys": array([14, 0]), "attn_highres": maps}
    assert same(read_irn(dump(tmp_path / "y.npy", clip_es)), expected)


EMPTY = {
    "RIB and AMN": {"keys": torch.zeros((0,), dtype=torch.long)},
    "numpy's default": {"keys": np.array([])},
    "list": {"keys": []},
    "IRNet": {
        "keys": np.zeros(0, int),
        "cam": torch.zeros(0, 3, 4),
        "high_res": np.zeros((0, 9, 9)),
    },
    "Puzzle-CAM": {"keys": np.array([0]), "hr_cam": np.zeros((0, *SIZE), np.float32)},
    "CLIP-ES": {"keys": np.zeros(0, int), "attn_highres": np.zeros((0, *SIZE), np.float16)},
}


@pytest.mark.parametrize("name", list(EMPTY))
def test_an_image_without_any_class(tmp_path: Path, name: str) -> None:
    cam = read_irn(dump(tmp_path / "x.npy", EMPTY[name]), SIZE)
    assert not len(cam.classes) and cam.maps.shape == (0, *SIZE) and cam.size == SIZE


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
    # the types of its own files, of which its next steps ask for `.cuda()` and for numpy's functions
    assert isinstance(theirs["keys"], torch.Tensor) and theirs["keys"].dtype == torch.int64
    assert isinstance(theirs["cam"], torch.Tensor) and theirs["cam"].dtype == torch.float32
    assert isinstance(theirs["high_res"], np.ndarray) and theirs["high_res"].dtype == np.float32
    assert theirs["keys"].tolist() == [0, 14] and np.array_equal(theirs["high_res"], cam.maps)
    assert theirs["cam"].shape == (2, 10, 13) and theirs["cam"].min() >= 0
    assert theirs["cam"].amax(dim=(1, 2)).tolist() == [1, 1]


def test_what_is_written_goes_through_irnets_next_steps(tmp_path: Path) -> None:
    """Written from IRNet's facts: constant backgrounds before `high_res`; the small maps multiplied by 1 - edge,
    brought up by 4, cropped, and a constant background before them."""
    cam = random_cam()
    write_irn(tmp_path / "x.npy", cam)
    found = np.load(tmp_path / "x.npy", allow_pickle=True).item()
    keys = np.pad(found["keys"] + 1, (1, 0), mode="constant")
    assert keys.tolist() == [0, 1, 15]
    label = keys[
        np.argmax(np.pad(found["high_res"], ((1, 0), (0, 0), (0, 0)), constant_values=0.3), 0)
    ]
    best, k = cam.maps.max(axis=0), cam.maps.argmax(axis=0)
    assert np.array_equal(label, np.where(best > np.float32(0.3), cam.classes[k], 0))
    edge = torch.zeros(1, *found["cam"].shape[1:])
    walked = F.pad(found["cam"] * (1 - edge), (5, 5, 0, 5))[..., :-5, 5:-5]
    large = F.interpolate(walked[:, None], scale_factor=4, mode="bilinear", align_corners=False)
    large = large[:, 0, : SIZE[0], : SIZE[1]]
    best_small = torch.argmax(F.pad(large / large.max(), (0, 0, 0, 0, 1, 0), value=0.25), dim=0)
    assert keys[best_small.numpy()].shape == SIZE
    assert set(np.unique(keys[best_small.numpy()])) <= {0, 1, 15}


@pytest.mark.parametrize("shape", [(0, 4, 5), (1, 4, 5), (3, 7, 2)])
@pytest.mark.parametrize("dtype", [np.int64, np.float32])
def test_a_saved_tensor_is_the_one_that_torch_saves(
    tmp_path: Path, shape: tuple[int, ...], dtype: Any
) -> None:
    values = (100 * np.random.default_rng(0).random(shape)).astype(dtype)
    written = []
    for _ in range(2):
        save_array_dict(tmp_path / "x.npy", {"a": SavedTensor(values.copy())})
        written.append((tmp_path / "x.npy").read_bytes())
    assert written[0] == written[1]
    ours = np.load(tmp_path / "x.npy", allow_pickle=True).item()["a"]
    assert isinstance(ours, torch.Tensor) and torch.equal(ours, torch.from_numpy(values))
    ours += 1  # memory of its own
    read = load_array_dict(tmp_path / "x.npy", tensors=True)["a"]
    assert np.array_equal(read, values) and read.dtype == dtype


def test_small_maps_of_irnet_are_cell_means(tmp_path: Path) -> None:
    maps = np.random.default_rng(2).random((1, 12, 16), np.float32)
    write_irn(tmp_path / "x.npy", Cam(np.array([3], np.uint8), maps, (12, 16)))
    small = np.load(tmp_path / "x.npy", allow_pickle=True).item()["cam"].numpy()
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
        (
            {"keys": np.array([0]), "cam": ONES, "high_res": ONES[None]},
            "the IRNet family.*format irn",
        ),
        ({"keys": np.array([0, 1]), "hr_cam": ONES[None]}, "the Puzzle-CAM family.*format irn"),
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
        ({"keys": np.array([0]), "cam": ONES[None]}, "small maps 'cam' only.*high_res .IRNet."),
        ({"keys": np.array([0, 1]), "IS_CAM": np.stack([ONES] * 2)}, "SIPE.*format png"),
        ({"keys": np.array([0]), "maps": ONES[None]}, "its own keys are: keys, maps"),
        ({"keys": np.array([])}, "holds no class map"),
        ({"keys": np.array([1, 2]), "hr_cam": np.stack([ONES] * 2)}, "not those of Puzzle-CAM"),
        ({"keys": np.array([0, 2]), "hr_cam": np.stack([ONES] * 2)}, "not those of Puzzle-CAM"),
        ({"keys": np.array([0, 0]), "hr_cam": ONES[None]}, r"not in 0\.\.253"),
        (irn([0.5], ONES[None]), "keys are float64"),
        (irn([0, 1], ONES[None]), r"shape \(1, 2, 3\) for 2 classes"),
        (irn([0], ONES), r"shape \(2, 3\) for 1 classes"),
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


NO_CAMS = {
    "a little above 1": (
        lambda maps: maps * 1.0011,
        r"from .* to 1\.001, .*normalised to \[0, 1\]",
    ),
    "a little below 0": (lambda maps: maps - 0.005, r"from -0\.00.*normalised to \[0, 1\]"),
    "grey values": (lambda maps: np.rint(maps * 255), "grey values, which are divided by 255"),
    "logits": (lambda maps: 9 * maps - 4, "class scores before any normalisation"),
    "logarithms": (lambda maps: np.log(maps + 1e-6) - 1e-3, "logarithms of probabilities"),
    "sums over scales": (lambda maps: 8 * maps, "to 8, but.*divide the positive part"),
    "NaN": (lambda maps: np.where(maps > 0.9, np.nan, maps), "NaN or infinite"),
    "inf": (lambda maps: np.where(maps > 0.9, np.inf, maps), "NaN or infinite"),
    "-inf": (lambda maps: np.where(maps > 0.9, -np.inf, maps), "NaN or infinite"),
}


@pytest.mark.parametrize("name", list(NO_CAMS))
def test_values_that_are_those_of_no_cam(name: str) -> None:
    change, said = NO_CAMS[name]
    maps = change(random_cam().maps).astype(np.float32)
    with pytest.raises(UserError, match=rf"x\.npy.*{said}"):
        bounded(Cam(np.array([1, 15], np.uint8), maps, SIZE), Path("x.npy"))
