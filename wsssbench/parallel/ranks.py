"""Several processes of one run, as torchrun starts them. Without torchrun everything here is rank 0 of 1."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def rank() -> int:
    """Return this process's number among all processes of the run."""
    return int(os.environ.get("RANK", "0"))


def local_rank() -> int:
    """Return this process's number on its machine."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def world_size() -> int:
    """Return the number of processes of the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def default_workers() -> int:
    """Return a rank's share of this machine's CPU cores: its worker processes if the user names no number."""
    local = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, (available or 1) // local)


def is_main() -> bool:
    """Tell whether this process talks to the user and writes manifests."""
    return rank() == 0


def shard(items: Sequence[T]) -> list[T]:
    """Return this rank's part of `items`: every world_size-th, from its own rank on."""
    return list(items[rank() :: world_size()])


def init(device: str) -> None:
    """Join the process group that torchrun's environment describes (gloo on the CPU, nccl on GPUs); once."""
    if world_size() == 1:
        return
    import torch

    if device == "cuda":
        torch.cuda.set_device(local_rank())
    if not torch.distributed.is_initialized():
        torch.distributed.init_process_group("nccl" if device == "cuda" else "gloo")


def barrier() -> None:
    """Wait until every rank is here."""
    if world_size() > 1:
        import torch

        torch.distributed.barrier()


def gather(value: T) -> list[T]:
    """Return every rank's picklable `value`, in rank order, on every rank."""
    if world_size() == 1:
        return [value]
    import torch

    values: list[T | None] = [None] * world_size()
    torch.distributed.all_gather_object(values, value)
    return values  # type: ignore[return-value]


def from_main(value: T) -> T:
    """Return rank 0's picklable `value`, on every rank."""
    return gather(value)[0]
