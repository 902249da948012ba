"""Run by torchrun: AffinityNet's losses and gradient on a batch that the ranks share, averaged over them.

python -m torch.distributed.run --standalone --nproc_per_node=2 shared_affinity.py OUT.pt
"""

from __future__ import annotations

import sys

import torch
from torch import Tensor, nn

from wsssbench.ops.affinity import pair_offsets
from wsssbench.parallel import ranks
from wsssbench.refinements.affinity_training import AffinityTask


def result() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The mean over ranks of the losses, and of the gradients."""
    torch.manual_seed(0)
    task = AffinityTask(nn.Conv2d(3, 5, 3, padding=1), pair_offsets(3)).double()
    images = torch.randn(4, 3, 6, 7, dtype=torch.float64)
    labels = torch.full((4, 6, 7), 255, dtype=torch.uint8)
    # rank 0 of 2 has the images 0 and 2: nearly all the sure cells; rank 1 has no unlike pair
    labels[0, :, :3], labels[0, :, 4:], labels[2] = 0, 7, 3
    labels[1, :2, :2], labels[3, 5, 2:5] = 0, 9
    share = slice(ranks.rank(), None, ranks.world_size())
    losses = task({"images": images[share], "labels": labels[share]}, 0.0)
    sum(losses.terms.values()).backward()
    terms = {name: _mean(term.detach().clone()) for name, term in losses.terms.items()}
    return terms, {name: _mean(p.grad) for name, p in task.named_parameters() if p.grad is not None}


def _mean(value: Tensor) -> Tensor:
    if ranks.world_size() > 1:
        torch.distributed.all_reduce(value)
    return value / ranks.world_size()


if __name__ == "__main__":
    ranks.init("cpu")
    gradients = result()
    if ranks.is_main():
        torch.save(gradients, sys.argv[1])
    ranks.barrier()
    torch.distributed.destroy_process_group()
