"""The archive for VOC 2012's evaluation server, checked before it is written and again when it is there.

The server takes a .tar.gz of ``results/VOC2012/Segmentation/comp6_test_cls/<id>.png``: for every image of the test
list one 8-bit palette PNG in VOC's colours, of the image's size, with the labels 0..20. It scores anything else as
garbage, or not at all.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from wsssbench.errors import UserError, unknown
from wsssbench.files import png
from wsssbench.files.atomic import write_atomically
from wsssbench.files.image_lists import first_few
from wsssbench.files.images import image_size, voc_palette
from wsssbench.progress import Progress, Silent

TEST_IMAGES = 1_456  # of VOC 2012's test list
COMPETITIONS = {
    "comp5": "trained on VOC 2012's trainval data only",
    "comp6": "trained on other data, too",
}
_FOLDER = "results/VOC2012/Segmentation/{}_test_cls"
_PNG = b"\x89PNG\r\n\x1a\n"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_PALETTE_8_BIT = b"\x08\x03"  # bit depth and colour type in the header
_MAX_PNG = 1 << 26  # bytes; a prediction has some thousand
_SHOWN = 3

Item = tuple[str, Path]


@dataclass(frozen=True)
class Report:
    """A checked archive: its images, its bytes, and the images in which each label 0..K occurs."""

    path: Path
    images: int
    size: int
    occurrences: tuple[int, ...]


def write_submission(
    predictions: Path,
    items: Sequence[Item],
    num_classes: int,
    out: Path,
    competition: str = "comp6",
    progress: Progress | None = None,
) -> Report:
    """Check the predictions ``<id>.png``, and write the archive if every one of them is in order.

    Equal predictions give equal bytes. An archive at `out` is replaced.

    Args:
        predictions: the folder of the PNGs; other PNGs than those of `items` must not be there.
        items: (id, image file) of every image of the list.
        num_classes: K; labels are 0..K.
        out: the .tar.gz.
        competition: ``comp5`` or ``comp6``; names a folder in the archive.
        progress: where to show it.

    Raises:
        UserError: all that is wrong with the predictions, the first few of each kind by name;
        nothing is written then.
    """
    folder = _folder(competition)
    ids = _distinct_ids(items)
    if not predictions.is_dir():
        raise UserError(f"prediction folder {predictions} does not exist")
    problems = _wrong_names([path.stem for path in predictions.glob("*.png")], ids)
    contents: dict[str, bytes] = {}
    bad: dict[str, str] = {}
    with (progress or Silent()).track("check", total=len(items)) as task:
        for id, image in sorted(items):
            path = predictions / f"{id}.png"
            if path.is_file():
                contents[id] = path.read_bytes()
                problem = png_problem(contents[id], image_size(image), num_classes)
                if problem:
                    bad[id] = problem
            task.advance()
    _raise_all(f"predictions in {predictions}", [*problems, *_by_problem(bad)])
    write_atomically(out, _archive(folder, contents))
    try:
        return check_submission(out, items, num_classes, competition)
    except UserError:  # the disk did not keep what was written
        out.unlink(missing_ok=True)
        raise


def check_submission(
    path: Path, items: Sequence[Item], num_classes: int, competition: str = "comp6"
) -> Report:
    """Read an archive, whoever wrote it, and check it against the list; nothing is extracted.

    Raises:
        UserError: no readable archive, or all that is wrong with it.
    """
    folder, ids = _folder(competition), _distinct_ids(items)
    sizes = {id: image_size(image) for id, image in items}
    names: list[str] = []
    strange: list[str] = []
    bad: dict[str, str] = {}
    occurrences = np.zeros(num_classes + 1, dtype=int)

    def look(member: tarfile.TarInfo, content: Callable[[], bytes]) -> None:
        if member.isdir() and f"{folder}/".startswith(f"{member.name}/"):
            return
        parent, _, name = member.name.rpartition("/")
        if parent != folder or not name.endswith(".png") or not member.isfile():
            strange.append(member.name)
            return
        id = name.removesuffix(".png")
        names.append(id)
        if id in ids:
            data = content()
            problem = png_problem(data, sizes[id], num_classes)
            if problem:
                bad[id] = problem
            else:
                occurrences[np.unique(_values(data))] += 1

    _visit(path, look)
    problems = _wrong_names(names, ids) + _by_problem(bad)
    if strange:
        problems.append(
            f"{len(strange)} entries are no PNGs in {folder}/: {first_few(strange, _SHOWN)}"
        )
    _raise_all(f"archive {path}", problems)
    return Report(path, len(names), path.stat().st_size, tuple(int(n) for n in occurrences))


def png_problem(data: bytes, size: tuple[int, int], num_classes: int) -> str | None:
    """The reason why the server would not accept a PNG; None if it is in order.

    Args:
        data: the file.
        size: (H, W) it has to have.
        num_classes: K; labels are 0..K.
    """
    if not data.startswith(_PNG):
        return "no PNG"
    if data[24:26] != _PALETTE_8_BIT:
        return "no 8-bit palette PNG"
    if not data.endswith(_PNG_END):  # Pillow forgives a file that is cut off near its end
        return "damaged"
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            given = image.height, image.width
            if given != size:
                return "not of the image's size"
            palette = image.getpalette("RGB") or []
            values = np.array(image)
        header = png.read_header(io.BytesIO(data))
        if header is not None:
            png.require_rows(header, data)
    except Exception:  # whatever Pillow raises about damaged bytes
        return "damaged"
    if bytes(palette) != voc_palette().tobytes():
        return "not VOC's colour map"
    wrong = values[values > num_classes]
    return f"label {int(wrong[0])} outside 0..{num_classes}" if wrong.size else None


def _values(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
        return np.array(image)


def _folder(competition: str) -> str:
    if competition not in COMPETITIONS:
        raise UserError(f"--competition: {unknown('competition', competition, COMPETITIONS)}")
    return _FOLDER.format(competition)


def _distinct_ids(items: Sequence[Item]) -> set[str]:
    twice = [id for id, count in Counter(id for id, _ in items).items() if count > 1]
    if twice:
        raise UserError(f"the list has {len(twice)} ids more than once: {first_few(twice, _SHOWN)}")
    if not items:
        raise UserError("the list is empty: there is nothing to submit")
    return {id for id, _ in items}


def _wrong_names(names: Iterable[str], ids: set[str]) -> list[str]:
    count = Counter(names)
    kinds = {
        "of the list are missing": ids - count.keys(),
        "are not in the list": count.keys() - ids,
        "are there more than once": {id for id, times in count.items() if times > 1},
    }
    return [
        f"{len(wrong)} {kind}: {first_few(sorted(wrong), _SHOWN)}"
        for kind, wrong in kinds.items()
        if wrong
    ]


def _by_problem(bad: dict[str, str]) -> list[str]:
    """One text for each kind of problem."""
    kinds: dict[str, list[str]] = {}
    for id, problem in bad.items():
        kinds.setdefault(problem, []).append(id)
    return [f"{len(ids)} have: {kind} ({first_few(ids, _SHOWN)})" for kind, ids in kinds.items()]


def _raise_all(what: str, problems: list[str]) -> None:
    if problems:
        raise UserError(f"{what} cannot be submitted: {'; '.join(problems)}")


def _archive(folder: str, contents: dict[str, bytes]) -> bytes:
    """Make the archive without the time, the user or the machine in it, so that equal contents are equal bytes."""
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=buffer, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for id, data in sorted(contents.items()):
            member = tarfile.TarInfo(f"{folder}/{id}.png")  # its time is 0, its owner nobody
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def _visit(path: Path, look: Callable[[tarfile.TarInfo, Callable[[], bytes]], None]) -> None:
    """Call `look` with every entry of the archive and a function that reads it."""
    try:
        with gzip.open(path) as packed:
            with tarfile.open(fileobj=packed, mode="r:") as tar:
                for member in tar:
                    look(member, partial(_content, tar, member))
            while packed.read(1 << 20):  # to the end, where the checksum is
                pass
    except FileNotFoundError:
        raise UserError(f"archive {path} does not exist") from None
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise UserError(f"archive {path} is not a readable .tar.gz: {error}") from error


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    stream = tar.extractfile(member) if member.size <= _MAX_PNG else None
    return stream.read() if stream is not None else b""
