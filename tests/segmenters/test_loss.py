"""A registered loss in the place of mmseg's: what it is given, at every scale, after a kill, on two ranks."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest
import torch
from tiny_segmentation import LOSS, SCHEDULE, TinyLoss, context, deeplab, make_items
from warm_processes import WarmProcess, run_ranks

from wsssbench.errors import UserError
from wsssbench.interfaces import IGNORE, SegmentationBatch, SegmentationItem

PROGRAM = Path(__file__).with_name("tiny_segmentation.py")


def losses(directory: Path) -> list[float]:
    lines = (directory / "scalars.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines]


@pytest.fixture(autouse=True)
def nothing_seen() -> None:
    TinyLoss.seen.clear()


def test_the_cross_entropy_as_a_loss_trains_as_mmsegs(
    tmp_path: Path, trained: Path, items: list[SegmentationItem]
) -> None:
    deeplab(loss={"type": "TinyLoss"}).train(items, context(tmp_path))
    assert losses(tmp_path) == pytest.approx(losses(trained), rel=1e-5)
    ours, theirs = (
        torch.load(place / "weights.pth", weights_only=True) for place in (tmp_path, trained)
    )
    assert ours.keys() == theirs.keys()
    for name, weight in theirs.items():
        torch.testing.assert_close(ours[name], weight, rtol=1e-4, atol=1e-5)


def test_it_is_given_the_batch_and_the_progress(
    tmp_path: Path, items: list[SegmentationItem]
) -> None:
    deeplab(loss={"type": "TinyLoss"}).train(items, context(tmp_path))
    assert len(TinyLoss.seen) == SCHEDULE["iterations"]
    assert [batch.progress for _, batch in TinyLoss.seen] == pytest.approx(
        [i / 6 for i in range(6)]
    )
    for shape, batch in TinyLoss.seen:
        assert shape == (4, 3, 32, 32) and batch.labels.shape == (4, 32, 32)
        assert batch.images.shape == (4, 3, 32, 32) and batch.images.is_floating_point()
        assert set(batch.ids) <= {item.id for item in items} and len(batch.ids) == 4
        # The image is the one of that id: odd ones have a red square, which is class 1.
        for id, label in zip(batch.ids, batch.labels, strict=True):
            assert set(label.unique().tolist()) <= {0, 1 if int(id[2:]) % 2 else 2, IGNORE}


@pytest.mark.parametrize("loss_at", ["image", "map"])
def test_every_input_scale_has_its_loss(
    tmp_path: Path, items: list[SegmentationItem], loss_at: str
) -> None:
    schedule = {"batch_size": 2, "iterations": 1, "lr": 0.01}
    settings = {"head": "v2", "channels": None, "multi_scale_inputs": (0.5,), "loss_at": loss_at}
    deeplab(loss={"type": "TinyLoss"}, schedule=schedule, **settings).train(
        items, context(tmp_path)
    )
    sides = [32, 32, 32] if loss_at == "image" else [4, 2, 4]
    assert [shape for shape, _ in TinyLoss.seen] == [(2, 3, side, side) for side in sides]
    for shape, batch in TinyLoss.seen:
        assert batch.labels.shape == (2, *shape[2:]) and batch.images.shape == (2, 3, 32, 32)
    line = json.loads((tmp_path / "scalars.jsonl").read_text())
    terms = [line[f"{name}.loss_segmentation"] for name in ("decode", "decode_0.5", "decode_max")]
    assert line["loss"] == pytest.approx(sum(terms))


def test_killed_it_ends_with_the_same_weights(
    tmp_path: Path, items: list[SegmentationItem]
) -> None:
    """Its random numbers and the progress go on where they were."""
    whole = tmp_path / "whole"
    deeplab(head="largefov", loss=LOSS).train(items, context(whole))
    process = WarmProcess(PROGRAM, tmp_path, 0, 4, "loss", output=tmp_path / "output.txt")
    assert process.wait() == -signal.SIGKILL, process.output
    deeplab(head="largefov", loss=LOSS).train(
        make_items(tmp_path / "data0"), context(tmp_path / "train")
    )
    one, other = (
        torch.load(place / "weights.pth", weights_only=True)
        for place in (whole, tmp_path / "train")
    )
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert losses(tmp_path / "train") == losses(whole)


def test_two_ranks_train_with_it_and_predict(tmp_path: Path) -> None:
    run_ranks(2, PROGRAM, tmp_path, 0, 0, "loss", output=tmp_path / "output")
    assert len(losses(tmp_path / "train")) == SCHEDULE["iterations"]
    assert len(list((tmp_path / "out").glob("*.png"))) == 6


@pytest.mark.parametrize(
    ("loss", "sentence"),
    [
        ({"type": "TinyLos"}, "segmenter.loss: unknown loss 'TinyLos': did you mean TinyLoss"),
        ({"type": "TinyLoss", "prat": 1}, "segmenter.loss (loss TinyLoss): unknown parameter 'prat'"),
        ({"type": "TinyLoss", "part": 0.0}, "segmenter.loss (loss TinyLoss): part=0.0 has to be greater"),
        ({"part": 1.0}, "has to be dict(type='Name', ...)"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_gets_one_sentence(loss: dict[str, object], sentence: str) -> None:
    with pytest.raises(UserError) as error:
        deeplab(loss=loss)
    assert sentence.removeprefix("segmenter.loss: ") in str(error.value)
    assert "\n" not in str(error.value)


def test_in_mixed_precision_its_logits_are_float32(
    tmp_path: Path, items: list[SegmentationItem], monkeypatch: pytest.MonkeyPatch
) -> None:
    types = []
    forward = TinyLoss.forward

    def noting(self: TinyLoss, logits: torch.Tensor, batch: SegmentationBatch) -> torch.Tensor:
        types.append((logits.dtype, torch.is_autocast_enabled("cpu")))
        return forward(self, logits, batch)

    monkeypatch.setattr(TinyLoss, "forward", noting)
    schedule = {"batch_size": 2, "iterations": 1, "lr": 0.01, "amp": "bfloat16"}
    deeplab(loss={"type": "TinyLoss"}, schedule=schedule).train(items, context(tmp_path))
    assert types == [(torch.float32, True)] and len(losses(tmp_path)) == 1
