from __future__ import annotations

import re

import numpy as np
import pytest
from page_reader import Page

from wsssbench.pages.charts import BarChart, Bars, bar_charts
from wsssbench.pages.curves import Curve, curve_chart, line_chart, small_chart
from wsssbench.pages.html import environment
from wsssbench.pages.row_styles import SLOTS, RowStyle, row_styles
from wsssbench.pages.scatter import Dot, scatter_chart
from wsssbench.pages.svg import ticks
from wsssbench.results.run import Point


def vertices(line: dict[str, str]) -> np.ndarray:
    """(n, 2) of a polyline."""
    return np.array([point.split(",") for point in line["points"].split()], float)


def discs(html: str) -> dict[str, np.ndarray]:
    """Number -> centre of every disc of a row."""
    parsed = Page(html)
    centres = [np.array([float(c["cx"]), float(c["cy"])]) for c in parsed.all("circle")]
    numbers = [a for a in parsed.all("text") if a.get("dominant-baseline")]
    assert len(centres) == len(numbers)
    return dict(zip(_numbers(html), centres, strict=True))


def _numbers(html: str) -> list[str]:
    return [part.split(">")[1].split("<")[0] for part in html.split("dominant-baseline")[1:]]


def test_the_curve_has_one_vertex_per_entry():
    curve = [Point(30 + i / 10, 50.0, 90 - i, i / 60) for i in range(60)]
    html = str(curve_chart(curve, curve[15], curve[20], "t"))
    lines = Page(html).all("polyline")
    assert [line["class"].split()[1] for line in lines] == ["miou", "precision", "recall"]
    assert all(len(vertices(line)) == 60 for line in lines)
    assert len(Page(html).all("rect", **{"class": "hover"})) == 60


def test_the_curve_is_to_scale():
    curve = [
        Point(0.0, 50.0, 100.0, 0.2),
        Point(50.0, 50.0, 50.0, 0.4),
        Point(100.0, 50.0, 0.0, 0.8),
    ]
    lines = Page(curve_chart(curve, None, None, "t")).all("polyline")
    points = {line["class"].split()[1]: vertices(line) for line in lines}
    x, y = points["miou"].T
    assert (x[1] - x[0]) / (x[2] - x[0]) == pytest.approx(1 / 3, abs=1e-3)
    assert y[0] - y[1] == pytest.approx(y[1] - y[2], abs=0.2) and y[2] < y[0]
    assert np.allclose(points["recall"][:, 1], y[::-1])


def test_the_thresholds_stand_where_the_curve_has_them():
    curve = [Point(40.0 - abs(i - 3), 50.0, 60.0, i / 10) for i in range(7)]
    parsed = Page(curve_chart(curve, curve[5], curve[3], "t"))
    (line,) = parsed.all("polyline", **{"class": "line miou"})
    dots = {d["class"].split()[1]: (float(d["cx"]), float(d["cy"])) for d in parsed.all("circle")}
    assert dots == {"fixed": tuple(vertices(line)[5]), "oracle": tuple(vertices(line)[3])}
    assert "fixed 0.50" in parsed.text and "oracle 0.30" in parsed.text
    together = Page(curve_chart(curve, curve[3], curve[3], "t"))
    assert "fixed = oracle 0.30" in together.text and len(together.all("circle")) == 1


def test_the_lines_of_rows_have_looks_and_numbers():
    keys = row_styles([f"row {i}" for i in range(12)], [f"row {i}" for i in range(11, -1, -1)])
    lines = [
        Curve(key, [(x / 10, 40 + x + key.number) for x in range(11)]) for key in keys.values()
    ]
    html = line_chart(lines, "x", "y", "t")
    drawn = [a["class"] for a in Page(html).all("polyline")]
    # the others first, so that the emphasised ones lie on top
    assert drawn == ["line rest"] * 4 + [f"line r{i}" for i in range(SLOTS)]
    found = discs(html)
    assert list(found) == [str(n) for n in range(5, 13)]
    for number, centre in found.items():
        polyline = next(
            a for a in Page(html).all("polyline") if a["class"] == f"line r{int(number) - 5}"
        )
        assert np.abs(vertices(polyline) - centre).sum(axis=1).min() < 0.2
    at = [centre[0] for centre in found.values()]
    assert np.diff(at).min() > 17  # beside each other, however near their lines are
    assert "9 row 8" in Page(html).text


