"""One HTML file with everything about a run: no network, no scripts, to send round or to print.

    write(result, directory / "report.html")

The page is the template ``report.html.j2`` with the style sheet ``report.css``, both beside this
file. Equal results give equal bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from wsssbench.data.atomic import write_atomically
from wsssbench.data.images import voc_palette
from wsssbench.progress import duration
from wsssbench.report import tables, thumbnails
from wsssbench.report.charts import Bars, axis_top, bar_chart, curve_chart
from wsssbench.report.ladder import MISSING, aggregate, threshold_text
from wsssbench.report.pictures import heat_colours
from wsssbench.report.results import CardValue, Point, Rung, RunResult, StageTime

GALLERY_BYTES = 9_000_000  # of the page's 10 MB
_COLUMN = 12  # classes per chart; more go into a second one beside it


@dataclass(frozen=True)
class CurveView:
    """A threshold curve: its rung's name and split, the drawing, and the points for the table."""

    name: str
    split: str
    chart: Markup
    points: Sequence[Point]


def write(result: RunResult, path: Path, palette: np.ndarray | None = None) -> None:
    """Write the report of `result` to `path`, whole or not at all."""
    write_atomically(path, render(result, palette).encode("utf-8"))


def render(result: RunResult, palette: np.ndarray | None = None) -> str:
    """The report as HTML text.

    Args:
        result: the run.
        palette: (256, 3) uint8 colours of the label values in the gallery's pictures, for the
            legend; by default VOC's.
    """
    ladder = aggregate([result])
    gallery = thumbnails.fit(result.gallery, GALLERY_BYTES)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            result=result,
            css=Markup(Path(__file__).with_name("report.css").read_text(encoding="utf-8")),
            facts=_facts(result),
            summary=_summary(result),
            columns=tables.columns(ladder),
            rows=tables.rows(ladder),
            notes=tables.notes(ladder),
            ladder_chart=_ladder_chart(result),
            has_oracle=any(rung.chosen and rung.oracle for rung in result.rungs),
            has_paper=any(row.paper is not None for row in ladder.rows),
            curves=_curves(result),
            classes=_class_charts(result),
            gallery=list(zip((row.id for row in result.gallery), gallery, strict=False)),
            left_out=len(result.gallery) - len(gallery),
            legend=_legend(result, voc_palette() if palette is None else palette),
            heat=", ".join(_css_colour(c) for c in heat_colours(np.linspace(0, 1, 7))),
            times=result.times,
            fresh=_fresh(result.times),
            shares=_shares(result.times),
            cards=_cards(result.rungs),
        )
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration, memory=memory, number=_number, day=_day, threshold=threshold_text
    )
    return environment


def memory(mib: float) -> str:
    """``812 MiB`` or ``1.3 GiB``."""
    if not math.isfinite(mib):
        return MISSING
    return f"{mib:.0f} MiB" if mib < 1024 else f"{mib / 1024:.1f} GiB"


def _number(value: float | None) -> str:
    return MISSING if value is None or not math.isfinite(value) else f"{value:.1f}"


def _day(created: str) -> str:
    """ISO 8601 as people write it: date and minute."""
    return created[:16].replace("T", " ")


def _best_known(rung: Rung) -> Point | None:
    return rung.chosen or rung.oracle


def _facts(result: RunResult) -> list[tuple[str, str, str]]:
    """(number, what it is, remark) of the rungs that people ask for first, and the time."""
    scored = [rung for rung in result.rungs if _best_known(rung)]
    picked = (
        [scored[i] for i in sorted({0, max(0, len(scored) - 2), len(scored) - 1})] if scored else []
    )
    facts = []
    for rung in picked:
        point = rung.chosen or rung.oracle
        remark = f"on {rung.split}" + ("" if rung.chosen else ", oracle threshold")
        facts.append((_number(point.miou if point else None), f"{rung.name}, mIoU", remark))
    if result.times:
        reused = sum(time.reused for time in result.times)
        remark = f"{reused} of {len(result.times)} stages reused" if reused else "every stage made"
        facts.append((duration(_fresh(result.times).seconds), "this run", remark))
    return facts


