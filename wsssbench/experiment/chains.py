"""The chains of an experiment: itself, the earlier ones under ``before``, and its ``rounds``.

A *chain* is a whole pipeline, from the classifier to the predictions. An entry of ``before`` is the experiment itself
with what differs; only those of its stages exist that another stage reads. ``rounds=N`` makes the chains ``round1`` to
``roundN``, of which the last one is the experiment itself; an entry ``before.round2`` changes round 2, whatever N is.
``previous.X`` names the stage X of the round before. In a first round it means nothing: a parameter ``X | None`` is
None there, a component of a list is left out, and anything else is a mistake.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from wsssbench.errors import UserError
from wsssbench.experiment.merging import kind_in, merged
from wsssbench.experiment.references import Plain, Reference, references
from wsssbench.stages import places

OWN = ""  # the name of the last chain, which runs whole
PREVIOUS = "previous"
_ROUND = "round"


@dataclass(frozen=True)
class ChainConfig:
    """One chain of an experiment.

    Attributes:
        name: before the dot in the names of its stages; empty for the experiment itself.
        config: the sections, resolved; what means nothing in a first round is left out.
        previous: the name of the round before; None in a first one.
        left_out: what that was, in sentences.
        is_round: its CAMs are made and scored even if nobody reads them, so that rounds can be compared.
    """

    name: str
    config: Mapping[str, Any]
    previous: str | None = None
    left_out: tuple[str, ...] = field(default=())
    is_round: bool = False


def round_name(number: int) -> str:
    return f"{_ROUND}{number}"


def round_number(name: str) -> int | None:
    """Return 2 for ``round2``, None for a name of another kind."""
    digits = name.removeprefix(_ROUND)
    plain = name.startswith(_ROUND) and digits.isascii() and digits.isdigit()
    return int(digits) if plain and not digits.startswith("0") else None


def refuse_chain_name(name: str, where: str) -> None:
    """Refuse a name under ``before`` that no chain can have; UserError whose sentence begins with `where`."""
    if not name.isidentifier():
        raise UserError(f"{where}: a chain cannot be called '{name}': take letters, digits and _")
    if name == PREVIOUS:
        raise UserError(
            f"{where}: a chain cannot be called '{name}', which is the round before: give it another name"
        )
    if name.removeprefix(_ROUND).isdigit() and round_number(name) is None:
        raise UserError(
            f"{where}: a chain cannot be called '{name}', since rounds are called {round_name(1)}, {round_name(2)} and "
            "so on: give it another name"
        )


def of_chain(config: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return `config` with what its entry ``before.NAME`` changes, if it has one."""
    own = {key: value for key, value in config.items() if key not in ("before", "rounds")}
    changed: dict[str, Any] = merged(own, (config.get("before") or {}).get(name) or {}, "")
    return changed


def last_round(config: Mapping[str, Any]) -> str:
    """Return the name of the round that is the experiment itself."""
    return round_name(config.get("rounds", 1))


def chain_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Yield the names of all chains: earlier ones, rounds, and the experiment itself."""
    yield from (name for name in config.get("before") or {} if round_number(name) is None)
    yield from map(round_name, range(1, config.get("rounds", 1)))
    yield OWN


def chains(config: Mapping[str, Any], plain: Plain) -> dict[str, ChainConfig]:
    """Return the chains of a resolved `config` by name, the experiment itself last.

    Args:
        plain: places of sections that are no components -> the class whose fields are their keys.

    Raises:
        UserError: ``previous.X`` where it can mean nothing.
    """
    made: dict[str, ChainConfig] = {}
    before: str | None = None
    rounds = config.get("rounds", 1)
    for name in chain_names(config):
        number = rounds if name == OWN else round_number(name)
        sections, previous = of_chain(config, name), before if number else None
        left_out: tuple[str, ...] = ()
        if previous is None:
            where = f"before.{name}" if name else "the config"
            sections, left_out = _first_round(sections, plain, where)
        made[name] = ChainConfig(name, sections, previous, left_out, bool(number and rounds > 1))
        before = name if number else before
    return made


def unused_rounds(config: Mapping[str, Any]) -> list[str]:
    """Return the entries of ``before`` that change rounds which the experiment does not have."""
    last = config.get("rounds", 1)
    return [name for name in config.get("before") or {} if (round_number(name) or 0) > last]


def _first_round(
    config: dict[str, Any], plain: Plain, where: str
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the sections of a first round, and what had to be left out of them.

    Raises:
        UserError: something reads the previous round that can be neither None nor left out.
    """
    said = []
    for reference in list(references(config, plain=plain)):
        if reference.target.partition(".")[0] != PREVIOUS:
            continue
        item = _list_item(reference.path)
        if reference.path.rpartition(".")[2].isdigit():  # one of several
            config = _replaced(config, reference.path, _GONE)
            said.append(f"{reference.path}={reference.target}")
        elif reference.optional:
            config = _replaced(config, reference.path, None)
            said.append(f"{reference.path}={reference.target}")
        elif item:
            config = _replaced(config, item, _GONE)
            said.append(f"{item} ({reference.component}), which reads {reference.target}")
        else:
            raise UserError(_means_nothing(reference, where))
    config = _swept(config)
    return config, tuple(
        f"{one}: there is no round before this one, so it is left out"
        for one in dict.fromkeys(said)
    )


def _means_nothing(reference: Reference, where: str) -> str:
    first = round_name(1)
    return (
        f"{reference.path}='{reference.target}' means nothing in a first round ({where}), and "
        f"{reference.component or 'the experiment'} cannot do without: give the first round another "
        f"{reference.path.rpartition('.')[0]}, before=dict({first}=dict(...)), or have rounds=2 or more"
    )


class _Gone:
    """Stands for an item of a list that is left out, until all of them are known."""


_GONE = _Gone()


def _list_item(path: str) -> str:
    """Return the place of the component of a list in which the reference `path` stands; empty if it is in none."""
    parts = path.split(".")
    for i in range(1, len(parts)):
        if kind_in(places("lists"), ".".join(parts[:i])):
            return ".".join(parts[: i + 1])
    return ""


def _replaced(value: Any, path: str, new: Any) -> Any:
    """Return `value` with `new` at `path`."""
    part, _, rest = path.partition(".")
    if isinstance(value, Mapping):
        key: Any = part
        return {
            k: (_replaced(v, rest, new) if rest else new) if k == key else v
            for k, v in value.items()
        }
    items = [
        (_replaced(item, rest, new) if rest else new) if i == int(part) else item
        for i, item in enumerate(value)
    ]
    return type(value)(items)


def _swept(value: Any) -> Any:
    """Return `value` without the items that are left out."""
    if isinstance(value, Mapping):
        return {key: _swept(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_swept(item) for item in value if item is not _GONE)
    return value