def test_what_is_far_below_the_peaks_is_cut_off():
    far = [(0.0, 2.0), (0.1, 80.0), (0.2, 90.0), (0.3, 60.0)]
    html = line_chart(
        [Curve(RowStyle("a", 1, 0), far), Curve(RowStyle("b", 2, 1), far)], "x", "y", "t"
    )
    for line in Page(html).all("polyline"):
        assert len(vertices(line)) == 2  # 80 and 90
    near = [(x, y - 10) for x, y in far]
    html = line_chart(
        [Curve(RowStyle("a", 1, 0), far), Curve(RowStyle("b", 2, 1), near)], "x", "y", "t"
    )
    assert [len(vertices(line)) for line in Page(html).all("polyline")] == [2, 2]


def test_lines_that_say_little_are_drawn_all_the_same():
    key = RowStyle("a", 1, 0)
    for points in ([(1.0, 2.0)], [(1.0, 2.0), (2.0, 2.0)], [(0.0, float("nan")), (1.0, -3.0)]):
        html = small_chart([Curve(key, points)], "t", True)
        assert not re.search(r"\bnan\b", html) and len(Page(html).all("polyline")) == 1


def test_the_best_rows_and_those_that_are_compared_are_emphasised():
    rows = [f"row {i}" for i in range(20)]
    keys = row_styles(rows, rows[::-1], ["row 3"])
    assert {k.name for k in keys.values() if k.emphasised} == {"row 3", *rows[13:]}
    assert [keys[row].number for row in rows] == list(range(1, 21))
    assert keys["row 3"].css == "r0" and keys["row 0"].css == "rest"


def test_precision_and_recall_are_at_the_same_scale():
    dots = [Dot(RowStyle("a", 1, 0), 60.0, 50.0), Dot(RowStyle("b", 2, 1), 50.0, 60.0)]
    found = discs(scatter_chart(dots, "t"))
    (x1, y1), (x2, y2) = found["1"], found["2"]
    assert x2 - x1 == pytest.approx(y2 - y1, abs=0.2) and x2 > x1
    html = scatter_chart(dots, "t", [(dots[0], dots[1])])
    (way,) = Page(html).all("polyline", **{"class": "way"})
    assert np.allclose(vertices(way), [found["1"], found["2"]], atol=0.1)
    (diagonal,) = Page(html).all("polyline", **{"class": "diagonal"})
    (left, low), (right, high) = vertices(diagonal)
    assert right - left == pytest.approx(low - high, abs=0.3)
    # the first dot is above the diagonal, where parts are missing, the second below
    above = [y < low - (x - left) for x, y in (found["1"], found["2"])]
    assert above == [True, False]


@pytest.mark.parametrize(
    ("precision", "recall"), [(0.0, 0.0), (100.0, 100.0), (0.0, 100.0), (3, 97)]
)
def test_every_dot_is_inside_the_axes(precision, recall):
    dots = [Dot(RowStyle("a", 1, 0), precision, recall), Dot(RowStyle("b", 2, 1), 50.0, 50.0)]
    for x, y in discs(scatter_chart(dots, "t")).values():
        assert 58 <= x <= 506.1 and 15.9 <= y <= 390.1


def test_every_disc_has_its_rows_number_and_tells_its_name():
    rng = np.random.default_rng(0)
    dots = [
        Dot(RowStyle(f"method {i}", i + 1, i), *rng.uniform(40, 60, 2).tolist())
        for i in range(SLOTS)
    ]
    html = scatter_chart(dots, "t")
    assert list(discs(html)) == [str(i + 1) for i in range(SLOTS)]
    for dot in dots:
        values = f"precision {dot.precision:.1f}, recall {dot.recall:.1f}"
        assert f"{dot.style.title}: {values}" in Page(html).text


def drawn(chart: BarChart) -> Page:
    """The chart as the page has it."""
    parts = environment().get_template("parts.html.j2").module
    return Page(str(parts.bar_chart(chart)))


def per_cent(style: str, side: str) -> float:
    """Where `style` puts a side of a box, along the axis."""
    return float(re.search(rf"{side}:(?:calc\(100% - )?([\d.]+)%", style)[1])


