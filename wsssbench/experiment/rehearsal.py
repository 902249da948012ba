"""Rehearses the stages that a run will compute: what cannot work is told before the first one, not after hours.

Each kind of stage that trains does one step on two tiny images (`StageKind.rehearse`). What a rehearsal does leaves no
trace: it writes into a folder that is thrown away, and random numbers go on as if it had not been.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from wsssbench.errors import MissingWeightsError, PluginError, UserError
from wsssbench.experiment.cache import canonical
from wsssbench.experiment.graph import hashed
from wsssbench.experiment.references import components, references, replaced
from wsssbench.files.ground_truth import forbid
from wsssbench.interfaces import Dataset, Photos, RunContext, TrainedClassifier
from wsssbench.parallel import ranks
from wsssbench.parallel.plugin_errors import plugin_errors
from wsssbench.progress import Progress
from wsssbench.stages.stage import Node, StageKind, StageWork
from wsssbench.training.quiet import isolated, log_file, quiet
from wsssbench.training.rehearsal import is_lone_value, reason

# What this process has rehearsed: several seeds or rows have most of it in common.
_passed: set[str] = set()


def rehearse(
    nodes: Iterable[Node],
    cached: Mapping[str, Callable[[], Any]],
    dataset: Dataset,
    device: str,
    progress: Progress,
) -> dict[str, tuple[str, ...]]:
    """Rehearse every one of `nodes` that is not in the cache.

    Args:
        nodes: of a plan, each behind what it reads.
        cached: name of a node that is in the cache -> a function that returns its artefact.

    Returns:
        The weight files that are not there, with the stages that need them, which were rehearsed without.

    Raises:
        IncompatibleError: components that do not go together.
        UserError: a stage that cannot be computed.
    """
    rehearsal = _Rehearsal({node.name: node for node in nodes}, cached, dataset, device, progress)
    for name in rehearsal.nodes:
        key = rehearsal.key(name)
        if name not in cached and key not in _passed:
            rehearsal.artefact(name)
            if not rehearsal.missing:
                _passed.add(key)
    return rehearsal.missing


class _Rehearsal:
    """One rehearsal; what a stage leaves in it is kept for the stages that read it."""

    def __init__(
        self,
        nodes: Mapping[str, Node],
        cached: Mapping[str, Callable[[], Any]],
        dataset: Dataset,
        device: str,
        progress: Progress,
    ) -> None:
        self.nodes = nodes
        self.cached = cached
        self.dataset = dataset
        self.device = device
        self.progress = progress
        self.missing: dict[str, tuple[str, ...]] = {}
        self._made: dict[str, Any] = {}

    def key(self, name: str) -> str:
        """Return what the rehearsal of a node depends on; of what it reads, only a classifier has a part in it."""
        node = self.nodes[name]
        config = {key: value for key, value in hashed(node).items() if key != "seed"}
        above = [one for one in node.inputs.values() if self.nodes[one].makes is TrainedClassifier]
        own = [node.kind.name, config, self.dataset.classes, self.device, ranks.world_size()]
        return canonical([*own, [self.key(one) for one in above]])

    def artefact(self, name: str) -> Any:
        """Return what a node makes: from the cache, a stand-in that its rehearsal left, or None."""
        if name not in self._made:
            cached = self.cached.get(name)
            self._made[name] = cached() if cached else self._rehearsed(self.nodes[name])
        return self._made[name]

    def _rehearsed(self, node: Node) -> Any:
        if type(node.kind).rehearse is StageKind.rehearse:
            return None
        made: dict[str, Any] = {role: self.artefact(name) for role, name in node.inputs.items()}
        read = list(references(node.config))
        made |= {one.path: Photos(()) for one in read if one.is_photos}  # none that are real
        lost = [one.path for one in read if made.get(one.path) is None]
        if any(not _in_list(path) for path in lost):
            return None  # it is given something that only the stage itself makes
        config = _without(replaced(node.config, lambda reference: made.get(reference.path)), lost)
        masks = self.dataset.mask_directories()
        with TemporaryDirectory() as folder, isolated(), quiet(log_file(Path(folder))):
            context = RunContext(Path(folder), self.device, 0, 0, self.progress)
            work = StageWork(node.name, config, made, node.outside, self.dataset, context)
            try:
                with forbid(masks, node.name):
                    return self._try(node, work)
            except UserError:
                raise
            except Exception as error:  # whatever a component raises
                raise _told(node, error) from error

    def _try(self, node: Node, work: StageWork) -> Any:
        try:
            return node.kind.rehearse(work, pretrained=True)
        except MissingWeightsError as error:
            self.missing[error.file] = (*self.missing.get(error.file, ()), node.name)
        try:
            return node.kind.rehearse(work, pretrained=False)
        except MissingWeightsError:
            return None  # a network that does not go without


def _in_list(path: str) -> bool:
    """Tell whether the reference at `path` is of a component in a list, such as ``classifier.erasing.0.guide``."""
    return any(part.isdigit() for part in path.split(".")[:-1])


def _without(value: Any, lost: Sequence[str], path: str = "") -> Any:
    """Return the config `value` without those components of its lists that have one of the references `lost`."""
    if isinstance(value, Mapping):
        return {
            key: _without(item, lost, f"{path}.{key}".lstrip(".")) for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        kept = [not any(one.startswith(f"{path}.{i}.") for one in lost) for i in range(len(value))]
        return type(value)(item for item, stays in zip(value, kept, strict=True) if stays)
    return value


def _told(node: Node, error: Exception) -> UserError:
    """Return an error that names the stage and its component: of a plugin's code, or the one entered last."""
    if not is_lone_value(error):
        try:
            with plugin_errors():
                raise error
        except PluginError as told:
            return PluginError(f"{node.name}: {told.sentence}", told.details)
        except Exception:  # not of a plugin
            pass
    own = {cls.__module__: cls.__name__ for cls in components(node.config)}
    names, place = ", ".join(dict.fromkeys(own.values())), ""
    for frame, line in traceback.walk_tb(error.__traceback__):
        module = frame.f_globals.get("__name__", "")
        if module in own:
            names = own[module]
            place = f" ({Path(frame.f_code.co_filename).name}, line {line})"
    return UserError(
        f"{node.name}: {names} fails when it is tried on tiny images{place}: {reason(error)}"
    )
