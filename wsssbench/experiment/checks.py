"""What is checked before the first stage of a run, and what is told of a config that says something in vain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from wsssbench.datasets import check as data_check
from wsssbench.errors import MissingWeightsError, UserError, unknown
from wsssbench.experiment.cache import canonical
from wsssbench.experiment.chains import OWN
from wsssbench.experiment.graph import Graph, hashed, unscored_splits
from wsssbench.experiment.references import Reference, replaced
from wsssbench.experiment.weight_files import Missing, missing_weights
from wsssbench.files.ground_truth import allow_masks
from wsssbench.files.image_lists import first_few
from wsssbench.interfaces import Dataset, Photos
from wsssbench.progress import Progress
from wsssbench.stages.generate import data_of
from wsssbench.stages.stage import ONE_EACH, Node

MANY = 5000  # masks whose check takes long enough to show


def tell_unused(graph: Graph, progress: Progress) -> None:
    """Tell what the config says without an effect on this experiment, and what a first round has to leave out."""
    for name in graph.unused():
        if name in graph.chains:
            progress.warn(f"before.{name}: no stage reads anything of it, so nothing of it is made")
        else:
            progress.warn(
                f"stage '{name}' is read by no other stage, so it is not made; --until {name} makes it"
            )
    for name in graph.unused_rounds:
        progress.warn(f"before.{name} has no effect, since the last round is {graph.last_round}")
    made = {node.chain for node in graph.nodes()}
    for name, chain in graph.chains.items():
        for text in chain.left_out if name in made else ():
            if name == OWN:
                progress.warn(f"{text}. That is the experiment itself: give rounds=2 or more")
            elif chain.is_round:
                progress.say(f"{name}: {text}")


def tell_idle_entries(
    config: Mapping[str, Any], graph: Graph, nodes: Sequence[Node], progress: Progress
) -> None:
    """Tell of sections of earlier chains that change nothing of what is made: no stage of theirs is read."""
    dataset, memory = graph.own.dataset, graph.own.memory
    made, used = _work(nodes), {node.chain for node in nodes}
    before = config.get("before") or {}
    for chain, entry in before.items():
        for key in entry if chain in used else ():
            without = {name: value for name, value in entry.items() if name != key}
            with suppress(UserError):  # then it is needed
                other = Graph({**config, "before": {**before, chain: without}}, dataset, memory)
                if _work(other.build()) == made:
                    progress.warn(
                        f"before.{chain}.{key} has no effect, since no stage reads what it would change"
                    )


def _work(nodes: Sequence[Node]) -> dict[str, str]:
    return {node.name: canonical([hashed(node), node.inputs, node.splits]) for node in nodes}


def tell_unused_reference(graph: Graph, progress: Progress) -> None:
    """Tell of published numbers that belong to no evaluation of the experiment, so they would not be shown."""
    scored = [node for node in graph.nodes() if node.scored]
    titles = {replace(node, title=node.scored_title or node.title).heading for node in scored}
    for title in graph.config["reference"]:
        if title not in titles:
            progress.warn(
                f"reference: {unknown('evaluation', title, titles)}; its number is not shown"
            )


class Once:
    """Runs a check unless `passed` says that the same one has passed before."""

    def __init__(self, passed: set[str]) -> None:
        self.passed = passed

    def __call__(self, check: Callable[[], None], of: Any) -> None:
        text = canonical(of)
        if text not in self.passed:
            check()
            self.passed.add(text)


def check_taint(nodes: Sequence[Node]) -> None:
    """Refuse a stage that may not see masks but descends from one that used some."""
    tainted: dict[str, str] = {}  # node -> the stage above it that used masks
    for node in nodes:
        sources = [tainted[name] for name in node.inputs.values() if name in tainted]
        if sources and not node.masks:
            raise UserError(
                f"stage {node.name} has to do with image-level labels, but reads what {sources[0]} made from "
                "masks: no such stage may descend from one that used masks"
            )
        if node.masks and node.kind.taints:
            tainted[node.name] = node.name
        elif sources:
            tainted[node.name] = sources[0]


def check_splits(nodes: Sequence[Node], dataset: Dataset) -> None:
    """Let the data set complain about a split that it does not have, or that is empty."""
    for split in dict.fromkeys(split for node in nodes for split in node.splits):
        if dataset.generated:  # it has no lists yet
            dataset.at(Path("not-made-yet")).mask_path("any", split)
        else:
            dataset.ids(split)


def check_images(nodes: Sequence[Node], dataset: Dataset) -> None:
    """What is refined, labelled or scored has to be there of every image; a stage of a plugin has its own splits."""
    made = {node.name: node for node in nodes}
    for node in nodes:
        given = made.get(node.inputs.get(ONE_EACH, ""))
        if given is None or set(node.splits) <= set(given.splits):
            continue
        missing = sorted(set(node.splits) - set(given.splits))
        if not dataset.generated:  # otherwise no image is in two splits, and there may be none yet
            there = {id for split in given.splits for id in dataset.ids(split)}
            missing = [id for split in missing for id in dataset.ids(split) if id not in there]
        if missing:
            raise UserError(
                f"{node.name} needs the splits {', '.join(node.splits)}, but {given.name}, which it reads, is made for "
                f"{', '.join(given.splits)}: it lacks {first_few(missing)}"
            )


def check_components(
    nodes: Sequence[Node],
    config: Mapping[str, Any],
    dataset: Dataset,
    progress: Progress,
    once: Once,
) -> Missing:
    """Build everything once: a wrong parameter shows before any work. Return the weight files that are missing."""
    missing = missing_weights(nodes)
    for node in nodes:
        of = {"kind": node.kind.name, "config": node.config, "dataset": data_of(config)}
        try:
            once(
                partial(node.kind.check, not_made_yet(node, nodes, dataset), dataset, progress), of
            )
        except MissingWeightsError as error:  # nothing else can be said about this one then
            missing.setdefault(error.file, (node.name,))
    return missing


def not_made_yet(node: Node, nodes: Sequence[Node], dataset: Dataset) -> Node:
    """Return `node`, one of `nodes`, with objects that know a place only where it refers to stages."""
    made = {one.name: one for one in nodes}

    def handle(reference: Reference) -> Any:
        if reference.is_photos:
            return Photos(())
        target = not_made_yet(made[node.inputs[reference.path]], nodes, dataset)
        return target.kind.handle(target.config, Path("not-made-yet"), dataset)

    return replace(node, config=replaced(node.config, handle))


def check_data(nodes: Sequence[Node], dataset: Dataset, workers: int, progress: Progress) -> None:
    """Check the images, labels and masks of every split that is read; UserError that tells the first problem."""
    labelled = {split for node in nodes if node.labels for split in node.splits}
    others = {split for node in nodes for split in node.splits} - labelled
    problems = data_check.check_dataset(
        dataset, sorted(labelled), False, workers, progress=progress
    )
    problems += data_check.check_dataset(dataset, sorted(others), False, workers, False, progress)
    by_name = {node.name: node for node in nodes}
    for node in nodes:
        problems += node.kind.check_data(node, by_name, dataset, progress)
    if not problems:
        splits = sorted(_masked(nodes))
        problems = data_check.check_dataset(dataset, splits, True, workers, labels=False)
    _raise_first(problems)


def tell_unscored(
    nodes: Sequence[Node], dataset: Dataset, until: str | None, progress: Progress
) -> None:
    """Say which splits have no masks; refuse an experiment that would end without a number by mistake."""
    without = unscored_splits(nodes, dataset)
    for split in without:
        progress.say(f"split '{split}' has no masks: it is not scored")
    if without and {node.scored for node in nodes if node.scored} == set(without):
        what = f"nothing would be scored: no masks of {' or '.join(map(repr, without))} are known"
        there = any(directory.is_dir() for directory in dataset.mask_directories())
        if there and until is None:
            raise UserError(
                f"{what}, though the data set has masks of other splits: name those in splits.evaluate or splits.val, "
                "or give --until and the last stage that is wanted"
            )
        progress.warn(what)


def check_masks(nodes: Sequence[Node], dataset: Dataset, workers: int, progress: Progress) -> None:
    """Decode every mask that will be opened, before a training whose results could not be scored."""
    problems = []
    with allow_masks("the check of the masks"):
        for split in sorted(set(_masked(nodes))):
            shown = progress if len(dataset.ids(split)) > MANY else None
            problems += data_check.check_masks(dataset, split, workers, shown)
    _raise_first(problems)


def _masked(nodes: Sequence[Node]) -> Iterator[str]:
    yield from dict.fromkeys(split for node in nodes for split in node.masks)


def _raise_first(problems: Sequence[str]) -> None:
    if problems:
        more = f" (and {len(problems) - 1} more problems)" if len(problems) > 1 else ""
        raise UserError(problems[0] + more)
