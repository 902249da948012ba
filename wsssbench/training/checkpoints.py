"""Checkpoints that survive a kill at any moment: written under a temporary name, checked before they are used."""

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

from wsssbench.errors import UserError

REMEDY = "a lower learning rate, a warm-up (warmup_iterations) or clip_grad usually helps"
KEPT = 2  # the newest may turn out damaged
_NAME = re.compile(r"iteration_(\d+)\.pth")
_PART = ".part"


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


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state dict that `write_weights` saved, on the CPU.

    Raises:
        UserError: a weight is NaN or infinite, as earlier versions may have saved it.
    """
    state: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    _check_finite(state, f"{path}:")
    return state


def _check_finite(state: Mapping[str, Any], where: str) -> None:
    for name, value in state.items():
        if value.is_floating_point() and not value.isfinite().all():
            raise UserError(
                f"{where} the weights {name} are not finite, so the training has diverged: {REMEDY}"
            )


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
    """torch.save writes a zip archive, and every part of it carries a checksum, which torch.load does not check."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError, NotImplementedError):
        return False
