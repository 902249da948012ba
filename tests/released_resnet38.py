"""The published ResNet38 A1 file's names, and small or true shapes for them, from its description."""

from __future__ import annotations

import numpy as np

# unit -> channels that come in, of its inner convolutions, that go out
UNITS = {
    "2a": (64, 128, 128), "2b1": (128, 128, 128), "2b2": (128, 128, 128),
    "3a": (128, 256, 256), "3b1": (256, 256, 256), "3b2": (256, 256, 256),
    "4a": (256, 512, 512), **{f"4b{i}": (512, 512, 512) for i in (1, 2, 3, 4, 5)},
    "5a": (512, 512, 1024), "5b1": (1024, 512, 1024), "5b2": (1024, 512, 1024),
}  # fmt: skip
NORM = {
    "gamma": ("arg", "weight"),
    "beta": ("arg", "bias"),
    "moving_mean": ("aux", "running_mean"),
    "moving_var": ("aux", "running_var"),
}


def released() -> dict[str, tuple[str | None, tuple[int, ...]]]:
    """Array of the file -> (its name here, its shape); no name for ImageNet's classifier."""
    found: dict[str, tuple[str | None, tuple[int, ...]]] = {
        "arg:conv1a_weight": ("conv1a.weight", (64, 3, 3, 3))
    }

    def norm(theirs: str, ours: str, channels: int) -> None:
        for given, (prefix, own) in NORM.items():
            found[f"{prefix}:{theirs}_{given}"] = (f"{ours}.{own}", (channels,))

    def convolution(unit: str, branch: str, ours: str, shape: tuple[int, ...]) -> None:
        name = f"{ours}.conv_branch{branch}.weight"
        found[f"arg:res{unit}_branch{branch}_weight"] = (name, shape)

    for unit, (given, inner, out) in UNITS.items():
        ours = f"b{unit[0]}" if unit[1] == "a" else f"b{unit[0]}_{unit[2]}"
        norm(f"bn{unit}_branch2a", f"{ours}.bn_branch2a", given)
        norm(f"bn{unit}_branch2b1", f"{ours}.bn_branch2b1", inner)
        convolution(unit, "2a", ours, (inner, given, 3, 3))
        convolution(unit, "2b1", ours, (out, inner, 3, 3))
        if unit[1] == "a":
            convolution(unit, "1", ours, (out, given, 1, 1))
    for unit, given, out in (("6a", 1024, 2048), ("7a", 2048, 4096)):
        ours = f"b{unit[0]}"
        norm(f"bn{unit}_branch2a", f"{ours}.bn_branch2a", given)
        norm(f"bn{unit}_branch2b1", f"{ours}.bn_branch2b1", out // 4)
        norm(f"bn{unit}_branch2b2", f"{ours}.bn_branch2b2", out // 2)
        convolution(unit, "2a", ours, (out // 4, given, 1, 1))
        convolution(unit, "2b1", ours, (out // 2, out // 4, 3, 3))
        convolution(unit, "2b2", ours, (out, out // 2, 1, 1))
        convolution(unit, "1", ours, (out, given, 1, 1))
    norm("bn7", "bn7", 4096)
    found["arg:linear1000_weight"] = (None, (1000, 4096))
    found["arg:linear1000_bias"] = (None, (1000,))
    return found


def random_arrays(seed: int = 0, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Every array of the file at its true shape: 109 million values, plausible for a network."""
    generator = np.random.default_rng(seed)
    arrays = {}
    for name, (_, shape) in released().items():
        if name.endswith("_moving_var"):
            arrays[name] = generator.uniform(0.5, 1.5, shape).astype(dtype)
            continue
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 100
        values = generator.random(shape, np.float32)
        values -= 0.5
        values *= 2 * fan_in**-0.5
        values += name.endswith("_gamma")
        arrays[name] = values.astype(dtype, copy=False)
    return arrays
