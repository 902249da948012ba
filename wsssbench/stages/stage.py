"""The declaration of a kind of stage, and the values that a stage is given.

A kind of stage is one file in this room with one class derived from `StageKind`, and one word in
`wsssbench.experiment.graph.STAGES`. Config, plan, run, results and pages ask the class; none of them knows its name.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np

from wsssbench.interfaces import Artefact, Dataset, RunContext
from wsssbench.progress import Progress
from wsssbench.registry import Registries, check_parameters
from wsssbench.training.schedule import Schedule, precision_of, short

# The section of an experiment that starts from somebody else's label maps, so that nothing above those is made.
IMPORTED_LABELS = "import_labels"
ONE_EACH = "given"  # the role of an artefact of which a stage reads something for every image of its splits


@dataclass(frozen=True, kw_only=True)
class Node:
    """One stage of an experiment.

    Attributes:
        name: unique; what ``--force``, ``--until`` and references take: ``round1.cam``, in the last chain ``cam``.
        chain: the name of the chain that it belongs to; empty for the last one.
        kind: what kind of stage it is.
        config: resolved; part of the content hash. References in it are replaced by what they have to make.
        inputs: role -> name of the node it reads. Roles are hashed, names are not.
        splits: splits whose images it reads.
        labels: it reads the image-level labels of its splits. A test split has none.
        masks: splits whose masks it opens.
        makes: the class of what it leaves; None if it leaves figures only.
        title: names its result in tables and pictures.
        scored: the split on which its result is scored; empty if it is not scored.
        scored_title: names that evaluation in the ladder, if `title` does not.
        outside: role -> folder outside the cache that it reads; its content counts (a checksum in `config`), not where
            it is.
    """

    name: str
    kind: StageKind
    config: Mapping[str, Any]
    inputs: Mapping[str, str] = field(default_factory=dict)
    splits: tuple[str, ...] = ()
    labels: bool = True
    masks: tuple[str, ...] = ()
    makes: type[Artefact] | None = None
    title: str = ""
    scored: str = ""
    scored_title: str = ""
    outside: Mapping[str, Path] = field(default_factory=dict)
    chain: str = ""

    @property
    def local(self) -> str:
        """The name inside its chain: ``cam`` for ``round1.cam``."""
        return self.name.removeprefix(f"{self.chain}.") if self.chain else self.name

    @property
    def heading(self) -> str:
        """The title with the chain's before it: ``round 1: CAM``."""
        return self.in_chain(self.title)

    def in_chain(self, text: str) -> str:
        """Return `text` with the chain before it that it is about; empty if `text` is."""
        return f"{self.chain_title}: {text}" if self.chain and text else text

    @property
    def chain_title(self) -> str:
        """The chain as people call it: ``round 1`` for ``round1``; empty for the last one."""
        return re.sub(r"^round(\d+)$", r"round \1", self.chain)

    @property
    def short(self) -> str:
        """The name inside its chain without its kind's prefix, by which it may be called, too: ``rw`` for
        ``refine.rw``."""
        return self.local.removeprefix(self.kind.prefix)


@dataclass(frozen=True)
class SplitUse:
    """The use that a kind of stage makes of the images of a split.

    Attributes:
        text: in a few words, for the table of ``data check``.
        trains: it trains on them.
        labels: it needs their image-level labels.
        masks: it opens their masks if there are any.
        shared: the end of the sentence which tells that some of them are trained on, too.
    """

    text: str
    trains: bool = False
    labels: bool = True
    masks: bool = False
    shared: str = ""


@dataclass(frozen=True)
class StageWork:
    """The values that a stage is given to do its work.

    Attributes:
        name: of its node.
        config: the node's, with an `Artefact` in the place of every reference.
        inputs: the artefacts that it reads, by role.
        outside: the folders outside the cache that it reads, by role.
        dataset: the data set; its masks can be opened by stages that declare it only.
        context: its own directory, device, workers, seed, progress.
    """

    name: str
    config: Mapping[str, Any]
    inputs: Mapping[str, Any]
    outside: Mapping[str, Path]
    dataset: Dataset
    context: RunContext

    @property
    def directory(self) -> Path:
        return self.context.directory


class Nodes(Protocol):
    """The graph that is being built, as a kind of stage sees it."""

    config: Mapping[str, Any]
    dataset: Dataset
    # The folder that remembers contents of files, see `wsssbench.files.contents`.
    memory: Path | None

    def need(self, name: str, by: str = "") -> Node:
        """Return the node called `name`, built if need be; UserError that names `by` if there is none."""

    def split(self, name: str) -> str:
        """Return the split that the config's ``splits`` has under `name`."""


