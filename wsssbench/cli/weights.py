"""``wsssbench weights``: look into weight files, and convert the published one from MXNet."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.cli.output_path import check_output
from wsssbench.errors import UserError
from wsssbench.progress import duration

if TYPE_CHECKING:
    from torch import Tensor

    from wsssbench.files.weights import WeightMatch

app = typer.Typer(help="Weight files of ResNet38d.", no_args_is_help=True)
_COUNTER = "num_batches_tracked"
Md5 = Annotated[str, typer.Option("--md5", metavar="HEX", help="refuse any other file than this")]


@app.callback()
def _group() -> None:
    """Weight files of ResNet38d."""


@app.command("convert")
def convert(
    source: Annotated[Path, typer.Argument(metavar="IN.params", help="MXNet's file")],
    out: Annotated[Path, typer.Argument(metavar="OUT.pth", help="the PyTorch file to write")],
    md5: Md5 = "",
) -> None:
    """Convert ResNet38's published ImageNet weights, an MXNet file, to a PyTorch state dict."""
    began = time.monotonic()
    check_output(out, replace=False)
    _check_exists(source)
    import torch

    from wsssbench.files.atomic import write_atomically
    from wsssbench.files.weights import is_mxnet

    if not is_mxnet(source):
        raise UserError(f"{source} is no MXNet .params file: there is nothing to convert")
    state = _report(source, md5, note="; nothing was written")
    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(out, buffer.getbuffer())
    make_console().print(
        f"{out}: written, {buffer.getbuffer().nbytes / 1e6:.1f} MB, "
        f"{duration(time.monotonic() - began)}; "
        f"in a config: backbone=dict(type='ResNet38d', weights='{out}')",
        markup=False,
    )


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".params of MXNet or .pth")],
    md5: Md5 = "",
) -> None:
    """Say whether a weight file is complete and fits ResNet38d; exit code 2 if it does not."""
    _check_exists(file)
    _report(file, md5)


def _check_exists(file: Path) -> None:
    if file.is_dir():
        raise UserError(f"weight file {file} is a folder: give the file in it")
    if not file.is_file():
        raise UserError(f"weight file {file} does not exist")


@dataclass(frozen=True)
class _Content:
    """The content of a weight file.

    Attributes:
        types: of its arrays, e.g. ``float32``.
        dropped: arrays left out on purpose.
        damages: (array, what is wrong with its values).
        state: `ResNet38d`'s tensors, and those with unknown names.
    """

    types: tuple[str, ...]
    dropped: tuple[str, ...]
    damages: tuple[tuple[str, str], ...]
    state: dict[str, Tensor]


def _report(file: Path, md5: str, note: str = "") -> dict[str, Tensor]:
    """Print what `file` holds and return its state dict; UserError, ended by `note`, if it misfits ResNet38d."""
    import torch

    from wsssbench.files.weights import is_mxnet, match_weights, printable
    from wsssbench.models.resnet38d import CLASSIFIERS, ResNet38d

    console = make_console()
    digest = _digest(file, md5)
    mxnet = is_mxnet(file)
    content = _read_mxnet(file) if mxnet else _read_pytorch(file)
    with torch.device("meta"):  # shapes only
        match = match_weights(ResNet38d(), content.state, CLASSIFIERS)
    types = ", ".join(f"{count} {name}" for name, count in Counter(content.types).items())
    console.print(
        f"{file}: {'MXNet' if mxnet else 'PyTorch'} file, {file.stat().st_size / 1e6:.1f} MB, "
        f"{len(content.types)} arrays ({types or 'none'})",
        markup=False,
    )
    _print_digest(file, digest, mxnet)
    wanted = {name for name in match.wanted if not name.endswith(_COUNTER)}
    dropped = ", ".join(map(printable, (*content.dropped, *match.ignored)))
    console.print(
        f"ResNet38d: {len(wanted & set(content.state))} of {len(wanted)} tensors are in the file"
        + (f"; left out: {dropped}" if dropped else ""),
        markup=False,
    )
    problems = list(_problems(content, match))
    if problems:
        _print_problems(problems)
        raise UserError(
            f"{file} does not hold ResNet38d's weights: {len(problems)} problems, listed above{note}"
        )
    return content.state


