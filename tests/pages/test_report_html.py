from __future__ import annotations

import base64
import csv
import dataclasses
import hashlib
import io
import re
import subprocess
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from page_reader import EVIL, Page, check, decode, rgba

import wsssbench.pages.run_page as run_page
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.confusion_file import Confusion
from wsssbench.files.images import voc_palette
from wsssbench.pages import thumbnails
from wsssbench.pages.html import PAGE, write_page
from wsssbench.pages.run_page import render
from wsssbench.progress import duration
from wsssbench.results.formatting import listed, memory
from wsssbench.results.run import (
    Evaluation,
    GalleryRow,
    Layer,
    Point,
    RunResult,
    StageTime,
    TrainingCurve,
)
from wsssbench.results.run_details import RunDetails, class_scores


def test_the_page_parses_and_fetches_nothing(make_result):
    parsed = check(render(make_result()))
    assert parsed.all("html", lang="en")


def test_only_the_pages_own_script_may_run(make_result):
    config = "paper = 'https://example.org/x'\n"
    html = render(make_result(config_text=config, environment={"a": "http://example.org"}))
    parsed = check(html)
    assert "https://example.org/x" in parsed.text  # text may name addresses
    style = html.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style and "@import" not in style
    ((_, script),) = re.findall(r"<script([^>]*)>(.*?)</script>", html, re.DOTALL)
    assert script == (PAGE / "report.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = parsed.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy["content"] == (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
        f"script-src 'sha256-{digest}'"
    )


def test_equal_results_give_equal_pages(make_result):
    assert render(make_result()) == render(make_result())


def test_the_report_needs_no_torch():
    code = "import sys, wsssbench.pages.comparison_page; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0


def test_every_number_of_the_ladder_is_in_the_page(make_result):
    text = Page(render(make_result())).text
    for number in ("39.0", "50.3", "69.7", "0.30", "40.0 (0.20)", "56.0", "55.2", "61.0"):
        assert number in text


def test_all_texts_are_escaped(make_result):
    result = make_result()
    rung = dataclasses.replace(
        result.evaluations[0], name=EVIL, split=EVIL, node=EVIL, card={EVIL: EVIL}, iou={EVIL: 5.0}
    )
    shown = GalleryRow(EVIL, np.zeros((4, 4, 3), np.uint8), [Layer(EVIL, np.zeros((4, 4)))])
    evil = make_result(
        name=EVIL,
        run_id=EVIL,
        config_text=EVIL,
        evaluations=[rung, rung],
        times=[StageTime(EVIL, 1.0, 1.0)],
        environment={EVIL: EVIL},
        created=EVIL,
        reference={EVIL: 50.0},
        class_names=[EVIL],
        gallery=[shown],
        training=[TrainingCurve(EVIL, EVIL, [(1.0, 2.0), (2.0, 1.0)])],
    )
    html = render(evil, note=EVIL) + render(evil)
    parsed = Page(html)
    assert html.count("<script") == 2 and parsed.open == []
    assert parsed.text.count(EVIL) > 20
    assert parsed.all("div", role="img", **{"aria-label": f"{EVIL}: {EVIL}"})


def test_gallery_pictures_decode_back(make_result):
    result = make_result(rows=3)
    parsed = check(render(result))
    panels = [
        attrs["aria-label"] for _, attrs in parsed.of_class("picture") if "aria-label" in attrs
    ]
    assert panels == [
        f"img{i}: {title}" for i in range(3) for title in ("image", "ground truth", "CAM")
    ]
    luma = np.array([0.299, 0.587, 0.114])
    for address, row in zip(parsed.photos, result.gallery, strict=True):
        shown = np.asarray(decode(address).convert("RGB"))
        # JPEG of noise: near in brightness, whatever happens to the colours.
        assert np.abs(shown @ luma - row.photo @ luma).mean() < 12
    layers = [rgba(attrs["src"]) for attrs in parsed.all("img")]
    assert len(layers) == 6
    for row, truth in zip(result.gallery, layers[::2], strict=True):
        assert ((truth[..., 3] == 0) == (row.layers[0].plane == 0)).mean() > 0.5  # but for contours


def test_the_slider_starts_between_the_first_and_the_last_result(make_result):
    parsed = check(render(make_result()))
    chosen = [a["value"] for a in parsed.all("option") if "selected" in a]
    assert chosen == ["1", "2"]  # truth and CAM, for want of a second result
    assert [a["data-side"] for a in parsed.all("select")] == ["left", "right"]
    assert len(parsed.all("input", type="range")) == 2
    row = make_result().gallery[0]
    more = [*row.layers, Layer("+ CRF", row.layers[0].plane), Layer("pseudo", row.layers[0].plane)]
    parsed = check(render(make_result(gallery=[dataclasses.replace(row, layers=more)])))
    assert [a["value"] for a in parsed.all("option") if "selected" in a] == ["2", "4"]


