"""Every public function takes arrays as they come, read-only (``numpy.asarray`` of a Pillow image) and with gaps in
memory, gives the same for them, and leaves them as they were."""

from __future__ import annotations

import copy
import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch

import wsssbench.evaluation
import wsssbench.files
import wsssbench.ops
from wsssbench.evaluation import (
    bootstrap,
    boundary,
    class_rates,
    confusion,
    confusion_file,
    doubts,
    image_counts,
    ranking,
    score_files,
)
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.files import artefacts, cam_formats, image_labels, images, npy, weights
from wsssbench.files.npy_tensors import SavedTensor
from wsssbench.interfaces import Cam, Scores
from wsssbench.ops import affinity, cam, crf, erase, label_map, random_walk

RANDOM = np.random.default_rng(0)
SIZE = (9, 12)
CLASSES = np.array([1, 3], np.uint8)
PHOTO = RANDOM.integers(0, 256, (*SIZE, 3), np.uint8)
LABEL = RANDOM.choice([0, 1, 3, 255], SIZE).astype(np.uint8)
MAPS = RANDOM.random((2, *SIZE), np.float32)
PLANES = RANDOM.random((3, *SIZE), np.float32)
COUNTS = ClassCounts(*np.sort(RANDOM.integers(1, 50, (3, 5, 4)), axis=0))
CAM = Cam(CLASSES, MAPS, SIZE)
OFFSETS = affinity.pair_offsets(3)
EDGES = RANDOM.random((len(OFFSETS), *SIZE), np.float32)
WALK = random_walk.transition(EDGES, OFFSETS, 2.0)
IMAGES, FEATURES = torch.rand(2, 3, 8, 10), torch.rand(2, 4, 8, 10)
PAIRS = affinity.pair_targets(torch.randint(0, 3, (2, 8, 10)), OFFSETS)


def written(write: Callable[..., None]) -> Callable[..., bytes]:
    """`write` as a function that returns the file's bytes."""

    def call(*args: Any) -> bytes:
        with TemporaryDirectory() as folder:
            write(Path(folder) / "x", *args)
            return (Path(folder) / "x").read_bytes()

    return call


def histogram(classes: np.ndarray, maps: np.ndarray, mask: np.ndarray) -> np.ndarray:
    counted = confusion.ScoreHistogram(3, [0.2, 0.5, 0.7])
    counted.add(classes, maps, mask)
    return counted.confusion(1)


def accumulated(prediction: Any, mask: np.ndarray) -> np.ndarray:
    grid = np.array([0.3], np.float32) if isinstance(prediction, Cam) else None
    counted = score_files.ConfusionAccumulator(3, grid, per_image=True)
    counted.add("x", prediction, mask)
    return counted.confusion(0)


def boundaries(predicted: np.ndarray, mask: np.ndarray) -> ClassCounts:
    with TemporaryDirectory() as folder:
        images.write_label(Path(folder) / "x.png", predicted)
        counted = boundary.Boundaries(Path(folder), 3)
        counted.add("x", mask)
        return counted.image_counts(["x"])


def tallied(classes: np.ndarray, maps: np.ndarray) -> Any:
    tally = doubts.Tally()
    tally.add_maps("x", classes, maps)
    return tally.maps


def loaded(state: dict[str, torch.Tensor]) -> torch.Tensor:
    layer = torch.nn.Linear(3, 2)
    weights.load_into(layer, state, "x.pth")
    return layer.weight.detach()


