"""One HTML file with everything about a run, or about several rows: no network, to send round or to print.

    write(result, directory / "report.html")
    write_comparison(report, Path("report.html"))

The pages are the templates in ``templates/``, with one style sheet and one script for the sliders;
without it the pictures stand beside each other. Equal results give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup

from wsssbench.files.atomic import write_atomically
from wsssbench.files.images import voc_palette
from wsssbench.pages import comparison_page, run_page
from wsssbench.pages.comparison_page import Report
from wsssbench.pages.words import day, memory, number
from wsssbench.progress import Progress, duration
from wsssbench.results.ladder import threshold_text
from wsssbench.results.run import RunResult

PAGE = Path(__file__).with_name("templates")


def write(
    result: RunResult,
    path: Path,
    palette: np.ndarray | None = None,
    note: str = "",
    progress: Progress | None = None,
) -> None:
    """Write the report of `result` to `path`, whole or not at all; see `render`."""
    write_atomically(path, render(result, palette, note, progress).encode("utf-8"))


def render(
    result: RunResult,
    palette: np.ndarray | None = None,
    note: str = "",
    progress: Progress | None = None,
) -> str:
    """The report of a run as HTML text.

    Args:
        result: the run.
        palette: (256, 3) uint8 colours of the label values in the gallery; by default VOC's.
        note: why there are no pictures.
        progress: is told about the pictures.
    """
    colours = voc_palette() if palette is None else palette
    return render_page("run.html.j2", run_page.context(result, colours, note, progress))


def write_comparison(
    report: Report,
    path: Path,
    palette: np.ndarray | None = None,
    progress: Progress | None = None,
) -> None:
    """Write the report of several rows to `path`, whole or not at all."""
    write_atomically(path, render_comparison(report, palette, progress).encode("utf-8"))


def render_comparison(
    report: Report, palette: np.ndarray | None = None, progress: Progress | None = None
) -> str:
    """The report of several rows as HTML text; `palette` and `progress` as in `render`."""
    colours = voc_palette() if palette is None else palette
    context = comparison_page.context(report, colours, progress)
    return render_page("comparison.html.j2", context)


def render_page(template: str, context: Mapping[str, Any]) -> str:
    """A template of ``templates/`` with the style sheet and the script in it."""
    script = (PAGE / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    style = (PAGE / "report.css").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template(template)
        .render(css=Markup(style), script=Markup(script), script_hash=digest, **context)
    )


@lru_cache(maxsize=1)
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        duration=duration, memory=memory, number=number, day=day, threshold=threshold_text
    )
    return environment
