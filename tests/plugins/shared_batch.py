"""Run by torchrun: AEFT's gradient on a batch that the ranks share, as DistributedDataParallel averages it.

python -m torch.distributed.run --standalone --nproc_per_node=2 shared_batch.py OUT.pt '[{"paper": ["negative"]}]'
"""

from __future__ import annotations

import json
import sys

import torch
from tiny_classifier import K, batch, recorder
from wsssbench_aeft.gpp import GPP
from wsssbench_aeft.released import AEFTReleased
from wsssbench_aeft.triplet import AEFT

from wsssbench.interfaces import Batch
from wsssbench.parallel import ranks

LABELS = torch.eye(K, dtype=torch.float64)[[0, 0, 0, 1, 0, 0, 0, 2]]  # rank 0 of 2: one class only


def result(parameters):
    """This rank's losses, and the mean over ranks of the gradients."""
    torch.manual_seed(0)  # for the gates
    classifier, whole = recorder(GPP(K, bins=(2, 4))), batch(LABELS)
    share = slice(ranks.rank(), None, ranks.world_size())
    positions = torch.arange(len(LABELS))[share]
    given = Batch(whole.images[share], whole.labels[share], positions=positions)
    output = classifier(given.images)
    erasing = (AEFTReleased if "paper" in parameters else AEFT)(K, (6,), **parameters)
    losses = erasing.losses(classifier, given, output)
    sum(losses.terms.values()).backward()
    gradients = {}
    for name, parameter in classifier.named_parameters():
        gradients[name] = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        if ranks.world_size() > 1:
            torch.distributed.all_reduce(gradients[name])
        gradients[name] /= ranks.world_size()
    terms = {name: term.detach() for name, term in losses.terms.items()}
    return terms["repel"], losses.log["anchors_without_negative"], gradients


if __name__ == "__main__":
    ranks.init("cpu")
    results = [result(parameters) for parameters in json.loads(sys.argv[2])]
    repels = ranks.gather([repel.item() for repel, *_ in results])
    if ranks.is_main():
        torch.save((results, repels), sys.argv[1])
    ranks.barrier()
    torch.distributed.destroy_process_group()
