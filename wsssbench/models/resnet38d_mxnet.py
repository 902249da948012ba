"""ResNet38 A1's ImageNet weights as published (an MXNet file) -> the names and types of `ResNet38d`.

The file is that of Wu, Shen & van den Hengel's repository ademxapp. Both frameworks store
convolutions as (out, in, height, width), so no axis moves. Their network normalises with epsilon
1.001e-5; the networks of the AffinityNet lineage that load the file keep PyTorch's 1e-5, and so does
`ResNet38d`: the scale changes by less than 0.05 %, whatever the variance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

PUBLISHED_MD5 = "ff21f45d6bf03284100dcbec571edfad"  # ademxapp, models/checksum.md5, ResNet-38 A1
DROPPED = ("arg:linear1000_weight", "arg:linear1000_bias")  # ImageNet's classifier

_UNITS = {"2": 2, "3": 2, "4": 5, "5": 2, "6": 0, "7": 0}  # level -> units after its first
_BOTTLENECKS = ("6", "7")
_NORM = {
    "arg:{}_gamma": "weight",
    "arg:{}_beta": "bias",
    "aux:{}_moving_mean": "running_mean",
    "aux:{}_moving_var": "running_var",
}
_VARIANCES = ("_moving_var", ".running_var")  # in either framework's names
_LARGEST = np.finfo(np.float32).max
_SHOWN = 3


def mxnet_names() -> dict[str, str]:
    """Array name in the published file -> tensor name in `ResNet38d`: 191 of them."""
    names = {"arg:conv1a_weight": "conv1a.weight", **_norm("bn7", "bn7")}
    for level, more in _UNITS.items():
        branches = ("2a", "2b1", "2b2") if level in _BOTTLENECKS else ("2a", "2b1")
        names[f"arg:res{level}a_branch1_weight"] = f"b{level}.conv_branch1.weight"
        for i in range(more + 1):
            theirs, ours = (f"{level}b{i}", f"b{level}_{i}") if i else (f"{level}a", f"b{level}")
            for branch in branches:
                convolution = f"{ours}.conv_branch{branch}.weight"
                names[f"arg:res{theirs}_branch{branch}_weight"] = convolution
                names |= _norm(f"bn{theirs}_branch{branch}", f"{ours}.bn_branch{branch}")
    return names


def _norm(theirs: str, ours: str) -> dict[str, str]:
    return {given.format(theirs): f"{ours}.{own}" for given, own in _NORM.items()}


def from_mxnet(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """`ResNet38d`'s state dict, float32, from the published file's arrays.

    The ImageNet classifier is left out. Names that are not the published file's are kept as they
    are, for the sentence about them. Tensors share memory with the arrays where they can.

    Raises:
        ValueError: values that no training can have left.
    """
    problems = list(damages(arrays))
    if problems:
        listed = "; ".join(f"{name} {problem}" for name, problem in problems[:_SHOWN])
        raise ValueError(f"{len(problems)} arrays are damaged ({listed}): fetch the file again")
    return renamed(arrays)


def renamed(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    """`from_mxnet` without looking at the values."""
    names = mxnet_names()
    with np.errstate(over="ignore"):  # `damages` tells of values beyond float32
        return {
            names.get(name, name): torch.from_numpy(array.astype(np.float32, copy=False))
            for name, array in arrays.items()
            if name not in DROPPED
        }


def damages(arrays: Mapping[str, np.ndarray]) -> Iterator[tuple[str, str]]:
    """(name, what is wrong with its values) of every array that cannot be a trained weight."""
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            yield name, f"is of type {array.dtype} instead of a floating-point type"
        elif array.size:
            low, high = array.min(), array.max()  # both are NaN where one value is
            if not (low >= -_LARGEST and high <= _LARGEST):
                bad = int((~(np.abs(array) <= _LARGEST)).sum())
                yield name, f"has {bad} of {array.size} values that are no finite float32"
            elif name.endswith(_VARIANCES) and low < 0:
                yield name, f"has variances down to {low:.3g}, but none may be negative"
