"""Changes a config from the command line: ``--set a.b=value``; `wsssbench.experiment.merging` has the rule."""

from __future__ import annotations

import ast
import copy
import inspect
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any

from wsssbench.errors import UserError, unknown
from wsssbench.experiment.chains import OWN, chain_names, last_round, of_chain
from wsssbench.experiment.config import (
    PLAIN,
    SECTIONS,
    Top,
    entries_checked,
    with_chains_checked,
)
from wsssbench.experiment.merging import (
    component_kind,
    difference,
    is_named,
    kind_in,
    merged,
    pattern_of,
)
from wsssbench.experiment.override_values import parse, settled
from wsssbench.plugins import load
from wsssbench.registry import Parameter, part_of, signature_parameters
from wsssbench.stages import places


def apply_overrides(config: Mapping[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """Return `config` with ``a.b=value`` applied in order.

    A key has to exist, or to be a parameter of the component at that place; ``+a.b=value`` adds any key. A component
    may be given by name alone, ``classifier.pooling=GAP``, or as it would be called,
    ``classifier.pooling=GPP(bins=(2, 4))``; ``classifier.erasing=none`` empties a list of them.

    Raises:
        UserError: not of that form, an unknown key (with near matches), or an override that would have no effect.
    """
    result: dict[str, Any] = _unshared(config)
    for override in overrides:
        key, equals, text = override.partition("=")
        add = key.startswith("+")
        path = key.removeprefix("+").strip()
        if not equals or not path:
            raise UserError(f"--set {override}: has to be of the form key.subkey=value")
        chain, rest = _chain_of(path)
        if rest:
            _assign_in_chain(result, chain, rest, parse(text), add)
        else:
            _assign(result, path, parse(text), add)
    for override in overrides:
        _refuse_idle(override.partition("=")[0].removeprefix("+").strip(), result)
    return result


def _unshared(value: Any) -> Any:
    """Copy dicts and lists: one that stands at two places becomes two, of which an override changes one."""
    if isinstance(value, Mapping):
        return {key: _unshared(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_unshared(item) for item in value)
    return value


def refuse_repeated(overrides: Iterable[str]) -> None:
    """Refuse two overrides of one key, of which the first would have no effect; an index may be set twice.

    Raises:
        UserError: names the key.
    """
    keys = [override.partition("=")[0].strip() for override in overrides]
    for key in keys:
        if keys.count(key) > 1 and not key[-1:].isdigit():
            raise UserError(f"--set {key} is given {keys.count(key)} times: give it once")


def _refuse_idle(key: str, config: Mapping[str, Any]) -> None:
    """Refuse the override of a `key` that nothing would read."""
    section = key.partition(".")[0]
    for other, kind in SECTIONS.items():
        if section in kind.replaces and config.get(other) is not None:
            raise UserError(
                f"--set {key} has no effect, since the section {other} stands in the place of '{section}': leave it "
                f"out, or give --set {other}=none"
            )


def as_overrides(values: Mapping[str, Any]) -> list[str]:
    """Return overrides of keys to values: texts are read as on the command line, anything else is taken as it is.

    Raises:
        UserError: a value that no config could have.
    """
    return [f"{k}={v if isinstance(v, str) else _literal(k, v)}" for k, v in values.items()]


def _literal(key: str, value: Any) -> str:
    """Return `value` as Python text: paths as texts, numbers and arrays of NumPy or torch as plain ones."""
    plain = str(value) if isinstance(value, PurePath) else value
    plain = plain.tolist() if hasattr(plain, "tolist") else plain
    text = repr(plain)
    with suppress(ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        if ast.literal_eval(text) == plain:
            return text
    raise UserError(
        f"set: {key}={text} has to be a number, a text, True, False, None, or lists, tuples and dicts of them"
    )


def _chain_of(path: str) -> tuple[str, str]:
    """Return ("once", "segmenter.loss") for ``before.once.segmenter.loss``; the rest is empty for any other key."""
    section, _, rest = path.partition(".")
    chain, _, rest = rest.partition(".")
    return (chain, rest) if section == "before" else ("", "")


def _assign_in_chain(config: dict[str, Any], chain: str, path: str, value: Any, add: bool) -> None:
    """Change `path` of the earlier chain: it keeps what it has, and what differs from the experiment itself."""
    entries_checked({chain: {path.partition(".")[0]: None}})
    checked = with_chains_checked(config)  # a file may say anything
    before = dict(checked["before"])
    known = [name for name in (*before, *chain_names(checked), last_round(checked)) if name]
    if chain not in known and not add:
        raise UserError(
            f"--set before.{chain}.{path}: {unknown('chain', chain, known)}; write +before.{chain}.{path}=... to add "
            "one"
        )
    changed: dict[str, Any] = _unshared(of_chain(checked, chain))
    _assign(changed, path, value, add, within=f"before.{chain}.")
    before[chain] = difference(changed, of_chain(checked, OWN), before.get(chain))
    config["before"] = before


def _assign(config: dict[str, Any], path: str, value: Any, add: bool, within: str = "") -> None:
    """Change `path` of `config`, which is the experiment itself, or the chain `within`, ``before.NAME.``."""
    *parents, last = path.split(".")
    asked = f"{within}{path}"
    if not all((*parents, last)):
        raise UserError(
            f"--set {asked}: a part of the key is empty, but it is names with dots between"
        )
    node: Any = config
    for depth, part in enumerate(parents):
        node = _child(node, part, ".".join(parents[:depth]), asked, add)
    here = ".".join(parents)
    if last == "type" and not add and component_kind(here):
        _assign(config, here, value, add, within)  # another type is another component
        return
    if isinstance(value, str) and set("(=)") & set(value) and _is_component_place(path):
        raise UserError(
            f"--set {asked}={value}: is neither the name of a component nor of the form Name(key=value, ...), with a "
            "text in quotes"
        )
    value = settled(value, _annotation(config, path.split(".")), path, _parameters)
    if isinstance(node, list):
        of_components = kind_in(places("lists"), here) is not None
        emptied = of_components and value is None
        index = _index(node, last, here, asked, append=of_components and not emptied)
        there = node[index] if index < len(node) else None
        node[index : index + 1] = [] if emptied else [merged(there, value, path)]
        return
    if not add:
        declared = _declared(node, here)
        allowed = {*node, *declared}
        if last not in allowed:  # where keys are declared, no other one would be accepted
            hint = "" if declared else f"; write +{asked}=... to add a new one"
            raise UserError(f"--set {asked}: {unknown('key', last, allowed)}{hint}")
    if value is None and last in node and is_named(path):
        del node[last]
    else:
        node[last] = merged(node.get(last), value, path)


def _child(node: Any, part: str, here: str, path: str, add: bool) -> Any:
    if isinstance(node, list):
        item = node[_index(node, part, here, path)]
        if not isinstance(item, (dict, list)):
            raise UserError(f"--set {path}: {here}.{part} is {item!r}, which has no parts")
        return item
    place = f"{here}.{part}".lstrip(".")
    if node.get(part) is None:
        declared = _declared(node, here)
        if not add and part not in {*node, *declared}:
            raise UserError(f"--set {path}: {unknown('key', part, {*node, *declared})}")
        default = copy.deepcopy(declared.get(part))
        if default is None:
            default = [] if kind_in(places("lists"), place) else {}
        node[part] = default
    if isinstance(node[part], tuple):
        node[part] = list(node[part])
    if not isinstance(node[part], (dict, list)):
        raise UserError(f"--set {path}: {place} is {node[part]!r}, which has no parts")
    return node[part]


def _index(node: list[Any], part: str, here: str, path: str, append: bool = False) -> int:
    if part.isascii() and part.isdigit() and len(part) < 10 and int(part) < len(node) + append:
        return int(part)
    raise UserError(f"--set {path}: {here} is a list of {len(node)}, '{part}' is no index in it")


def _is_component_place(path: str) -> bool:
    return component_kind(path) is not None or kind_in(places("lists"), path) is not None


def _declared(node: Mapping[str, Any], here: str) -> dict[str, Any]:
    """Return the keys that may be set at `here` although the config does not spell them out -> their defaults.

    None stands for a key that has to be given, too.
    """
    defaults = {
        key: None if parameter.default is inspect.Parameter.empty else parameter.default
        for key, parameter in _parameters(node, here).items()
    }
    return defaults if here else {**dict.fromkeys(SECTIONS), **defaults}


def _parameters(node: Mapping[str, Any], here: str) -> dict[str, Parameter]:
    """Return the parameters of what stands at `here`: a component, a plain section, or the top level."""
    if not here:
        return signature_parameters(Top)
    pattern = pattern_of(PLAIN, here)
    beside = signature_parameters(PLAIN[pattern]) if pattern else {}
    name = node.get("type", kind_in(places("default_types"), here))
    if not isinstance(name, str):
        return beside
    registries, kinds = load().registries, component_kind(here)
    return {
        key: parameter
        for component in registries.find(name)
        if kinds is None or component.kind in kinds.split("|")
        for key, parameter in registries[component.kind].parameters(name).items()
    } | beside


def _annotation(config: Mapping[str, Any], parts: Sequence[str]) -> Any:
    """Return the annotation of the parameter, or of the item of one, at the place `parts`; Any if it has none."""
    node: Any = config
    annotation: Any = Any
    for depth, part in enumerate(parts):
        parameters = _parameters(node, ".".join(parts[:depth])) if isinstance(node, Mapping) else {}
        annotation = (
            parameters[part].annotation if part in parameters else part_of(annotation, part)
        )
        if isinstance(node, Mapping):
            node = node.get(part)
        elif isinstance(node, (list, tuple)) and part in map(str, range(len(node))):
            node = node[int(part)]
        else:
            node = None
    return annotation
