from __future__ import annotations

import os
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from pixels import denormalise
from two_colours import blob, write_items

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.artefacts import read_cam
from wsssbench.files.images import read_image, read_label, write_label
from wsssbench.interfaces import Cam, RunContext, Scores, photo_of
from wsssbench.models.preprocess import normalise
from wsssbench.ops.affinity import affinity_labels, block_mean, pair_affinities, pair_offsets
from wsssbench.ops.cam import background_alpha, upsample
from wsssbench.ops.crf import PRESETS, dense_crf
from wsssbench.parallel import jobs
from wsssbench.plugins import load
from wsssbench.progress import Silent
from wsssbench.refinements import trained as trained_refinements
from wsssbench.refinements.affinity_training import AffinityCrops, LabelMaker, make_labels
from wsssbench.refinements.affinity_walk import AffinityWalk

SIZES = [(48, 64), (45, 61), (64, 64), (30, 41)]
MAKER = LabelMaker((4.0, 24.0), PRESETS["psa"], 4)
TINY = {
    "backbone": {"type": "Colours"},
    "stride": 4,
    "radius": 3,
    "channels": (8, 8),
    "crop": 48,
    "steps": 32,
    "background_alpha": 2.0,
    "schedule": {"batch_size": 4, "iterations": 40, "lr": 0.02},
}


@pytest.fixture(autouse=True, scope="module")
def registered_backbone() -> Iterator[None]:
    registry = load().registries.backbone
    registry.add("Colours", "two_colours:Colours", summary="for tests")
    yield
    del registry.components["Colours"]


def context(directory: Path, workers: int = 0, seed: int = 0) -> RunContext:
    directory.mkdir(exist_ok=True)
    return RunContext(directory, "cpu", workers, seed, Silent())


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("affinity")
    AffinityWalk(**TINY).fit(write_items(directory, SIZES), 3, context(directory / "fit"))
    return directory / "fit"


def loaded(directory: Path, **changed: object) -> AffinityWalk:
    walk = AffinityWalk(**{**TINY, **changed})
    walk.load(directory, "cpu")
    return walk


# labels


def test_labels_are_made_by_two_crfs(tmp_path: Path) -> None:
    items = write_items(tmp_path, SIZES)
    files = make_labels(items, MAKER, tmp_path / "labels", context(tmp_path))
    for item, file, size in zip(items, files, SIZES, strict=True):
        image, cam = read_image(item.image), read_cam(item.given)
        maps = upsample(cam.maps, size)
        scores = [
            dense_crf(image, np.concatenate([background_alpha(maps, a)[None], maps]), MAKER.crf)
            for a in (4, 24)
        ]
        expected = affinity_labels(*(block_mean(s, 4) for s in scores), cam.classes)
        np.testing.assert_array_equal(read_label(file), expected)
    assert {0, 2} <= set(np.unique(read_label(files[0])))
    assert (read_label(files[-1]) == 0).all()  # no class: all background


@pytest.mark.usefixtures("warm_workers")
def test_labels_continue_after_a_kill_and_do_not_depend_on_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = write_items(tmp_path, SIZES)
    files = make_labels(items, MAKER, tmp_path / "labels", context(tmp_path))
    before = [file.read_bytes() for file in files]
    files[1].unlink()
    files[2].write_bytes(before[2][:-20])
    os.utime(files[0], (1, 1))
    monkeypatch.setattr(jobs, "_POOL_FROM", 1)  # two images, two processes
    make_labels(items, MAKER, tmp_path / "labels", context(tmp_path, workers=2))
    assert [file.read_bytes() for file in files] == before
    assert files[0].stat().st_mtime == 1  # not made again


# crops


