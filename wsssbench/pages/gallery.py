"""Pictures of what runs made, from their artefacts in the cache.

files = RunArtefacts.of_run(Path("work/runs/aeft_synthetic/0a1b2c3d-seed0"))
result = replace(result, gallery=run_gallery(files, 8))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from wsssbench.errors import UserError
from wsssbench.files.ground_truth import allow_masks, read_mask
from wsssbench.files.images import read_image
from wsssbench.interfaces import Dataset
from wsssbench.pages.gallery_view import GROUND_TRUTH, Pictures
from wsssbench.pages.pictures import shrink, shrink_heat, shrink_label
from wsssbench.progress import Progress, Silent
from wsssbench.results.formatting import number
from wsssbench.results.image_pairs import ImagePair
from wsssbench.results.run import GalleryRow, Layer
from wsssbench.results.run_artefacts import LOST, RunArtefacts
from wsssbench.results.selection import Selection
from wsssbench.stages.generate import data_of
from wsssbench.stages.segment import spread

OF_COMPARISON = 24  # images, if nobody says how many
_SIDE = 640  # pixels; nothing larger is ever shown


class Shown(NamedTuple):
    """A split whose images are shown, the rung that tells good from bad ones, and that rung's IoU of every image."""

    split: str
    rung: str
    scores: Mapping[str, float]


def run_gallery(
    files: RunArtefacts,
    count: int,
    progress: Progress | None = None,
    shown: Sequence[Shown] = (),
) -> list[GalleryRow]:
    """Images through the pipeline of one run: the ground truth, then every result, CAMs also by class.

    Args:
        files: of the run.
        count: images of each split; with scores a quarter of them the best, and a quarter the worst.
        progress: is told of every image.
        shown: the splits; by default the one that is scored, without scores.
    """
    sources = [(files.titles[node], files, node) for node in files.shown()]
    rows: list[GalleryRow] = []
    for one in shown or [Shown(files.config["splits"]["evaluate"], "", {})]:
        for heading, ids in _chosen(files.dataset.ids(one.split), count, one).items():
            made = _rows(files.dataset, ids, one.split, sources, progress or Silent(), parts=True)
            for row in made:
                score = one.scores.get(row.id)
                said = () if score is None else ((f"IoU of {one.rung}", number(score)),)
                rows.append(replace(row, group=heading, numbers=said))
    return rows


def _chosen(ids: list[str], count: int, shown: Shown) -> dict[str, list[str]]:
    """Heading -> the images below it, each in one of them."""
    ranked = sorted((id for id in ids if id in shown.scores), key=lambda id: shown.scores[id])
    extreme = min(count // 4, len(ranked) // 4)
    worst, best = ranked[:extreme], ranked[len(ranked) - extreme :][::-1]
    evenly = [id for id in spread(ids, count - 2 * extreme) if id not in (*worst, *best)]
    if not extreme:
        return {shown.split if shown.rung else "": evenly}
    return {
        f"{shown.split}: spread evenly": evenly,
        f"{shown.split}: the best by {shown.rung}": best,
        f"{shown.split}: the worst by {shown.rung}": worst,
    }


def comparison_pictures(
    selection: Selection,
    count: int,
    extremes: tuple[Sequence[ImagePair], Sequence[ImagePair]],
    progress: Progress | None = None,
) -> Pictures:
    """`count` images by every row at the chosen rung, and the images where A and B differ most.

    A row is shown by the first of its seeds whose results are in the cache.
    """
    shown_by, notes = _sources(selection)
    if not shown_by:
        return Pictures(notes=tuple(notes))
    sources = [(row, files, node) for row, (files, node) in shown_by.items()]
    dataset = sources[0][1].dataset
    split = selection.scored[sources[0][0]][0][1].split
    try:
        known = dataset.ids(split)
        shown = spread(known, count)
        pairs = [[pair.id for pair in part if pair.id in set(known)] for part in extremes]
        every = list(dict.fromkeys([*pairs[0], *pairs[1], *shown]))
        rows = _rows(dataset, every, split, sources, progress or Silent())
        made = {row.id: row for row in rows}
    except UserError as error:  # lists, images or masks that are not there any more
        return Pictures(notes=(*notes, f"There are no pictures: {error}."))
    most, least = ([made[id] for id in part] for part in pairs)
    return Pictures([made[id] for id in shown], most, least, tuple(notes))


def _sources(selection: Selection) -> tuple[dict[str, tuple[RunArtefacts, str]], list[str]]:
    """Row -> the files of its first run that still has some, and the node to show; and what is left out."""
    sources: dict[str, tuple[RunArtefacts, str]] = {}
    problems: dict[str, list[str]] = {}
    for row, members in selection.scored.items():
        problem = ""
        for member, evaluation in members:
            try:
                files = RunArtefacts.of_run(member.directory)
                problem = _problem(files, evaluation.node, sources)
            except UserError as error:
                problem = str(error)
            if not problem:
                sources[row] = (_on_first(files, sources), evaluation.node)
                break
        else:
            problems.setdefault(problem, []).append(row)
    if problems and not sources:
        return {}, [f"There are no pictures: {next(iter(problems))}."]
    return sources, [f"No pictures of {', '.join(rows)}: {p}." for p, rows in problems.items()]


def _problem(
    files: RunArtefacts, node: str, sources: Mapping[str, tuple[RunArtefacts, str]]
) -> str:
    if node not in files.directories:
        return LOST
    for row, (first, _) in sources.items():
        if data_of(first.config) != data_of(files.config):
            return f"another data set than that of {row}"
        break
    return ""


def _on_first(files: RunArtefacts, sources: Mapping[str, tuple[RunArtefacts, str]]) -> RunArtefacts:
    """`files` on the data set of the first row, so that it is read once."""
    first = next(iter(sources.values()), None)
    return files if first is None else replace(files, dataset=first[0].dataset)


def _rows(
    dataset: Dataset,
    ids: Sequence[str],
    split: str,
    sources: Sequence[tuple[str, RunArtefacts, str]],
    progress: Progress,
    parts: bool = False,
) -> Iterator[GalleryRow]:
    """The photo, the ground truth and a layer per source (title, files, node) of each of `ids`.

    With `parts` a source with several classes has a layer per class, too.
    """
    scored = dataset.has_masks(split)
    with progress.track("pictures", total=len(ids)) as task:
        for id in ids:
            layers: list[Layer] = []
            of_classes: list[Layer] = []
            if scored:
                with allow_masks("report"):
                    mask = read_mask(dataset, id, split)
                layers.append(Layer(GROUND_TRUTH, shrink_label(mask, _SIDE)))
            for title, files, node in sources:
                plane = files.picture(node, id, split)
                if plane is not None:
                    layers.append(Layer(title, _small(plane)))
                heats = files.class_pictures(node, id) if parts else {}
                for value, heat in heats.items() if len(heats) > 1 else ():
                    name = f"{title}: {dataset.classes[value - 1]}"
                    of_classes.append(Layer(name, _small(heat), part=True))
            photo = shrink(read_image(dataset.image_path(id)), _SIDE)
            yield GalleryRow(id, photo, layers + of_classes)
            task.advance()


def _small(plane: np.ndarray) -> np.ndarray:
    return shrink_label(plane, _SIDE) if plane.dtype == np.uint8 else shrink_heat(plane, _SIDE)
