"""Values that are wrong for certain, in the place of every value of the shipped configs."""

from __future__ import annotations

import copy
import math
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fault_outcomes import ACCEPTED, outcome, show

from wsssbench import api
from wsssbench.experiment.config import read_config, resolve

NAN, INF = math.nan, math.inf
NO_NUMBERS: list[Any] = [NAN, INF, -INF, "many", [], {}, [[1]], 1e300, -1e300]
WRONG: dict[type, list[Any]] = {
    bool: ["maybe", 2, -1, 0.5, [], {}, NAN],
    int: [*NO_NUMBERS, 0.5, 10**30, -(10**30)],
    float: NO_NUMBERS,
    str: [[], {}, 0.5, NAN, ["a", ["b"]]],
    list: ["many", 3, NAN, {}, [NAN], [[[]]], [1e300], [{}]],
    dict: ["Nope", 3, NAN, [3], {"type": "Nope"}, {"type": 3}, {"type": []}, {"no such key": 1}],
}


def try_values(configs: list[Path], shown: int) -> bool:
    """Put every wrong value in the place of every value of every config, and print what happened, by type.

    What reading the config lets through is planned, too: some parts are checked only when they are built.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    details: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    settings = api.make_settings(tempfile.mkdtemp(), "cpu", 1)
    for path in configs:
        whole = resolve(read_config(path))
        for keys, value in places(whole):
            kind = _kind(value)
            for wrong in WRONG.get(kind, []):
                changed = copy.deepcopy(whole)
                _set(changed, keys, wrong)
                happened = outcome(lambda changed=changed: resolve(changed))
                if happened == ACCEPTED:
                    happened = outcome(lambda changed=changed: api.plan(changed, settings))
                counts[kind.__name__][happened] += 1
                what = f"{path.name}: {'.'.join(map(str, keys))} = {str(wrong)[:40]}"
                details[kind.__name__][happened].append(what)
    bad = False
    for kind_name, of_kind in counts.items():
        bad |= show(f"values for {kind_name}", of_kind, details[kind_name], shown)
        bad |= bool(of_kind[ACCEPTED])
    return bad


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield (keys, value) of everything in a config, sections and lists included."""
    if above:
        yield above, value
    if isinstance(value, dict):
        for key, item in value.items():
            yield from places(item, (*above, key))
    elif isinstance(value, (list, tuple)):
        for number, item in enumerate(value):
            yield from places(item, (*above, number))


def _kind(value: Any) -> type:
    for kind in (bool, int, float, str, dict):
        if isinstance(value, kind):
            return kind
    return list if isinstance(value, (list, tuple)) else type(value)


def _set(config: Any, keys: tuple[Any, ...], value: Any) -> None:
    """Put `value` at `keys`; tuples on the way become lists."""
    for key in keys[:-1]:
        if isinstance(config[key], tuple):
            config[key] = list(config[key])
        config = config[key]
    config[keys[-1]] = value