def _digest(file: Path, wanted: str) -> str:
    """Return the file's md5; UserError if another one was asked for."""
    if wanted and not re.fullmatch(r"[0-9a-fA-F]{32}", wanted):
        raise UserError(f"--md5 {wanted}: has to be 32 hexadecimal digits")
    md5 = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(2**20):
            md5.update(chunk)
    digest = md5.hexdigest()
    if wanted and digest != wanted.lower():
        raise UserError(
            f"{file} has md5 {digest} instead of {wanted.lower()}: it is another file "
            "or a damaged one; fetch it again"
        )
    return digest


def _print_digest(file: Path, digest: str, mxnet: bool) -> None:
    from wsssbench.models.resnet38d_mxnet import PUBLISHED_MD5

    console = make_console()
    published = digest == PUBLISHED_MD5
    note = ": the published ResNet38 A1 file" if published else ""
    console.print(f"md5 {digest}{note}", markup=False)
    if mxnet and not published:
        ConsoleProgress(console).warn(
            f"this is not the published ResNet38 A1 file, whose md5 is {PUBLISHED_MD5}: the "
            f"values of {file.name} may be another training's, or damaged where no check can "
            "see it, and results from it may differ from published ones (some projects pass on a "
            "re-saved copy, which has the same values and another md5)"
        )


def _read_mxnet(file: Path) -> _Content:
    from wsssbench.files.mxnet_params import read_params
    from wsssbench.models.resnet38d_mxnet import DROPPED, damages, renamed

    arrays = read_params(file)
    return _Content(
        types=tuple(array.dtype.name for array in arrays.values()),
        dropped=tuple(name for name in arrays if name in DROPPED),
        damages=tuple(damages(arrays)),
        state=renamed(arrays),
    )


def _read_pytorch(file: Path) -> _Content:
    from wsssbench.files.weights import load_state_dict_file
    from wsssbench.models.resnet38d_mxnet import damages

    state = load_state_dict_file(file)
    arrays, odd = {}, []
    for name, tensor in state.items():
        if name.endswith(_COUNTER):
            continue
        try:  # numpy has no bfloat16
            plain = tensor.float() if tensor.is_floating_point() else tensor
            arrays[name] = plain.detach().numpy()
        except (TypeError, RuntimeError):  # sparse, quantised, without memory
            odd.append((name, f"is no plain tensor, but {tensor.dtype} in layout {tensor.layout}"))
    return _Content(
        types=tuple(str(tensor.dtype).removeprefix("torch.") for tensor in state.values()),
        dropped=(),
        damages=(*odd, *damages(arrays)),
        state=state,
    )


def _problems(content: _Content, match: WeightMatch) -> Iterator[tuple[str, str, str]]:
    """Yield (kind, tensor, detail) of everything that is wrong."""
    from wsssbench.models.resnet38d_mxnet import mxnet_names

    theirs = {ours: name for name, ours in mxnet_names().items()}
    for name in match.missing:
        yield "missing", name, f"{theirs[name]} in MXNet's file"
    for name in match.unexpected:
        yield "unexpected", name, f"shape {tuple(content.state[name].shape)}"
    for name, given, own in match.misshaped:
        yield "mis-shaped", name, f"shape {given} instead of {own}"
    for name, problem in content.damages:
        yield "damaged", name, problem


def _print_problems(problems: list[tuple[str, str, str]]) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from wsssbench.files.weights import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("problem", "tensor", "detail"):
        table.add_column(column, overflow="fold")
    for row in problems:
        table.add_row(*(Text(printable(cell)) for cell in row))
    make_console().print(table, soft_wrap=False)
