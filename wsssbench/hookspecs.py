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
def before_stage(node: str, config: dict[str, Any], directory: str, run: dict[str, Any]) -> None:
    """Called on rank 0 before a stage computes into `directory` (not when it is reused); `run` as below."""


@hookspec
def after_stage(
    node: str, config: dict[str, Any], directory: str, result: dict[str, Any], run: dict[str, Any]
) -> None:
    """Called on rank 0 when a stage has finished, also when its result was in the cache.

    Args:
        node: the stage's name in the experiment, e.g. ``classify`` or ``evaluate.cam``.
        config: its resolved config.
        directory: where its artefacts are; a training leaves ``scalars.jsonl`` there, a JSON object per iteration.
        result: its metrics (an evaluation's ``chosen`` and ``oracle``, each with miou, precision, recall in per cent
            and threshold), ``seconds``, ``peak_mib``, and whether it was ``reused``.
        run: ``name``, ``run_id``, ``seed``, ``directory`` (of the run's results), ``title`` (what the ladder calls this
            stage, if it is one of its evaluations).
    """
