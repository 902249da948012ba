"""Pictures from the artefacts of runs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from made_up_cache import SIZE, write_cached_run
from tiny_experiment import TINY

from wsssbench.errors import UserError
from wsssbench.files.artefacts import read_cam, read_label, read_scores
from wsssbench.files.images import read_image
from wsssbench.ops.label_map import label_map
from wsssbench.pages.gallery import Shown, comparison_pictures, run_gallery
from wsssbench.results.collection import load
from wsssbench.results.image_pairs import extremes, image_pairs
from wsssbench.results.run_artefacts import RunArtefacts
from wsssbench.results.selection import select


@pytest.fixture
def run(tmp_path):
    return write_cached_run(tmp_path)


def titles(row):
    return [layer.title for layer in row.layers if not layer.part]


def test_a_runs_images_go_through_its_pipeline(run):
    files = RunArtefacts.of_run(run)
    rows = run_gallery(files, 3)
    assert [row.id for row in rows] == ["train_00000", "train_00002", "train_00004"]
    every = ["ground truth", "CAM", "+ CRF", "+ random walk", "pseudo-label", "prediction"]
    # only the first one was predicted
    assert [titles(row) for row in rows] == [every, every[:-1], every[:-1]]
    row, places = rows[0], files.directories
    assert (row.photo == read_image(files.dataset.image_path(row.id))).all()
    planes = {layer.title: layer.plane for layer in row.layers}
    heat = read_cam(places["cam"] / f"{row.id}.npz").maps.max(axis=0)
    assert np.allclose(planes["CAM"], heat, atol=1e-6)
    scores = read_scores(places["refine.crf"] / f"{row.id}.npz")
    assert (planes["+ CRF"] == label_map(scores.planes, scores.classes, scores.size)).all()
    assert (planes["pseudo-label"] == read_label(places["label"] / f"{row.id}.png")).all()
    assert (
        planes["prediction"] == read_label(places["predict"] / "gallery" / f"{row.id}.png")
    ).all()
    assert planes["ground truth"].shape == (SIZE, SIZE) and planes["ground truth"].any()


def test_every_class_has_its_cam_beside_their_maximum(run):
    files = RunArtefacts.of_run(run)
    (row,) = run_gallery(files, 1)
    maps = read_cam(files.directories["cam"] / f"{row.id}.npz").maps
    parts = {layer.title: layer.plane for layer in row.layers if layer.part}
    names = [files.dataset.classes[value - 1] for value in (2, 5)]
    assert list(parts) == [f"CAM: {name}" for name in names]
    assert all(
        np.allclose(parts[f"CAM: {n}"], m, atol=1e-6) for n, m in zip(names, maps, strict=True)
    )


def test_the_best_and_the_worst_of_each_split_are_shown(run):
    files = RunArtefacts.of_run(run)
    ids = files.dataset.ids("train")
    scores = dict(zip(ids, (30.0, 90.0, 10.0, 50.0, 70.0, 20.0), strict=True))
    shown = [Shown("train", "CAM", scores), Shown("val", "DeepLab", {})]
    rows = run_gallery(files, 4, shown=shown)
    groups = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row.id)
    assert groups["train: the best by CAM"] == [ids[1]]
    assert groups["train: the worst by CAM"] == [ids[2]]
    assert len(groups["train: spread evenly"]) <= 2 and len(groups["val"]) == 3
    every = [row.id for row in rows]
    assert len(set(every)) == len(every)
    best = next(row for row in rows if row.id == ids[1])
    assert best.numbers == (("IoU of CAM", "90.0"),)


def test_a_refinement_that_becomes_the_pseudo_label_is_shown_once(tmp_path):
    label = {"input": "rw", "confidence": 0.0}
    run = write_cached_run(tmp_path, "from CAMs", label=label)
    assert "+ random walk" in titles(run_gallery(RunArtefacts.of_run(run), 1)[0])
    refine = {**TINY["refine"], "rw": {**TINY["refine"]["rw"], "input": "crf"}}
    run = write_cached_run(tmp_path, "from CRF", label=label, refine=refine)
    assert "+ random walk" not in titles(run_gallery(RunArtefacts.of_run(run), 1)[0])


def test_a_work_folder_may_have_been_moved(tmp_path):
    run = write_cached_run(tmp_path / "old")
    shutil.move(tmp_path / "old", tmp_path / "new")
    moved = tmp_path / "new" / run.relative_to(tmp_path / "old")
    assert len(titles(run_gallery(RunArtefacts.of_run(moved), 1)[0])) == 6


def test_an_artefact_that_is_damaged_leaves_its_picture_out(run):
    files = RunArtefacts.of_run(run)
    (files.directories["cam"] / "train_00000.npz").write_bytes(b"x")
    (files.directories["label"] / "train_00000.png").unlink()
    assert titles(run_gallery(files, 1)[0]) == [
        "ground truth",
        "+ CRF",
        "+ random walk",
        "prediction",
    ]


def test_a_lost_cache_is_one_sentence(run, tmp_path):
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(UserError, match="not in the cache any more"):
        RunArtefacts.of_run(run)
    with pytest.raises(UserError, match="not the folder of a run"):
        RunArtefacts.of_run(tmp_path)


def test_rows_are_shown_at_the_chosen_rung(tmp_path):
    runs = [write_cached_run(tmp_path, name) for name in ("one", "another")]
    collection = load(runs)
    selection = select(collection, "CAM")
    pairs, _ = image_pairs(selection)
    most, least = extremes(pairs, 1)
    found = comparison_pictures(selection, 2, (most, least))
    assert [row.id for row in found.gallery] == ["train_00000", "train_00003"]
    assert [titles(row) for row in found.gallery] == [["ground truth", *selection.scored]] * 2
    assert [row.id for row in (*found.most, *found.least)] == [p.id for p in (*most, *least)]
    heat = read_cam(
        tmp_path / "cache" / "infer_cams" / "another-0-cam" / "train_00000.npz"
    ).maps.max(axis=0)
    assert np.allclose(found.gallery[0].layers[-1].plane, heat, atol=1e-6)
    assert found.notes == ()


def test_predictions_are_shown_on_their_own_split(tmp_path):
    runs = [write_cached_run(tmp_path, name) for name in ("one", "another")]
    selection = select(load(runs))
    assert selection.rung == "DeepLab"
    found = comparison_pictures(selection, 8, ((), ()))
    assert [row.id for row in found.gallery] == ["val_00000", "val_00001", "val_00002"]
    assert all(titles(row) == ["ground truth", *selection.scored] for row in found.gallery)


def test_another_seed_stands_in_for_one_that_is_lost(tmp_path):
    for seed in (0, 1):
        write_cached_run(tmp_path, "one", seed)
    shutil.rmtree(tmp_path / "cache" / "infer_cams" / "one-0-cam")
    selection = select(load([tmp_path / "runs" / "one"]), "CAM")
    assert titles(comparison_pictures(selection, 1, ((), ())).gallery[0]) == ["ground truth", "one"]


def test_rows_without_pictures_are_named_with_the_reason(tmp_path):
    runs = [write_cached_run(tmp_path, "one"), write_cached_run(tmp_path, "lost")]
    more = {"type": "SyntheticScenes", "train_images": 6, "val_images": 3, "image_size": 80}
    runs.append(write_cached_run(tmp_path, "larger", data=more))
    shutil.rmtree(tmp_path / "cache" / "infer_cams" / "lost-0-cam")
    selection = select(load(runs), "CAM")
    found = comparison_pictures(selection, 1, ((), ()))
    assert titles(found.gallery[0]) == ["ground truth", "one"]
    assert found.notes == (
        "No pictures of lost: the results are not in the cache any more, run again for pictures.",
        "No pictures of larger: another data set than that of one.",
    )
    shutil.rmtree(tmp_path / "cache")
    found = comparison_pictures(selection, 1, ((), ()))
    assert found.gallery == [] and len(found.notes) == 1
    assert found.notes[0].startswith("There are no pictures: the results are not in the cache")


def test_images_that_are_gone_are_one_sentence(tmp_path):
    runs = [write_cached_run(tmp_path, name) for name in ("one", "another")]
    shutil.rmtree(tmp_path / "cache" / "generate" / "scenes" / "dataset" / "JPEGImages")
    found = comparison_pictures(select(load(runs), "CAM"), 1, ((), ()))
    assert found.gallery == [] and "has no image in" in found.notes[0]
