"""What the tests of comparisons share: three methods with the paper's numbers, and ways to look into a table."""

from __future__ import annotations

from pathlib import Path

from made_up_runs import Method, write_sweep

from wsssbench.results.collection import Collection, load
from wsssbench.results.compare import make_comparison
from wsssbench.results.comparison import Comparison
from wsssbench.results.layout import Options

GPP = {"classifier.pooling": {"type": "GPP", "bins": (2, 4)}}
METHODS = {"GAP": Method(0.55), "GPP": Method(0.6, set=GPP), "AEFT": Method(0.65)}
PAPER = {"GAP": {"CAM": 48.4}, "GPP": {"CAM": 54.2, "CAM precision": 66.5}, "CONTA": {"CAM": 56.2}}
PAPER_CARD = {"dataset": "VOC2012", "images": 1464, "flip": True, "threshold_choice": "oracle"}


def one_rung(work: Path) -> Collection:
    """Three methods, three seeds, the CAM alone, and the paper's numbers."""
    return load([write_sweep(work, METHODS, paper=PAPER, card=PAPER_CARD, baseline="GAP")])


def of(collection: Collection, resamples: int = 20, **options) -> Comparison:
    return make_comparison(collection, Options(resamples=resamples, **options))


def cell(comparison: Comparison, row: str, column: str):
    (line,) = (line for line in comparison.lines if line.name == row)
    return line.cells[comparison.layout.columns.index(column)]


def said(comparison: Comparison, notes: tuple[int, ...]) -> list[str]:
    return [comparison.notes[i] for i in notes]
