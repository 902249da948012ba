"""Checkpoints that survive a kill at any moment: written under a temporary name, checked before they are used.

They are read as data: tensors and plain values. What else a file may hold could be code, and is not run.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from wsssbench.errors import UserError
from wsssbench.files.reading import reading_artefact
from wsssbench.parallel import ranks

REMEDY = "a lower learning rate, a warm-up (warmup_iterations) or clip_grad usually helps"
WEIGHTS = "weights.pth"
CHECKPOINTS = "checkpoints"  # the folder of those of an unfinished training
KEPT = 2  # the newest may turn out damaged
_NAME = re.compile(r"iteration_(\d+)\.pth")
_PART = ".part"
_FACTS = ("epoch", "iter", "seed", "dataset_meta")  # of mmengine's, that resuming reads


def write_weights(state: Mapping[str, Any], path: Path, title: str) -> None:
    """Save a state dict as `path`, on the CPU; `path` is there complete or not at all.

    Raises:
        UserError: a weight is NaN or infinite; `title` names the training.
    """
    _check_finite(state, f"{title}: after the last iteration")
    buffer = io.BytesIO()
    torch.save({name: value.detach().cpu() for name, value in state.items()}, buffer)
    part = path.with_name(path.name + _PART)
    with part.open("wb") as file:
        file.write(buffer.getbuffer())
    _publish(part, path)


def load_weights(network: nn.Module, path: Path, prefix: str = "") -> None:
    """Load into `network` what `write_weights` saved.

    Args:
        prefix: of the names in the file, which those of the network lack.

    Raises:
        CorruptArtefactError: missing, damaged, or of another network.
        UserError: a weight is NaN or infinite, as earlier versions may have saved it.
    """
    with reading_artefact(path):
        state = torch.load(path, map_location="cpu", weights_only=True)
        _check_finite(state, f"{path}:")
        network.load_state_dict({name.removeprefix(prefix): of for name, of in state.items()})


def load_checkpoint(network: nn.Module, path: Path) -> dict[str, Any]:
    """Load into `network` the checkpoint at `path`; return what else is in it, on the CPU.

    Raises:
        CorruptArtefactError: missing, damaged, or of another network.
    """
    with reading_artefact(path):
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(checkpoint["state_dict"])
        # Among its facts could be a config, which mmengine would run.
        facts = {key: of for key, of in checkpoint["meta"].items() if key in _FACTS}
        return {**checkpoint, "meta": facts}


def _check_finite(state: Mapping[str, Any], where: str) -> None:
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(
                f"{where} the weights {name} are not finite, so the training has diverged: {REMEDY}"
            )


def is_trained(directory: Path) -> bool:
    """Tell whether the weights are there, on every rank; what a kill right after them has left is removed."""
    there = bool(ranks.from_main((directory / WEIGHTS).exists()))
    if there and ranks.is_main():
        Checkpoints(directory / CHECKPOINTS).remove()
    return there


class Checkpoints:
    """The checkpoints of one training, ``iteration_<number>.pth`` in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def part(self, iteration: int) -> Path:
        """Where to write the checkpoint of `iteration` before `publish`."""
        return self.directory / f"iteration_{iteration:07d}.pth{_PART}"

    def publish(self, iteration: int) -> None:
        """Give the written `part` its name, and drop checkpoints that are too old."""
        part = self.part(iteration)
        _publish(part, part.with_name(part.name.removesuffix(_PART)))
        for old in self._newest_first()[KEPT:]:
            old.unlink()

    def latest(self) -> tuple[Path | None, list[Path]]:
        """The newest checkpoint that is undamaged, if any, and the damaged ones that are newer."""
        damaged: list[Path] = []
        for path in self._newest_first():
            if _intact(path):
                return path, damaged
            damaged.append(path)
        return None, damaged

    def remove(self) -> None:
        """Drop everything; the training is finished."""
        shutil.rmtree(self.directory, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        if not self.directory.is_dir():
            return []
        paths = [path for path in self.directory.iterdir() if _NAME.fullmatch(path.name)]
        return sorted(paths, key=iteration_of, reverse=True)


def iteration_of(path: Path) -> int:
    """How many iterations the checkpoint `path` has behind it."""
    match = _NAME.fullmatch(path.name)
    assert match is not None, path
    return int(match.group(1))


def _publish(part: Path, path: Path) -> None:
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)


def _intact(path: Path) -> bool:
    """Is it whole, and a checkpoint of this iteration that holds nothing but tensors and plain values?

    torch.save writes a zip archive, and every part of it carries a checksum, which torch.load does not check.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            whole = archive.testzip() is None
        # Mapped: what is in the tensors is not read here.
        checkpoint = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        return whole and bool(checkpoint["meta"]["iter"] == iteration_of(path))
    except Exception:  # damaged files make zipfile, pickle and torch raise all sorts of things
        return False
