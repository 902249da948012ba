"""Image-level labels: from a CSV, from ``cls_labels.npy``, from XML, or explicitly from masks.

Every reader returns ``{id: multi-hot}`` with vectors (K,) float32 in {0, 1} in the order of the
class list.
"""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsssbench.errors import UserError, unknown
from wsssbench.files.atomic import write_atomically
from wsssbench.files.class_names import names_no_class
from wsssbench.files.ground_truth import read_mask
from wsssbench.files.image_lists import first_few
from wsssbench.files.names import class_name, in_either_form, normal
from wsssbench.files.npy import load_array_dict
from wsssbench.files.reading import read_text, reading
from wsssbench.interfaces import Dataset
from wsssbench.progress import Progress, Silent

HEADER = ["id", "labels"]
SPLIT = "split"  # an optional third column
_MAX_DIGITS = 20  # of a label-map value; Python reads no number of thousands


@dataclass(frozen=True)
class LabelRow:
    """One line of a labels CSV: where it stands, its id, its labels as written, its split if any."""

    where: str
    id: str
    field: str
    split: str | None = None


def read_labels_csv(path: Path, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Read ``id,labels`` lines such as ``2007_000032,aeroplane person`` or ``2007_000032,1;15``.

    Labels are class names or label-map values 1..K, separated by ``;`` or, if there is none, by
    spaces (a field that is a class name as a whole is that class, so names may have spaces). An
    empty field is an image without any class. A third column, ``split``, is ignored.

    Raises:
        UserError: missing file, another header, a line of another form, an unknown class, an id
        twice.
    """
    return {
        row.id: _multi_hot(split_field(row.field, classes), classes, row.where)
        for row in read_label_rows(path)
    }


def read_label_rows(path: Path) -> list[LabelRow]:
    """Read the lines of a CSV with the header ``id,labels`` or ``id,labels,split``, labels unchecked.

    Raises:
        UserError: missing file, another header, a line of another form, an id twice.
    """
    lines = _rows(path)
    header = [cell.strip() for cell in lines[0][1]] if lines else []
    if header not in (HEADER, [*HEADER, SPLIT]):
        given = ",".join(lines[0][1]) if lines else ""
        raise UserError(
            f"{path} starts with '{given}', but the first line has to be 'id,labels' or 'id,labels,split'"
        )
    rows: dict[str, LabelRow] = {}
    for line, cells in lines[1:]:
        where = f"line {line} of {path}"
        if len(cells) != len(header):
            columns = f"{len(header)}: {', '.join(header[:-1])} and {header[-1]}"
            raise UserError(
                f"{where} has {len(cells)} columns instead of {columns}, labels separated by ';'"
            )
        id = normal(cells[0].strip())
        if id in rows:
            raise UserError(f"{where} has '{id}' a second time: give all its labels in one line")
        rows[id] = LabelRow(where, id, cells[1], cells[2].strip() if SPLIT in header else None)
    return list(rows.values())


def write_labels_csv(path: Path, labels: Mapping[str, np.ndarray], classes: Sequence[str]) -> None:
    """Write what `read_labels_csv` reads: class names separated by ``;``."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(HEADER)
    for id, vector in labels.items():
        writer.writerow([id, ";".join(classes[int(k)] for k in np.flatnonzero(vector))])
    write_atomically(Path(path), buffer.getvalue().encode())


def labels_from_npy(path: Path, classes: Sequence[str]) -> dict[str, np.ndarray]:
    """Read AffinityNet's dict id -> (K,) vector; IRN's integer ids (2007000032) become VOC's.

    Raises:
        UserError: not such a file, or vectors of another length or with other values than 0 and 1.
    """
    labels = {}
    for key, vector in load_array_dict(path).items():
        if vector.shape != (len(classes),):
            raise UserError(
                f"{path} has a vector of shape {vector.shape} for '{key}', but there are "
                f"{len(classes)} classes: give the class list that the file was made for"
            )
        if not np.isin(vector, (0, 1)).all():
            raise UserError(f"{path} has other values than 0 and 1 for '{key}'")
        id = f"{str(key)[:4]}_{str(key)[4:]}" if isinstance(key, int) else normal(key)
        labels[id] = vector.astype(np.float32)
    return labels


def labels_from_xml(
    annotations: Path, ids: Sequence[str], classes: Sequence[str], *, difficult: bool = True
) -> dict[str, np.ndarray]:
    """Read the objects' names in VOC's ``Annotations/<id>.xml``.

    Objects marked difficult count by default, as in AffinityNet's labels: they are in the masks,
    too.

    Raises:
        UserError: an id without XML file, a damaged file, an unknown class.
    """
    files = {id: in_either_form(Path(annotations) / f"{id}.xml") for id in ids}
    missing = [id for id, path in files.items() if not path.is_file()]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(ids)} ids have no XML file in {annotations}: {first_few(missing)}"
        )
    return {
        id: _multi_hot(object_names(path, difficult), classes, str(path))
        for id, path in files.items()
    }


