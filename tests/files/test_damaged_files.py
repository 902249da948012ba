"""Files of every kind that fuzzing found (tools/fuzz_readers.py): each is refused with the toolkit's own error."""

from __future__ import annotations

import io
import json
import pickle
import re
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wsssbench.datasets.coco.annotations import CATEGORIES, read_instances
from wsssbench.datasets.coco.masks import InstanceMasks
from wsssbench.datasets.folder.label_files import read_label_file
from wsssbench.errors import LONGEST_MESSAGE, CorruptArtefactError, UserError
from wsssbench.evaluation.class_counts import ClassCounts
from wsssbench.evaluation.image_counts import read_image_counts, write_image_counts
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.files import artefacts
from wsssbench.files.cam_formats import read_irn, read_psa, write_irn
from wsssbench.files.class_names import checked_classes, read_classes
from wsssbench.files.image_labels import labels_from_xml, read_labels_csv
from wsssbench.files.image_lists import read_list
from wsssbench.files.images import inspect_image, read_image, read_label
from wsssbench.files.npy import load_array_dict
from wsssbench.files.weights import load_state_dict_file
from wsssbench.interfaces import Cam

CLASSES = ("cat", "dog")
CAM = Cam(np.array([1, 3], np.uint8), np.ones((2, 4, 5), np.float32), (8, 9))


def refused(
    read: Callable[..., Any], path: Path, *arguments: Any, error: type[Exception] = UserError
) -> str:
    """The sentence with which `path` is refused: one line that prints, of a sensible length, with the file's name."""
    with pytest.raises(error) as told:
        read(path, *arguments)
    text = str(told.value)
    assert text.isprintable() and len(text) <= LONGEST_MESSAGE and path.name in text
    return text


def encoded(form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.arange(20, dtype=np.uint8).reshape(4, 5)).save(buffer, form, **options)
    return buffer.getvalue()


def png_with(kind: bytes, content: bytes) -> bytes:
    """A sound PNG with one more chunk, whose checksum is right."""
    added = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
    )
    data = encoded("PNG")
    return data[:33] + added + data[33:]


def tiff_with(tag: int, kind: int, value: int) -> bytes:
    """A TIFF one of whose tags has another kind of value, e.g. a fraction for a number of bits."""
    data = bytearray(encoded("TIFF"))
    (at,) = struct.unpack_from("<I", data, 4)
    for i in range(struct.unpack_from("<H", data, at)[0]):
        entry = at + 2 + 12 * i
        if struct.unpack_from("<H", data, entry)[0] == tag:
            struct.pack_into("<HII", data, entry + 2, kind, 1, value)
    return bytes(data)


IMAGES = {
    "nothing": b"",
    "text": b"no image",
    "a colour profile without its kind": png_with(b"iCCP", b"a\0"),
    "an animation without its number": png_with(b"acTL", b"\0"),
    "pixels that are no stream": png_with(b"IDAT", b"\xff\xff"),
    "a fraction for the number of bits": tiff_with(258, 5, 8),
    "rows in a strip that are not there": tiff_with(273, 4, 2**31 - 1),
    "a cut JPEG": encoded("JPEG")[:-40],
    "a program for the printer": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n",
}


