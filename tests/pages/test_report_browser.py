"""The pages in a real browser: nothing is fetched, nothing overflows, the sliders work."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up_report import NAMES, make_report
from page_reader import EVIL

from wsssbench.pages import comparison_page, run_page
from wsssbench.pages.html import write_page
from wsssbench.results.run import Layer

playwright = pytest.importorskip("playwright.sync_api", reason="playwright")
BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
pytestmark = pytest.mark.skipif(
    BROWSER is None, reason="chromium, chromium-browser or google-chrome on the PATH"
)
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
LONG = "pooling=GPP(bins=(2, 4, 8, 16)), erasing=AEFT(margin=0.5, attract=0.15)"
SIZES = [(1280, 900), (390, 844)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=BROWSER, args=list(ARGUMENTS))
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The page of a sweep with names of all lengths, and that of one of its runs."""
    folder = tmp_path_factory.mktemp("pages")
    names = (*NAMES, LONG, EVIL, "x" * 90)
    report = make_report(folder, names, images=3, rung="CAM")
    write_page(folder / "sweep.html", comparison_page.render(report))
    result = report.collection.of(LONG)[0].result
    row = report.pictures.gallery[0]
    layers = [
        dataclasses.replace(x, title=t)
        for x, t in zip(row.layers, ("ground truth", "CAM", LONG), strict=False)
    ]
    rows = [dataclasses.replace(row, id=name, layers=layers) for name in ("a", "y" * 70)]
    run = dataclasses.replace(result, name=LONG, gallery=rows)
    write_page(folder / "run.html", run_page.render(run))
    return {name: folder / f"{name}.html" for name in ("sweep", "run")}


@pytest.fixture
def opened(browser: Any, pages: dict[str, Path]) -> Iterator[Any]:
    """Opens a page from disk; what the browser complains of or asks the network for fails the test."""
    complaints: list[str] = []
    contexts = []

    def open_page(name: str, size: tuple[int, int] = SIZES[0], **options: Any) -> Any:
        width, height = size
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(dialog.message))
        page.on("request", lambda request: _outside(request.url, complaints))
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def _outside(url: str, complaints: list[str]) -> None:
    if not url.startswith(("file:", "data:")):
        complaints.append(url)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", ["sweep", "run"])
def test_a_page_fits_its_screen(opened, name, size, scheme):
    page = opened(name, size, color_scheme=scheme)
    for view in ("slider", "strip"):
        for radio in page.locator(f"input[type=radio][value={view}]").all():
            radio.check(force=True)
        for summary in page.locator("summary").all() if view == "strip" else []:
            summary.click()
        widths = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        scroll, client = page.evaluate(widths)
        assert scroll <= client == size[0]
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    broken = "[...document.images].filter(one => !one.complete || !one.naturalWidth).length"
    assert page.evaluate(broken) == 0


def share(compare: Any) -> float:
    """Where the divider is, in per cent, as it is drawn."""
    box, divider = compare.bounding_box(), compare.locator(".divider").bounding_box()
    return 100 * (divider["x"] + divider["width"] / 2 - box["x"]) / box["width"]


def clipped(compare: Any) -> float:
    style = compare.locator(".picture.right").evaluate("one => getComputedStyle(one).clipPath")
    return float(style.removeprefix("inset(0px 0px 0px ").removesuffix("%)"))


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_divider_follows_the_pointer(opened, size):
    page = opened("sweep", size)
    first, second = page.locator("#gallery-pictures .compare").all()[:2]
    first.scroll_into_view_if_needed()
    assert share(first) == pytest.approx(50, abs=1)
    box = first.bounding_box()
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + 0.5 * box["width"], y)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.2 * box["width"], y, steps=3)
    assert share(first) == pytest.approx(20, abs=1) and clipped(first) == pytest.approx(20, abs=1)
    page.mouse.move(box["x"] + 3 * box["width"], y)
    assert clipped(first) == 100
    page.mouse.up()
    page.mouse.move(box["x"], y)
    assert clipped(first) == 100 and clipped(second) == 50  # let go; and the others stay


def test_a_finger_moves_the_divider_and_still_scrolls_the_page(opened):
    page = opened("sweep", SIZES[1], has_touch=True)
    compare = page.locator("#gallery-pictures .compare").first
    compare.scroll_into_view_if_needed()
    box = compare.bounding_box()
    page.touchscreen.tap(box["x"] + 0.7 * box["width"], box["y"] + 20)
    assert share(compare) == pytest.approx(70, abs=1)
    assert compare.evaluate("one => getComputedStyle(one).touchAction") == "pan-y"