def _fresh(times: Sequence[StageTime]) -> StageTime:
    """The stages that this run made, as one: their time together, and the highest memory."""
    fresh = [time for time in times if not time.reused]
    return StageTime(
        "made in this run",
        sum(time.seconds for time in fresh),
        max((time.peak_mib for time in fresh), default=math.nan),
    )


def _shares(times: Sequence[StageTime]) -> list[float]:
    """Each stage's time in per cent of the longest."""
    seconds = [time.seconds if math.isfinite(time.seconds) else 0.0 for time in times]
    longest = max(seconds, default=0.0) or 1.0
    return [round(100 * value / longest, 1) for value in seconds]


def _summary(result: RunResult) -> list[str]:
    """What was run on what, in a few words each."""
    cards = [rung.card for rung in result.rungs]
    words = [str(card["dataset"]) for card in cards[:1] if card.get("dataset") is not None]
    if result.class_names:
        words.append(f"{len(_foreground(result.class_names))} classes")
    words += [f"seed {card['seed']}" for card in cards[:1] if card.get("seed") is not None]
    return [*words, f"run {result.run_id}"]


def _ladder_chart(result: RunResult) -> Markup:
    groups = [
        Bars(
            rung.name,
            (point.miou if (point := _best_known(rung)) else None,),
            oracle=rung.oracle.miou if rung.chosen and rung.oracle else None,
            paper=result.reference.get(rung.name),
        )
        for rung in result.rungs
    ]
    values = ", ".join(f"{g.label} {_number(g.values[0])}" for g in groups)
    return Markup(bar_chart(groups, f"mIoU at every rung, per cent: {values}"))


def _curves(result: RunResult) -> list[CurveView]:
    return [
        CurveView(
            rung.name,
            rung.split,
            Markup(
                curve_chart(
                    rung.curve,
                    rung.chosen,
                    rung.oracle,
                    f"{rung.name}: mIoU, precision and recall at {len(rung.curve)} background "
                    f"thresholds; the numbers are in the table below",
                    str(rung.card.get("threshold_choice", "fixed")),
                )
            ),
            rung.curve,
        )
        for rung in result.rungs
        if sum(point.threshold is not None for point in rung.curve) > 1
    ]


def _class_charts(result: RunResult) -> dict[str, Any] | None:
    """Per-class IoU of the first and the last rung that have it."""
    scored = [rung for rung in result.rungs if rung.iou]
    if not scored:
        return None
    rungs = scored[:1] if len(scored) == 1 else [scored[0], scored[-1]]
    names = list(dict.fromkeys(name for rung in rungs for name in rung.iou))
    groups = [Bars(name, tuple(rung.iou.get(name) for rung in rungs)) for name in names]
    per_column = len(groups) if len(groups) <= _COLUMN else -(-len(groups) // 2)
    top = axis_top(groups)
    charts = []
    for start in range(0, len(groups), per_column):
        part = groups[start : start + per_column]
        said = "; ".join(
            f"{g.label} {', '.join(_number(value) for value in g.values)}" for g in part
        )
        charts.append(Markup(bar_chart(part, f"IoU per class, per cent: {said}", top)))
    return {"rungs": rungs, "charts": charts}


def _legend(result: RunResult, palette: np.ndarray) -> list[tuple[str, str]]:
    """(CSS colour, name) of every foreground class."""
    names = _foreground(result.class_names)
    return [(_css_colour(palette[i + 1]), name) for i, name in enumerate(names)]


def _foreground(names: Sequence[str]) -> list[str]:
    return list(names[1:] if names and names[0] == "background" else names)


def _css_colour(colour: np.ndarray) -> str:
    return "#" + "".join(f"{int(channel):02x}" for channel in colour)


def _cards(rungs: Sequence[Rung]) -> list[tuple[str, list[str], bool]]:
    """The protocol cards side by side: (entry, its value per rung, whether the rungs differ)."""
    keys = list(dict.fromkeys(key for rung in rungs for key in rung.card))
    lines = []
    for key in keys:
        values = [_say(rung.card[key]) if key in rung.card else "" for rung in rungs]
        lines.append((key.replace("_", " "), values, len(set(values)) > 1))
    return lines


def _say(value: CardValue) -> str:
    if value is None:
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
