"""The balanced cross-entropy by loops, and RRM's released code (tests/golden/rrm-joint-loss-*.npz)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from golden import golden
from torch.nn import functional as F
from wsssbench_baselines.losses.balanced_cross_entropy import BalancedCrossEntropy

from wsssbench.interfaces import SegmentationBatch


def batch(labels: torch.Tensor) -> SegmentationBatch:
    return SegmentationBatch(labels, torch.zeros(len(labels), 3, *labels.shape[1:]), ())


@pytest.mark.parametrize("seed", [0, 1])
def test_the_means_of_the_batch_are_rrms(seed: int) -> None:
    """Its cross-entropy and gradient, which are of logits enlarged to the labels."""
    given, wanted, _ = golden(f"rrm-joint-loss-{seed}")
    logits = torch.from_numpy(given["logits"]).requires_grad_()
    labels = torch.from_numpy(given["label"]).long()
    enlarged = F.interpolate(logits, labels.shape[1:], mode="bilinear", align_corners=False)
    loss = BalancedCrossEntropy(over="batch")(enlarged, batch(labels))
    loss.backward()
    assert loss.item() == pytest.approx(wanted["loss_ce"].item(), abs=1e-6)
    np.testing.assert_allclose(logits.grad, wanted["grad_ce_logits"], atol=1e-8)


@pytest.mark.parametrize("over", ["image", "batch"])
def test_the_formula_by_loops(over: str) -> None:
    """The second image has no background, the third no class, the last one nothing but ignored pixels."""
    logits = torch.randn(4, 3, 4, 5, dtype=torch.float64)
    labels = torch.randint(0, 3, (4, 4, 5))
    labels[0, 0] = labels[3] = 255
    labels[1], labels[2] = labels[1].clamp(min=1), 0
    groups = [[n] for n in range(4)] if over == "image" else [range(4)]
    total = 0.0
    for images in groups:
        sides: tuple[list[float], list[float]] = ([], [])
        for n in images:
            for y, x in np.ndindex(4, 5):
                label = int(labels[n, y, x])
                if label != 255:
                    value = -float(logits[n, :, y, x].log_softmax(0)[label])
                    sides[label > 0].append(value)
        total += sum(sum(side) / len(side) for side in sides if side) / len(groups)
    loss = BalancedCrossEntropy(over=over)(logits, batch(labels))
    assert loss.item() == pytest.approx(total)


def test_the_size_of_the_object_does_not_matter() -> None:
    logits = torch.randn(1, 2, 1, 1).expand(1, 2, 10, 10)
    few, many = torch.zeros(1, 10, 10).long(), torch.zeros(1, 10, 10).long()
    few[:, :1], many[:, :9] = 1, 1
    loss = BalancedCrossEntropy()
    torch.testing.assert_close(loss(logits, batch(few)), loss(logits, batch(many)))
