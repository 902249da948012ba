"""A made-up comparison with everything that its page shows: curves, trainings, costs, pictures."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from made_up_runs import Method, write_sweep

from wsssbench.pages.comparison_page import ComparisonReport
from wsssbench.pages.gallery_view import Pictures
from wsssbench.results.collection import Collection, Member, load
from wsssbench.results.compare import make_comparison
from wsssbench.results.image_pairs import extremes, image_pairs
from wsssbench.results.layout import Options
from wsssbench.results.run import (
    Evaluation,
    GalleryRow,
    Layer,
    Point,
    RunResult,
    StageTime,
    TrainingCurve,
)
from wsssbench.results.selection import Selection, select
from wsssbench.results.sweep_record import Status

NAMES = ("GAP", "GPP", "GPP + triplet", "rigid erasing")
PAPER = {"GAP": {"CAM": 48.4}, "GPP": {"CAM": 54.2}, "CONTA": {"CAM": 56.2}}


def make_collection(
    work: Path, names: Sequence[str] = NAMES, nodes: Sequence[str] = ("cam", "refine.crf")
) -> Collection:
    """Rows with two seeds each, the first of which is the baseline; one cell has failed."""
    methods = {
        name: Method(
            0.5 + 0.3 * i / len(names), nodes, set={"classifier.pooling": {"type": f"Pool{i}"}}
        )
        for i, name in enumerate(names)
    }
    failed = {(names[1], 1): Status("failed", "the loss is no longer finite")}
    path = write_sweep(
        work, methods, (0, 1), paper=PAPER, baseline=names[0], unfinished=failed, title="Pooling"
    )
    found = load([path])
    members = tuple(_filled(member, found.rows.index(member.row)) for member in found.members)
    return dataclasses.replace(found, members=members)


def make_report(
    work: Path,
    names: Sequence[str] = NAMES,
    images: int = 4,
    size: tuple[int, int] = (48, 64),
    *,
    rung: str | None = None,
    noisy: bool = False,
) -> ComparisonReport:
    """The page's parts of such a comparison, with pictures of `images` images."""
    collection = make_collection(work, names)
    selection = select(collection, rung)
    options = Options(selection.rung, resamples=20, baseline=selection.b)
    tables = [
        make_comparison(collection, one)
        for one in (options, dataclasses.replace(options, rung=None))
    ]
    pairs, problem = image_pairs(selection)
    most, least = extremes(pairs, 2)
    rng = np.random.default_rng(0)
    gallery, *parts = (
        [make_row(id, selection.scored, size, rng, noisy) for id in ids]
        for ids in (
            [f"img{i:04}" for i in range(images)],
            [p.id for p in most],
            [p.id for p in least],
        )
    )
    return ComparisonReport(
        collection, selection, tables, most, least, problem, Pictures(gallery, *parts)
    )


def make_row(
    id: str,
    titles: Sequence[str] | Selection,
    size: tuple[int, int],
    rng: np.random.Generator,
    noisy: bool = False,
    heat: bool = False,
) -> GalleryRow:
    """An image with its truth and a layer per title, all different; of noise, or of plain shapes."""
    layers = [Layer("ground truth", _label(size, rng, noisy))]
    for title in titles:
        plane = rng.random((size[0] // 2, size[1] // 2)) if heat else _label(size, rng, noisy)
        layers.append(Layer(title, plane))
    return GalleryRow(id, rng.integers(0, 256, (*size, 3), dtype=np.uint8), layers)


def _label(size: tuple[int, int], rng: np.random.Generator, noisy: bool) -> np.ndarray:
    if noisy:  # speckles of two pixels, as an unlucky CRF leaves them
        small = rng.choice(np.array([0, 0, 0, 1, 2, 255], np.uint8), (size[0] // 2, size[1] // 2))
        return small.repeat(2, axis=0).repeat(2, axis=1)
    label = np.zeros(size, np.uint8)
    top, left = (int(rng.integers(0, side // 2)) for side in size)
    label[top : top + size[0] // 2, left : left + size[1] // 2] = rng.integers(1, 4)
    return label


def _filled(member: Member, place: int) -> Member:
    return dataclasses.replace(member, result=_with_courses(member.result, place, member.seed))


def _with_courses(result: RunResult, place: int, seed: int) -> RunResult:
    cam, *rest = result.evaluations
    return dataclasses.replace(
        result,
        evaluations=[_with_curve(cam, place), *rest],
        times=[
            StageTime("classify", 100.0 + 7 * place + seed, 1200.0),
            StageTime("cam", 20.0, 900.0, reused=True),
            StageTime("evaluate.cam", 2.0, 300.0),
        ],
        training=[
            TrainingCurve(
                "classify",
                name,
                [(i * 10.0, 0.7 / (1 + 0.1 * i) + 0.02 * place) for i in range(1, 40)],
            )
            for name in ("loss", "loss_cls")
        ],
        environment={"torch": "2.14.1", "python": "3.11"},
    )


def _with_curve(rung: Evaluation, place: int) -> Evaluation:
    best = rung.oracle.miou if rung.oracle else 50.0
    curve = [
        Point(best - 120 * (t / 100 - 0.3 - place / 100) ** 2, 60 + t / 5, 90 - t / 2, t / 100)
        for t in range(0, 61, 2)
    ]
    return dataclasses.replace(rung, curve=curve)
