"""A page as its tests look at it."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image

VOID = {"meta", "link", "img", "input"}  # SVG closes its own
EVIL = "<script>alert(\"x\" & 'y')</script>"


class Page(HTMLParser):
    """Every element with its attributes, the text, and whether the tags nest."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open.pop() == tag, f"</{tag}> closes another element"

    def handle_data(self, data):
        self.text += data

    def all(self, tag, **attrs):
        """The attributes of every `tag` that has all of `attrs`."""
        return [a for t, a in self.elements if t == tag and attrs.items() <= a.items()]

    def of_class(self, name):
        """(tag, attributes) of every element of the class `name`."""
        return [(t, a) for t, a in self.elements if name in (a.get("class") or "").split()]

    @property
    def files(self) -> dict[str, str]:
        """The content of every file that is inside the page, by name."""
        links = [attrs for tag, attrs in self.elements if tag == "a" and "download" in attrs]
        parts = {a["download"]: a["href"].partition("base64,")[2] for a in links}
        return {name: base64.b64decode(part).decode() for name, part in parts.items()}

    @property
    def photos(self) -> list[str]:
        """The addresses of the photos of the gallery."""
        styles = [attrs["style"] for _, attrs in self.of_class("shot")]
        return [re.search(r"--photo:url\(([^)]*)\)", style)[1] for style in styles]


def check(html: str) -> Page:
    """The page, whose tags nest, whose ids are unique and exist where they are named, and which fetches nothing."""
    parsed = Page(html)
    assert parsed.open == []
    ids = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for tag, attrs in parsed.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert attrs.get(name) is None or attrs[name] in ids
        if tag == "a" and "download" in attrs:
            assert re.fullmatch(r"data:(text/csv|image/svg\+xml);base64,[\w+/=]+", attrs["href"])
        elif tag == "a":
            in_run = re.fullmatch(r"artefacts/[\w.]+", attrs["href"])  # beside the page
            assert in_run or attrs["href"].removeprefix("#") in ids
        assert (tag not in {"iframe", "object", "embed", "base"} and "src" not in attrs) or (
            tag == "img" and attrs["src"].startswith("data:")
        )
        for name, value in attrs.items():
            bare = re.sub(r"data:[\w/+]+;base64,[\w+/=]*", "", value or "")
            assert "//" not in bare or name == "aria-label", (tag, name, value)
            assert not name.startswith("on")
    return parsed


def decode(address: str) -> Image.Image:
    head, data = address.split(",", 1)
    assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
    return Image.open(io.BytesIO(base64.b64decode(data, validate=True)))


def rgba(address: str) -> np.ndarray:
    """(H, W, 4) uint8."""
    return np.asarray(decode(address).convert("RGBA"))
