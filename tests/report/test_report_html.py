from __future__ import annotations

import base64
import dataclasses
import io
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wsssbench.report.html as page
from wsssbench.report.charts import Bars, bar_chart, curve_chart, ticks
from wsssbench.report.html import duration, memory, render, write
from wsssbench.report.results import GalleryRow, Point, Rung, StageTime
from wsssbench.report.thumbnails import encode, fit

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


def decode(address: str) -> tuple[Image.Image, np.ndarray]:
    head, data = address.split(",", 1)
    assert re.fullmatch(r"data:image/(png|jpeg);base64", head)
    image = Image.open(io.BytesIO(base64.b64decode(data, validate=True)))
    return image, np.asarray(image.convert("RGB"))


def test_the_page_parses_and_every_tag_is_closed(make_result):
    parsed = Page(render(make_result()))
    assert parsed.open == []
    assert parsed.all("html", lang="en")
    ids = [attrs["id"] for _, attrs in parsed.elements if "id" in attrs]
    assert len(ids) == len(set(ids))
    for _, attrs in parsed.elements:
        for name in ("aria-labelledby", "aria-describedby", "for"):
            assert attrs.get(name) is None or attrs[name] in ids


def test_nothing_is_fetched_and_nothing_is_run(make_result):
    config = "paper = 'https://example.org/x'\n"
    html = render(make_result(config_text=config, environment={"a": "http://example.org"}))
    parsed = Page(html)
    assert "https://example.org/x" in parsed.text  # text may name addresses
    for tag, attrs in parsed.elements:
        assert tag not in {"script", "iframe", "object", "embed", "base"}
        for name, value in attrs.items():
            assert "//" not in (value or "") or (value or "").startswith("data:"), (tag, name)
            assert not name.startswith("on")
    style = html.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    (policy,) = parsed.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policy["content"]


def test_equal_results_give_equal_pages(make_result):
    assert render(make_result()) == render(make_result())


def test_the_report_needs_no_torch(tmp_path):
    code = "import sys, wsssbench.report.html; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_every_number_of_the_ladder_is_in_the_page(make_result):
    text = Page(render(make_result())).text
    for number in ("39.0", "50.3", "69.7", "0.30", "40.0 (0.20)", "56.0", "55.2", "61.0"):
        assert number in text


def test_all_texts_are_escaped(make_result):
    result = make_result()
    rung = dataclasses.replace(
        result.rungs[0], name=EVIL, split=EVIL, node=EVIL, card={EVIL: EVIL}, iou={EVIL: 5.0}
    )
    evil = make_result(
        name=EVIL,
        run_id=EVIL,
        config_text=EVIL,
        rungs=[rung, rung],
        times=[StageTime(EVIL, 1.0, 1.0)],
        environment={EVIL: EVIL},
        created=EVIL,
        reference={EVIL: 50.0},
        class_names=[EVIL],
        gallery=[GalleryRow(EVIL, [(EVIL, np.zeros((4, 4, 3), np.uint8))])],
    )
    html = render(evil)
    parsed = Page(html)
    assert "<script" not in html and parsed.open == []
    assert parsed.text.count(EVIL) > 10
    assert parsed.all("img", alt=f"{EVIL}: {EVIL}")


def test_gallery_pictures_decode_back(make_result):
    result = make_result(rows=3)
    images = Page(render(result)).all("img")
    panels = [(row.id, *panel) for row in result.gallery for panel in row.panels]
    assert len(images) == len(panels) == 9
    for attrs, (id, title, picture) in zip(images, panels, strict=True):
        _, shown = decode(attrs["src"])
        assert attrs["alt"] == f"{id}: {title}"
        assert shown.shape == picture.shape == (int(attrs["height"]), int(attrs["width"]), 3)
        # JPEG of noise: near in brightness, whatever happens to the colours.
        luma = np.array([0.299, 0.587, 0.114])
        assert np.abs(shown @ luma - picture @ luma).mean() < 12


def test_a_bare_label_map_is_kept_without_loss():
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 256, (21, 3), dtype=np.uint8)
    picture = colours[rng.integers(0, 21, (700, 500))]
    address, width, height = encode(picture, side=320)
    image, shown = decode(address)
    assert image.format == "PNG" and image.size == (width, height) and max(image.size) <= 320
    assert {tuple(c) for c in shown.reshape(-1, 3)} <= {tuple(c) for c in colours}


def test_photos_are_shrunk_to_320(make_result):
    picture = np.random.default_rng(0).integers(0, 256, (375, 500, 3), dtype=np.uint8)
    image, _ = decode(encode(picture)[0])
    assert image.format == "JPEG" and image.size == (320, 240)


def test_a_hundred_rows_of_pictures_stay_under_ten_megabytes(make_result):
    # Noise is the worst case: seven panels of it, the same arrays in every row.
    rng = np.random.default_rng(0)
    panels = [(f"p{i}", rng.integers(0, 256, (240, 320, 3), dtype=np.uint8)) for i in range(7)]
    result = make_result(gallery=[GalleryRow(str(i), panels) for i in range(100)])
    html = render(result)
    assert len(html.encode()) < 10_000_000
    assert len(Page(html).all("img")) == 700


def test_pictures_that_fit_in_no_size_are_left_out_and_said(make_result, monkeypatch):
    rows = make_result(rows=4, size=(64, 64)).gallery
    smallest = sum(len(encode(picture, 96, 50)[0]) for _, picture in rows[0].panels)
    assert len(fit(rows, int(2.5 * smallest))) == 2
    monkeypatch.setattr(page, "GALLERY_BYTES", int(2.5 * smallest))
    assert "2 more pictures were left out" in Page(render(make_result(gallery=rows))).text


