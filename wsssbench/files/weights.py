"""Weight files: read without running their code, loaded with one sentence about what misfits."""

from __future__ import annotations

import io
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from wsssbench.errors import MissingWeightsError, UserError
from wsssbench.files.foreign import foreign, named_otherwise
from wsssbench.files.mxnet_params import begins_as_params, read_params
from wsssbench.files.pickles import require_small
from wsssbench.files.reading import reading

_SHOWN = 3  # names per kind of mismatch in the sentence
_PYTORCH = (b"PK", b"\x80")  # how torch.save begins, as an archive and, until 2020, as pickles
_PICKLES = 5  # in a file of the second kind
# Where training frameworks keep the tensors.
_WRAPPERS = ("state_dict", "model_state_dict", "model")
# In torch's messages: what introduces the reason, and how lines begin that advise to trust the file.
_REASON = "WeightsUnpickler error:"
_ADVICE = ("Weights only load failed", "Please file an issue", "Check the documentation")

FromMXNet = Callable[[Mapping[str, np.ndarray]], dict[str, Tensor]]


def load_state_dict_file(
    path: str | os.PathLike[str], from_mxnet: FromMXNet | None = None
) -> dict[str, Tensor]:
    """The tensors of a weight file, on the CPU.

    Plain state dicts and checkpoints that hold one under ``state_dict`` or ``model`` are read; a
    common ``module.`` prefix (left by DataParallel) is dropped. The file's code is never run
    (``weights_only``).

    Args:
        path: a PyTorch file, or MXNet's ``.params`` file if `from_mxnet` is given. Its content
            decides which of them it is.
        from_mxnet: turns MXNet's names and arrays into the network's; a ValueError is its reason
            to refuse.

    Raises:
        UserError: missing, unreadable, or no state dict.
    """
    file = Path(path)
    if not file.is_file():
        kinds = "a PyTorch state dict" + (" or of MXNet's .params file" if from_mxnet else "")
        raise MissingWeightsError(str(path), kinds)
    if is_mxnet(file):
        if from_mxnet is None:
            raise UserError(
                f"weight file {file} is an MXNet file, which is read for ResNet38d only: save the "
                "network's weights as a PyTorch state dict (.pth) and give that file"
            )
        try:
            return from_mxnet(read_params(file))
        except ValueError as error:
            raise UserError(f"weight file {file}: {error}") from error
    return _load_pytorch(file)


def is_mxnet(file: Path) -> bool:
    """Whether `file` has to be read as MXNet's: by its first bytes; a damaged one by its name.

    Raises:
        UserError: it cannot be read, or is surely no weight file: a web page, a pointer, another program's file.
    """
    with reading("weight file", file):
        kind = foreign(file)
        if kind is not None:
            raise UserError(f"weight file {file} is {kind}")
        if begins_as_params(file):
            return True
        with file.open("rb") as start:
            return file.suffix == ".params" and not start.read(2).startswith(_PYTORCH)


def _require_small_pickles(file: Path) -> None:
    """Look at what the pickles of a PyTorch file would build: one in an archive, or several, before the values."""
    with file.open("rb") as stream:
        size = stream.seek(0, io.SEEK_END)
        stream.seek(0)
        if not zipfile.is_zipfile(stream):
            stream.seek(0)
            with suppress(ValueError):  # no pickle: torch says what is wrong
                for _ in range(_PICKLES):
                    require_small(stream, size)
            return
        with zipfile.ZipFile(stream) as archive:
            for name in archive.namelist():
                if name.endswith("/data.pkl"):
                    require_small(archive.read(name), size)


def _load_pytorch(file: Path) -> dict[str, Tensor]:
    try:
        _require_small_pickles(file)
        with warnings.catch_warnings():
            # torch warns of unusual pickle protocols; they work, or fail with an error
            warnings.simplefilter("ignore")
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        _tell_by_name(file)
        reason = _reason(error)
        raise UserError(
            f"weight file {file} is damaged or holds more than tensors ({reason}): save its "
            "state_dict() with torch.save and give that file"
        ) from error
    except Exception as error:  # damaged bytes make torch raise all sorts of things
        _tell_by_name(file)
        reason = _reason(error)
        raise UserError(
            f"weight file {file} cannot be read ({reason}): it may be incomplete; fetch it again"
        ) from error
    return _tensors(content, file)


def _tell_by_name(file: Path) -> None:
    """Raise UserError if `file`, which cannot be read, is called as another program's files are."""
    kind = named_otherwise(file)
    if kind is not None:
        raise UserError(f"weight file {file} is {kind}")


def _reason(error: Exception) -> str:
    """The line of torch's text that tells what is wrong; the others advise to trust the file."""
    text = str(error)
    lines = [line.strip() for line in (text.partition(_REASON)[2] or text).splitlines()]
    return next((n for n in lines if n and not n.startswith(_ADVICE)), type(error).__name__)


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


@dataclass(frozen=True)
class WeightMatch:
    """How the tensors of a state dict match a network's, by name.

    Attributes:
        wanted: the network's tensors, without those left out.
        ignored: tensors of the file that are left out on purpose.
        missing: tensors the network has and the file has not. Counters of batch normalisation
            (``num_batches_tracked``) may be absent.
        unexpected: tensors the file has and the network has not.
        misshaped: (name, shape in the file, the network's shape).
    """

    wanted: tuple[str, ...]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    misshaped: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]


def match_weights(
    module: nn.Module, state: Mapping[str, Tensor], ignore: Collection[str] = ()
) -> WeightMatch:
    """How `state` matches `module`, which may be on the meta device; `ignore` as in `load_into`."""
    own = module.state_dict()
    skip = tuple(ignore)
    wanted = {name: value for name, value in own.items() if not name.startswith(skip)}
    given = {name: value for name, value in state.items() if not name.startswith(skip)}
    return WeightMatch(
        wanted=tuple(wanted),
        ignored=tuple(name for name in state if name.startswith(skip)),
        missing=tuple(
            n for n in wanted if n not in given and not n.endswith("num_batches_tracked")
        ),
        unexpected=tuple(name for name in given if name not in wanted),
        misshaped=tuple(
            (name, tuple(value.shape), tuple(wanted[name].shape))
            for name, value in given.items()
            if name in wanted and value.shape != wanted[name].shape
        ),
    )


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
    match = match_weights(module, state, ignore)
    misshaped = [f"{name} {given} instead of {own}" for name, given, own in match.misshaped]
    kinds = {
        "missing": match.missing,
        "unexpected": [printable(name) for name in match.unexpected],
        "of another shape": misshaped,
    }
    problems = [f"{len(n)} {kind} ({_some(n)})" for kind, n in kinds.items() if n]
    if problems:
        raise UserError(
            f"{where} does not fit {type(module).__name__}: of {len(match.wanted)} tensors, "
            f"{'; '.join(problems)}: give the weights of the same architecture"
        )
    loaded = {name: value for name, value in state.items() if name not in match.ignored}
    module.load_state_dict(loaded, strict=False)


def printable(name: str) -> str:
    """`name`, which comes from a file, on one line and without control characters."""
    return name if name.isprintable() else repr(name)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", ..." if len(names) > _SHOWN else "")