def test_a_legend_names_what_is_to_be_seen(make_result):
    label = np.zeros((8, 8), np.uint8)
    label[2:4] = 2
    row = GalleryRow("a", np.zeros((8, 8, 3), np.uint8), [Layer("ground truth", label)])
    legend = Page(render(make_result(gallery=[row]))).text.split("Pictures")[1].split("Slider")[0]
    assert "dog" in legend and "cat" not in legend
    assert "ignored" not in legend and "CAM 0" not in legend
    label[5] = 255
    both = dataclasses.replace(row, layers=[*row.layers, Layer("CAM", np.zeros((4, 4)))])
    legend = Page(render(make_result(gallery=[both]))).text.split("Pictures")[1].split("Slider")[0]
    assert "ignored" in legend and "CAM 0" in legend


def test_pictures_that_fit_in_no_size_are_left_out_and_said(make_result, monkeypatch):
    rows = make_result(rows=4, size=(64, 64)).gallery
    monkeypatch.setattr(thumbnails, "_SIZES", thumbnails._SIZES[-1:])
    all_bytes = sum(one.bytes for one in thumbnails.fit(rows, 10**9, voc_palette()))
    monkeypatch.setattr(run_page, "GALLERY_BYTES", all_bytes * 5 // 8)
    parsed = Page(render(make_result(gallery=rows)))
    assert len(parsed.photos) == 2 and "2 more pictures were left out" in parsed.text


def test_a_page_without_pictures_says_why(make_result):
    result = make_result(gallery=[])
    assert "Pictures" not in Page(render(result)).text
    assert (
        "There are none: the cache is gone." in Page(render(result, note="the cache is gone")).text
    )


def test_numbers_that_are_missing_leave_gaps_not_errors(make_result):
    nan = float("nan")
    curve = [Point(nan, 50.0, 60.0, 0.1), Point(40.0, nan, 60.0, 0.2), Point(41.0, 1.0, 2.0, 0.3)]
    rung = Evaluation("CAM", "cam", "train", Point(nan, nan, nan, 0.1), None, {"cat": nan}, curve)
    training = [TrainingCurve("a", "b", [(1.0, nan), (2.0, nan)]), TrainingCurve("a", "c", [])]
    html = render(
        make_result(evaluations=[rung], times=[StageTime("cam", nan, nan)], training=training)
    )
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]*", "", html), re.IGNORECASE)


def test_a_run_with_nothing_in_it_still_has_a_page(make_result):
    empty = make_result(
        evaluations=[],
        times=[],
        gallery=[],
        environment={},
        reference={},
        class_names=[],
        config_text="",
        training=[],
    )
    check(render(empty))
    only = Evaluation("CAM", "cam", "train", None, Point(40.0, 50.0, 60.0, 0.2))
    assert "40.0" in check(render(make_result(evaluations=[only]))).text


def test_classes_of_old_runs_have_their_iou(make_result):
    page = check(render(make_result()))
    (line,) = (
        line for line in page.files["aeft_voc-predict-classes.csv"].splitlines() if "cat" in line
    )
    assert line == "cat,50.0,,,,,"
    assert "sofa,,,,,," in page.files["aeft_voc-predict-classes.csv"]
    assert page.text.count("sofa") >= 2  # with a dash


def test_trainings_are_drawn_by_stage(make_result):
    curves = [
        TrainingCurve(stage, series, [(1.0, 0.7), (2.0, 0.5)])
        for stage, series in (("fit.rw", "loss"), ("classify", "loss"), ("fit.rw", "lr"))
    ]
    parsed = check(render(make_result(training=curves)))
    said = [a["aria-label"] for a in parsed.all("svg", **{"class": "chart small"})]
    assert said[0] == "fit.rw, loss by iteration, at the beginning and at the end: loss 0.7, 0.5"
    assert [one.split(" by")[0] for one in said] == ["fit.rw, loss", "fit.rw, lr", "classify, loss"]


@pytest.mark.parametrize("scheme", [0, 1])
def test_text_has_contrast(scheme):
    css = "".join((PAGE / f"{one}.css").read_text(encoding="utf-8") for one in ("charts", "report"))
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
    assert contrast("ink", "rule") >= 4.5 and contrast("ink", "rest") >= 4.5  # grey discs
    # marks, and numbers in discs of their colour
    for mark in ("blue", "orange", "green", "purple", "rose", "olive", "teal", "slate"):
        assert contrast(mark, "paper") >= 4.5


def test_only_what_this_run_made_is_in_its_time(make_result):
    text = Page(render(make_result())).text
    assert "1 of 2 stages reused" in text
    assert re.search(r"made in this run\s*30 s\s*512 MiB", text)


def test_write_makes_the_same_file(make_result, tmp_path):
    write_page(tmp_path / "report.html", render(make_result()))
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


def test_words():
    assert memory(812.4) == "812 MiB" and memory(1331) == "1.3 GiB"
    assert [listed("abc"[:n]) for n in (0, 1, 3)] == ["", "a", "a, b and c"]


