"""Experiment configs: text-style mmengine files with ``_base_``, and their check.

A config reads like the method section of a paper. Its sections belong to the kinds of stages, each of which checks its
own; what stands at the top beside them is below. `resolve` checks everything that can be known before work starts and
fills in every default, so that the resolved config says all there is to say about an experiment.
"""

from __future__ import annotations

import pprint
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from wsssbench.datasets.subset import Trial
from wsssbench.errors import UserError, unknown
from wsssbench.experiment.chains import (
    OWN,
    chain_names,
    last_round,
    of_chain,
    refuse_chain_name,
)
from wsssbench.experiment.config_file import load_config_file
from wsssbench.experiment.graph import STAGES
from wsssbench.experiment.merging import DELETE, difference
from wsssbench.plugins import load
from wsssbench.registry import check_parameters, check_value, signature_parameters
from wsssbench.stages.generate import Generate
from wsssbench.stages.stage import StageKind

Seed = Annotated[int, Field(ge=0, lt=2**32)]
Rounds = Annotated[int, Field(ge=1, le=100)]
Percent = Annotated[float, Field(ge=0, le=100)]


@dataclass(frozen=True, kw_only=True)
class Splits:
    """The splits of an experiment by their use; an empty name stands for none.

    Attributes:
        train: its image-level labels train the classifier, its pseudo-labels the segmenter.
        evaluate: CAMs, scores and pseudo-labels are scored on it.
        val: the segmenter is scored on it.
        test: the segmenter predicts it, too; it may have no masks (VOC's is scored by a server).
        heldout: a small split whose masks select the CAM's threshold, if ``evaluate.selection`` says so.
    """

    train: str = "train"
    evaluate: str = "train"
    val: str = "val"
    test: str = ""
    heldout: str = ""


@dataclass(frozen=True, kw_only=True)
class Top:
    """The top level of a config, beside the sections of the stages.

    Attributes:
        name: of the experiment; names the folder of its runs.
        seed: of everything random but the data set.
        splits: see `Splits`.
        reference: title of an evaluation -> published mIoU in per cent, shown beside ours.
        smoke: what ``--smoke`` sets beyond what the kinds of stages say, as ``{"cam.flip": False}``: e.g. what makes a
            network too large for a laptop.
        trial: images of a run that is only a trial, see `Trial`; ``--smoke`` and ``--limit`` set it.
        before: earlier chains: name -> what differs from this experiment, see `wsssbench.experiment.chains`.
        rounds: this experiment so many times in a row; ``previous.X`` names the stage X of the round before.
    """

    name: str
    seed: Seed = 0
    splits: dict[str, Any] | None = None
    reference: dict[str, Percent] | None = None
    smoke: dict[str, Any] | None = None
    trial: dict[str, Any] | None = None
    before: dict[str, Any] | None = None
    rounds: Rounds = 1


LONGEST_NAME = 200  # bytes of the name of an experiment: file systems allow 255
_COMMON = (Generate.section,)  # of all chains
SECTIONS: dict[str, StageKind] = {kind.section: kind for kind in STAGES if kind.section}
# Places of sections that are no components -> the class whose fields are their keys.
PLAIN: dict[str, type] = {"splits": Splits, "trial": Trial}
for _kind in STAGES:
    PLAIN.update(_kind.plain)


def read_config(path: Path) -> dict[str, Any]:
    """Return the config file at `path` with its ``_base_`` files merged in, as plain dicts."""
    if not path.is_file():
        siblings = sorted(p.name for p in path.parent.glob("*.py")) if path.parent.is_dir() else []
        raise UserError(f"{unknown('config', path.name, siblings)} (looked in {path.parent}/)")
    if path.suffix != ".py":
        raise UserError(f"config {path} is not a Python config file (*.py)")
    return load_config_file(path)


def config_text(config: Mapping[str, Any]) -> str:
    """Return the resolved config as a Python config file."""
    lines = []
    for key, value in config.items():
        start = f"{key} = "
        text = pprint.pformat(value, width=100 - len(start), sort_dicts=False)
        lines.append(start + text.replace("\n", "\n" + " " * len(start)) + "\n")
    return "".join(lines)


