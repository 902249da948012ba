"""Two ranks that share a batch find the triplets, the loss and the gradient of one rank that has it all."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import shared_batch
import torch
from warm_processes import run_ranks

PROGRAM = Path(__file__).with_name("shared_batch.py")
PARAMETERS = [
    {"margin": 3.5},
    {"margin": 3.5, "paper": ["negative"]},
    {"margin": 3.5, "paper": []},  # random negatives
]


def test_two_ranks_learn_what_one_does(tmp_path):
    parameters = json.dumps(PARAMETERS)
    run_ranks(2, PROGRAM, tmp_path / "two.pt", parameters, output=tmp_path)
    together, repels = torch.load(tmp_path / "two.pt", weights_only=True)

    # each rank computes the loss of the whole batch
    for first, second in zip(*repels, strict=True):
        assert first == pytest.approx(second, rel=1e-12)
    for parameters, (repel, without, gradients) in zip(PARAMETERS, together, strict=True):
        expected = shared_batch.result(parameters)
        assert expected[0] > 0
        torch.testing.assert_close(repel, expected[0])
        assert without == expected[1] == 0
        assert gradients.keys() == expected[2].keys()
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, expected[2][name], msg=name)