def test_discs_that_would_lie_on_each_other_stand_beside_each_other():
    same = [Dot(RowStyle(str(i), i, 0), 40.0, recall) for i, recall in enumerate((50.0,) * 4, 1)]
    same += [Dot(RowStyle("right", 5, 0), 40.0, 99.9), Dot(RowStyle("also", 6, 0), 40.0, 99.9)]
    places = list(discs(scatter_chart(same, "t")).values())
    for i, one in enumerate(places):
        assert all(np.linalg.norm(one - other) > 16 for other in places[:i])
        assert 0 < one[0] < 520


def test_bars_are_as_long_as_their_values():
    groups = [Bars("a", (20.0,), oracle=30.0), Bars("b", (40.0,), paper=50.0), Bars("c", (None,))]
    (chart,) = bar_charts(groups, "t")
    page = drawn(chart)
    bars = [per_cent(attrs["style"], "width") for _, attrs in page.of_class("bar")]
    assert bars == [40.0, 80.0] and chart.top == 50
    ((_, paper),) = page.of_class("paper")
    assert per_cent(paper["style"], "left") == 100
    ((_, reach),) = page.of_class("reach")
    assert (per_cent(reach["style"], "left"), per_cent(reach["style"], "right")) == (40, 60)
    assert page.text.count("–") == 1
    assert page.all("div", role="img")[0]["aria-label"] == (
        "t, per cent: a 20.0; b 40.0, paper 50.0; c –"
    )


def test_spreads_are_drawn_around_the_end_of_their_bar():
    groups = [Bars("a", (40.0,), spread=5.0), Bars("b", (40.0,), spread=0.01), Bars("c", (None,))]
    (chart,) = bar_charts(groups, "t")  # the second spread is too short to be seen
    ((_, spread),) = drawn(chart).of_class("spread")
    assert (per_cent(spread["style"], "left"), per_cent(spread["style"], "right")) == (70, 90)


def test_many_bars_are_in_two_charts_of_one_scale():
    groups = [Bars(f"class {i}", (float(i), 2.0 * i)) for i in range(15)]
    one, other = bar_charts(groups, "t", most=12, looks=("r0", "r1"))
    assert [*one.groups, *other.groups] == groups and len(one.groups) == 8
    assert one.top == other.top == 30
    assert [a["class"] for _, a in drawn(one).of_class("bar")][:4] == ["bar r0", "bar r1"] * 2


def test_a_bar_that_cannot_be_drawn_leaves_its_place_empty():
    (chart,) = bar_charts([Bars("a", (float("nan"), 1.0)), Bars("b", (-3.0, None))], "t")
    page = drawn(chart)
    assert len(page.of_class("track")) == 4 and len(page.of_class("bar")) == 2
    assert not re.search(r"\bnan\b", page.text)


def test_ticks_are_round_and_inside():
    rng = np.random.default_rng(1)
    for low, span in zip(rng.uniform(-5, 5, 50), rng.uniform(1e-3, 90, 50), strict=True):
        found = ticks(low, low + span, 6)
        assert 2 <= len(found) <= 8
        assert low - 1e-6 <= found[0] and found[-1] <= low + span + 1e-6
        steps = np.diff(found)
        assert np.allclose(steps, steps[0], rtol=1e-4)
    assert ticks(0, 0.6, 7) == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]


@pytest.mark.parametrize(
    "values",
    [
        [6.9e11] * 3,  # a network that diverged and stays there
        [1e30, 1e30 * (1 + 1e-15), 1e30],
        [-4e300, 4e300, 1.0],
        [float("inf"), float("nan"), 1.0],
        [0.0, 5e-324, 0.0],
        [float("nan")] * 3,
    ],
)
def test_no_numbers_are_too_odd_for_a_chart(values):
    curve = Curve(RowStyle("loss", 1, 0), list(enumerate(values)))
    for html in (line_chart([curve], "x", "y", "t"), small_chart([curve], "t", True)):
        points = np.concatenate(
            [vertices(line) for line in Page(html).all("polyline") if line["points"]] or [[0.0]]
        )
        assert np.isfinite(points).all() and (points >= -1e-3).all() and (points < 600).all()