def resolve(config: Mapping[str, Any]) -> dict[str, Any]:
    """Check `config` and fill in every default.

    Raises:
        UserError: unknown section, component or parameter; value of the wrong type; refinement that reads an unknown
            one.
    """
    keys = [*signature_parameters(Top), *SECTIONS]
    if "rows" in config:
        raise UserError(
            "config: this is a matrix of experiments, since it has rows, and not a single one: give it to "
            "'wsssbench sweep', or name the config of an experiment"
        )
    for key in config:
        if key not in keys:
            raise UserError(f"config: {unknown('parameter', key, keys)}")
    own = {key: value for key, value in config.items() if key not in SECTIONS}
    top = check_parameters(Top, own, "config")
    name, trial = top["name"], {}
    if top["trial"] is not None:
        trial = {"trial": check_parameters(Trial, top["trial"], "trial")}
        name = Trial(**trial["trial"]).marked(name)
    check_name(name, "config: name=")
    splits = check_parameters(Splits, top["splits"] or {}, "splits")
    for use in ("train", "evaluate"):
        if not splits[use]:
            raise UserError(f"splits.{use} is empty, but has to name a split")
    common = {"name": name, "splits": splits, **trial}
    written = {"seed": top["seed"], **{key: config[key] for key in config if key in SECTIONS}}
    given = entries_checked(top["before"] or {})
    sections = {**written, "before": given, "rounds": top["rounds"]}
    last = last_round(sections)
    resolved = _chain(of_chain(sections, last), common)
    before = {}
    for chain in dict.fromkeys([*given, *chain_names(sections)]):
        if chain not in (OWN, last):
            try:
                one = _chain(of_chain(sections, chain), common)
            except UserError as error:
                raise type(error)(f"before.{chain}: {error.whole}") from error
            before[chain] = difference(one, resolved)
    _check_used(splits, resolved)
    # What differs in no key is said by `rounds` alone.
    before = {chain: entry for chain, entry in before.items() if entry or chain in given}
    more = {"rounds": top["rounds"], "before": before}
    more = {key: value for key, value in more.items() if value not in (1, {})}
    return {**resolved, "reference": top["reference"] or {}, **more}


def with_chains_checked(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return `config`, of a file, with ``rounds`` and ``before`` as they have to be; UserError if they are not."""
    top = signature_parameters(Top)
    rounds = check_value(top["rounds"], config.get("rounds", top["rounds"].default), "config")
    before = check_value(top["before"], config.get("before"), "config")
    return {**config, "rounds": rounds, "before": entries_checked(before or {})}


def on_every_chain(
    config: Mapping[str, Any], change: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Return a resolved `config` of which `change` has changed the sections of every chain."""
    beside = {key: config[key] for key in ("before", "rounds") if key in config}
    own = change({key: value for key, value in config.items() if key not in beside})
    changed = {**own, **beside}
    if "before" in beside or "rounds" in beside:
        names = dict.fromkeys([*beside.get("before", {}), *chain_names(config)])
        others = {name: change(of_chain(config, name)) for name in names if name != OWN}
        changed["before"] = {name: difference(one, own) for name, one in others.items()}
    return changed


def _chain(written: Mapping[str, Any], common: Mapping[str, Any]) -> dict[str, Any]:
    """Return the sections of one chain, resolved, behind what all chains have in common."""
    registries = load().registries
    seed = check_value(signature_parameters(Top)["seed"], written["seed"], "config")
    resolved: dict[str, Any] = {"name": common["name"], "seed": seed, **common}
    for key, kind in SECTIONS.items():
        resolved[key] = kind.resolve(_section(written, key, kind), resolved, registries)
    return resolved


def entries_checked(before: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Check what stands under ``before``; UserError for a name or a key that cannot be there."""
    known = [key for key in ("seed", *SECTIONS) if key not in _COMMON]
    for name, entry in before.items():
        where = f"before.{name}"
        refuse_chain_name(name, where)
        if not isinstance(entry, Mapping):
            raise UserError(
                f"{where}={entry!r} has to be dict(...) of what differs from the experiment itself"
            )
        for key in entry:
            if key in _COMMON or (key in signature_parameters(Top) and key != "seed"):
                raise UserError(
                    f"{where}.{key}: '{key}' is the same in all chains of an experiment: give it at the top, or "
                    "make it an experiment of its own"
                )
            if key == DELETE:
                raise UserError(
                    f"{where}: {DELETE} empties a section, not a chain: give it inside of one, "
                    f"classifier=dict({DELETE}=True, ...)"
                )
            if key not in known:
                raise UserError(f"{where}: {unknown('parameter', key, known)}")
    return dict(before)


def _check_used(splits: Mapping[str, str], resolved: Mapping[str, Any]) -> None:
    """Refuse a split that nobody has to give, and that no stage of this experiment reads; UserError names it."""
    used = {key for kind in STAGES for key in kind.split_uses(resolved)}
    for key, parameter in signature_parameters(Splits).items():
        if splits[key] and not parameter.default and key not in used:
            raise UserError(
                f"splits.{key}='{splits[key]}' has no effect, since no stage of this experiment uses that split: leave "
                "it out (a test split is predicted by a segmenter)"
            )


def check_name(name: str, where: str) -> None:
    """The name of an experiment or of a sweep is that of a folder in the work directory; UserError if it cannot be.

    Args:
        where: begins the sentence.
    """
    plain = name == name.strip(" .") and not name.startswith("-") and not {*name} & {"/", "\\"}
    if not (name and plain and name.isprintable() and len(name.encode()) <= LONGEST_NAME):
        raise UserError(
            f"{where}{name!r} has to be the name of a folder: at most {LONGEST_NAME} bytes of characters that print, "
            "without / and \\, no - at the beginning, no blank or dot at either end"
        )


def _section(config: Mapping[str, Any], key: str, kind: StageKind) -> Any:
    given = config.get(key)
    if given is None:
        if kind.required:
            raise UserError(f"config: parameter '{key}' (dict[str, Any]) has to be given")
        return kind.default
    if not isinstance(given, Mapping):
        raise UserError(f"config: {key}={given!r} has to be a section, dict(...)")
    return given
