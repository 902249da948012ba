"""Which number of a rung a table shows, and by which protocol that number was made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from wsssbench.evaluation.bootstrap import Measure
from wsssbench.results.ladder import differences, protocol, say
from wsssbench.results.run import CardValue, Point, Rung

# What a card has only where it applies: its absence means "none". Other entries are there, or do not concern the run.
_OPTIONAL = ("held out", "cams", "crf", "scales", "flip", "initial weights")


@dataclass(frozen=True)
class Metric:
    """A figure of a rung.

    Attributes:
        title: as tables say it.
        choice: at which threshold: the fixed or selected one, or the best on the scored split's own pixel truth.
        measure: which figure there.
    """

    title: str
    choice: Literal["chosen", "oracle"]
    measure: Measure

    @property
    def paper(self) -> str:
        """What its key in ``Collection.paper`` has behind the rung's name."""
        return "" if self.measure == "miou" else f" {self.measure}"


METRICS = {
    "miou": Metric("mIoU", "chosen", "miou"),
    "precision": Metric("precision", "chosen", "precision"),
    "recall": Metric("recall", "chosen", "recall"),
    "oracle": Metric("oracle mIoU", "oracle", "miou"),
    "oracle-precision": Metric("oracle precision", "oracle", "precision"),
    "oracle-recall": Metric("oracle recall", "oracle", "recall"),
}


def point(rung: Rung, metric: Metric) -> Point | None:
    """The scores of `rung` at the threshold of `metric`; None if it has none.

    Maps that need no threshold have the same scores at "any" threshold.
    """
    if metric.choice == "chosen" or (rung.chosen and rung.chosen.threshold is None):
        return rung.chosen
    return rung.oracle


def stored_choice(rung: Rung, metric: Metric) -> str:
    """Under which name the counts per image are kept of what `point` gives."""
    return "oracle" if metric.choice == "oracle" and rung.oracle else "chosen"


def as_scored(rung: Rung, metric: Metric) -> Rung:
    """`rung` with the card of the number that `point` gives: its threshold may be another than the chosen one."""
    if metric.choice == "chosen" or rung.oracle is None:
        return rung
    card = {key: value for key, value in rung.card.items() if key != "held out"}
    return replace(rung, card={**card, "threshold_choice": "oracle"})


def paper_differences(
    paper: Mapping[str, CardValue], rung: Rung, config: Mapping[str, Any]
) -> list[str]:
    """Where a paper's protocol, as far as `paper` states it, departs from that of `rung`, as phrases.

    An entry that no card has, such as ``backbone``, is looked up in the run's `config`, whole path or inside its
    classifier, and is left out if it is not there either: nothing is known about it then.
    """
    card = protocol(rung)
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
        if say(have) != say(value):
            ours[key], theirs[key] = have, value
    return differences(ours, theirs)


def _configured(config: Mapping[str, Any], key: str) -> CardValue:
    """What `config` says at `key`; of a component its type."""
    for path in (key, f"classifier.{key}"):
        found: Any = config
        for part in path.split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        if isinstance(found, Mapping):
            found = found.get("type")
        if isinstance(found, str | int | float | bool):
            return found
    return None