@pytest.mark.parametrize("name", list(IMAGES))
def test_damaged_images(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.png"
    path.write_bytes(IMAGES[name])
    for read in (read_image, inspect_image, read_label):
        refused(read, path)
    refused(artefacts.read_label, path, error=CorruptArtefactError)


def test_a_jpeg_that_is_cut_off_says_what_to_do(tmp_path: Path) -> None:
    Image.effect_noise((60, 50), 40).convert("RGB").save(tmp_path / "x.jpg")
    (tmp_path / "x.jpg").write_bytes((tmp_path / "x.jpg").read_bytes()[:-40])
    for read in (read_image, inspect_image):
        assert "lacks the end of a JPEG" in refused(read, tmp_path / "x.jpg")


def test_a_grey_mask_saved_as_colours_says_so(tmp_path: Path) -> None:
    label = np.arange(20, dtype=np.uint8).reshape(4, 5)
    Image.fromarray(label).convert("RGB").save(tmp_path / "x.png")
    assert "its three channels are equal" in refused(read_label, tmp_path / "x.png")


def write_counts(path: Path) -> None:
    counts = ClassCounts(*np.ones((3, 2, 4), np.int32))
    write_image_counts(path, ["a", "b"], {"chosen": counts})


def rezipped(data: bytes, method: int = zipfile.ZIP_DEFLATED, **changed: bytes | None) -> bytes:
    """The archive `data` with members changed, or left out."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()} | changed
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            if content is not None:
                archive.writestr(name, content)
    return buffer.getvalue()


def patched(data: bytes, offset: int, value: int) -> bytes:
    """`data` with two bytes changed in all entries of the zip's directory and before all members."""
    result = bytearray(data)
    for mark, shift in ((b"PK\x03\x04", -2), (b"PK\x01\x02", 0)):
        for found in re.finditer(mark, data):
            struct.pack_into("<H", result, found.start() + offset + shift, value)
    return bytes(result)


def npy(array: np.ndarray, **options: Any) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array, **options)
    return buffer.getvalue()


def with_array(data: bytes, array: np.ndarray, *names: str) -> bytes:
    return rezipped(data, **{f"{name}.npy": npy(array) for name in names})


def in_stream(data: bytes) -> bytes:
    """`data` with bytes changed in the compressed part of its first member."""
    start = 30 + sum(struct.unpack_from("<HH", data, 26)) + 8
    return data[:start] + b"\xff\xff\xff\xff" + data[start + 4 :]


