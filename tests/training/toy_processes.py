"""The program ``toy_training.py`` in processes of its own."""

from __future__ import annotations

from pathlib import Path

from warm_processes import WarmProcess, run_ranks

PROGRAM = Path(__file__).with_name("toy_training.py")


def trained_elsewhere(directory: Path, *arguments: str) -> int:
    """Train in another process; its exit code."""
    return WarmProcess(PROGRAM, directory, *arguments, output=directory / "output.txt").wait()


def trained_by_two_ranks(directory: Path, *arguments: str) -> None:
    """Train in two processes that share each batch.

    Raises:
        RankError: one of them failed.
    """
    run_ranks(2, PROGRAM, directory, *arguments, output=directory / "output")