@dataclass(frozen=True, kw_only=True)
class Input:
    """The key of a section beside the parameters of its component.

    Attributes:
        input: the stage whose result it reads for every image: ``cam``, a refinement, or one under ``stages``; None if
            it reads none, of a refinement also the one before it.
    """

    input: str | None = None


Slots = Mapping[str, str]


class StageKind(ABC):
    """Declares all that the rest of the toolkit has to know about a kind of stage.

    Attributes:
        name: names its folder in the cache.
        prefix: of the names of its nodes, which may be called without it.
        section: its key at the top level of a config; empty if it has none of its own.
        required: the section has to be given. Otherwise `default` stands for it.
        default: an empty dict, or None where absence means something.
        slots: places in a config (``*`` for a name of the user's) -> kind of the component that stands there, or kinds
            with ``|`` between.
        lists: places that hold a list of components -> their kind.
        default_types: places -> type of the component that stands there where a config gives none.
        plain: places of sections -> the class whose fields are their keys, beside the parameters of a component that
            may stand there, too.
        random: its result depends on the run's seed. The seed is hashed for such kinds only.
        trains: what it trains, in words, if it trains a network; told on the card of whatever descends from it in
            another chain.
        writes_masks: it makes masks itself, for a data set that is generated.
        taints: what it makes from masks carries them on, so no image-level stage may descend from it.
        follows: it only tells something about what it reads, so ``--until`` includes it behind that.
        title: names its result in pictures if the node does not.
        replaces: sections that are not read in an experiment which gives this kind's own.
    """

    name: ClassVar[str]
    prefix: ClassVar[str] = ""
    section: ClassVar[str] = ""
    required: ClassVar[bool] = False
    default: ClassVar[Any] = None
    slots: ClassVar[Slots] = {}
    lists: ClassVar[Slots] = {}
    default_types: ClassVar[Slots] = {}
    plain: ClassVar[Mapping[str, type]] = {}
    random: ClassVar[bool] = False
    trains: ClassVar[str] = ""
    writes_masks: ClassVar[bool] = False
    taints: ClassVar[bool] = True
    follows: ClassVar[bool] = False
    title: ClassVar[str] = ""
    replaces: ClassVar[tuple[str, ...]] = ()

    def resolve(self, given: Any, config: Mapping[str, Any], registries: Registries) -> Any:
        """Check the section that was `given` and fill in its defaults.

        Args:
            given: the section as the user wrote it, or `default`.
            config: the parts that are resolved already: splits, and the sections of the kinds before this one.
            registries: of the components.

        Raises:
            UserError: any mistake that the config alone shows.
        """
        return given

    def smoke(self, section: Any) -> Any:
        """Return the resolved `section` so that the stage takes moments: ``--smoke`` shows that things work together.

        By default it is unchanged: on a handful of images most stages take no time. What comes out has to be a section,
        too, and the same one if it is given here again.
        """
        return section

    @abstractmethod
    def names(self, nodes: Nodes) -> Iterable[str]:
        """Return the nodes of this kind that an experiment has, in order."""

    def lazy_names(self, nodes: Nodes) -> Iterable[str]:
        """Return the nodes that exist only if another one reads them."""
        return ()

    def split_uses(self, config: Mapping[str, Any]) -> Mapping[str, SplitUse]:
        """Return the keys of the config's ``splits`` that this kind uses in an experiment, and for what.

        Of several kinds that use the same split, the last one is shown.
        """
        return {}

    def follower(self, node: Node, nodes: Nodes) -> str:
        """Return the name of the node of this kind that comes behind `node` of another kind; empty if none does."""
        return ""

    @abstractmethod
    def node(self, name: str, nodes: Nodes) -> Node:
        """Return the node called `name`: one of `names`, of `lazy_names`, or a `follower`."""

    def effort(self, node: Node, dataset: Dataset) -> str:
        """Return a sentence that ``--dry-run`` has to say about work that may take days; empty for all other work."""
        return ""

    def check(  # noqa: B027 - most have nothing to check
        self, node: Node, dataset: Dataset, progress: Progress
    ) -> None:
        """Look for mistakes before any work; references stand for artefacts that are not made yet.

        Raises:
            IncompatibleError: components that do not go together.
            UserError: anything else that would stop the stage.
        """

    def check_data(
        self, node: Node, nodes: Mapping[str, Node], dataset: Dataset, progress: Progress
    ) -> Iterator[str]:
        """Yield sentences on problems of the data of `node`, for a data set that is not generated."""
        return iter(())

    def rehearse(self, work: StageWork, pretrained: bool) -> Any:
        """Try in a second what `run` does for hours, on tiny images; called before the first stage of a run.

        A kind of stage that trains does one step in training mode and one inference.

        Args:
            work: as of `run`, with a directory that is thrown away. An artefact that is not made yet is what the
                rehearsal of its stage returned.
            pretrained: False: a weight file is missing, so the network starts from random values.

        Returns:
            A stand-in of the artefact, in memory, for the rehearsal of the stages that read it; None if there is none.

        Raises:
            IncompatibleError: components that do not go together.
            MissingWeightsError: a weight file that the stage needs is not there.
            Exception: anything else that would stop the stage.
        """
        return None

    @abstractmethod
    def run(self, work: StageWork) -> dict[str, Any]:
        """Do the work; the result goes to the manifest."""

    def handle(self, config: Mapping[str, Any], directory: Path, dataset: Dataset) -> Any:
        """Return the result in `directory`, as those receive it who read it; by default the directory.

        Args:
            config: the node's, or that of a manifest.
        """
        return directory

    def card(self, node: Node, above: Mapping[str, Any]) -> dict[str, Any]:
        """Return the entries of the protocol card that say how the result of `node` was made.

        Raw values; `wsssbench.results.card` words them.

        Args:
            above: the entries of what the node reads.
        """
        return dict(above)

    def picture(self, directory: Path, id: str, split: str) -> np.ndarray | None:
        """Return the layer over the photo of `id`: (h, w) float heat in [0, 1], or an (H, W) uint8 label map.

        None if this kind has no pictures, or there is none of that image.

        Raises:
            CorruptArtefactError: the file is not whole.
        """
        return None

    def class_pictures(self, directory: Path, id: str) -> Mapping[int, np.ndarray]:
        """Return the heat of single classes over the photo of `id`, (h, w) float in [0, 1], by label value.

        Raises:
            CorruptArtefactError: the file is not whole.
        """
        return {}

    def stands_for(self, config: Mapping[str, Any]) -> Iterable[str]:
        """Name the nodes that have the same pictures as this one, pixel by pixel."""
        return ()

    @property
    def has_picture(self) -> bool:
        """True if there can be pictures of its results."""
        return type(self).picture is not StageKind.picture