LAYER = {"weight": torch.rand(2, 3), "bias": torch.rand(2)}
MATRIX = confusion.confusion_of_labels(LABEL, LABEL.T.reshape(SIZE).copy(), 3)
CASES: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "affinity.block_mean": (affinity.block_mean, (MAPS, 4)),
    "affinity.affinity_labels": (affinity.affinity_labels, (PLANES, PLANES[::-1], CLASSES)),
    "affinity.pair_affinities": (affinity.pair_affinities, (FEATURES, OFFSETS)),
    "affinity.pair_targets": (affinity.pair_targets, (torch.randint(0, 3, (2, 8, 10)), OFFSETS)),
    "affinity.affinity_loss": (affinity.affinity_loss, (torch.rand(PAIRS[0].shape), *PAIRS)),
    "cam.normalise": (cam.normalise, (FEATURES,)),
    "cam.normalise_range": (cam.normalise_range, (FEATURES,)),
    "cam.upsample": (cam.upsample, (MAPS, (20, 30))),
    "cam.background_alpha": (cam.background_alpha, (MAPS, 4.0)),
    "crf.dense_crf": (crf.dense_crf, (PHOTO, PLANES, crf.PRESETS["psa"])),
    "crf.dense_crf_labels": (crf.dense_crf_labels, (PHOTO, LABEL % 3, 3, crf.PRESETS["irn"])),
    "erase.foreground": (erase.foreground, (FEATURES, torch.eye(4)[:2])),
    "erase.masked_image": (erase.masked_image, (IMAGES, FEATURES[:, :1], 0.7)),
    "erase.hard_masked_image": (erase.hard_masked_image, (IMAGES, FEATURES[:, :1], 0.7)),
    "label_map.label_map": (label_map.label_map, (PLANES, CLASSES, (20, 30), 0.4)),
    "label_map.thresholded": (label_map.thresholded, (MAPS, CLASSES, (20, 30), 0.4)),
    "random_walk.transition": (lambda a: random_walk.transition(a, OFFSETS, 2.0).toarray(), (EDGES,)),
    "random_walk.random_walk": (lambda s: random_walk.random_walk(s, WALK, 5), (MAPS,)),
    "bootstrap.scores": (bootstrap.scores, (COUNTS,)),
    "bootstrap.resampled": (bootstrap.resampled, (COUNTS, 20)),
    "bootstrap.interval": (bootstrap.interval, ([RANDOM.random(9)], [RANDOM.random(9)])),
    "boundary.near_contour": (boundary.near_contour, (LABEL, 2)),
    "boundary.boundary_counts": (boundary.boundary_counts, (LABEL, LABEL[::-1], 3)),
    "boundary.boundary_scores": (boundary.boundary_scores, (COUNTS,)),
    "boundary.Boundaries.add": (boundaries, (LABEL, LABEL[::-1])),
    "class_rates.class_rates": (class_rates.class_rates, (confusion.class_counts(MATRIX), list("abcd"))),
    "confusion.ScoreHistogram.add": (histogram, (CLASSES, MAPS, LABEL)),
    "confusion.confusion_of_labels": (confusion.confusion_of_labels, (LABEL, LABEL[::-1], 3)),
    "confusion.class_counts": (confusion.class_counts, (MATRIX,)),
    "confusion.metrics": (confusion.metrics, (MATRIX,)),
    "confusion.metrics_of_counts": (
        confusion.metrics_of_counts, (ClassCounts(*(x[0] for x in vars(COUNTS).values())),)
    ),
    "doubts.Tally.add_maps": (tallied, (CLASSES, MAPS)),
    "doubts.doubts": (
        lambda m: doubts.doubts(m, doubts.Tally(), doubts.Names(), cams=True, open_ended=True), (MATRIX,)
    ),
    "doubts.shifted": (doubts.shifted, (MATRIX, MATRIX.sum(axis=0))),
    "confusion_file.write_confusion": (
        lambda m: written(confusion_file.write_confusion)(m, ["a", "b", "c"]), (MATRIX,)
    ),
    "image_counts.write_image_counts": (
        lambda c: written(image_counts.write_image_counts)(list("abcde"), {"chosen": c}), (COUNTS,)
    ),
    "ranking.average_precision": (ranking.average_precision, (RANDOM.random(9), np.arange(9) % 2 == 0)),
    "score_files.ConfusionAccumulator.add": (accumulated, (LABEL, LABEL[::-1])),
    "score_files.ConfusionAccumulator.add of a CAM": (accumulated, (CAM, LABEL)),
    "artefacts.write_cam": (written(artefacts.write_cam), (CAM,)),
    "artefacts.write_cam exactly": (written(artefacts.write_cam), (CAM, True)),
    "artefacts.write_scores": (written(artefacts.write_scores), (Scores(CLASSES, PLANES, SIZE),)),
    "cam_formats.write_psa": (written(cam_formats.write_psa), (CAM,)),
    "cam_formats.write_irn": (written(cam_formats.write_irn), (CAM,)),
    "cam_formats.bounded": (cam_formats.bounded, (replace(CAM, maps=MAPS - np.float32(5e-4)), Path("x"))),
    "image_labels.stack": (lambda given: image_labels.stack(given, ["a"], "x"), ({"a": np.eye(4)[0]},)),
    "images.write_image": (written(images.write_image), (PHOTO,)),
    "images.write_label": (written(images.write_label), (LABEL,)),
    "images.label_from_colours": (images.label_from_colours, (images.voc_palette()[LABEL],)),
    "npy.save_array_dict": (written(npy.save_array_dict), ({0: MAPS, 7: LABEL},)),
    "npy.save_array_dict of tensors": (
        lambda m: written(npy.save_array_dict)({"a": SavedTensor(m)}), (MAPS,)
    ),
    "weights.load_into": (loaded, (LAYER,)),
}  # fmt: skip
# Files of a data set's labels, and functions that hand their arrays on to one of the above.
ELSEWHERE = {"image_labels.write_labels_csv", "score_files.score_files", "weights.match_weights"}


