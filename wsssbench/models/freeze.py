"""Parts of a network that training must not change, in a way that survives ``.train()``."""

from __future__ import annotations

from torch import nn

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


def freeze(module: nn.Module) -> None:
    """Mark `module` as frozen: no gradients, and evaluation mode for good (see `hold`)."""
    module.requires_grad_(False)
    for part in module.modules():
        part.frozen = True  # type: ignore[assignment]  # a plain flag pickles along


def freeze_norms(network: nn.Module) -> None:
    """Freeze the normalisation layers of `network`: statistics and affine parameters both stay."""
    for part in network.modules():
        if isinstance(part, NORMS):
            freeze(part)


def hold(network: nn.Module) -> None:
    """Put what is frozen back into evaluation mode: the last step of an overridden ``train()``."""
    for part in network.modules():
        if getattr(part, "frozen", False):
            part.training = False