ARCHIVES: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: b"",
    "cut": lambda data: data[: len(data) // 2],
    "encrypted": lambda data: patched(data, 8, 1),
    "unknown compression": lambda data: patched(data, 10, 99),
    "an unsupported version": lambda data: patched(data, 6, 255),
    "bzip2 said, deflate stored": lambda data: patched(data, 10, 12),
    "lzma said, deflate stored": lambda data: patched(data, 10, 14),
    "a damaged stream": in_stream,
    "no members": lambda data: b"PK\x05\x06" + bytes(18),
    "objects": lambda data: with_array(data, np.array([{}], object), "ids", "size"),
    "an empty member": lambda data: rezipped(data, **{"ids.npy": b"", "size.npy": b""}),
    "a foreign member": lambda data: rezipped(data, **{"x.npy": b"x"}),
    "other shapes": lambda data: with_array(data, np.array(3, "<i4"), "ids", "size"),
    "names for numbers": lambda data: with_array(data, np.array(["a", "b"]), "chosen_true", "maps"),
    "fractions for numbers": lambda data: with_array(data, np.ones((2, 4)), "chosen_true", "maps"),
    "a part is missing": lambda data: rezipped(data, **{"chosen_predicted.npy": None, "maps.npy": None}),
    "a control character in a name": lambda data: rezipped(data, **{"\x1b[2J_true.npy": b"x"}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(ARCHIVES))
def test_damaged_archives(tmp_path: Path, name: str) -> None:
    path = tmp_path / "x.npz"
    write_counts(path)
    path.write_bytes(ARCHIVES[name](path.read_bytes()))
    refused(read_image_counts, path, error=CorruptArtefactError)
    artefacts.write_cam(path, CAM)
    path.write_bytes(ARCHIVES[name](path.read_bytes()))
    refused(artefacts.read_cam, path, error=CorruptArtefactError)


def test_a_cam_of_a_huge_image_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    artefacts.write_cam(path, CAM)
    size = npy(np.array([2**31 - 1, 2**31 - 1], "<i4"))
    path.write_bytes(rezipped(path.read_bytes(), **{"size.npy": size}))
    assert "WSSSBENCH_MAX_PIXELS" in refused(artefacts.read_cam, path, error=CorruptArtefactError)


def pickled(content: object) -> bytes:
    outer = np.empty((), object)
    outer[()] = content
    return npy(outer, allow_pickle=True)


@pytest.mark.parametrize(
    "content",
    [
        {"\x1b[2J\n": np.ones((2, 2))},
        {"x" * 5000: np.ones((2, 2))},
        {10**30: np.ones((2, 2))},
        {0: np.ones((2, 2)), 1: np.ones((3, 3))},
        {0: "\x1b]0;title\x07"},
        {(1,): np.ones((2, 2))},
        ["\x1b"],
    ],
)
def test_odd_dictionaries_of_arrays(tmp_path: Path, content: object) -> None:
    path = tmp_path / "x.npy"
    path.write_bytes(pickled(content))
    refused(read_psa, path)
    refused(read_irn, path)


def test_keys_may_be_a_list_or_tensors(tmp_path: Path) -> None:
    import torch

    write_irn(tmp_path / "a.npy", CAM)
    stored = load_array_dict(tmp_path / "a.npy")
    (tmp_path / "x.npy").write_bytes(pickled({"keys": [0, 2], "high_res": stored["high_res"]}))
    assert read_irn(tmp_path / "x.npy").classes.tolist() == [1, 3]
    (tmp_path / "x.npy").write_bytes(pickled({"keys": [], "high_res": np.zeros((0, 8, 9))}))
    assert read_irn(tmp_path / "x.npy", (8, 9)).classes.tolist() == []
    (tmp_path / "x.npy").write_bytes(pickled({torch.tensor(4): np.ones((2, 3), np.float32)}))
    assert read_psa(tmp_path / "x.npy").classes.tolist() == [5]


def read_json(path: Path) -> None:
    read_label_file(path.rename(path.with_suffix(".json")), None)


TEXTS: dict[str, tuple[Callable[[Path], Any], bytes]] = {
    "list: a control character": (read_list, b"a\x1b[2J \x1b b\n"),
    "list: twice": (read_list, b"\x9b\n\x9b\n".decode("latin-1").encode()),
    "list: no UTF-8": (read_list, b"a\xff\n"),
    "list: commas": (read_list, b"a.jpg,a.png\n"),
    "csv: header": (lambda p: read_labels_csv(p, CLASSES), b"\x1b]0;t\x07,labels\n"),
    "csv: class": (lambda p: read_labels_csv(p, CLASSES), "id,labels\na,\u202egod\n".encode()),
    "csv: a long class": (lambda p: read_labels_csv(p, CLASSES), b"id,labels\na," + b"x" * 100_000),
    "csv: a long number": (lambda p: read_labels_csv(p, CLASSES), b"id,labels\na," + b"9" * 5000),
    "csv: a field without end": (lambda p: read_labels_csv(p, CLASSES), b'id,labels\na,"' + b"x" * 200_000),
    "json: nested": (read_json, b"[" * 100_000),
    "json: a long number": (read_json, b'{"images": ' + b"9" * 5000),
    "json: a key": (read_json, b'{"images": {}, "\\u001b[2J": 1}'),
    "classes: control": (read_classes, b"cat\ndo\x1b[31mg\n"),
    "classes: direction": (read_classes, "cat\n\u202egod\n".encode()),
    "weights: text": (load_state_dict_file, b"\x1b[2J" * 9),
    "weights: a name": (load_state_dict_file, pickle.dumps({"\x1b[2J": print}, 2)),
}  # fmt: skip


@pytest.mark.parametrize("name", list(TEXTS))
def test_damaged_texts(tmp_path: Path, name: str) -> None:
    read, content = TEXTS[name]
    path = tmp_path / "x.txt"
    path.write_bytes(content)
    with pytest.raises(UserError) as told:
        read(path)
    text = str(told.value)
    assert text.isprintable() and len(text) <= LONGEST_MESSAGE and str(tmp_path / "x") in text


@pytest.mark.parametrize(
    "content",
    [
        b"<a>",
        b"<?xml version='1.0' encoding='utf-7'?><a/>",
        b"<?xml version='1.0' encoding='\xff'?><a/>",
        b"<a><object><name>\xc2\x9b2Jcat</name></object></a>",
    ],
)
def test_damaged_xml(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.xml").write_bytes(content)
    refused(lambda path: labels_from_xml(path.parent, ["x"], CLASSES), tmp_path / "x.xml")


def test_class_names_may_have_any_letters_but_no_control_characters() -> None:
    good = ("größe", "椅子", "dining table", "می\u200cخواهم", "a\u3000b")
    assert checked_classes(good) == good
    for bad in (
        "a\nb",
        "\x1b[2Jdog",
        "a\u202eb",
        "a\u200b",
        "a\x9b",
        "\udcff",
        "a\u2028b",
        "\ufeffcat",
    ):
        with pytest.raises(ValueError, match="do not print") as told:
            checked_classes(["cat", bad])
        assert str(told.value).isprintable()


def coco(*annotations: dict[str, Any], **image: Any) -> dict[str, Any]:
    picture = {"id": 9, "file_name": "COCO_train2014_000000000009.jpg", "height": 8, "width": 9}
    return {
        "images": [picture | image],
        "annotations": list(annotations),
        "categories": [{"id": number, "name": name} for number, name in CATEGORIES.items()],
    }


def paint(path: Path) -> None:
    job = InstanceMasks(path.parent, path, "smallest")
    images = read_instances(path, "train")
    job.prepare()
    for image in images:
        job.run(image)


OBJECT = {
    "id": 1,
    "image_id": 9,
    "category_id": 17,
    "segmentation": [[1, 1, 5, 1, 5, 4]],
    "iscrowd": 0,
}


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (coco(height=65_535, width=65_535), "WSSSBENCH_MAX_PIXELS"),
        (
            coco(OBJECT | {"segmentation": 5}),
            "annotation 1 of image 9 at byte [0-9]+ cannot be painted: .* neither a list",
        ),
        (coco(OBJECT | {"segmentation": {"size": [8, 9], "counts": "\x1b[2J"}}), "character"),
        (coco(OBJECT | {"category_id": [1]}), "whole number"),
        (coco(file_name="\x1b[2J" * 1000), "are called"),
        ([[[[]]]], "no whole JSON"),
    ],
)
def test_damaged_instance_files(tmp_path: Path, content: object, sentence: str) -> None:
    (tmp_path / "x.json").write_text(json.dumps(content))
    assert re.search(sentence, refused(paint, tmp_path / "x.json"))