def test_the_divider_moves_by_keyboard(opened):
    page = opened("sweep")
    compare = page.locator("#gallery-pictures .compare").first
    slider = compare.get_by_role("slider")
    slider.focus()
    for key, expected in (("ArrowRight", 51), ("ArrowLeft", 50), ("Home", 0), ("End", 100)):
        page.keyboard.press(key)
        assert clipped(compare) == expected
    outline = compare.locator(".divider").evaluate("one => getComputedStyle(one).boxShadow")
    page.evaluate("document.activeElement.blur()")
    assert outline != compare.locator(".divider").evaluate("one => getComputedStyle(one).boxShadow")
    assert slider.get_attribute("aria-valuetext") == f"100 % GAP, 0 % {NAMES[3]}" or (
        "100 % GAP" in slider.get_attribute("aria-valuetext")
    )


def test_the_dividers_can_be_moved_together(opened):
    page = opened("sweep")
    gallery = page.locator("#gallery-pictures")
    gallery.get_by_label("Move all together").check()
    gallery.get_by_role("slider").nth(1).focus()
    page.keyboard.press("Home")
    assert [clipped(one) for one in gallery.locator(".compare").all()] == [0, 0, 0]
    others = page.locator("#pairs-pictures .compare").all()
    assert {clipped(one) for one in others} == {50}


def test_the_selects_change_the_pictures_of_all_images(opened):
    page = opened("sweep")
    gallery = page.locator("#gallery-pictures")
    for side in ("left", "right"):
        for title in ("ground truth", "GPP", "image"):
            gallery.get_by_label(side).select_option(title)
            for shot in gallery.locator(".shot").all():
                pane = shot.locator(f".compare .picture.{side}")
                layers = pane.locator("img").all()
                panel = (
                    shot.locator("figure", has=page.get_by_text(title, exact=True))
                    .locator("img")
                    .all()
                )
                assert [one.get_attribute("src") for one in layers] == [
                    one.get_attribute("src") for one in panel
                ]
                assert len(layers) == (0 if title == "image" else 1)
                assert pane.get_attribute("aria-label").endswith(f": {title}")
                assert shot.locator(f".tag.{side}").text_content() == title
                grey = pane.evaluate("one => getComputedStyle(one, '::before').filter")
                assert grey == ("none" if title == "image" else "grayscale(0.65)")


def test_the_photo_is_behind_every_picture(opened):
    page = opened("run")
    photo = "one => getComputedStyle(one, '::before').backgroundImage"
    for shot in page.locator(".shot").all():
        found = {one.evaluate(photo) for one in shot.locator(".panels .picture").all()}
        assert len(found) == 1 and found.pop().startswith('url("data:image/jpeg;base64,')


def test_a_run_is_shown_side_by_side_until_the_slider_is_chosen(opened):
    page = opened("run")
    assert page.locator(".panels").first.is_visible()
    assert not page.locator(".compare").first.is_visible()
    page.get_by_role("radio", name="Slider").click()
    assert not page.locator(".panels").first.is_visible()
    assert page.locator(".compare").first.is_visible()
    page.keyboard.press("ArrowRight")  # back, by keyboard
    assert page.locator(".panels").first.is_visible()


def test_larger_pictures_are_larger(opened):
    page = opened("sweep")
    gallery = page.locator("#gallery-pictures")
    before = gallery.locator(".compare").first.bounding_box()["width"]
    gallery.get_by_label("Larger").check()
    assert gallery.locator(".compare").first.bounding_box()["width"] > 1.4 * before


@pytest.mark.parametrize("name", ["sweep", "run"])
def test_without_scripts_the_pictures_stand_beside_each_other(opened, name):
    page = opened(name, java_script_enabled=False)
    assert page.locator(".panels").first.is_visible()
    assert page.locator(".panels .picture").count() > 6
    for hidden in (".controls", ".compare"):
        assert not page.locator(hidden).first.is_visible()


def test_on_paper_the_pictures_stand_beside_each_other(opened):
    page = opened("sweep")
    page.emulate_media(media="print")
    assert page.locator(".panels").first.is_visible()
    for hidden in (".controls", ".compare", "nav"):
        assert not page.locator(hidden).first.is_visible()


def test_every_control_has_a_name_and_every_picture_a_text(opened):
    page = opened("sweep")
    unnamed = """[...document.querySelectorAll("input, select")].filter(
        one => !one.labels.length && !one.getAttribute("aria-label")).length"""
    assert page.evaluate(unnamed) == 0
    silent = """[...document.querySelectorAll("[role=img]")].filter(
        one => !one.getAttribute("aria-label")).length"""
    assert page.evaluate(silent) == 0


def test_a_row_without_a_picture_says_so(browser, tmp_path):
    report = make_report(tmp_path, images=2, rung="CAM")
    first, second = report.pictures.gallery
    fewer = [
        dataclasses.replace(first, layers=[Layer("ground truth", first.layers[0].plane)]),
        second,
    ]
    pictures = dataclasses.replace(report.pictures, gallery=fewer, most=[], least=[])
    html = comparison_page.render(dataclasses.replace(report, pictures=pictures))
    write_page(tmp_path / "page.html", html)
    page = browser.new_page()
    page.goto((tmp_path / "page.html").as_uri())
    tags = page.locator("#gallery-pictures .tag.left")
    assert tags.all_text_contents() == ["GAP: no picture", "GAP"]
    page.close()
