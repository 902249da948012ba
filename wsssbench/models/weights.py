"""Weight files: read without running their code, loaded with one sentence about what misfits."""

from __future__ import annotations

import os
import pickle
import warnings
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from wsssbench.errors import UserError

_SHOWN = 3  # names per kind of mismatch in the sentence
_WRAPPERS = (
    "state_dict",
    "model_state_dict",
    "model",
)  # where training frameworks keep the tensors


def load_state_dict_file(path: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The tensors of a PyTorch weight file, on the CPU.

    Plain state dicts and checkpoints that hold one under ``state_dict`` or ``model`` are read; a
    common ``module.`` prefix (left by DataParallel) is dropped. The file's code is never run
    (``weights_only``).

    Raises:
        UserError: missing, unreadable, or no state dict.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"weight file {file} does not exist: give the path of a PyTorch state dict")
    if file.suffix == ".params":
        raise UserError(
            f"weight file {file} is an MXNet file, which is not read directly: "
            "convert it to a PyTorch state dict (.pth) first"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # of an unusual pickle protocol: it works, or fails below
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"weight file {file} is damaged or holds more than tensors ({reason}): save its "
            "state_dict() with torch.save and give that file"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"weight file {file} cannot be read ({reason}): it may be incomplete; fetch it again"
        ) from error
    return _tensors(content, file)


def _tensors(content: Any, file: Path) -> dict[str, Tensor]:
    for key in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not (
        isinstance(content, Mapping)
        and content
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items())
    ):
        raise UserError(
            f"weight file {file} holds no state dict (a non-empty mapping of names to tensors): "
            "save the model's state_dict() with torch.save"
        )
    prefix = "module." if all(name.startswith("module.") for name in content) else ""
    return {name[len(prefix) :]: value for name, value in content.items()}


def load_into(
    module: nn.Module, state: Mapping[str, Tensor], where: str, ignore: Collection[str] = ()
) -> None:
    """Load all of `state` into `module`, or nothing.

    Args:
        module: takes the tensors.
        state: names to tensors. Counters of batch normalisation (``num_batches_tracked``) may be
            absent.
        where: names the file in the sentence.
        ignore: prefixes of names that may be missing in `state` or in `module` (e.g. the ImageNet
            classifier's).

    Raises:
        UserError: one sentence that names missing, unexpected and mis-shaped tensors.
    """
    own = module.state_dict()
    skip = tuple(ignore)
    given = {name: value for name, value in state.items() if not name.startswith(skip)}
    wanted = {name for name in own if not name.startswith(skip)}
    missing = [n for n in own if n in wanted - set(given) and not n.endswith("num_batches_tracked")]
    unexpected = [name for name in given if name not in wanted]
    misshaped = [
        f"{name} {tuple(value.shape)} instead of {tuple(own[name].shape)}"
        for name, value in given.items()
        if name in wanted and value.shape != own[name].shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": misshaped}
    problems = [f"{len(n)} {kind} ({_some(n)})" for kind, n in kinds.items() if n]
    if problems:
        raise UserError(
            f"{where} does not fit {type(module).__name__}: of {len(wanted)} tensors, "
            f"{'; '.join(problems)}: give the weights of the same architecture"
        )
    module.load_state_dict(given, strict=False)


def _some(names: list[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
