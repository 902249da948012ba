"""What a stage is given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsssbench.interfaces import Dataset, RunContext


@dataclass(frozen=True)
class StageWork:
    """One stage's orders.

    Attributes:
        config: the stage's resolved config.
        inputs: the directories of the artefacts it reads, by role.
        dataset: the data set; its masks can be opened in evaluation stages only.
        context: its own directory, device, workers, seed, progress.
    """

    config: Mapping[str, Any]
    inputs: Mapping[str, Path]
    dataset: Dataset
    context: RunContext

    @property
    def directory(self) -> Path:
        return self.context.directory


def ids_of(dataset: Dataset, splits: Iterable[str]) -> list[tuple[str, str]]:
    """(id, split) of every image in `splits`, each id once, in list order."""
    seen: dict[str, str] = {}
    for split in splits:
        for id in dataset.ids(split):
            seen.setdefault(id, split)
    return list(seen.items())
