"""``wsssbench report``: from folders of runs and sweeps to a page."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from in_process import call, refused
from made_up_runs import Method, write_run, write_sweep

sys.path.append(str(Path(__file__).parent.parent / "report"))

from made_up_cache import write_cached_run
from page_reader import check


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """A sweep of two methods without pictures."""
    nodes = ("cam", "refine.crf")
    methods = {
        "GAP": Method(0.5, nodes),
        "GPP": Method(0.6, nodes, set={"classifier.pooling": {"type": "GPP"}}),
    }
    return write_sweep(tmp_path, methods, (0, 1), baseline="GAP")


def test_the_page_of_a_run_has_its_pictures(tmp_path):
    run = write_cached_run(tmp_path)
    outcome = call("report", run)
    assert outcome.code == 0, outcome
    assert outcome.out.splitlines()[-1].startswith(f"{run / 'report.html'}: 0.")
    page = check((run / "report.html").read_text(encoding="utf-8"))
    assert len(page.photos) == 6 + 3  # all there are, of train and val

    out = tmp_path / "page.html"
    assert call("report", run, "--images", 2, "--out", out).code == 0
    assert len(check(out.read_text(encoding="utf-8")).photos) == 2 * 2  # of each split


def test_a_run_without_its_cache_has_a_page_without_pictures(tmp_path):
    run = write_cached_run(tmp_path)
    shutil.rmtree(tmp_path / "cache")
    outcome = call("report", run)
    assert outcome.code == 0 and "warning: the page has no pictures: the results" in outcome.out
    assert "There are none: the results are not in the cache any more" in (
        check((run / "report.html").read_text(encoding="utf-8")).text
    )


def test_runs_beside_each_other(tmp_path):
    for name in ("one", "another"):
        write_cached_run(tmp_path, name)
    out = tmp_path / "both.html"
    found = [tmp_path / "runs" / name for name in ("one", "another")]
    outcome = call("report", *found, "--out", out, "--images", 1, "--rung", "crf")
    assert outcome.code == 0, outcome
    page = check(out.read_text(encoding="utf-8"))
    assert "Where another beats one most" in page.text
    assert len(page.photos) == 3 + 3 + 1  # the most, the least, the gallery


def test_a_sweep_by_its_name(sweep, tmp_path):
    outcome = call("report", "table", "--work-dir", tmp_path, "--metric", "oracle")
    assert outcome.code == 0, outcome
    assert "warning: There are no pictures:" in outcome.out
    page = check((sweep / "report.html").read_text(encoding="utf-8"))
    assert "highest: GPP" in page.text and "+ CRF mIoU ±" in page.text


def test_a_and_b_can_be_chosen(sweep):
    assert call("report", sweep, "--a", "GAP", "--b", "GPP", "--rung", "CAM").code == 0
    text = check((sweep / "report.html").read_text(encoding="utf-8")).text
    assert "Where GAP beats GPP least" in text and "GAP minus GPP" in text


def test_mistakes_are_one_sentence(sweep, tmp_path):
    write_run(tmp_path / "runs" / "x" / "a-seed0")
    run = tmp_path / "runs" / "x"
    assert "does not exist" in refused("report", tmp_path / "nothing")
    assert "several folders make one page: say where" in refused("report", sweep, run)
    assert "is a folder" in refused("report", sweep, "--out", tmp_path)
    assert "unknown rung 'walk'" in refused("report", sweep, "--rung", "walk")
    assert "unknown row 'GPPP': did you mean GPP" in refused("report", sweep, "--a", "GPPP")
    assert "this is one run" in refused("report", run, "--a", "GAP")
    assert not (sweep / "report.html").exists()
