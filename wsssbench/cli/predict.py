"""``wsssbench predict``: what the networks of a run say about new photos."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wsssbench.cli.console import ConsoleProgress, log_noise, make_console
from wsssbench.errors import UserError, unknown

if TYPE_CHECKING:
    import numpy as np

    from wsssbench.results.finished_run import Run
    from wsssbench.results.new_photos import Seen

EXAMPLES = """Of each photo a folder in --out has cam_<k>_<class>.png, the CAM of a class over the photo;
cam_label.png, the label map of the CAMs; and prediction.png, if the run has a segmentation network. Label maps hold
class indices in VOC's colours, and <name>_overlay.png shows one over the photo. predictions.json has the scores.

Examples:

  wsssbench predict work/runs/aeft_voc/0a1b2c3d-seed0 holiday.jpg --out looked_at

  wsssbench predict work/runs/aeft_voc/0a1b2c3d-seed0 photos --classes dog,person --out looked_at
"""
SUMMARY = "predictions.json"


def predict(
    run: Annotated[Path, typer.Argument(help="a run, work/runs/<name>/<id>")],
    images: Annotated[list[Path], typer.Argument(help="photos, and folders of them")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="folder for the results")],
    classes: Annotated[
        str,
        typer.Option(help="what the photos show, with commas; default: what the classifier says"),
    ] = "",
    score: Annotated[
        float, typer.Option(min=0, max=1, help="a class is there from this score on")
    ] = 0.5,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="of the CAMs' label maps; default: the run's"),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="into a folder that holds files already")
    ] = False,
    device: Annotated[str, typer.Option(metavar="auto|cpu|cuda")] = "auto",
    workers: Annotated[
        int | None, typer.Option(min=1, help="processes; default: the CPU cores")
    ] = None,
) -> None:
    """Write CAM overlays and label maps of new photos; exit code 2 if a photo could not be read."""
    from wsssbench import api
    from wsssbench.files.images import read_image
    from wsssbench.parallel.ranks import default_workers

    chosen_device = api.pick_device(device)
    finished = api.open_run(run)
    labels = _labels(classes, finished.classes) if classes else None
    named = dict(_named(images))
    _open_folder(out, overwrite)
    progress = ConsoleProgress(make_console())
    good: dict[str, Path] = {}
    with log_noise(out / "log.txt", progress):
        for name, path in named.items():
            try:
                read_image(path)
                good[name] = path
            except UserError as error:
                progress.warn(str(error))
        if good:
            facts = _predict(
                finished, good, out, labels, score, threshold, chosen_device,
                workers or default_workers(), progress,
            )  # fmt: skip
            _write_summary(out / SUMMARY, facts)
            for name, fact in facts.items():
                progress.say(f"{name}: {_told(fact)}")
            progress.say(f"{out}: {len(good)} photos, {SUMMARY}")
    bad = len(named) - len(good)
    if bad:
        raise UserError(f"{bad} of {len(named)} photos could not be read")


def _predict(
    run: Run,
    photos: dict[str, Path],
    out: Path,
    labels: np.ndarray | None,
    score: float,
    threshold: float | None,
    device: str,
    workers: int,
    progress: ConsoleProgress,
) -> dict[str, dict[str, Any]]:
    """Write the files of all `photos`; return what is said about each."""
    from wsssbench.files.images import read_image
    from wsssbench.results import new_photos

    classify = new_photos.has_classifier(run)
    if not (classify or new_photos.has_segmenter(run)):
        raise UserError(f"run {run.directory} has neither a classifier nor a segmentation network")
    facts: dict[str, dict[str, Any]] = {name: {"image": str(path)} for name, path in photos.items()}
    if classify:
        network = new_photos.PhotoClassifier(run, device)
        level = new_photos.threshold_of(run) if threshold is None else threshold
        with progress.track("CAMs", total=len(photos)) as task:
            for name, path in photos.items():
                image = read_image(path)
                seen = network(image, labels, score)
                _write_cams(out / name, image, seen, level, run.classes)
                facts[name] |= _facts(seen, level, run.classes)
                task.advance()
    if new_photos.has_segmenter(run):
        maps = new_photos.segment(run, list(photos.values()), device, workers, progress)
        for (name, path), label in zip(photos.items(), maps, strict=True):
            _write_label(out / name, "prediction", read_image(path), label)
            values = sorted({int(value) for value in set(label.ravel().tolist())} - {0})
            facts[name]["predicted"] = [run.classes[value - 1] for value in values]
    return facts


def _facts(seen: Seen, threshold: float, classes: Sequence[str]) -> dict[str, Any]:
    return {
        "classes": [name for name, there in zip(classes, seen.labels, strict=True) if there],
        "scores": {name: float(s) for name, s in zip(classes, seen.scores, strict=True)},
        "threshold": threshold,
    }


def _told(fact: dict[str, Any]) -> str:
    parts = []
    if "scores" in fact:
        of = [f"{name} {fact['scores'][name]:.2f}" for name in fact["classes"]]
        best = max(fact["scores"], key=lambda name: fact["scores"][name])
        nothing = f"no class (highest: {best} {fact['scores'][best]:.2f})"
        parts.append(", ".join(of) or nothing)
    if "predicted" in fact:
        parts.append(f"segmented: {', '.join(fact['predicted']) or 'background'}")
    return "; ".join(parts)


def _write_cams(
    folder: Path, image: np.ndarray, seen: Seen, threshold: float, classes: Sequence[str]
) -> None:
    from wsssbench.files.images import write_image
    from wsssbench.ops.cam import upsample
    from wsssbench.pages.pictures import heat_overlay, over

    folder.mkdir(parents=True, exist_ok=True)
    maps = upsample(seen.cam.maps, seen.cam.size)
    for value, heat in zip(seen.cam.classes.tolist(), maps, strict=True):
        name = re.sub(r"[^\w-]+", "_", classes[value - 1])
        write_image(folder / f"cam_{value:02}_{name}.png", over(image, heat_overlay(heat)))
    _write_label(folder, "cam_label", image, seen.label(threshold))


def _write_label(folder: Path, name: str, image: np.ndarray, label: np.ndarray) -> None:
    from wsssbench.files.images import voc_palette, write_image, write_label
    from wsssbench.pages.pictures import label_overlay, over

    folder.mkdir(parents=True, exist_ok=True)
    write_label(folder / f"{name}.png", label)
    overlay = label_overlay(label, voc_palette())
    write_image(folder / f"{name}_overlay.png", over(image, overlay))


def _write_summary(path: Path, facts: dict[str, dict[str, Any]]) -> None:
    from wsssbench.files.atomic import write_atomically

    text = json.dumps(facts, indent=1, ensure_ascii=False) + "\n"
    write_atomically(path, text.encode("utf-8", "backslashreplace"))


def _labels(text: str, classes: Sequence[str]) -> np.ndarray:
    """Read ``dog,person`` as image-level labels (K,)."""
    import numpy as np

    labels = np.zeros(len(classes), np.float32)
    for name in (part.strip() for part in text.split(",")):
        if name not in classes:
            raise UserError(f"--classes: {unknown('class', name, classes)}")
        labels[list(classes).index(name)] = 1
    return labels


def _named(images: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Yield each photo with a name of its own: its place in the given folder, without suffix where that is enough."""
    from wsssbench.files.images import IMAGE_SUFFIXES

    found: list[tuple[Path, Path]] = []  # (relative, file)
    for given in images:
        if given.is_dir():
            below = sorted(p for p in given.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
            if not below:
                raise UserError(f"{given} has no photo: {', '.join(IMAGE_SUFFIXES)}")
            found += [(path.relative_to(given), path) for path in below]
        else:
            found.append((Path(given.name), given))
    stems = [str(relative.with_suffix("")) for relative, _ in found]
    taken: set[str] = set()
    for stem, (relative, path) in zip(stems, found, strict=True):
        name = stem if stems.count(stem) == 1 else str(relative)
        unique = next(
            n for n in (name, *(f"{name}_{i}" for i in range(2, len(found) + 2))) if n not in taken
        )
        taken.add(unique)
        yield unique, path


def _open_folder(out: Path, overwrite: bool) -> None:
    if out.exists() and not out.is_dir():
        raise UserError(f"--out {out}: is a file, but has to be a folder")
    if out.is_dir() and not overwrite and any(out.iterdir()):
        raise UserError(
            f"--out {out}: holds files already: choose an empty folder, or replace files of the same names with "
            "--overwrite"
        )
    out.mkdir(parents=True, exist_ok=True)
