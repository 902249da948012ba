"""Tries an experiment on few images: ``--smoke`` and ``--limit N``.

Both are applied last, to what the config, ``--set`` and the row of a sweep have made together. The kinds of stages say
what the smoke of their sections is; the config's own ``smoke=dict(...)`` adds to it, or has another opinion.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from wsssbench.datasets.subset import Trial
from wsssbench.errors import UserError, shortened
from wsssbench.experiment.config import SECTIONS, on_every_chain, resolve
from wsssbench.experiment.overrides import apply_overrides, as_overrides

SMOKE_IMAGES = 8  # of each split
_LENGTHS = {"epochs": "iterations", "iterations": "epochs"}
_NOTHING = object()


def trial_of(smoke: bool, limit: int | None) -> Trial | None:
    """Return the images that these options leave; None: all of them."""
    if limit is not None and limit < 1:
        raise UserError(f"--limit {limit}: has to be at least 1, the images of each split")
    if not smoke and limit is None:
        return None
    return Trial(images=limit or SMOKE_IMAGES, smoke=smoke)


def tried(
    config: Mapping[str, Any],
    written: Mapping[str, Any],
    smoke: bool,
    limit: int | None,
    given: Sequence[str] = (),
    warn: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Return `config` as ``--smoke`` and ``--limit`` want it, and as it is without either of them.

    Args:
        config: with all overrides, not resolved.
        written: without them.
        smoke: tiny trainings on images that show as many classes as possible.
        limit: at most so many images of each split.
        given: the overrides, ``key=value``.
        warn: told what smoke has replaced of these, and what of the config's own smoke fits nowhere.

    Raises:
        UserError: a limit below 1; the config's own smoke has a value that does not fit.
    """
    trial = trial_of(smoke, limit)
    if trial is None:
        return dict(config)
    changed = {**config, "trial": asdict(trial)}
    if not smoke:
        return changed
    whole = resolve(changed)
    # keys of the config's own smoke, for each chain those it has no place for
    unfit: list[set[str]] = []

    def small(chain: dict[str, Any]) -> dict[str, Any]:
        return _small(chain, config, written, unfit)

    # Nobody publishes such numbers.
    small_config = on_every_chain({**whole, "reference": {}}, small)
    for key in config.get("smoke") or {}:
        if all(key in keys for keys in unfit):
            warn(f"smoke: the config has no {key}, so that is left out")
    for key in dict.fromkeys(one.partition("=")[0].removeprefix("+").strip() for one in given):
        if key.partition(".")[0] in ("name", "reference", "before"):
            continue
        for path, before, after in _changes(key, _at(whole, key), _at(small_config, key)):
            warn(f"--smoke replaces {path}={_shown(before)} by {_shown(after)}")
    return small_config


def _small(
    chain: Mapping[str, Any],
    config: Mapping[str, Any],
    written: Mapping[str, Any],
    unfit: list[set[str]],
) -> dict[str, Any]:
    """Return the resolved sections of a chain as smoke has them; `unfit` gets what of the config's own fits nowhere."""
    small = dict(chain)
    for section, kind in SECTIONS.items():
        if chain[section] is not None:
            small[section] = kind.smoke(chain[section])
    own = config.get("smoke") or {}
    wanted = {key: value for key, value in own.items() if _has_place(key, small, config)}
    places = {key: key.rpartition(".")[0] for key in own if key not in wanted}
    # told unless an override has put something else there
    unfit.append({key for key, at in places.items() if _at(written, at) == _at(config, at)})
    # Of the two ways to say how long a training is there is one at a time.
    other = {key: _other_length(key) for key, value in wanted.items() if value is not None}
    wanted = {**{key: None for key in other.values() if key}, **wanted}
    return apply_overrides(small, as_overrides(wanted))


def _has_place(key: str, resolved: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Tell whether there is a `key` of the config's own smoke to set: a row of a sweep may have another component."""
    section = key.partition(".")[0]
    replacing = (other for other, kind in SECTIONS.items() if section in kind.replaces)
    unread = any(config.get(other) is not None for other in replacing)
    return not unread and _at(resolved, key) is not _NOTHING


def _other_length(key: str) -> str:
    """Return the key that must be None where `key` of a schedule has a value; empty for any other key."""
    place, _, last = key.rpartition(".")
    return f"{place}.{_LENGTHS[last]}" if place and last in _LENGTHS else ""


def _at(config: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(config, Mapping) and part in config:
            config = config[part]
        elif isinstance(config, (list, tuple)) and part.isdigit() and int(part) < len(config):
            config = config[int(part)]
        else:
            return _NOTHING
    return config


def _changes(path: str, before: Any, after: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield where `after` differs from `before`, which stands at `path`: the keys in a component, not all of it."""
    if before == after:
        return
    alike = isinstance(before, Mapping) and isinstance(after, Mapping)
    if not alike or before.get("type") != after.get("type"):
        yield path, before, after
        return
    for key in dict.fromkeys((*before, *after)):
        yield from _changes(f"{path}.{key}", before.get(key, _NOTHING), after.get(key, _NOTHING))


def _shown(value: Any) -> str:
    return "nothing" if value is _NOTHING else shortened(repr(value), 60)
