"""Whatever is in a ``metrics.json``: the run opens, with its tables and its page, or one sentence names the file."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import pytest
from made_up_report import make_collection

from wsssbench.errors import UserError
from wsssbench.pages import comparison_page, run_page
from wsssbench.results.collection import load
from wsssbench.results.compare import make_comparison
from wsssbench.results.formats import WRITERS
from wsssbench.results.image_pairs import image_pairs
from wsssbench.results.ladder import aggregate, ladder_table
from wsssbench.results.layout import Options
from wsssbench.results.run import read_run, to_json
from wsssbench.results.selection import select

STRANGE = [
    *(None, True, False, 0, -1, 7, 1e-300, 0.5, -3.5, 1e14, 1e40, 10**30, float("nan")),
    *(float("inf"), "", "x", "7", "nan", "\x1b[31m", "name = (", "name = [1", [], [None], {}),
    *({"type": []}, [[1, 2, 3]], "wsssbench.metrics/2"),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The folders of two complete runs."""
    collection = make_collection(tmp_path_factory.mktemp("runs"), ("GAP", "GPP"))
    members = [member for member in collection.members if member.seed == 0]
    for member in members:
        text = to_json(member.result)
        (member.directory / "metrics.json").write_text(text, encoding="utf-8")
    return [member.directory for member in members]


def containers(value: Any) -> list[Any]:
    """Every object and list that is not empty, `value` included."""
    parts = list(value.values()) if isinstance(value, dict) else value
    inside = [c for part in parts if isinstance(part, dict | list) for c in containers(part)]
    return [value, *inside] if value else inside


def damaged(document: Any, rng: random.Random) -> str:
    """`document` as JSON with one to three entries that are replaced, removed, or swapped, or bytes that are lost."""
    document = copy.deepcopy(document)
    for _ in range(rng.randint(1, 3)):
        if not document:
            break
        place = rng.choice(containers(document))
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if rng.random() < 0.2:
            del place[key]
        elif rng.random() < 0.2:
            place[key] = copy.deepcopy(rng.choice(containers(document)))
        else:
            place[key] = copy.deepcopy(rng.choice(STRANGE))
    text = json.dumps(document, allow_nan=True)
    if rng.random() < 0.1:
        at = rng.randrange(len(text))
        text = text[:at] + text[at + rng.randint(1, 9) :]
    return text


def use(run: Path, other: Path) -> None:
    """All that is made of a run."""
    result = read_run(run)
    ladder_table(aggregate([result]))
    run_page.render(result)
    collection = load([run, other])
    selection = select(collection)
    tables = [make_comparison(collection, Options(resamples=5))]
    tables.append(make_comparison(collection, Options(resamples=5, rows="rung", columns="row")))
    for table in tables:
        for write in WRITERS.values():
            write(table)
    pairs, problem = image_pairs(selection)
    comparison_page.render(
        comparison_page.ComparisonReport(collection, selection, tables, pairs[:1], (), problem)
    )


@pytest.mark.parametrize("seed", [*range(58), 2248, 3859])
def test_a_damaged_file_is_one_sentence_or_a_page(
    runs: list[Path], seed: int, tmp_path: Path
) -> None:
    run = tmp_path / "damaged-seed0"
    run.mkdir()
    document = json.loads((runs[0] / "metrics.json").read_text(encoding="utf-8"))
    text = damaged(document, random.Random(seed))
    (run / "metrics.json").write_text(text, encoding="utf-8")
    try:
        use(run, runs[1])
    except UserError as error:
        assert str(run) in str(error), f"{error} names no file"


def test_the_sentence_names_the_entry(runs: list[Path], tmp_path: Path) -> None:
    document = json.loads((runs[0] / "metrics.json").read_text(encoding="utf-8"))
    document["rungs"][0]["curve"][3]["miou"] = "high"
    (tmp_path / "metrics.json").write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UserError) as error:
        read_run(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / 'metrics.json'}: rungs.0.curve.3.miou: Input should be a valid number, unable to parse "
        "string as a number, not 'high'; run the experiment again"
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\xfe", b"[" * 100_000, b"null", b"7", b'{"schema": []}', b'"wsssbench.metrics/2"'],
)
def test_what_is_no_json_object_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "metrics.json").write_bytes(content)
    with pytest.raises(UserError, match=r"metrics\.json") as error:
        read_run(tmp_path)
    assert "\n" not in str(error.value)


def test_a_folder_in_place_of_the_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "metrics.json").mkdir()
    with pytest.raises(UserError, match=r"metrics\.json: .*directory"):
        read_run(tmp_path)
