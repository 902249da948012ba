"""The ladder as rows: one run, or several runs averaged; and what makes two protocols differ.

What counts is the protocol card, except the seed, which is meant to vary.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from wsssbench.results.run import CardValue, Point, Rung, RunResult

ORACLE_NOTE = "the threshold was chosen on the pixel truth of the same split (oracle)"
_CHOICE_NOTES = {
    "oracle": ORACLE_NOTE,
    "heldout": "the threshold was chosen on the pixel truth of the held-out split {held}",
    "otsu": "the threshold was selected by Otsu's criterion, without pixel truth",
}
MISSING = "–"
_MARKS = "†‡§¶"


@dataclass(frozen=True)
class Stat:
    """Mean and sample standard deviation (None for one value) of `n` runs' numbers."""

    mean: float
    std: float | None
    n: int

    @classmethod
    def of(cls, values: Iterable[float | None]) -> Stat | None:
        """The statistics of the finite `values`; None if there are none."""
        finite = [float(v) for v in values if v is not None and math.isfinite(v)]
        if not finite:
            return None
        std = statistics.stdev(finite) if len(finite) > 1 else None
        return cls(statistics.fmean(finite), std, len(finite))

    def __str__(self) -> str:
        return f"{self.mean:.1f}" if self.std is None else f"{self.mean:.1f} ± {self.std:.1f}"


@dataclass(frozen=True)
class LadderRow:
    """One rung of one run, or of several runs averaged.

    Attributes:
        rung, node, split: as in `Rung`; several splits are joined by commas.
        miou, precision, recall: at the threshold fixed beforehand, per cent.
        thresholds: the distinct thresholds of these, ascending; empty where none is needed.
        oracle: mIoU at the best threshold, per cent.
        oracle_thresholds: the distinct best thresholds, ascending.
        paper: the mIoU a paper reports for this rung.
        n: runs that have this rung.
        notes: indices into the ladder's notes.
    """

    rung: str
    node: str
    split: str
    miou: Stat | None
    precision: Stat | None
    recall: Stat | None
    thresholds: tuple[float, ...]
    oracle: Stat | None
    oracle_thresholds: tuple[float, ...]
    paper: float | None
    n: int
    notes: tuple[int, ...]


@dataclass(frozen=True)
class Ladder:
    """Rows in the order of the pipeline, and the notes they refer to; `runs` were put in."""

    title: str
    rows: tuple[LadderRow, ...]
    notes: tuple[str, ...]
    runs: int


