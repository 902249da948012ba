"""The leaderboard: what sweeps found out, kept as JSON and shown as tables.

    python tools/leaderboard.py                             # docs/leaderboard.md again, from docs/leaderboard/*.json
    python tools/leaderboard.py work/sweeps/methods [NAME]  # docs/leaderboard/NAME.json before, as far as the sweep got

NAME is by default that of the sweep: one file per matrix and base. The form of a file is described in
`leaderboard_record`; the page says nothing that is not in the files, and a test holds it to that.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import leaderboard_record

from wsssbench.errors import UserError
from wsssbench.files.atomic import write_atomically
from wsssbench.results.formatting import (
    MISSING,
    card_key,
    card_value,
    day,
    interval,
    memory,
    signed,
    signs,
    thresholds_text,
)
from wsssbench.results.metrics import METRICS, Stat
from wsssbench.results.table import Column, Footnotes, Table, TableCell, markdown

REPOSITORY = Path(__file__).parents[1]
PAGE = REPOSITORY / "docs" / "leaderboard.md"
RECORDS = REPOSITORY / "docs" / "leaderboard"
HEAD = """# Leaderboard

Measurements of this project, made by `wsssbench sweep`, written down by `python tools/leaderboard.py work/sweeps/NAME`,
and kept as JSON in `docs/leaderboard/`. This page is made of these by `python tools/leaderboard.py`; a test keeps it up
to date.

Numbers are per cent, mean ± sample standard deviation over seeds. Where a split is held out, the threshold of the main
column is the best on that split's masks, chosen by one procedure for all rows; **oracle** is the best on the masks of
the scored split itself. **vs.** is the paired difference to the baseline row, with its interval over images
(bootstrap), then over seeds (paired t, with Holm's levels; three seeds at least). **mAP** is that of the classifier on
the validation split. **Passes**: how often the network sees the pixels of an image in a step of the classifier's
training, with default parameters. **Training**: wall time of the classifiers of one seed; **memory**: the highest of
these trainings. Times of a machine that had other work, too, are no measure of speed. A dash: not there.
"""
NOTHING = "No sweep has been written down yet.\n"


def main(arguments: Sequence[str]) -> None:
    if arguments:
        directory = Path(arguments[0])
        name = arguments[1] if len(arguments) > 1 else directory.name
        text = (
            json.dumps(
                leaderboard_record.record(directory), indent=1, ensure_ascii=False, allow_nan=False
            )
            + "\n"
        )
        RECORDS.mkdir(exist_ok=True)
        write_atomically(RECORDS / f"{name}.json", text.encode())
    PAGE.write_text(page(), encoding="utf-8")


def page(records: Path | None = None) -> str:
    """The page as Markdown, with a section for each file of the folder `records`, by default `RECORDS`.

    Raises:
        UserError: a file is no record.
    """
    parts = [section(read(path)) for path in sorted((records or RECORDS).glob("*.json"))]
    return "\n".join([HEAD, *(parts or [NOTHING])])


def read(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if record.get("schema") != leaderboard_record.SCHEMA:
        raise UserError(
            f"{path}: schema {record.get('schema')!r} is not {leaderboard_record.SCHEMA!r}; write it again from its "
            "sweep"
        )
    return record


def section(record: Mapping[str, Any]) -> str:
    done = sum(len(row["seeds"]["done"]) for row in record["rows"])
    expected = sum(len(row["seeds"]["expected"]) for row in record["rows"])
    cells = f"{done} runs" if done == expected else f"**{done} of {expected} runs are there**"
    seeds = ", ".join(map(str, record["seeds"]))
    machine = ", ".join(f"{card_key(key)} {value}" for key, value in record["machine"].items())
    facts = [
        f"Matrix `{record['matrix']}` on `{record['base']}`; {cells}, seeds {seeds}; the newest of "
        f"{day(record['created'])}.",
        f"Machine: {machine}.",
    ]
    tables = [markdown(table(record, rung)) + "\n" + protocol(rung) for rung in record["rungs"]]
    return "\n".join(
        [f"## {record['title']} ({record['base'].removesuffix('.py')})\n", *facts, "", *tables]
    )


def table(record: Mapping[str, Any], rung: Mapping[str, Any]) -> Table:
    """A line per row, those without results included."""
    metrics = [name for name in METRICS if any(name in of for of in rung["cells"].values())]
    level = f"[{100 * record['confidence']:g} %]"
    columns = [Column("row", number=False)]
    for name in metrics:
        columns.append(Column(METRICS[name].title))
        if name == "miou":
            columns += [Column(f"vs. {record['baseline']} {level}"), Column(f"over seeds {level}")]
    columns += [Column(title) for title in ("n", "mAP", "passes", "training", "memory")]
    footnotes = Footnotes()
    rows = [
        line(row, rung["cells"].get(row["name"], {}), metrics, footnotes) for row in record["rows"]
    ]
    notes = [f"{signs([number])} {text}" for number, text in enumerate(footnotes.texts)]
    notes += [
        *rung["remarks"],
        *(f"{row} cannot run: {why}" for row, why in record["impossible"].items()),
    ]
    return Table(f"{rung['name']} (%)", columns, rows, notes)


def line(
    row: Mapping[str, Any], cells: Mapping[str, Any], metrics: Sequence[str], footnotes: Footnotes
) -> list[TableCell]:
    main = cells.get("miou", {})
    shown = [TableCell(row["name"], signs(footnotes.numbers(main.get("notes", ()))))]
    for name in metrics:
        cell = cells.get(name)
        thresholds = thresholds_text(cell["thresholds"]) if cell and name == "oracle" else ""
        more = f"({thresholds})" if thresholds else ""
        shown.append(TableCell(stat(cell), rank=cell["rank"] if cell else 0, more=more))
        if name == "miou":
            difference = main.get("difference")
            shown += [TableCell(over_images(difference)), TableCell(over_seeds(difference))]
    done, expected = (len(row["seeds"][key]) for key in ("done", "expected"))
    states = ", ".join(dict.fromkeys(row["seeds"]["states"].values()))
    cost = row["cost"]
    return [
        *shown,
        TableCell(
            str(done) if done == expected else f"{done} of {expected}",
            more=f"({states})" if states else "",
        ),
        TableCell(stat(row["mAP"])),
        TableCell(MISSING if row["passes"] is None else f"{row['passes']:g}"),
        TableCell(
            MISSING if cost["classifier_seconds"] is None else f"{cost['classifier_seconds']:.0f} s"
        ),
        TableCell(MISSING if cost["peak_mib"] is None else memory(cost["peak_mib"])),
    ]


def stat(cell: Mapping[str, Any] | None) -> str:
    return str(Stat(cell["mean"], cell["std"], cell["n"])) if cell else MISSING


def over_images(difference: Mapping[str, Any] | None) -> str:
    if difference is None:
        return MISSING
    low, high = difference["low"], difference["high"]
    ends = "" if low is None or high is None else f" {interval(low, high)}"
    return signed(difference["mean"]) + ends


def over_seeds(difference: Mapping[str, Any] | None) -> str:
    seeds = difference and difference["seeds"]
    return interval(seeds["low"], seeds["high"]) if seeds else MISSING


def protocol(rung: Mapping[str, Any]) -> str:
    entries = ", ".join(
        f"{card_key(key)} {card_value(value)}" for key, value in rung["protocol"].items()
    )
    return f"Protocol: {entries}.\n"


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except UserError as error:
        sys.exit(f"error: {error}")
