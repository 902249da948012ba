"""The contract of a plugin's own stages: they read photos and artefacts, and leave artefacts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from wsssbench.interfaces.artefacts import Artefact, Photos
from wsssbench.interfaces.values import RunContext


class Stage(ABC):
    """A stage that a config adds under ``stages``. ``__init__(classes, *, ...)`` with K class names.

    What it reads stands in its constructor: a parameter that is annotated with an `Artefact` class is given as the
    name of the stage that makes it.

    Attributes:
        makes: what it leaves in its directory; CAMs, scores and label maps are scored as those of the core are.
        splits: keys of a config's ``splits`` whose images it gets.
        random: True if its result depends on ``context.seed``, which is 0 for every other stage.
        parallel: True if every rank of a torchrun calls `run`; otherwise rank 0 does, and the others wait.
        title: what tables and pictures call its result; by default its name in the config.
    """

    makes: ClassVar[type[Artefact]]
    splits: ClassVar[tuple[str, ...]] = ("train",)
    random: ClassVar[bool] = False
    parallel: ClassVar[bool] = False
    title: ClassVar[str] = ""

    @abstractmethod
    def run(self, photos: Photos, context: RunContext) -> Mapping[str, Any]:
        """Leave the result in ``context.directory``.

        It may be called again on a directory in which an earlier call was interrupted; whole files may be kept.

        Returns:
            Figures for the manifest and for hooks, as JSON has them.
        """