@pytest.mark.parametrize("crop", [32, 48, 80])
def test_crops_show_labels_where_their_pixels_are(tmp_path: Path, crop: int) -> None:
    items = write_items(tmp_path, SIZES)
    paths, files = [item.image for item in items], []
    for i, item in enumerate(items):
        # a label that can be read off the image: is the cell's mean red above its mean blue?
        means = block_mean(read_image(item.image).transpose(2, 0, 1), 4)
        files.append(tmp_path / f"label_{i}.png")
        write_label(files[-1], (means[0] > means[2]).astype(np.uint8))
    data = AffinityCrops(paths, files, crop=crop, stride=4, flip=True, seed=3)
    assert len(data) == len(SIZES)
    for position in range(40):
        draw = data[position % len(SIZES), position]
        labels, image = draw["labels"].numpy(), draw["images"].numpy()
        assert image.shape == (3, crop, crop)
        assert labels.shape == (crop // 4, crop // 4)
        inside = labels != 255
        assert inside.any()
        blank = ~(image != 0).any(axis=0)
        filled = block_mean((~blank).astype(np.float32)[None], 4)[0]
        assert (filled[~inside] == 0).all()
        assert (filled[inside] > 0).all()
        pixels = denormalise(image).transpose(2, 0, 1) * ~blank
        means = block_mean(pixels, 4)
        np.testing.assert_array_equal((means[0] > means[2])[inside], labels[inside] == 1)


def test_crops_depend_on_seed_and_position_only(tmp_path: Path) -> None:
    items = write_items(tmp_path, SIZES)
    files = make_labels(items, MAKER, tmp_path / "labels", context(tmp_path))

    def crops(seed: int) -> AffinityCrops:
        paths = [item.image for item in items]
        return AffinityCrops(paths, files, crop=32, stride=4, flip=True, seed=seed)

    first, again, other = crops(0), crops(0), crops(1)
    for position in (7, 3):
        assert torch.equal(first[0, position]["images"], again[0, position]["images"])
    assert not torch.equal(first[0, 3]["images"], first[0, 4]["images"])
    assert any(not torch.equal(first[0, p]["images"], other[0, p]["images"]) for p in range(5))


# fit, load, refine


def test_fitted_walk_moves_the_cam_to_the_object(fitted: Path) -> None:
    walk = loaded(fitted)
    for seed, size in ((100, (64, 64)), (101, (61, 45))):
        image, truth, cam = blob(seed, size)
        before = np.concatenate([np.full((1, *size), 0.5), upsample(cam.maps, size)]).argmax(0)
        scores = walk.refine(photo_of(image), cam)
        after = upsample(scores.planes, scores.size).argmax(axis=0)
        wrong_before = ((before > 0) != (truth > 0)).mean()
        wrong_after = ((after > 0) != (truth > 0)).mean()
        assert wrong_after < wrong_before * 0.7


def test_refine_is_the_dense_walk(fitted: Path) -> None:
    walk = loaded(fitted, steps=16)
    image, _, cam = blob(7, (40, 48))
    offsets = pair_offsets(3)
    with torch.no_grad():
        pixels = torch.from_numpy(normalise(image))[None]
        a = pair_affinities(walk._network(pixels), offsets)[0].double().numpy()
    matrix = np.eye(120)
    for p, (dy, dx) in enumerate(offsets):
        for i in range(120):
            y, x = i // 12 + dy, i % 12 + dx
            if y < 10 and 0 <= x < 12:
                matrix[i, y * 12 + x] = matrix[y * 12 + x, i] = a[p, i // 12, i % 12]
    matrix = matrix**8
    matrix = np.linalg.matrix_power(matrix / matrix.sum(axis=0), 16)
    maps = upsample(cam.maps, (40, 48))
    planes = np.concatenate([(1 - maps) ** 2, maps]).reshape(2, 10, 4, 12, 4).mean(axis=(2, 4))
    result = walk.refine(photo_of(image), cam)
    assert (result.planes.shape, result.size) == ((2, 10, 12), (40, 48))
    np.testing.assert_allclose(
        result.planes.reshape(2, -1), planes.reshape(2, -1) @ matrix, rtol=1e-3, atol=1e-5
    )


def test_refine_is_psa_s_recipe_for_several_classes_at_odd_sizes(fitted: Path) -> None:
    """Pad to the grid, block means with the background of the largest map, T^(2^6), up, cut."""
    size, (rows, columns) = (37, 45), (10, 12)
    walk = loaded(fitted, steps=64, background_alpha=16.0)
    image, _, _ = blob(8, size)
    maps = np.random.default_rng(8).random((2, *size), np.float32)
    padded_image = np.zeros((3, 4 * rows, 4 * columns), np.float32)
    padded_image[:, : size[0], : size[1]] = normalise(image)
    offsets = pair_offsets(3)
    with torch.no_grad():
        pixels = torch.from_numpy(padded_image)[None]
        a = pair_affinities(walk._network(pixels), offsets)[0].double().numpy()
    matrix = np.eye(rows * columns)
    for p, (dy, dx) in enumerate(offsets):
        for y in range(rows - dy):
            for x in range(max(0, -dx), min(columns, columns - dx)):
                i, j = y * columns + x, (y + dy) * columns + x + dx
                matrix[i, j] = matrix[j, i] = a[p, y, x] ** 8
    matrix /= matrix.sum(axis=0)
    for _ in range(6):
        matrix = matrix @ matrix
    planes = np.zeros((3, 4 * rows, 4 * columns))
    planes[0, : size[0], : size[1]] = (1 - maps.max(axis=0)) ** 16
    planes[1:, : size[0], : size[1]] = maps
    pooled = planes.reshape(3, rows, 4, columns, 4).mean(axis=(2, 4)).reshape(3, -1)
    walked = torch.from_numpy((pooled @ matrix).reshape(1, 3, rows, columns))
    up = torch.nn.functional.interpolate(walked, scale_factor=4, mode="bilinear")[0].numpy()
    result = walk.refine(photo_of(image), Cam(np.array([2, 5], np.uint8), maps, size))
    assert result.classes.tolist() == [2, 5]
    expected = up[:, : size[0], : size[1]]
    np.testing.assert_allclose(
        upsample(result.planes, size), expected, rtol=1e-3, atol=1e-3 * expected.max()
    )


@pytest.mark.parametrize("size", [(64, 64), (61, 64), (37, 50), (3, 7)])
def test_scores_lie_where_they_belong_at_any_size(fitted: Path, size: tuple[int, int]) -> None:
    walk = loaded(fitted, steps=0)  # leaves the means of blocks
    image = np.zeros((*size, 3), np.uint8)
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    ramps = np.stack([y, x]) + 1
    classes = np.array([2], np.uint8)
    result = walk.refine(photo_of(image), Scores(classes, ramps, size))
    planes = upsample(result.planes, result.size)
    assert planes.shape == (2, *size)
    inner = (slice(None), slice(2, size[0] - 8), slice(2, size[1] - 8))  # the rest mixes padding
    np.testing.assert_allclose(planes[inner], ramps[inner], atol=1e-3)


def test_image_without_class_is_background(fitted: Path) -> None:
    image, _, cam = blob(9, (37, 50))
    nothing = Scores(cam.classes[:0], np.ones((1, 37, 50), np.float32), (37, 50))
    scores = AffinityWalk(**TINY).refine(photo_of(image), nothing)
    assert (scores.planes == np.ones((1, 37, 50))).all()
    assert scores.classes.size == 0


def test_the_embedding_alone_learns_at_the_rate_of_new_layers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = []
    monkeypatch.setattr(trained_refinements, "train", lambda *a, **_: trained.append(a))
    schedule = {**TINY["schedule"], "new_layers_lr": 7.0}
    walk = AffinityWalk(**{**TINY, "schedule": schedule})
    walk.fit(write_items(tmp_path, SIZES), 3, context(tmp_path / "fit"))
    ((task, _, _, _, faster),) = trained
    rates = {
        name: {factor for part, factor in faster.items() if part in name}
        for name, _ in task.named_parameters()
    }
    embedding = {name for name in rates if not name.startswith("network.backbone.")}
    assert len(embedding) == len(TINY["channels"]) + 1
    assert {name for name, factors in rates.items() if factors} == embedding
    assert all(rates[name] == {7.0} for name in embedding)


def test_defaults_are_psa_s() -> None:
    walk = AffinityWalk(backbone={"type": "Colours"}, channels=(8, 8))
    assert (walk.stride, walk.beta, walk.steps, walk.background_alpha) == (8, 8.0, 2**8, 16.0)
    assert (len(walk.offsets), walk.crop, walk.labels.crf) == (34, 448, PRESETS["psa"])
    schedule = walk.schedule
    assert (schedule.batch_size, schedule.epochs, schedule.lr) == (8, 8, 0.1)
    assert (schedule.momentum, schedule.weight_decay, schedule.power) == (5e-4, 5e-4, 0.9)
    assert schedule.new_layers_lr == 10.0


def test_second_fit_returns_at_once(fitted: Path, tmp_path: Path) -> None:
    before = (fitted / "weights.pth").stat().st_mtime_ns
    AffinityWalk(**TINY).fit(write_items(tmp_path, SIZES), 3, context(fitted))
    assert (fitted / "weights.pth").stat().st_mtime_ns == before


def test_pickle_leaves_the_network_out(fitted: Path) -> None:
    walk = loaded(fitted)
    image, _, cam = blob(10, (48, 48))
    data = pickle.dumps(walk)
    assert len(data) < 4000
    copy = pickle.loads(data)
    with pytest.raises(RuntimeError, match="load"):
        copy.refine(photo_of(image), cam)
    copy.load(fitted, "cpu")
    np.testing.assert_array_equal(
        copy.refine(photo_of(image), cam).planes, walk.refine(photo_of(image), cam).planes
    )


def test_damaged_or_missing_weights_are_named(fitted: Path, tmp_path: Path) -> None:
    with pytest.raises(CorruptArtefactError, match=r"weights\.pth"):
        loaded(tmp_path)
    (tmp_path / "weights.pth").write_bytes((fitted / "weights.pth").read_bytes()[:500])
    with pytest.raises(CorruptArtefactError, match=r"weights\.pth"):
        loaded(tmp_path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"alpha": (24, 4)}, "low < high"),
        ({"crop": 50}, "crop=50 has to be a multiple of stride=4"),
        ({"stride": 0}, "stride=0"),
        ({"beta": -1.0}, "beta=-1.0"),
        ({"steps": -1}, "steps=-1"),
        ({"radius": 1}, "radius"),
        ({"crf_preset": "ps"}, "did you mean psa"),
        ({"backbone": {"type": "Colour"}}, "did you mean Colours"),
        ({"backbone": {"type": "Colours", "widht": 6}}, "did you mean width"),
        ({"schedule": {"batch_size": 4, "epochs": 1, "learning": 1}}, "unknown parameter"),
        ({"schedule": {"batch_size": 4, "lr": 1.0}}, "exactly one"),
    ],
)
def test_wrong_parameters_are_told_before_any_work(changed: dict, message: str) -> None:
    with pytest.raises(UserError, match=message):
        load().registries.refinement.build({"type": "AffinityWalk", **TINY, **changed})
