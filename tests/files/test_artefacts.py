from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.artefacts import (
    check,
    read_cam,
    read_label,
    read_scores,
    write_cam,
    write_scores,
)
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam, Scores

BENCH = Path(__file__).parents[2] / "tools" / "bench_artefacts.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("bench_artefacts", BENCH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def random_cam(seed: int = 0, classes: tuple[int, ...] = (3, 15), grid: int = 9) -> Cam:
    maps = np.random.default_rng(seed).random((len(classes), grid, grid + 2), dtype=np.float32)
    maps /= maps.max(axis=(1, 2), keepdims=True)
    return Cam(np.array(classes, np.uint8), maps, (100, 120))


def random_scores(seed: int = 0, top: float = 1.0) -> Scores:
    planes = np.random.default_rng(seed).random((3, 20, 31), dtype=np.float32) * np.float32(top)
    return Scores(np.array([3, 15], np.uint8), planes, (20, 31))


def scenes(count: int, seed: int) -> list[np.ndarray]:
    """Label maps of 150..250 pixels with one to three ellipses of four classes."""
    rng = np.random.default_rng(seed)
    masks = []
    for _ in range(count):
        height, width = rng.integers(150, 250, 2)
        y, x = np.mgrid[:height, :width]
        mask = np.zeros((height, width), np.uint8)
        for value in rng.choice(4, rng.integers(1, 4), replace=False) + 1:
            cy, cx = rng.uniform(0.2, 0.8, 2) * (height, width)
            ry, rx = rng.uniform(0.1, 0.4, 2) * (height, width)
            mask[((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1] = value
        masks.append(mask)
    return masks


def test_small_cam_comes_back_in_steps_of_one_255th(tmp_path: Path) -> None:
    cam = random_cam()
    write_cam(tmp_path / "a.npz", cam)
    back = read_cam(tmp_path / "a.npz")
    assert back.classes.tolist() == [3, 15] and back.size == (100, 120)
    assert back.maps.dtype == np.float32 and back.maps.shape == cam.maps.shape
    assert np.abs(back.maps - cam.maps).max() <= 0.5 / 255 + 1e-6
    assert back.maps.max(axis=(1, 2)).tolist() == [1, 1]


@pytest.mark.parametrize("size", [(64, 48), (65, 47)])
def test_large_cam_is_halved_and_keeps_its_peak(tmp_path: Path, size: tuple[int, int]) -> None:
    y, x = np.mgrid[: size[0], : size[1]]
    peak = np.exp(-((y - 20) ** 2 + (x - 31) ** 2) / 60).astype(np.float32)
    write_cam(tmp_path / "a.npz", Cam(np.array([7], np.uint8), peak[None], size))
    back = read_cam(tmp_path / "a.npz")
    assert back.maps.shape == (1, (size[0] + 1) // 2, (size[1] + 1) // 2) and back.size == size
    assert back.maps.max() == 1
    if size == (64, 48):  # exactly the means of 2 x 2 blocks, but for the peak
        means = peak.reshape(32, 2, 24, 2).mean(axis=(1, 3))
        means.flat[means.argmax()] = 1
        assert np.abs(back.maps[0] - means).max() <= 0.5 / 255 + 1e-6


def exact_cams() -> dict[str, Cam]:
    rng = np.random.default_rng(4)
    classes = np.array([3, 15], np.uint8)
    fine = rng.random((2, 31, 43), np.float32)
    return {
        "full size": Cam(classes, fine, (31, 43)),
        "smaller": Cam(classes, fine, (100, 90)),
        "half precision": Cam(classes, fine.astype("f2").astype("f4"), (31, 43)),
        "tiny values": Cam(classes, fine * np.float32(1e-30), (31, 43)),
        "negative zero": Cam(classes, -np.zeros((2, 3, 4), np.float32), (3, 4)),
        "no class": Cam(classes[:0], fine[:0], (31, 43)),
    }


@pytest.mark.parametrize("name", list(exact_cams()))
def test_exact_cams_keep_every_bit(tmp_path: Path, name: str) -> None:
    cam = exact_cams()[name]
    write_cam(tmp_path / "a.npz", cam, exact=True)
    back = read_cam(tmp_path / "a.npz")
    assert back.classes.tolist() == cam.classes.tolist() and back.size == cam.size
    assert back.maps.dtype == np.float32 and back.maps.shape == cam.maps.shape
    assert back.maps.tobytes() == cam.maps.tobytes()
    write_cam(tmp_path / "b.npz", back, exact=True)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    stored = np.load(tmp_path / "a.npz")["maps"].dtype
    assert stored == (np.float32 if name in ("full size", "smaller", "tiny values") else np.float16)


def test_exact_values_out_of_contract_are_corrupt(tmp_path: Path) -> None:
    for dtype in ("f2", "f4"):
        for values, fine in (
            ([0, 1], True),
            ([0, 1.01], False),
            ([0, np.nan], False),
            ([-0.1, 1], False),
        ):
            maps = np.array(values, dtype).reshape(1, 1, 2)
            np.savez(tmp_path / "x.npz", classes=np.array([3], np.uint8), maps=maps,
                     size=np.array([4, 4], np.int32))  # fmt: skip
            assert check(tmp_path / "x.npz", "cam") == fine
    np.savez(tmp_path / "x.npz", classes=np.array([3], np.uint8), maps=np.ones((1, 1, 2)),
             size=np.array([4, 4], np.int32))  # fmt: skip
    with pytest.raises(CorruptArtefactError, match="its 'maps' is float64"):
        read_cam(tmp_path / "x.npz")


def test_cam_without_classes_and_with_a_zero_map(tmp_path: Path) -> None:
    empty = Cam(np.zeros(0, np.uint8), np.zeros((0, 5, 6), np.float32), (10, 12))
    write_cam(tmp_path / "a.npz", empty)
    assert read_cam(tmp_path / "a.npz").maps.shape == (0, 5, 6)
    zero = Cam(np.array([1], np.uint8), np.zeros((1, 5, 6), np.float32), (10, 12))
    write_cam(tmp_path / "b.npz", zero)
    assert not read_cam(tmp_path / "b.npz").maps.any()


@pytest.mark.parametrize("top", [1.0, 1e-6, 3e7, 0.0])
def test_scores_come_back_in_steps_of_their_maximum(tmp_path: Path, top: float) -> None:
    scores = random_scores(top=top)
    write_scores(tmp_path / "a.npz", scores)
    back = read_scores(tmp_path / "a.npz")
    assert back.classes.tolist() == [3, 15] and back.size == (20, 31)
    assert back.planes.dtype == np.float32 and back.planes.shape == (3, 20, 31)
    assert np.abs(back.planes - scores.planes).max() <= 0.51 * top / 65535


def test_equal_content_gives_equal_bytes_in_any_memory_layout(tmp_path: Path) -> None:
    cam, scores = random_cam(), random_scores()
    write_cam(tmp_path / "a", cam)
    write_cam(tmp_path / "b", Cam(cam.classes, np.asfortranarray(cam.maps), cam.size))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    write_scores(tmp_path / "c", scores)
    write_scores(
        tmp_path / "d", Scores(scores.classes, np.asfortranarray(scores.planes), scores.size)
    )
    assert (tmp_path / "c").read_bytes() == (tmp_path / "d").read_bytes()


def test_numpy_opens_the_archives(tmp_path: Path) -> None:
    write_cam(tmp_path / "a.npz", random_cam())
    with np.load(tmp_path / "a.npz") as archive:
        assert set(archive.files) == {"classes", "maps", "size"}
        assert archive["maps"].dtype == np.uint8


def broken_cams() -> dict[str, Cam]:
    good = random_cam()
    nan = good.maps.copy()
    nan[0, 0, 0] = np.nan
    return {
        "NaN": Cam(good.classes, nan, good.size),
        "negative": Cam(good.classes, good.maps - 0.5, good.size),
        r"in \[0, 1\]": Cam(good.classes, good.maps * 2, good.size),
        "2 planes for 1 classes": Cam(good.classes[:1], good.maps, good.size),
        "ascending": Cam(good.classes[::-1], good.maps, good.size),
        r"1\.\.254": Cam(np.array([0, 3], np.uint8), good.maps, good.size),
        "uint8": Cam(good.classes.astype(int), good.maps, good.size),
        "float64": Cam(good.classes, good.maps.astype(float), good.size),
        "do not suit": Cam(good.classes, good.maps, (5, 5)),
        "shape": Cam(good.classes, good.maps[0], good.size),
    }


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("sentence", list(broken_cams()))
def test_writing_against_the_contract_is_a_sentence(
    tmp_path: Path, sentence: str, exact: bool
) -> None:
    with pytest.raises(UserError, match=sentence):
        write_cam(tmp_path / "2007_000032.npz", broken_cams()[sentence], exact=exact)
    assert not list(tmp_path.iterdir())


def test_negative_scores_are_refused(tmp_path: Path) -> None:
    scores = random_scores()
    with pytest.raises(UserError, match="negative"):
        write_scores(tmp_path / "x", Scores(scores.classes, -scores.planes, scores.size))


@pytest.mark.parametrize("kind", ["cam", "exact", "scores", "label"])
def test_no_damage_goes_unseen(tmp_path: Path, kind: str) -> None:
    """Whatever bit flips: an error, or (in a byte that means nothing) exactly the same content."""
    path = tmp_path / "x"
    exact, kind = kind == "exact", kind.replace("exact", "cam")
    read = {"cam": read_cam, "scores": read_scores, "label": read_label}[kind]
    if kind == "cam":
        write_cam(path, random_cam(), exact)
    elif kind == "scores":
        write_scores(path, random_scores())
    else:
        write_label(path, np.random.default_rng(0).integers(0, 21, (20, 31), dtype=np.uint8))
    good, original = path.read_bytes(), read(path)
    rng = np.random.default_rng(5)
    headers = [*range(60), *range(len(good) - 300, len(good))]
    for at in [*headers, *rng.integers(0, len(good), 200).tolist()]:
        damaged = bytearray(good)
        damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            again = read(path)
        except CorruptArtefactError:
            continue
        assert repr(again) == repr(original)
        arrays = zip(_arrays(again), _arrays(original), strict=True)
        assert all(np.array_equal(a, b) for a, b in arrays)
    for length in (0, 1, 50, len(good) // 2, len(good) - 1):
        path.write_bytes(good[:length])
        assert not check(path, kind)
    path.write_bytes(good)
    assert check(path, kind)


def _arrays(value: object) -> list[np.ndarray]:
    if isinstance(value, Cam):
        return [value.classes, value.maps]
    if isinstance(value, Scores):
        return [value.classes, value.planes]
    assert isinstance(value, np.ndarray)
    return [value]


def test_missing_and_foreign_files_are_corrupt(tmp_path: Path) -> None:
    with pytest.raises(CorruptArtefactError, match="no such file"):
        read_cam(tmp_path / "gone.npz")
    assert not check(tmp_path / "gone.png", "label")
    write_scores(tmp_path / "s.npz", random_scores())
    with pytest.raises(CorruptArtefactError, match="planes"):
        read_cam(tmp_path / "s.npz")
    np.savez(tmp_path / "f.npz", classes=np.array([3]), maps=np.zeros((1, 2, 2)), size=[4, 4])
    with pytest.raises(CorruptArtefactError, match=r"int64|float64"):
        read_cam(tmp_path / "f.npz")
    np.savez(tmp_path / "o.npz", classes=np.array([{}], dtype=object))
    with pytest.raises(CorruptArtefactError):
        read_cam(tmp_path / "o.npz")


def test_stored_values_out_of_contract_are_corrupt(tmp_path: Path) -> None:
    def stored(**changes: object) -> Path:
        arrays = {
            "classes": np.array([3, 5], np.uint8),
            "maps": np.zeros((2, 4, 4), np.uint8),
            "size": np.array([8, 8], np.int32),
        }
        np.savez(tmp_path / "x.npz", **{**arrays, **changes})
        return tmp_path / "x.npz"

    assert check(stored(), "cam")
    assert not check(stored(classes=np.array([5, 3], np.uint8)), "cam")
    assert not check(stored(classes=np.array([3, 255], np.uint8)), "cam")
    assert not check(stored(maps=np.zeros((3, 4, 4), np.uint8)), "cam")
    assert not check(stored(size=np.array([3, 8], np.int32)), "cam")
    assert not check(stored(size=np.array([8], np.int32)), "cam")


def assert_compact(bench: ModuleType, masks: list[np.ndarray], tmp_path: Path) -> None:
    full, stored, rng = bench.Curve(), bench.Curve(), np.random.default_rng(0)
    sizes = {"full": 0, "stored": 0}
    for mask in masks:
        cam = bench.imitated_cam(mask, rng)
        write_cam(tmp_path / "x.npz", cam)
        back = read_cam(tmp_path / "x.npz")
        sizes["full"] += cam.maps.nbytes
        sizes["stored"] += (tmp_path / "x.npz").stat().st_size
        full.add(cam.maps, cam.classes, mask)
        stored.add(bench.upsample(back.maps, cam.size), cam.classes, mask)
    assert 35 < full.miou().max() < 90  # neither trivial nor hopeless
    assert sizes["stored"] <= sizes["full"] / 10
    assert abs(full.miou().max() - stored.miou().max()) < 0.1


def test_cams_are_compact_and_keep_their_miou(bench: ModuleType, tmp_path: Path) -> None:
    assert_compact(bench, scenes(30, seed=2), tmp_path)


def test_cams_of_real_masks_are_compact(bench, minivoc: Path, tmp_path: Path) -> None:
    paths = sorted((minivoc / "SegmentationClass").glob("*.png"))[:20]
    assert_compact(bench, [read_label(path) for path in paths], tmp_path)


def test_benchmark_curve_is_the_naive_one(bench: ModuleType) -> None:
    rng = np.random.default_rng(3)
    mask = rng.choice(np.array([0, 1, 2, 255], np.uint8), (12, 13))
    maps = (rng.integers(0, 200, (2, 12, 13)) / 200 + 1e-3).astype(np.float32)
    curve = bench.Curve()
    curve.add(maps, np.array([1, 2], np.uint8), mask)
    for level in (0, 50, 120, 199):
        predicted = np.where(maps.max(0) >= level / 200, 1 + maps.argmax(0), 0)[mask != 255]
        truth = mask[mask != 255]
        ious = [
            ((predicted == k) & (truth == k)).sum() / ((predicted == k) | (truth == k)).sum()
            for k in range(3)
        ]
        assert curve.miou()[level] == pytest.approx(100 * np.mean(ious))