def labels_from_masks(
    dataset: Dataset, split: str, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Make labels of the ground truth, on request only: the classes that occur in the masks of `split`.

    Raises:
        LeakError: outside `ground_truth.allow_masks`.
        UserError: a missing or damaged mask, or one with labels outside 0..K and 255.
    """
    ids = dataset.ids(split)
    labels = {}
    with (progress or Silent()).track(f"labels of {split}", len(ids)) as task:
        for id in ids:
            values = np.unique(read_mask(dataset, id, split))
            labels[id] = np.zeros(len(dataset.classes), dtype=np.float32)
            labels[id][[int(v) - 1 for v in values if v not in (0, 255)]] = 1
            task.advance()
    return labels


def stack(labels: Mapping[str, np.ndarray], ids: Sequence[str], source: str) -> np.ndarray:
    """Put the vectors of `ids` into one (n, K) float32 array.

    Raises:
        UserError: ids without labels; `source` says where labels were looked for.
    """
    missing = [id for id in ids if id not in labels]
    if missing:
        raise UserError(
            f"{len(missing)} of {len(ids)} ids have no labels in {source}: {first_few(missing)}"
        )
    return np.stack([labels[id] for id in ids]).astype(np.float32)


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Read the non-empty lines of a CSV with their numbers."""
    text = read_text("labels file", path, " as CSV")
    with reading("labels file", path, " as CSV"):
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        return [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]


def split_field(field: str, classes: Sequence[str] | None) -> list[str]:
    """Split the labels in a field of a CSV; if `classes` are not known, only ``;`` separates them."""
    field = class_name(field.strip())
    if ";" in field or classes is None:
        return [class_name(word.strip()) for word in field.split(";") if word.strip()]
    return [field] if field in classes else field.split()


def class_indices(
    words: Sequence[str], classes: Sequence[str], index: Mapping[str, int], where: str
) -> list[int]:
    """0..K-1 of `words`, each a name in `index` (name -> position) or a label-map value 1..K.

    Raises:
        UserError: an unknown class; `where` says of which line.
    """
    indices = []
    for word in words:
        if word in index:
            indices.append(index[word])
        elif word.isascii() and word.isdigit():
            if len(word) > _MAX_DIGITS or not 1 <= int(word) <= len(classes):
                raise UserError(f"{where} has the label {word}, but classes are 1..{len(classes)}")
            indices.append(int(word) - 1)
        elif names_no_class(word):
            raise UserError(
                f"{where} has the label '{word}', but has to list the foreground classes only: leave it out"
            )
        else:
            raise UserError(f"{where}: {unknown('class', word, classes)}")
    return indices


def _multi_hot(words: Sequence[str], classes: Sequence[str], where: str) -> np.ndarray:
    vector = np.zeros(len(classes), dtype=np.float32)
    index = {name: k for k, name in enumerate(classes)}
    vector[class_indices(words, classes, index, where)] = 1
    return vector


def object_names(path: Path, difficult: bool = True) -> list[str]:
    """Read the names of the objects in one of VOC's XML files.

    Raises:
        UserError: missing or damaged.
    """
    with reading("", path, " as XML"):
        root = ET.parse(path).getroot()
    objects = root.findall("object")  # the parts of a person are nested deeper
    kept = [o for o in objects if difficult or (o.findtext("difficult") or "0").strip() != "1"]
    return [class_name((o.findtext("name") or "").strip()) for o in kept]
