"""One HTML file per page: no network, to send round or to print.

    write_page(directory / "report.html", run_page.render(result))
    write_page(Path("report.html"), comparison_page.render(report))

The pages are the templates in ``templates/``, with one style sheet and one script for the sliders;
without it the pictures stand beside each other. Equal results give equal bytes.
"""

from __future__ import annotations

import base64
import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from wsssbench.files.atomic import write_atomically
from wsssbench.progress import duration
from wsssbench.results.formatting import day, memory, number, pixels, signed, threshold_text

PAGE = Path(__file__).with_name("templates")


def write_page(path: Path, html: str) -> None:
    """Write a page to `path`, whole or not at all."""
    write_atomically(path, html.encode("utf-8"))


def render_page(template: str, **context: Any) -> str:
    """A template of ``templates/`` with the style sheet and the script in it; `context`: the names that it uses."""
    script = (PAGE / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
    style = "".join(
        (PAGE / f"{name}.css").read_text(encoding="utf-8") for name in ("charts", "report")
    )
    page = environment().get_template(template)
    return page.render(css=Markup(style), script=Markup(script), script_hash=digest, **context)


@lru_cache(maxsize=1)
def environment() -> jinja2.Environment:
    """The templates, and the words for numbers in them."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    filters = {"day": day, "duration": duration, "memory": memory, "number": number}
    environment.filters.update(filters, signed=signed, threshold=threshold_text, pixels=pixels)
    return environment
