"""``wsssbench weights``: look into weight files, and convert the published one from MXNet."""

from __future__ import annotations

import hashlib
import io
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, make_console
from wsssbench.errors import UserError
from wsssbench.progress import duration

if TYPE_CHECKING:
    import numpy as np
    from rich.console import Console
    from torch import Tensor

    from wsssbench.files.weights import Fit

app = typer.Typer(help="Weight files of ResNet38d.", no_args_is_help=True)
_CHUNK = 2**20
_COUNTER = "num_batches_tracked"
_MXNET = "MXNet file"
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
    if out.exists():
        raise UserError(f"{out}: exists already; remove it or choose another name")
    if not out.parent.is_dir():
        raise UserError(f"{out}: the folder {out.parent} does not exist")
    from wsssbench.files.weights import is_mxnet

    _refuse_absent(source)
    if not is_mxnet(source):
        raise UserError(f"{source} is no MXNet .params file: there is nothing to convert")
    content = _report(source, md5, note="nothing was written")
    size = _write(content.state, out)
    make_console().print(
        f"{out}: written, {size / 1e6:.1f} MB, {duration(time.monotonic() - began)}; "
        f"in a config: backbone=dict(type='ResNet38d', weights='{out}')",
        markup=False,
    )


@app.command("check")
def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=".params of MXNet or .pth")],
    md5: Md5 = "",
) -> None:
    """Say whether a weight file is complete and fits ResNet38d; exit code 2 if it does not."""
    _refuse_absent(file)
    _report(file, md5)


@dataclass(frozen=True)
class _Content:
    """What is in a weight file.

    Args:
        kind: of the file, for the report.
        stored: (version and type, or type) of each of its arrays.
        empty: arrays without values.
        dropped: arrays left out on purpose.
        damages: (array, what is wrong with its values).
        state: `ResNet38d`'s tensors, and those with unknown names.
    """

    kind: str
    stored: tuple[str, ...]
    empty: tuple[str, ...]
    dropped: tuple[str, ...]
    damages: tuple[tuple[str, str], ...]
    state: dict[str, Tensor]


def _refuse_absent(file: Path) -> None:
    if file.is_dir():
        raise UserError(f"weight file {file} is a folder: give the file in it")
    if not file.is_file():
        raise UserError(f"weight file {file} does not exist")


def _report(file: Path, md5: str, note: str = "") -> _Content:
    """Print the report on `file`; UserError, ended by `note`, if it does not fit ResNet38d."""
    from wsssbench.files.weights import is_mxnet, printable

    console = make_console()
    digest = _digest(file, md5)
    content = _mxnet_content(file) if is_mxnet(file) else _pytorch_content(file)
    fit = _fit(content)
    counts = Counter(content.stored)
    listed = ", ".join(f"{count} {kind}" for kind, count in counts.items())
    megabytes = file.stat().st_size / 1e6
    console.print(
        f"{file}: {content.kind}, {megabytes:.1f} MB, {len(content.stored)} arrays ({listed or 'none'})",
        markup=False,
    )
    _say_digest(file, digest, content, console)
    wanted = [name for name in fit.wanted if not name.endswith(_COUNTER)]
    dropped = (*content.dropped, *fit.ignored)
    left_out = f"; left out: {', '.join(map(printable, dropped))}" if dropped else ""
    console.print(
        f"ResNet38d: {len(set(wanted) & set(content.state))} of {len(wanted)} tensors are in the "
        f"file{left_out}",
        markup=False,
    )
    problems = list(_problems(content, fit))
    if problems:
        _show(problems, console)
        raise UserError(
            f"{file} does not hold ResNet38d's weights: {len(problems)} problems, listed above"
            f"{'; ' * bool(note)}{note}"
        )
    return content


def _digest(file: Path, wanted: str) -> str:
    """The file's md5; UserError if another one was asked for."""
    if wanted and not re.fullmatch(r"[0-9a-fA-F]{32}", wanted):
        raise UserError(f"--md5 {wanted}: has to be 32 hexadecimal digits")
    found = hashlib.md5(usedforsecurity=False)
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK):
            found.update(chunk)
    if wanted and found.hexdigest() != wanted.lower():
        raise UserError(
            f"{file} has md5 {found.hexdigest()} instead of {wanted.lower()}: it is another file "
            "or a damaged one; fetch it again"
        )
    return found.hexdigest()


