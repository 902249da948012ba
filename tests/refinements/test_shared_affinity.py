"""Two ranks that share AffinityNet's batch have the losses and the gradient of one that has it all."""

from __future__ import annotations

from pathlib import Path

import shared_affinity
import torch
from warm_processes import run_ranks

PROGRAM = Path(__file__).with_name("shared_affinity.py")


def test_two_ranks_learn_affinities_as_one_does(tmp_path: Path) -> None:
    run_ranks(2, PROGRAM, tmp_path / "two.pt", output=tmp_path)
    together = torch.load(tmp_path / "two.pt", weights_only=True)
    alone = shared_affinity.result()
    for shared, expected in zip(together, alone, strict=True):
        assert shared.keys() == expected.keys()
        for name, value in expected.items():
            assert value.abs().max() > 0, name
            torch.testing.assert_close(shared[name], value, rtol=1e-6, atol=1e-9, msg=name)