def test_the_curve_has_one_vertex_per_entry(make_result):
    curve = [Point(30 + i / 10, 50.0, 90 - i, i / 60) for i in range(60)]
    html = str(curve_chart(curve, curve[15], curve[20], "t"))
    lines = Page(html).all("polyline")
    assert [line["class"].split()[1] for line in lines] == ["miou", "precision", "recall"]
    for line in lines:
        assert len(line["points"].split()) == 60
    assert len(Page(html).all("rect", **{"class": "hover"})) == 60


def test_the_curve_is_to_scale():
    curve = [
        Point(0.0, 50.0, 100.0, 0.2),
        Point(50.0, 50.0, 50.0, 0.4),
        Point(100.0, 50.0, 0.0, 0.8),
    ]
    lines = Page(curve_chart(curve, None, None, "t")).all("polyline")
    points = {
        line["class"].split()[1]: np.array([p.split(",") for p in line["points"].split()], float)
        for line in lines
    }
    x, y = points["miou"].T
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(1 / 3, abs=1e-3)
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.2) and y[2] < y[0]
    assert np.allclose(points["recall"][:, 1], y[::-1])


def test_the_thresholds_stand_where_the_curve_has_them():
    curve = [Point(40.0 - abs(i - 3), 50.0, 60.0, i / 10) for i in range(7)]
    parsed = Page(curve_chart(curve, curve[5], curve[3], "t"))
    (line,) = parsed.all("polyline", **{"class": "line miou"})
    vertices = [tuple(map(float, p.split(","))) for p in line["points"].split()]
    dots = {d["class"].split()[1]: (float(d["cx"]), float(d["cy"])) for d in parsed.all("circle")}
    assert dots == {"fixed": vertices[5], "oracle": vertices[3]}
    assert "fixed 0.50" in parsed.text and "oracle 0.30" in parsed.text
    together = Page(curve_chart(curve, curve[3], curve[3], "t"))
    assert "fixed = oracle 0.30" in together.text and len(together.all("circle")) == 1


def test_numbers_that_are_missing_leave_gaps_not_errors(make_result):
    nan = float("nan")
    curve = [Point(nan, 50.0, 60.0, 0.1), Point(40.0, nan, 60.0, 0.2), Point(41.0, 1.0, 2.0, 0.3)]
    rung = Rung("CAM", "cam", "train", Point(nan, nan, nan, 0.1), None, {"cat": nan}, curve)
    html = render(make_result(rungs=[rung], times=[StageTime("cam", nan, nan)]))
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", html), re.IGNORECASE)


def test_a_run_with_nothing_in_it_still_has_a_page(make_result):
    empty = make_result(
        rungs=[], times=[], gallery=[], environment={}, reference={}, class_names=[], config_text=""
    )
    assert Page(render(empty)).open == []
    only = Rung("CAM", "cam", "train", None, Point(40.0, 50.0, 60.0, 0.2))
    assert "40.0" in Page(render(make_result(rungs=[only]))).text


def test_bars_are_as_long_as_their_values():
    groups = [Bars("a", (20.0,), oracle=30.0), Bars("b", (40.0,), paper=50.0), Bars("c", (None,))]
    parsed = Page(bar_chart(groups, "t"))
    widths = [float(bar["width"]) for bar in parsed.all("rect")]
    assert len(widths) == 2 and widths[1] == pytest.approx(2 * widths[0], abs=0.2)
    assert len(parsed.all("path", **{"class": "paper"})) == 1
    assert parsed.text.count("–") == 1


def test_ticks_are_round_and_inside():
    rng = np.random.default_rng(1)
    for low, span in zip(rng.uniform(-5, 5, 50), rng.uniform(1e-3, 90, 50), strict=True):
        found = ticks(low, low + span, 6)
        assert 2 <= len(found) <= 8
        assert low - 1e-6 <= found[0] and found[-1] <= low + span + 1e-6
        steps = np.diff(found)
        assert np.allclose(steps, steps[0], rtol=1e-4)
    assert ticks(0, 0.6, 7) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_contrast(scheme):
    css = (Path(page.__file__).with_name("report.css")).read_text(encoding="utf-8")
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", css.split(":root")[1 + scheme]))

    def luminance(colour):
        channels = np.array([int(colour[i : i + 2], 16) for i in (1, 3, 5)]) / 255
        linear = np.where(
            channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
        )
        return linear @ [0.2126, 0.7152, 0.0722]

    def contrast(one, two):  # WCAG 2.1
        low, high = sorted((luminance(colours[one]), luminance(colours[two])))
        return (high + 0.05) / (low + 0.05)

    for text in ("ink", "soft"):
        assert contrast(text, "paper") >= 4.5 and contrast(text, "wash") >= 4.5
    for mark in ("blue", "orange", "green"):
        assert contrast(mark, "paper") >= 3


def test_only_what_this_run_made_is_in_its_time(make_result):
    text = Page(render(make_result())).text
    assert "1 of 2 stages reused" in text
    assert re.search(r"made in this run\s*30 s\s*512 MiB", text)


def test_write_makes_the_same_file(make_result, tmp_path):
    write(make_result(), tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == render(make_result())
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.84, "0.8 s"),
        (42.3, "42 s"),
        (59.6, "1 min 00 s"),
        (185, "3 min 05 s"),
        (7630, "2 h 07 min"),
    ],
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_memory():
    assert memory(812.4) == "812 MiB" and memory(1331) == "1.3 GiB"
