"""Freeze parts of a network so that training does not change them, also after ``.train()``."""

from __future__ import annotations

from torch import nn

NORMS = (nn.modules.batchnorm._BatchNorm, nn.GroupNorm, nn.LayerNorm)


def freeze(module: nn.Module) -> None:
    """Mark `module` as frozen: no gradients, and evaluation mode for good (see `keep_frozen_in_eval`)."""
    module.requires_grad_(False)
    for part in module.modules():
        part.frozen = True  # type: ignore[assignment]  # a plain flag pickles along


def freeze_norms(network: nn.Module) -> None:
    """Freeze the normalisation layers of `network`: statistics and affine parameters both stay."""
    for part in network.modules():
        if isinstance(part, NORMS):
            freeze(part)


def keep_frozen_in_eval(network: nn.Module) -> None:
    """Put the frozen parts of `network` back into evaluation mode: the last step of an overridden ``train()``."""
    for part in network.modules():
        if getattr(part, "frozen", False):
            part.training = False