def with_nested(component: dict[str, Any], where: str, registries: Registries) -> dict[str, Any]:
    """Return `component` with the defaults of the backbone, the loss and the schedule it may have, by these names."""
    filled = dict(component)
    schedule = filled.get("schedule")
    for kind in ("backbone", "loss"):
        if isinstance(filled.get(kind), Mapping) and "type" in filled[kind]:
            filled[kind] = registries[kind].resolve(filled[kind], f"{where}.{kind}")
    if isinstance(schedule, Mapping):
        filled["schedule"] = check_parameters(Schedule, schedule, f"{where}.schedule")
    return filled


def with_short_training(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return `component` with a schedule, if it has one, of very few iterations."""
    schedule = component.get("schedule")
    return {**component, "schedule": short(schedule)} if schedule else dict(component)


def with_precision(card: Mapping[str, Any], of: str, amp: Any) -> dict[str, Any]:
    """Return the `card` with the mixed precision, by a parameter `amp`, of a computation; float32 is not mentioned."""
    if not amp:
        return dict(card)
    key = "mixed precision"
    return {**card, key: (*card.get(key, ()), f"{of} {precision_of(amp)}")}


def at_one_scale(component: Mapping[str, Any]) -> dict[str, Any]:
    """Return `component` with the smallest of its scales alone, if it has scales."""
    scales = component.get("scales")
    return {**component, "scales": (min(scales),)} if scales else dict(component)


def ids_of(dataset: Dataset, splits: Iterable[str]) -> list[tuple[str, str]]:
    """Return (id, split) of every image in `splits`, each id once, in list order."""
    seen: dict[str, str] = {}
    for split in splits:
        for id in dataset.ids(split):
            seen.setdefault(id, split)
    return list(seen.items())


def distinct(splits: Iterable[str]) -> tuple[str, ...]:
    """Return `splits` without empty names, each once, in order."""
    return tuple(dict.fromkeys(split for split in splits if split))
