"""The page of several rows."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from comparing import of, one_rung
from made_up_report import NAMES, make_collection, make_report, make_row
from page_reader import EVIL, check

from wsssbench.pages.comparison_page import ComparisonReport
from wsssbench.pages.comparison_page import render as render_comparison
from wsssbench.pages.gallery_view import Pictures
from wsssbench.pages.html import write_page
from wsssbench.results.compare import make_comparison
from wsssbench.results.formats import comparison_table, csv_text
from wsssbench.results.formatting import signed
from wsssbench.results.image_pairs import image_pairs
from wsssbench.results.layout import Options
from wsssbench.results.run import GalleryRow, Layer
from wsssbench.results.selection import select


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> ComparisonReport:
    return make_report(tmp_path_factory.mktemp("report"), rung="CAM")


@pytest.fixture(scope="module")
def page(report):
    return check(render_comparison(report))


def charts(page, words):
    """What a screen reader says of the charts that speak of `words`."""
    drawings = (*page.all("svg"), *page.all("div", role="img"))
    return [a["aria-label"] for a in drawings if words in a.get("aria-label", "")]


def test_every_cell_of_the_tables_is_in_the_page(report, page):
    for table in report.tables:
        for row in comparison_table(table).rows:
            assert all(cell.text in page.text for cell in row)
    assert not page.of_class("best") and "not separable" in page.text  # two seeds


def test_the_tables_and_the_charts_can_be_taken_along(report, page):
    assert page.files["Pooling-CAM.csv"] == csv_text(report.tables[0])
    assert page.files["Pooling-every-rung.csv"] == csv_text(report.tables[1])
    assert {name for name in page.files if name.endswith("svg")} == {
        "Pooling-thresholds.svg",
        "Pooling-scatter.svg",
    }


def test_what_is_separated_is_bold(tmp_path):
    found = one_rung(tmp_path)
    report = ComparisonReport(found, select(found), [of(found)])
    page = check(render_comparison(report))
    assert len(page.of_class("best")) >= 1 and "best: AEFT" in page.text


def test_the_summary_is_of_the_best_row_and_the_baseline(report, page):
    best, baseline = report.selection.ranked[0], report.selection.b
    assert (best, baseline) == (NAMES[-1], "GAP")
    assert f"highest: {best}" in page.text and f"compared with: {baseline}" in page.text
    assert "95 % interval over images [" in page.text
    assert "7 of 8 runs there, seeds 0 and 1" in page.text


def test_papers_numbers_are_drawn_beside_ours(page):
    (said,) = charts(page, "mIoU of CAM, per cent")
    assert re.search(r"GAP \d+\.\d, paper 48\.4", said) and "CONTA –, paper 56.2" in said
    assert len(page.of_class("paper")) >= 3


def test_missing_cells_are_listed_with_their_reasons(page):
    assert "1 cell without results" in page.text
    assert "the loss is no longer finite" in page.text


def test_every_row_has_its_line_and_its_disc(page):
    (curves,) = charts(page, "mIoU by background threshold")
    (scatter,) = charts(page, "precision and recall")
    for number, name in enumerate(NAMES, 1):
        assert f"{number} {name} at best" in curves and f"{number} {name} " in scatter
    assert [a["class"] for a in page.all("polyline") if a["class"].startswith("line r")][:4] == [
        f"line r{i}" for i in range(4)
    ]


def test_curves_are_means_over_seeds(report):
    page = check(render_comparison(report))
    (said,) = charts(page, "mIoU by background threshold")
    rungs = [rung for _, rung in report.selection.scored["GPP + triplet"]]
    means = np.mean([[p.miou for p in rung.curve] for rung in rungs], axis=0)
    best = int(means.argmax())
    assert (
        f"3 GPP + triplet at best {means[best]:.1f} at {rungs[0].curve[best].threshold:g}" in said
    )


def test_a_rung_without_threshold_has_the_curves_of_the_first_that_has_one(tmp_path):
    text = check(render_comparison(make_report(tmp_path, rung="+ CRF"))).text
    assert "mIoU by background threshold of CAM on train" in text


def test_single_images_are_told_with_their_numbers(report, page):
    a, b = report.selection.a, report.selection.b
    assert f"Where {a} beats {b} most" in page.text and f"Where {a} beats {b} least" in page.text
    for pair in (*report.most, *report.least):
        assert f"{signed(pair.difference)}" in page.text
        assert f"{pair.b:.1f} → {pair.a:.1f}" in page.text
    ids = [attrs["aria-label"] for _, attrs in page.of_class("shot")]
    assert ids[:4] == [pair.id for pair in (*report.most, *report.least)]


def test_both_galleries_start_with_b_at_the_left_and_a_at_the_right(page):
    chosen = [a["value"] for a in page.all("option") if "selected" in a]
    # image, truth, GAP, GPP, GPP + triplet, rigid erasing
    assert chosen == ["2", "5"] * 2
    assert [a["data-view"] for _, a in page.of_class("gallery")] == ["slider"] * 2


def test_a_photo_and_each_layer_are_stored_once_per_image(report, page):
    assert len(page.photos) == 4 + 4
    assert len(page.all("img")) == 8 * (1 + len(NAMES))


def test_without_pictures_the_images_are_a_table(report):
    note = "There are no pictures: the cache is gone."
    page = check(render_comparison(dataclasses.replace(report, pictures=Pictures(notes=(note,)))))
    assert note in page.text and not page.of_class("shot")
    for pair in (*report.most, *report.least):
        assert pair.id in page.text and f"{pair.a:.1f}" in page.text


def test_why_single_images_cannot_be_compared_is_said(report):
    lost = dataclasses.replace(report, most=(), least=(), pairs_problem="the counts are lost")
    assert "The counts are lost, so single images cannot be compared." in (
        check(render_comparison(lost)).text
    )


def test_a_row_without_a_picture_of_an_image_keeps_its_place(report):
    rows = report.pictures.gallery
    fewer = [dataclasses.replace(rows[0], layers=rows[0].layers[:2]), *rows[1:]]
    pictures = dataclasses.replace(report.pictures, gallery=fewer, most=[], least=[])
    page = check(render_comparison(dataclasses.replace(report, pictures=pictures)))
    layers = [a["data-layer"] for a in page.all("figure") if "data-layer" in a]
    assert layers[:9] == ["0", "1", "2", "0", "1", "2", "3", "4", "5"]


def test_costs_cards_configs_and_environments_are_told(report, page):
    assert "1 min 40 s" in page.text and "1.2 GiB" in page.text and "together" in page.text
    for words in (
        "Protocol cards of CAM",
        "Environment",
        "What the trainings logged",
        "Resolved config of GPP + triplet, seed 0",
        "'type': 'Pool2'",
        "2.14.1",
    ):
        assert words in page.text
    assert len(charts(page, "classify, loss by iteration, at the beginning and")) == 1


def test_many_rows_stay_readable(tmp_path):
    names = [f"pooling=GPP(bins=({i}, {2 * i})), erasing=AEFT" for i in range(14)]
    report = make_report(tmp_path, names, images=1, rung="CAM")
    page = check(render_comparison(report))
    lines = [a["class"] for a in page.all("polyline") if a["class"].startswith("line r")]
    assert lines[:14] == ["line rest"] * 6 + [f"line r{i}" for i in range(8)]
    assert "6 other rows" in page.text
    assert page.text.count("of CAM, continued") == 1  # the bars are in two drawings


def test_one_row_alone_has_a_page(tmp_path):
    collection = make_collection(tmp_path, NAMES[:2], nodes=("cam",))
    members = tuple(collection.of("GAP"))
    alone = dataclasses.replace(collection, rows=("GAP",), members=members, missing=(), paper={})
    selection = select(alone)
    tables = [make_comparison(alone, Options(selection.rung, resamples=10, baseline=selection.b))]
    pairs, problem = image_pairs(selection)
    page = check(render_comparison(ComparisonReport(alone, selection, tables, pairs, (), problem)))
    assert "highest: GAP" in page.text and "Best and worst images" not in page.text


def test_every_text_is_escaped(report):
    names = {row: f"{EVIL} {row}" for row in report.collection.rows}
    members = tuple(
        dataclasses.replace(
            m,
            row=names[m.row],
            result=dataclasses.replace(
                m.result, environment={EVIL: EVIL}, config_text=f"name = {EVIL!r}\nseed = 0\n"
            ),
        )
        for m in report.collection.members
    )
    missing = tuple(
        dataclasses.replace(m, row=names[m.row], state=EVIL, reason=EVIL)
        for m in report.collection.missing
    )
    collection = dataclasses.replace(
        report.collection,
        title=EVIL,
        rows=tuple(names.values()),
        members=members,
        missing=missing,
        axes={},
        baseline=names["GAP"],
        paper={names[row]: of for row, of in report.collection.paper.items()},
        paper_source=EVIL,
    )
    selection = select(collection, "CAM")
    tables = [make_comparison(collection, Options("CAM", resamples=10, baseline=selection.b))]
    pairs, problem = image_pairs(selection)
    shown = GalleryRow(EVIL, np.zeros((4, 4, 3), np.uint8), [Layer(EVIL, np.zeros((4, 4)))])
    evil = ComparisonReport(
        collection,
        selection,
        tables,
        [dataclasses.replace(pairs[0], id=EVIL)],
        [],
        problem,
        Pictures([shown], [shown], [], (EVIL,)),
    )
    html = render_comparison(evil)
    page = check(html)
    assert html.count("<script") == 1 and page.text.count(EVIL) > 40


def test_equal_reports_give_equal_bytes(tmp_path, report):
    again = make_report(tmp_path / "again", rung="CAM")
    write_page(tmp_path / "a.html", render_comparison(report))
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == render_comparison(again)


def test_a_hundred_images_of_eight_rows_stay_under_ten_megabytes(tmp_path):
    """Noise is the worst case: photos, label maps of speckles, and heat."""
    names = [f"method {i}" for i in range(8)]
    report = make_report(tmp_path, names, images=1, rung="CAM")
    rng = np.random.default_rng(0)
    noisy, hot = (
        make_row("", names, (375, 500), rng, noisy=True, heat=heat) for heat in (False, True)
    )
    gallery = [
        dataclasses.replace(hot if i % 3 == 0 else noisy, id=f"img{i:04}") for i in range(100)
    ]
    pictures = dataclasses.replace(report.pictures, gallery=gallery)
    html = render_comparison(dataclasses.replace(report, pictures=pictures))
    assert len(html.encode()) < 10_000_000
    assert html.count('class="shot"') == 104 and "left out" not in html


def test_precision_and_recall_of_every_class_are_drawn_where_they_were_kept(tmp_path, page):
    def changed(member):
        rungs = [
            dataclasses.replace(one, precision={"cat": 71.3, "dog": None}, recall={"cat": 33.9})
            for one in member.result.evaluations
        ]
        return dataclasses.replace(
            member, result=dataclasses.replace(member.result, evaluations=rungs)
        )

    found = one_rung(tmp_path)
    found = dataclasses.replace(found, members=tuple(map(changed, found.members)))
    iou = {"cat": 50.0}
    for member in found.members:
        member.result.evaluations[0].iou.update(iou)
    new = check(render_comparison(ComparisonReport(found, select(found), [of(found)])))
    assert any("71.3" in said for said in charts(new, "precision per class"))
    assert any("33.9" in said for said in charts(new, "recall per class"))
    # and results from before have a page without them
    assert not charts(page, "precision per class") and not charts(page, "recall per class")


def test_the_interval_over_seeds_stands_beside_that_over_images(tmp_path):
    found = one_rung(tmp_path)
    table = of(found)
    seeds = next(one for one in table.cells if one.row == "AEFT").difference.seeds
    text = check(render_comparison(ComparisonReport(found, select(found), [table]))).text
    assert f"over seeds [{seeds.low:.1f}, {seeds.high:.1f}]".replace("-", "−") in text