def public_functions() -> Iterator[str]:
    """The functions and methods of three rooms that take arrays, as ``module.function``."""
    kinds = ("ndarray", "Tensor", "Cam", "Scores", "Counts")
    for room in (wsssbench.ops, wsssbench.evaluation, wsssbench.files):
        for info in pkgutil.iter_modules(room.__path__):
            module = importlib.import_module(f"{room.__name__}.{info.name}")
            for name, thing in vars(module).items():
                if name.startswith("_") or getattr(thing, "__module__", "") != module.__name__:
                    continue
                found = {name: thing}
                if inspect.isclass(thing):
                    found = {f"{name}.{k}": v for k, v in vars(thing).items() if k[0] != "_"}
                for path, function in found.items():
                    notes = (
                        getattr(function, "__annotations__", {})
                        if inspect.isfunction(function)
                        else {}
                    )
                    if any(
                        kind in str(v) for k, v in notes.items() if k != "return" for kind in kinds
                    ):
                        yield f"{info.name}.{path}"


def test_no_function_is_forgotten() -> None:
    tested = {name.split(" ")[0] for name in CASES}
    assert set(public_functions()) == tested | ELSEWHERE, (
        "give a new function a case, and a gone one none"
    )


def changed(value: Any, change: Callable[[Any], Any]) -> Any:
    """`value` with `change` made to every array and tensor in it."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: changed(of, change) for key, of in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(changed(of, change) for of in value)
    if is_dataclass(value) and not isinstance(value, type):
        of = {f.name: changed(getattr(value, f.name), change) for f in fields(value)}
        return replace(value, **of)
    return value


def read_only(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.clone()
    found = np.array(value, order="C")
    found.flags.writeable = False
    return found


def with_gaps(value: Any) -> Any:
    every_other = (slice(None, None, 2),) * value.ndim
    if isinstance(value, torch.Tensor):
        whole = torch.zeros([2 * side for side in value.shape], dtype=value.dtype)
        whole[every_other] = value
        return whole[every_other]
    base = np.zeros([2 * side for side in value.shape], value.dtype)
    base[every_other] = value
    base.flags.writeable = False
    return base[every_other]


def plain(value: Any) -> Any:
    """What can be compared with ``==``."""
    if isinstance(value, np.ndarray | torch.Tensor):
        array = np.asarray(value)
        return (array.dtype, array.shape, array.tobytes())
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, list | tuple):
        return [plain(of) for of in value]
    return {key: plain(of) for key, of in value.items()} if isinstance(value, dict) else value


@pytest.mark.parametrize("change", [read_only, with_gaps])
@pytest.mark.parametrize("name", list(CASES))
def test_arrays_are_taken_as_they_come(name: str, change: Callable[[Any], Any]) -> None:
    function, args = CASES[name]
    expected = plain(function(*copy.deepcopy(args)))
    given = changed(args, change)
    before = plain(given)
    assert plain(function(*given)) == expected
    assert plain(given) == before
