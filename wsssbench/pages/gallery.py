"""Pictures of what runs made, from their artefacts in the cache.

files = RunFiles.of_run(Path("work/runs/aeft_synthetic/0a1b2c3d-seed0"))
result = replace(result, gallery=run_gallery(files, 8))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.experiment.plan import Plan
from wsssbench.files.artefacts import read_cam, read_label, read_scores
from wsssbench.files.ground_truth import allow_masks, read_mask
from wsssbench.files.images import read_image
from wsssbench.interfaces import Dataset
from wsssbench.pages.gallery_view import Pictures
from wsssbench.pages.pictures import shrink, shrink_heat, shrink_label
from wsssbench.plugins import load
from wsssbench.progress import Progress, Silent
from wsssbench.results.choice import Choice
from wsssbench.results.image_pairs import ImagePair
from wsssbench.results.run import GalleryRow, Layer
from wsssbench.results.run_files import config_values, read_stages, stage_directory
from wsssbench.stages.generate import FOLDER
from wsssbench.stages.label import label_map
from wsssbench.stages.segment import gallery_ids

OF_RUN, OF_COMPARISON = 8, 24  # images, if nobody says how many
TRUTH = "truth"
_LOST = "the results are not in the cache any more, run again for pictures"
_SIDE = 640  # pixels; nothing larger is ever shown
_TITLES = {"cam": "CAM", "label": "pseudo-label", "predict": "prediction"}


@dataclass(frozen=True)
class RunFiles:
    """What a run read and left.

    Attributes:
        config: resolved.
        dataset: where its files are.
        directories: of the stages' results, by node; only those that are complete.
        titles: what people call the result of a node.
    """

    config: Mapping[str, Any]
    dataset: Dataset
    directories: Mapping[str, Path]
    titles: Mapping[str, str]

    @classmethod
    def of_plan(cls, plan: Plan) -> RunFiles:
        """Those of a plan that was executed."""
        return cls(
            plan.config,
            plan.dataset,
            {step.node.name: step.entry.directory for step in plan.steps},
            {step.node.name: step.node.title for step in plan.steps} | _TITLES,
        )

    @classmethod
    def of_run(cls, run: Path) -> RunFiles:
        """Those that the folder of a `run` names.

        Raises:
            UserError: not the folder of a run, its data set cannot be used any more, or its results are lost.
        """
        stages = read_stages(run)
        try:
            config = config_values((run / "config.py").read_text(encoding="utf-8"))
            dataset = load().registries.dataset.build(config["data"], where="data")
        except (OSError, ValueError, KeyError, SyntaxError) as error:
            raise UserError(f"{run}/config.py cannot be read ({error})") from None
        found = {node: stage_directory(run, stage) for node, stage in stages.items()}
        directories = {node: place for node, place in found.items() if place is not None}
        if not directories or (dataset.generated and "data" not in directories):
            raise UserError(_LOST)
        if dataset.generated:
            dataset = dataset.at(directories["data"] / FOLDER)
        titles = {node: str(stage.get("title") or node) for node, stage in stages.items()}
        return cls(config, dataset, directories, titles | _TITLES)

    def plane(self, node: str, id: str, split: str) -> np.ndarray | None:
        """What lies over the photo of `id`: the heat of its CAM, or its label map; None if there is no such file.

        Args:
            node: ``cam``, a refinement, ``label`` or a prediction.
            split: of `id`; predictions are kept by split.
        """
        directory = self.directories.get(node)
        if directory is None:
            return None
        try:
            if node == "cam":
                maps = read_cam(directory / f"{id}.npz").maps
                return shrink_heat(maps.max(axis=0), _SIDE) if maps.size else np.zeros((1, 1))
            return shrink_label(_label(directory, node, id, split), _SIDE)
        except CorruptArtefactError:
            return None


def run_gallery(files: RunFiles, count: int, progress: Progress | None = None) -> list[GalleryRow]:
    """`count` images through the pipeline of one run: the truth, then every result."""
    split = files.config["splits"]["evaluate"]
    ids = gallery_ids(files.dataset.ids(split), count)
    nodes = [node for node in files.directories if _is_shown(files, node)]
    sources = [(files.titles[node], files, node) for node in nodes]
    return list(_rows(files.dataset, ids, split, sources, progress or Silent()))


def comparison_pictures(
    choice: Choice,
    count: int,
    extremes: tuple[Sequence[ImagePair], Sequence[ImagePair]],
    progress: Progress | None = None,
) -> Pictures:
    """`count` images by every row at the chosen rung, and the images where A and B differ most.

    A row is shown by the first of its seeds whose results are in the cache.
    """
    found, notes = _sources(choice)
    if not found:
        return Pictures(notes=tuple(notes))
    sources = [(row, files, node) for row, (files, node) in found.items()]
    dataset = sources[0][1].dataset
    split = choice.scored[sources[0][0]][0][1].split
    try:
        known = dataset.ids(split)
        shown = gallery_ids(known, count)
        pairs = [[pair.id for pair in part if pair.id in set(known)] for part in extremes]
        every = list(dict.fromkeys([*pairs[0], *pairs[1], *shown]))
        rows = _rows(dataset, every, split, sources, progress or Silent())
        made = {row.id: row for row in rows}
    except UserError as error:  # lists, images or masks that are not there any more
        return Pictures(notes=(*notes, f"There are no pictures: {error}."))
    most, least = ([made[id] for id in part] for part in pairs)
    return Pictures([made[id] for id in shown], most, least, tuple(notes))


def _sources(choice: Choice) -> tuple[dict[str, tuple[RunFiles, str]], list[str]]:
    """Row -> the files of its first run that still has some, and the node to show; and what is left out."""
    found: dict[str, tuple[RunFiles, str]] = {}
    problems: dict[str, list[str]] = {}
    for row, members in choice.scored.items():
        problem = ""
        for member, rung in members:
            try:
                files = RunFiles.of_run(member.directory)
                problem = _problem(files, rung.node, found)
            except UserError as error:
                problem = str(error)
            if not problem:
                found[row] = (_on_first(files, found), rung.node)
                break
        else:
            problems.setdefault(problem, []).append(row)
    if problems and not found:
        return {}, [f"There are no pictures: {next(iter(problems))}."]
    return found, [f"No pictures of {', '.join(rows)}: {p}." for p, rows in problems.items()]


def _problem(files: RunFiles, node: str, found: Mapping[str, tuple[RunFiles, str]]) -> str:
    if node not in files.directories:
        return _LOST
    for row, (first, _) in found.items():
        if first.config["data"] != files.config["data"]:
            return f"another data set than that of {row}"
        break
    return ""


def _on_first(files: RunFiles, found: Mapping[str, tuple[RunFiles, str]]) -> RunFiles:
    """`files` on the data set of the first row, so that it is read once."""
    first = next(iter(found.values()), None)
    return files if first is None else replace(files, dataset=first[0].dataset)


def _rows(
    dataset: Dataset,
    ids: Sequence[str],
    split: str,
    sources: Sequence[tuple[str, RunFiles, str]],
    progress: Progress,
) -> Iterator[GalleryRow]:
    """The photo, the truth and a layer per source (title, files, node) of each of `ids`."""
    scored = dataset.has_masks(split)
    with progress.track("pictures", total=len(ids)) as task:
        for id in ids:
            layers = []
            if scored:
                with allow_masks("report"):
                    truth = read_mask(dataset, id, split)
                layers.append(Layer(TRUTH, shrink_label(truth, _SIDE)))
            for title, files, node in sources:
                plane = files.plane(node, id, split)
                if plane is not None:
                    layers.append(Layer(title, plane))
            yield GalleryRow(id, shrink(read_image(dataset.image_path(id)), _SIDE), layers)
            task.advance()


def _label(directory: Path, node: str, id: str, split: str) -> np.ndarray:
    if node.startswith("refine."):
        return label_map(read_scores(directory / f"{id}.npz"))
    if node == "label":
        return read_label(directory / f"{id}.png")
    path = directory / split / f"{id}.png"
    return read_label(path if path.is_file() else directory / "gallery" / f"{id}.png")


def _is_shown(files: RunFiles, node: str) -> bool:
    """Has `node` pictures of its own?"""
    if node.startswith("refine."):
        return not _is_label(files, node.removeprefix("refine."))
    return node in _TITLES


def _is_label(files: RunFiles, name: str) -> bool:
    """Is this the refinement of a refinement that becomes the pseudo-label pixel by pixel? One picture will do."""
    label = files.config["label"]
    return (
        label is not None
        and not label["confidence"]
        and name == label["input"]
        and files.config["refine"][name]["input"] != "cam"
        and "label" in files.directories
    )