def _say_digest(file: Path, digest: str, content: _Content, console: Console) -> None:
    from wsssbench.models.resnet38d_mxnet import PUBLISHED_MD5

    if digest == PUBLISHED_MD5:
        console.print(f"md5 {digest}: the published ResNet38 A1 file", markup=False)
        return
    console.print(f"md5 {digest}", markup=False)
    if content.kind == _MXNET:
        ConsoleProgress(console).warn(
            f"this is not the published ResNet38 A1 file, whose md5 is {PUBLISHED_MD5}: the "
            f"values of {file.name} may be another training's, or damaged where no check can "
            "see it, and results from it may differ from published ones (some projects pass on a "
            "re-saved copy, which has the same values and another md5)"
        )


def _mxnet_content(file: Path) -> _Content:
    from wsssbench.files.mxnet_params import read_arrays
    from wsssbench.models.resnet38d_mxnet import DROPPED, damages, renamed

    stored = read_arrays(file)
    arrays = {array.name: array.values for array in stored if array.values is not None}
    return _Content(
        kind=_MXNET,
        stored=tuple(f"{array.version} {array.dtype or 'without values'}" for array in stored),
        empty=tuple(array.name for array in stored if array.values is None),
        dropped=tuple(name for name in arrays if name in DROPPED),
        damages=tuple(damages(arrays)),
        state=renamed(arrays),
    )


def _pytorch_content(file: Path) -> _Content:
    from wsssbench.files.weights import load_state_dict_file
    from wsssbench.models.resnet38d_mxnet import damages

    state = load_state_dict_file(file)
    arrays: dict[str, np.ndarray] = {}
    odd = []
    for name, tensor in state.items():
        if name.endswith(_COUNTER):
            continue
        try:  # numpy has no bfloat16
            plain = tensor.float() if tensor.is_floating_point() else tensor
            arrays[name] = plain.detach().numpy()
        except (TypeError, RuntimeError):  # sparse, quantised, without memory
            odd.append((name, f"is no plain tensor, but {tensor.dtype} in layout {tensor.layout}"))
    return _Content(
        kind="PyTorch file",
        stored=tuple(str(tensor.dtype).removeprefix("torch.") for tensor in state.values()),
        empty=(),
        dropped=(),
        damages=(*odd, *damages(arrays)),
        state=state,
    )


def _fit(content: _Content) -> Fit:
    import torch

    from wsssbench.files.weights import compare
    from wsssbench.models.resnet38d import CLASSIFIERS, ResNet38d

    with torch.device("meta"):  # shapes only
        network = ResNet38d()
    return compare(network, content.state, CLASSIFIERS)


def _problems(content: _Content, fit: Fit) -> Iterable[tuple[str, str, str]]:
    """(kind, tensor, detail) of everything that is wrong."""
    from wsssbench.models.resnet38d_mxnet import mxnet_names

    theirs = {ours: name for name, ours in mxnet_names().items()}
    for name in content.empty:
        yield "without values", name, "stored without shape and values"
    for name in fit.missing:
        yield "missing", name, f"{theirs[name]} in MXNet's file"
    for name in fit.unexpected:
        yield "unexpected", name, f"shape {tuple(content.state[name].shape)}"
    for name, given, own in fit.misshaped:
        yield "mis-shaped", name, f"shape {given} instead of {own}"
    for name, problem in content.damages:
        yield "damaged", name, problem


def _show(problems: list[tuple[str, str, str]], console: Console) -> None:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from wsssbench.files.weights import printable

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in ("problem", "tensor", "detail"):
        table.add_column(column, overflow="fold")
    for row in problems:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table, soft_wrap=False)


def _write(state: dict[str, Tensor], out: Path) -> int:
    """Write the state dict to `out`, all of it or nothing; its size in bytes."""
    import torch

    from wsssbench.files.atomic import write_atomically

    buffer = io.BytesIO()
    torch.save(state, buffer)
    write_atomically(out, buffer.getbuffer())
    return buffer.getbuffer().nbytes