def mark(note: int) -> str:
    """The sign of the `note`-th note: †, ‡, §, ¶, ††, ..."""
    return _MARKS[note % len(_MARKS)] * (note // len(_MARKS) + 1)


def threshold_text(threshold: float | None) -> str:
    """Two decimals, more only where they are needed; a dash for none."""
    if threshold is None or not math.isfinite(threshold):
        return MISSING
    two = f"{threshold:.2f}"
    return two if abs(threshold - float(two)) < 5e-5 else f"{threshold:.4g}"


def thresholds_text(thresholds: Sequence[float]) -> str:
    """Those of several runs, ascending: ``0.25``, or ``0.24–0.28`` if they differ; empty if there are none."""
    return "–".join(dict.fromkeys(threshold_text(t) for t in (*thresholds[:1], *thresholds[-1:])))


def aggregate(results: Sequence[RunResult]) -> Ladder:
    """The ladder of one run, or the mean ± std of runs that differ in their seed only.

    Rungs are matched by name. A rung whose protocol differs between the runs, or that not every run
    has, gets a note.

    Raises:
        ValueError: `results` is empty.
    """
    if not results:
        raise ValueError("a ladder needs at least one run")
    notes: list[str] = []
    rows = []
    for found in _grouped(results).values():
        said = _spread_notes(found, len(results))
        rows.append(_row(found, _reference(results, found[0].name), _index(notes, said)))
    title = ", ".join(dict.fromkeys(result.name for result in results))
    return Ladder(title, tuple(rows), tuple(notes), len(results))


def card_differences(base: Rung, other: Rung) -> list[str]:
    """Each entry of the protocol cards in which `other` departs from `base`, as a phrase.

    The seed is left out, and so is a threshold that was not fixed beforehand: it is a result then.
    """
    mine, theirs = protocol(base), protocol(other)
    if "threshold" not in mine or "threshold" not in theirs:
        mine.pop("threshold", None)
        theirs.pop("threshold", None)
    return differences(mine, theirs)


def differences(mine: Mapping[str, CardValue], theirs: Mapping[str, CardValue]) -> list[str]:
    """Each entry in which `theirs` departs from `mine`, as a phrase: ``split val instead of train``."""
    keys = [*mine, *(key for key in theirs if key not in mine)]
    return [
        f"{_words(key)} {say(theirs.get(key))} instead of {say(mine.get(key))}"
        for key in keys
        if mine.get(key) != theirs.get(key)
    ]


def protocol(rung: Rung) -> dict[str, CardValue]:
    """The entries of the card that have to agree: all but the seed and a threshold that is a result."""
    card = {"split": rung.split, **rung.card}
    card.pop("seed", None)
    if card.get("threshold_choice", "fixed") != "fixed":
        card.pop("threshold", None)
    return card


def _grouped(results: Sequence[RunResult]) -> dict[tuple[str, int], list[Rung]]:
    """The rungs of all runs by their name and by which of that name they are."""
    groups: dict[tuple[str, int], list[Rung]] = {}
    for result in results:
        seen: dict[str, int] = {}
        for rung in result.rungs:
            occurrence = seen[rung.name] = seen.get(rung.name, -1) + 1
            groups.setdefault((rung.name, occurrence), []).append(rung)
    return groups


def _row(found: list[Rung], paper: float | None, notes: tuple[int, ...]) -> LadderRow:
    chosen = [rung.chosen for rung in found if rung.chosen]
    oracle = [rung.oracle for rung in found if rung.oracle]
    return LadderRow(
        rung=found[0].name,
        node=found[0].node,
        split=", ".join(dict.fromkeys(rung.split for rung in found)),
        miou=Stat.of(point.miou for point in chosen),
        precision=Stat.of(point.precision for point in chosen),
        recall=Stat.of(point.recall for point in chosen),
        thresholds=_thresholds(chosen),
        oracle=Stat.of(point.miou for point in oracle),
        oracle_thresholds=_thresholds(oracle),
        paper=paper,
        n=len(found),
        notes=notes,
    )


def _thresholds(points: list[Point]) -> tuple[float, ...]:
    return tuple(sorted({p.threshold for p in points if p.threshold is not None}))


def _spread_notes(found: list[Rung], runs: int) -> list[str]:
    notes = _choice_notes(found)
    different = [phrase for rung in found[1:] for phrase in card_differences(found[0], rung)]
    if different:
        phrases = "; ".join(dict.fromkeys(different))
        notes.append(f"averaged over runs of different protocols: {phrases}")
    if len(found) < runs:
        notes.append(f"only {len(found)} of {runs} runs have this rung")
    return notes


def _choice_notes(found: list[Rung]) -> list[str]:
    """How thresholds came about that were not fixed beforehand."""
    notes = [choice_note(rung) for rung in found if rung.chosen]
    return [note for note in dict.fromkeys(notes) if note]


def choice_note(rung: Rung) -> str:
    """How the threshold of `rung` came about; empty if it was fixed beforehand, or none is needed."""
    note = _CHOICE_NOTES.get(str(rung.card.get("threshold_choice")), "")
    return note.format(held=rung.card.get("held out", ""))


def _index(notes: list[str], said: list[str]) -> tuple[int, ...]:
    """The indices of what is `said`, after adding to `notes` what was not there yet."""
    notes.extend(note for note in said if note not in notes)
    return tuple(notes.index(note) for note in said)


def _reference(results: Sequence[RunResult], rung: str) -> float | None:
    return next((r.reference[rung] for r in results if rung in r.reference), None)


def _words(key: str) -> str:
    return key.replace("_", " ")


def say(value: CardValue) -> str:
    """A card's value as people write it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)
