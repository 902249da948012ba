"""Protocol cards: what makes two numbers comparable, and in what two cards differ.

Every entry of a card has to agree, except the seed, which is meant to vary, and what the method itself is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wsssbench.results.formatting import card_key, card_value
from wsssbench.results.run import CardValue, Evaluation
from wsssbench.results.run_files import config_at

# What a card has only where it applies: its absence means "none". Other entries are there, or do not concern the run.
_OPTIONAL = ("held out", "cams", "crf", "scales", "flip", "initial weights", "labelling", "loss")
# What a card tells about a method: that is what comparisons are about.
_METHOD = ("classification weight", "starts from")
_CHOICES = {
    "heldout": "best on the masks of the held-out split {held}",
    "otsu": "selected by Otsu's criterion, without any mask",
    "oracle": "best on the masks of the same split",
}


def threshold_origin(card: Mapping[str, CardValue]) -> str:
    """How the threshold of a card came about; empty if it was fixed beforehand, or none is needed."""
    text = _CHOICES.get(str(card.get("threshold_choice")), "")
    return f"at the threshold that is {text.format(held=card.get('held out', ''))}" if text else ""


def protocol(evaluation: Evaluation) -> dict[str, CardValue]:
    """The entries of the card that have to agree: all but the seed, the method, and a threshold that is a result."""
    card = {"split": evaluation.split, **evaluation.card}
    for key in ("seed", *_METHOD):
        card.pop(key, None)
    if card.get("threshold_choice", "fixed") != "fixed":
        card.pop("threshold", None)
    return card


def card_differences(base: Evaluation, other: Evaluation) -> list[str]:
    """Each entry of the protocol cards in which `other` departs from `base`, as a phrase.

    The seed is left out, and so is a threshold that was not fixed beforehand: it is a result then.
    """
    mine, theirs = protocol(base), protocol(other)
    if "threshold" not in mine or "threshold" not in theirs:
        mine.pop("threshold", None)
        theirs.pop("threshold", None)
    return _phrases(mine, theirs)


def mixed_protocols(evaluations: Sequence[Evaluation]) -> list[str]:
    """A note about runs that are averaged although their protocols differ; empty if they agree."""
    first, *others = evaluations
    phrases = dict.fromkeys(p for other in others for p in card_differences(first, other))
    return [f"averaged over runs of different protocols: {'; '.join(phrases)}"] if phrases else []


def paper_differences(
    paper: Mapping[str, CardValue], evaluation: Evaluation, config: Mapping[str, Any]
) -> list[str]:
    """Phrases about how a paper's protocol, as far as `paper` states it, departs from that of `evaluation`.

    An entry that no card has, such as ``backbone``, is looked up in the run's `config`, whole path or inside its
    classifier, and is left out if it is not there either: nothing is known about it then.
    """
    card = protocol(evaluation)
    ours: dict[str, CardValue] = {}
    theirs: dict[str, CardValue] = {}
    for key, value in paper.items():
        if key == "threshold_choice" and card.get(key) == "none":
            continue  # what needs no threshold is not made incomparable by how others choose one
        if key in card or key in _OPTIONAL:
            have = card.get(key)
        else:
            have = _configured(config, key)
            if have is None:
                continue
        if card_value(have) != card_value(value):
            ours[key], theirs[key] = have, value
    return _phrases(ours, theirs)


def side_by_side(
    cards: Sequence[Mapping[str, CardValue]],
) -> list[tuple[str, list[str], bool]]:
    """Cards beside each other: (entry, its value on each card, whether they differ)."""
    lines = []
    for key in dict.fromkeys(key for card in cards for key in card):
        values = [card_value(card[key]) if key in card else "" for card in cards]
        lines.append((card_key(key), values, len(set(values)) > 1))
    return lines


def _phrases(mine: Mapping[str, CardValue], theirs: Mapping[str, CardValue]) -> list[str]:
    """Each entry in which `theirs` departs from `mine`: ``split val instead of train``."""
    return [
        f"{card_key(key)} {card_value(theirs.get(key))} instead of {card_value(mine.get(key))}"
        for key in dict.fromkeys([*mine, *theirs])
        if mine.get(key) != theirs.get(key)
    ]


def _configured(config: Mapping[str, Any], key: str) -> CardValue:
    """The value of `config` at `key`; of a component its type."""
    for path in (key, f"classifier.{key}"):
        value = config_at(config, path)
        value = value.get("type") if isinstance(value, Mapping) else value
        if isinstance(value, str | int | float | bool):
            return value
    return None
