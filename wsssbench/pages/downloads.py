"""Tables and charts of a page as files inside it: links with ``data:`` addresses, without network or script."""

from __future__ import annotations

import base64
import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from wsssbench.pages.html import PAGE

_FONT = "text{font-family:Helvetica,Arial,'Liberation Sans',sans-serif}"


@dataclass(frozen=True)
class Download:
    """A link: its `label`, and the name and the address of the file behind it."""

    label: str
    name: str
    address: str


def csv_file(name: str, records: Iterable[Mapping[str, Any]], label: str = "CSV") -> Download:
    """`records` as a CSV with their keys as the head; None is an empty field."""
    lines = list(records)
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]) if lines else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return _file(label, name, "csv", "text/csv", stream.getvalue())


def table_file(
    name: str, head: Sequence[str], lines: Iterable[Sequence[Any]], label: str
) -> Download:
    """A CSV of `head` and `lines`."""
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([head, *lines])
    return _file(label, name, "csv", "text/csv", stream.getvalue())


def text_file(name: str, text: str, label: str = "CSV") -> Download:
    """A CSV that is written already."""
    return _file(label, name, "csv", "text/csv", text)


def svg_file(name: str, chart: Markup, label: str = "SVG") -> Download:
    """A chart of the page as an SVG of its own, in its light colours."""
    style = (PAGE / "charts.css").read_text(encoding="utf-8")
    head = (
        f'xmlns="http://www.w3.org/2000/svg" style="background:#fff"><style>{style}{_FONT}</style>'
    )
    whole = re.sub(r"^<svg ([^>]*)>", lambda match: f"<svg {match[1]} {head}", str(chart), count=1)
    return _file(label, name, "svg", "image/svg+xml", whole)


def _file(label: str, name: str, ending: str, kind: str, text: str) -> Download:
    """The name keeps what every file system takes."""
    stem = re.sub(r"[^\w.+-]+", "-", name, flags=re.ASCII).strip("-.") or "wsssbench"
    content = base64.b64encode(text.encode("utf-8")).decode("ascii")
    return Download(label, f"{stem[:80]}.{ending}", f"data:{kind};base64,{content}")
