"""The checks of a segmenter's loss: logits and label maps -> a scalar."""

from __future__ import annotations

import torch
from torch import Tensor

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import check_state, need_finite, need_gradients, need_unchanged
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import K, make_images, make_maps
from wsssbench.interfaces import IGNORE, SegmentationBatch, SegmentationLoss
from wsssbench.interfaces.requirements import need_loss


def scalar(subject: Subject) -> None:
    """It returns a finite scalar, from the beginning of the schedule to its end."""
    for progress in (0.0, 0.5, 0.999):
        _loss(_ready(subject), _logits(), _batch(progress=progress), f"at progress {progress}")


def odd_sizes(subject: Subject) -> None:
    """Logits and labels may have any size, and may be smaller than the images."""
    for size in ((17, 23), (8, 33), (1, 1)):
        for scale in (1, 2):
            where = f"of logits of {size[0]} x {size[1]}"
            _loss(_ready(subject), _logits(2, *size), _batch(2, *size, scale=scale), where)


def batch_of_one(subject: Subject) -> None:
    """A batch may be a single image."""
    _loss(_ready(subject), _logits(1), _batch(1), "of a single image")


def background_only(subject: Subject) -> None:
    """Images may show nothing but background."""
    batch = _with_labels(torch.zeros(2, 16, 16, dtype=torch.int64))
    _loss(_ready(subject), _logits(), batch, "of images without a class")


def all_ignored(subject: Subject) -> None:
    """A batch in which every pixel is ignored has a finite loss, and finite gradients."""
    batch = _with_labels(torch.full((2, 16, 16), IGNORE, dtype=torch.int64))
    logits = _logits().requires_grad_()
    loss = _loss(_ready(subject), logits, batch, "where every pixel is ignored")
    if loss.requires_grad:
        _backward(loss)
        if logits.grad is not None:
            need_finite(logits.grad, "the gradient where every pixel is ignored")


def sure_of_it(subject: Subject) -> None:
    """A network that is very sure, rightly or wrongly, has a finite loss, and finite gradients."""
    batch = _batch()
    right = torch.nn.functional.one_hot(batch.labels.clamp(max=K), K + 1).permute(0, 3, 1, 2)
    for factor in (100.0, -100.0):
        logits = (factor * right.float()).requires_grad_()
        _backward(_loss(_ready(subject), logits, batch, "of very sure logits"))
        if logits.grad is not None:
            need_finite(logits.grad, "the gradient of very sure logits")


def gradients(subject: Subject) -> None:
    """A finite gradient reaches the logits, and every parameter of its own."""
    loss = subject.build()
    logits = _logits().requires_grad_()
    _backward(_loss(loss, logits, _batch(), ""))
    gradient = logits.grad
    reached = gradient is not None and bool(gradient.any())
    need(reached, "no gradient reaches the logits", "the network is trained through the loss")
    if gradient is not None:
        need_finite(gradient, "the gradient of the logits")
    need_gradients(loss)


def deterministic(subject: Subject) -> None:
    """The same logits and batch have the same loss, if random numbers are drawn from torch's generator."""
    losses = []
    for _ in range(2):
        torch.manual_seed(0)
        losses.append(_loss(_ready(subject), _logits(), _batch(), ""))
    need(
        torch.equal(*losses),
        "one batch has two losses",
        "a training that goes on after a kill ends with the same weights",
    )


def inputs_unchanged(subject: Subject) -> None:
    """Logits, labels and images stay as they are."""
    logits, batch = _logits(), _batch()
    before = {"the logits": logits.clone(), "batch.labels": batch.labels.clone()}
    before["batch.images"] = batch.images.clone()
    _loss(_ready(subject), logits, batch, "")
    after = {"the logits": logits, "batch.labels": batch.labels, "batch.images": batch.images}
    need_unchanged(before, after)


def half_precision(subject: Subject) -> None:
    """Under bfloat16 autocast it is finite; the logits are float32 there, too."""
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _loss(_ready(subject), _logits(), _batch(), "under bfloat16 autocast")


def state(subject: Subject) -> None:
    """A new instance that loads its state has the same loss."""
    one, other = subject.build().eval(), subject.build(seed=1).eval()
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.normal_(std=0.5)
        check_state(one, other, lambda loss: loss(_logits(), _batch()))


CHECKS = (
    scalar,
    odd_sizes,
    batch_of_one,
    background_only,
    all_ignored,
    sure_of_it,
    gradients,
    deterministic,
    inputs_unchanged,
    half_precision,
    state,
)


def _ready(subject: Subject) -> SegmentationLoss:
    loss: SegmentationLoss = subject.shared()
    return loss


def _logits(n: int = 2, height: int = 16, width: int = 16) -> Tensor:
    return make_maps(n, height, width, 1 + K)


def _batch(
    n: int = 2, height: int = 16, width: int = 16, *, scale: int = 1, progress: float = 0.5
) -> SegmentationBatch:
    """Every class, background and ignored pixels; images `scale` times as large as the labels."""
    values = torch.tensor([*range(K + 1), IGNORE])
    places = torch.arange(n * height * width).reshape(n, height, width) // 3
    images = make_images(n, scale * height, scale * width)
    ids = tuple(f"image_{i}" for i in range(n))
    return SegmentationBatch(values[places % len(values)], images, ids, progress)


def _with_labels(labels: Tensor) -> SegmentationBatch:
    batch = _batch()
    return SegmentationBatch(labels, batch.images, batch.ids, batch.progress)


def _loss(loss: SegmentationLoss, logits: Tensor, batch: SegmentationBatch, where: str) -> Tensor:
    what = f"the loss {where}".strip()
    with attempt(what, "whatever the images and labels are, there is a loss"):
        value: Tensor = loss(logits, batch)
    need_loss(value)
    need_finite(value, what)
    return value


def _backward(loss: Tensor) -> None:
    with attempt("its backward pass", "the network is trained through the loss"):
        loss.backward()