def test_instance_files_with_bytes_that_are_no_utf8(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    named = json.dumps(coco(OBJECT | {"by": "Jürgen"}), ensure_ascii=False)
    path.write_bytes(named.encode("latin-1"))  # in a text that nobody needs
    paint(path)
    assert read_label(tmp_path / "COCO_train2014_000000000009.png").max() == 16
    path.write_bytes(named.encode().replace(b"segmentation", b"segmentati\xf3n"))
    refused(paint, path)
    path.write_bytes(b"[" * 100_000)
    refused(paint, path)


@pytest.mark.parametrize(
    "text",
    [
        "bins.1.1=7", "bins.1.bins.1=7", "bins.¹1=7", "bins.-1=7", ".bins=7", "bins.=7", "bins..1=7",
        "bins." + "9" * 5000 + "=1", "bins=" + "-" * 100_000 + "1", "\x1b[2J=1", "\udcff=1",
    ],
)  # fmt: skip
def test_odd_places_and_values_of_set(text: str) -> None:
    config = {"classifier": {"pooling": {"type": "GPP", "bins": (1, 4)}}}
    with pytest.raises(UserError) as told:
        apply_overrides(config, [f"classifier.pooling.{text}"])
    assert str(told.value).isprintable() and len(str(told.value)) <= LONGEST_MESSAGE


def test_a_value_of_set_that_is_no_literal_is_text() -> None:
    for text in ("{[]: 1}", "a b", "1if", "'\0'"):
        assert apply_overrides({"name": "x"}, [f"name={text}"]) == {"name": text}
