"""The hooks a plugin may implement: they contribute and observe; behaviour changes only by components in the config."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from wsssbench.registry import Registries

hookspec = pluggy.HookspecMarker("wsssbench")
hookimpl = pluggy.HookimplMarker("wsssbench")


@hookspec
def register(registries: Registries) -> None:
    """Add components: ``registries.pooling.add("Name", "package.module:Class", summary=..., reference=...)``."""


@hookspec
def before_stage(node: str, config: dict[str, Any], directory: str) -> None:
    """Called on rank 0 before a stage computes into `directory` (not when it is reused)."""


@hookspec
def after_stage(node: str, config: dict[str, Any], directory: str, result: dict[str, Any]) -> None:
    """Called on rank 0 when a stage has finished; `result` holds its metrics, seconds and peak memory."""