def counted() -> tuple[ClassCounts, Confusion]:
    """Counts of two images and their confusion matrix: background, cat, dog and sofa, which does not occur."""
    pixels = np.array([[60, 5, 0, 0, 1], [20, 30, 10, 0, 0], [0, 8, 2, 0, 0], [0, 0, 0, 0, 0]])
    correct, predicted, true = np.diag(pixels), pixels[:, :4].sum(axis=0), pixels.sum(axis=1)
    images = ClassCounts(*(np.stack([one, 0 * one]) for one in (correct, predicted, true)))
    return images, Confusion(("background", "cat", "dog", "sofa"), pixels)


def with_classes(result: RunResult) -> Page:
    counts, confusion = counted()
    scores = class_scores(counts, confusion.names)
    return check(render(result, details=RunDetails({"cam": scores}, {"cam": confusion})))


def test_classes_have_their_figures_and_what_they_are_taken_for(make_result):
    page = with_classes(make_result())
    (chart,) = page.all("svg", **{"class": "chart confusion"})
    assert chart["aria-label"] == "CAM on train: what the pixels of every class are predicted as"
    _, confusion = counted()
    shares = 100 * confusion.pixels / np.maximum(1, confusion.pixels.sum(axis=1, keepdims=True))
    names = [*confusion.names, "ignored"]
    for i, j in np.argwhere(shares >= 0.5):
        assert f"{names[i]} taken for {names[j]}: {shares[i, j]:.1f} %" in page.text
    assert page.text.count(" taken for ") == int((shares >= 0.5).sum())
    assert [a["class"] for a in page.all("rect") if "fill-opacity" in a].count("right") == 3


def test_what_is_shown_can_be_taken_along_as_files(make_result):
    result = make_result()
    page = with_classes(result)
    ladder = list(csv.DictReader(io.StringIO(page.files["aeft_voc-ladder.csv"])))
    assert [(one["rung"], float(one["miou"])) for one in ladder] == [
        ("CAM", 39.0),
        ("DeepLab val", 55.25),
    ]
    curve = list(csv.DictReader(io.StringIO(page.files["aeft_voc-cam-thresholds.csv"])))
    assert [float(point["threshold"]) for point in curve] == [0.1, 0.2, 0.3]
    (cat,) = (
        one
        for one in csv.DictReader(io.StringIO(page.files["aeft_voc-cam-classes.csv"]))
        if one["name"] == "cat"
    )
    found = [
        float(cat[key]) for key in ("iou", "precision", "recall", "images", "true", "predicted")
    ]
    assert found == pytest.approx([100 * 30 / 73, 100 * 30 / 43, 50.0, 1, 60, 43])
    matrix = page.files["aeft_voc-cam-confusion.csv"].splitlines()
    assert (
        matrix[0] == "ground truth,background,cat,dog,sofa,ignored"
        and matrix[2] == "cat,20,30,10,0,0"
    )
    drawings = [text for name, text in page.files.items() if name.endswith(".svg")]
    assert len(drawings) == 3
    for text in drawings:
        root = ElementTree.fromstring(text)
        assert root.tag == "{http://www.w3.org/2000/svg}svg" and "--blue: #" in text


def test_lines_join_a_rung_with_the_one_that_it_was_made_from(make_result):
    """CRF and walk both start from the CAM, and the prediction is of other images."""
    cam, val = make_result().evaluations
    scores = {"cam": (40.0, 70.0), "crf": (60.0, 50.0), "rw": (55.0, 65.0), "label": (62.0, 55.0)}
    after = {"cam": "", "crf": "cam", "rw": "cam", "label": "rw"}
    rungs = [
        dataclasses.replace(
            cam, name=node, node=node, chosen=Point(30.0, *scores[node]), after=after[node]
        )
        for node in scores
    ]
    val = dataclasses.replace(val, after="label")
    page = check(render(make_result(evaluations=[*rungs, val])))
    ways = [a["points"].split() for a in page.all("polyline", **{"class": "way"})]
    places = {a["x1"] + "," + a["y1"] for a in page.all("line", **{"class": "leader"})}
    assert len(ways) == 3 and {point for way in ways for point in way} <= places
    first = [way[0] for way in ways]
    assert first[0] == first[1] != first[2] == ways[1][1]


def test_the_classifiers_map_is_among_the_facts(make_result):
    page = check(render(make_result(figures={"classify": {"val mAP": 91.27}})))
    assert "classify, val mAP" in page.text and "91.3" in page.text


def test_images_are_in_groups_of_which_one_per_split_is_open(make_result):
    rows = [
        dataclasses.replace(row, id=f"{i}", group=group, numbers=(("IoU of CAM", "61.3"),))
        for i, (row, group) in enumerate(
            zip(
                make_result(rows=4).gallery,
                ("train: even", "train: best", "train: worst", "val: even"),
                strict=True,
            )
        )
    ]
    page = check(render(make_result(gallery=rows)))
    assert page.text.count("IoU of CAM") == 4 and len(page.photos) == 4
    html = render(make_result(gallery=rows))
    folded = re.findall(r"<details><summary><h3>([^<]*)</h3>", html)
    assert folded == ["train: best", "train: worst"]
