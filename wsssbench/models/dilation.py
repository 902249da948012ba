"""Turning a classification network into a dense one: strides beyond a limit become dilation.

A convolution that used to see its input at stride s, and now sees it at the finer stride t, gets
dilation s / t; so every tap falls on the same place of the image as before (Chen et al., DeepLab,
ICLR 2015).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

OUTPUT_STRIDES = (8, 16, 32)
_PROBE = 64  # pixels of the image that strides are measured on: a multiple of 32, and cheap
_LAYERS = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)


def check_output_stride(output_stride: int) -> None:
    """ValueError unless `output_stride` is one that backbones can be converted to."""
    if output_stride not in OUTPUT_STRIDES:
        raise ValueError(
            f"output_stride={output_stride}, but has to be one of "
            f"{', '.join(map(str, OUTPUT_STRIDES))}"
        )


def dilate(chain: Sequence[nn.Module], output_stride: int) -> list[nn.Module]:
    """Limit the stride of `chain`, in place; its modules come back grouped by original stride.

    Strided convolutions beyond the limit are applied densely; poolings beyond it are dropped, as a
    pooling has no weights that depend on its stride. Poolings that stay round up, so that a map is
    never smaller than ceil(size / stride).

    Args:
        chain: modules whose composition is the network, in order.
        output_stride: the limit, 8, 16 or 32.

    Returns:
        One `nn.Sequential` per original stride: stages of the network, each halving the one before.

    Raises:
        ValueError: a stride is no power of two, or a layer cannot be dilated.
    """
    with torch.no_grad():
        inputs, outputs = _measure(chain)
    kept = []
    for module, stride in zip(chain, outputs, strict=True):
        for name, layer in list(module.named_modules()):
            fits = layer not in inputs or _limit(layer, inputs[layer], output_stride)
            if not fits and name:
                _replace(module, name, nn.Identity())
            elif not fits:
                break  # the module is itself a pooling to be dropped
        else:
            kept.append((module, stride))
    return _group(kept)


def _measure(chain: Sequence[nn.Module]) -> tuple[dict[nn.Module, int], list[int]]:
    """The stride at which each layer of `chain` reads, and that of each module's result."""
    inputs: dict[nn.Module, int] = {}

    def note(layer: nn.Module, given: Any) -> None:
        # 1 x 1 layers without stride need no dilation (squeeze-and-excitation has such)
        if _pair(layer.kernel_size) != (1, 1) or _pair(layer.stride) != (1, 1):
            inputs[layer] = _stride(given[0])

    handles = [
        layer.register_forward_pre_hook(note)
        for module in chain
        for layer in module.modules()
        if isinstance(layer, _LAYERS)
    ]
    modes = [(part, part.training) for module in chain for part in module.modules()]
    outputs = []
    x = torch.zeros(1, 3, _PROBE, _PROBE)
    try:
        for module in chain:
            x = module.eval()(x)
            outputs.append(_stride(x))
    finally:
        for handle in handles:
            handle.remove()
        for part, mode in modes:
            part.training = mode
    return inputs, outputs


def _stride(x: Tensor) -> int:
    """The stride of map `x` (N, C, h, w) with regard to the probe."""
    h, w = x.shape[-2:]
    stride = _PROBE // h
    if x.ndim != 4 or h != w or stride * h != _PROBE or stride & (stride - 1):
        raise ValueError(
            f"a layer's map is {tuple(x.shape)} for an image of {_PROBE} x {_PROBE} pixels"
        )
    return stride


def _limit(layer: nn.Module, read: int, output_stride: int) -> bool:
    """Let `layer`, which used to read at stride `read`, keep to the limit; False: it has to go."""
    (sy, sx), (ky, kx) = _pair(layer.stride), _pair(layer.kernel_size)
    if sy != sx or ky != kx:
        raise ValueError(f"the layer {layer} is not square")
    now = min(read, output_stride)  # the stride it reads at from now on
    step = min(read * sy, output_stride) // now
    if isinstance(layer, nn.Conv2d):
        return _limit_convolution(layer, read // now, step, ky)
    if step < sy:
        return False
    if read > output_stride:
        raise ValueError(f"the pooling {layer} cannot be dilated")
    if (sy, sx) == (ky, kx):  # an overlapping, padded pooling rounds up by itself
        layer.ceil_mode = True  # type: ignore[assignment]
    return True


def _limit_convolution(layer: nn.Conv2d, dilation: int, step: int, kernel: int) -> bool:
    changed = dilation > 1 or (step, step) != _pair(layer.stride)
    if changed and (kernel % 2 == 0 or _pair(layer.dilation) != (1, 1)):
        raise ValueError(f"the convolution {layer} cannot be dilated")
    if changed:
        layer.stride, layer.dilation = (step, step), (dilation, dilation)
        if not isinstance(layer.padding, str):
            layer.padding = tuple(p * dilation for p in _pair(layer.padding))
    return True


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _group(modules: Sequence[tuple[nn.Module, int]]) -> list[nn.Module]:
    strides = sorted({stride for _, stride in modules})
    return [nn.Sequential(*(m for m, stride in modules if stride == s)) for s in strides]


def replace_convolutions(module: nn.Module, make: Callable[[nn.Conv2d], nn.Conv2d]) -> None:
    """Put ``make(convolution)`` in the place of every convolution inside `module`."""
    for name, layer in list(module.named_modules()):
        if isinstance(layer, nn.Conv2d):
            _replace(module, name, make(layer))


def _replace(module: nn.Module, name: str, layer: nn.Module) -> None:
    parent, _, attribute = name.rpartition(".")
    setattr(module.get_submodule(parent), attribute, layer)
