from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.datasets.voc.dataset import VOC2012
from wsssbench.errors import LeakError, UserError
from wsssbench.files import ground_truth as truth
from wsssbench.files.images import read_image


@pytest.fixture
def dataset(voc_root: Path) -> VOC2012:
    return VOC2012(root=str(voc_root))


def mask_of(dataset: VOC2012) -> Path:
    path = dataset.mask_path("2007_000001", "train")
    assert path is not None
    return path


def test_truth_is_read_in_an_evaluation_only(dataset: VOC2012) -> None:
    with pytest.raises(LeakError, match="mask of '2007_000001'"):
        truth.read_mask(dataset, "2007_000001", "train")
    with truth.allow_masks("evaluate"):
        with truth.allow_masks("evaluate"):
            pass
        label = truth.read_mask(dataset, "2007_000001", "train")
    assert label.shape == (20, 30) and set(np.unique(label)) == {0, 1, 15, 255}
    with pytest.raises(LeakError):
        truth.read_mask(dataset, "2007_000001", "train")


def test_missing_truth_is_a_sentence(dataset: VOC2012) -> None:
    with truth.allow_masks("evaluate"):
        with pytest.raises(UserError, match="split 'test' has no ground-truth masks"):
            truth.read_mask(dataset, "2007_000001", "test")
        with pytest.raises(UserError, match=r"gone\.png does not exist"):
            truth.read_mask(dataset, "gone", "train")


@pytest.mark.parametrize(
    "opens",
    [
        Image.open,
        lambda path: path.open("rb"),
        lambda path: path.read_bytes(),
        lambda path: open(str(path), "rb"),  # noqa: PTH123, SIM115
        lambda path: io.open(os.fsencode(path), "rb"),  # noqa: SIM115, UP020
        lambda path: os.open(path, os.O_RDONLY),
        lambda path: np.fromfile(path, np.uint8),
        lambda path: Image.open(os.path.relpath(path)),
        lambda path: Image.open(path.parent / ".." / path.parent.name / path.name),
    ],
)
def test_an_image_level_stage_cannot_open_a_mask(dataset: VOC2012, opens) -> None:
    with (
        pytest.raises(LeakError, match=r"stage 'classify' .*2007_000001\.png"),
        truth.forbid(dataset.mask_directories(), "classify"),
    ):
        opens(mask_of(dataset))
    Image.open(mask_of(dataset)).close()  # open again afterwards


def test_images_and_other_files_stay_open(dataset: VOC2012, tmp_path: Path) -> None:
    beside = tmp_path / "VOC2012" / "SegmentationClass.txt"  # only starts with the same name
    with truth.forbid(dataset.mask_directories(), "classify"):
        assert read_image(dataset.image_path("2007_000001")).shape == (20, 30, 3)
        beside.write_text("x")
        with os.fdopen(os.open(beside, os.O_RDONLY)) as stream:  # opened by its descriptor
            assert stream.read() == "x"


def test_an_error_that_a_plugin_swallows_fails_the_stage_at_its_end(dataset: VOC2012) -> None:
    with (
        pytest.raises(LeakError, match="classify"),
        truth.forbid(dataset.mask_directories(), "classify"),
        contextlib.suppress(Exception),
    ):
        Image.open(mask_of(dataset))
    with truth.forbid(dataset.mask_directories(), "classify"):
        pass  # the next stage is not blamed for it


def test_links_lead_nowhere_else(dataset: VOC2012, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(dataset.root)
    (tmp_path / "mask.png").symlink_to(mask_of(dataset))
    linked = VOC2012(root=str(tmp_path / "link"))
    for closed, path in [
        (dataset, mask_of(linked)),
        (dataset, tmp_path / "mask.png"),
        (linked, mask_of(dataset)),
        (linked, mask_of(linked)),
    ]:
        with (
            pytest.raises(LeakError),
            truth.forbid(closed.mask_directories(), "classify"),
        ):
            path.read_bytes()


def test_threads_are_guarded_too(dataset: VOC2012) -> None:
    caught: list[Exception] = []

    def leak() -> None:
        try:
            Image.open(mask_of(dataset))
        except LeakError as error:
            caught.append(error)

    with (
        pytest.raises(LeakError),
        truth.forbid(dataset.mask_directories(), "classify"),
    ):
        thread = threading.Thread(target=leak)
        thread.start()
        thread.join()
    assert len(caught) == 1


def _outcome(path: Path, state: truth.GuardState | None, answers) -> None:
    if state is not None:
        truth.restore_guard(state)
    try:
        path.read_bytes()
        answers.put("opened")
    except LeakError:
        answers.put("refused")


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_are_guarded(dataset: VOC2012, method: str) -> None:
    context = multiprocessing.get_context(method)
    answers = context.Queue()
    with truth.forbid(dataset.mask_directories(), "refine"):
        state = truth.guard_state() if method == "spawn" else None
        worker = context.Process(target=_outcome, args=(mask_of(dataset), state, answers))
        worker.start()
        worker.join()
        assert worker.exitcode == 0
        assert answers.get() == "refused"


def test_the_guard_state_carries_the_permission(dataset: VOC2012) -> None:
    assert truth.guard_state() == truth.GuardState((), ())
    with truth.allow_masks("evaluate"):
        state = truth.guard_state()
    try:
        truth.restore_guard(state)
        truth.read_mask(dataset, "2007_000001", "train")
    finally:
        truth.restore_guard(truth.GuardState((), ()))
    with pytest.raises(LeakError):
        truth.read_mask(dataset, "2007_000001", "train")


def test_one_stage_may_end_before_another(dataset: VOC2012) -> None:
    first = truth.forbid(dataset.mask_directories(), "first")
    second = truth.forbid(dataset.mask_directories(), "second")
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    with pytest.raises(LeakError, match="second"):
        Image.open(mask_of(dataset))
    with pytest.raises(LeakError, match="second"):
        second.__exit__(None, None, None)
    Image.open(mask_of(dataset)).close()
