"""What a file is that was given as a weight file and surely is none, by its first and last bytes.

Download services answer with a page instead of the file, repositories hold pointers to files, and other programs have
formats of their own. Libraries say of all of them that something is damaged.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from wsssbench.errors import one_line
from wsssbench.files.limits import require_bytes

_HEAD = 4096  # bytes that are looked at
_SHOWN = 60  # characters of a text
_TITLE = re.compile(r"<(title|message|code)>\s*(.*?)\s*</\1>", re.IGNORECASE | re.DOTALL)
_AGAIN = "fetch the file again, e.g. with a browser, and look at its size"
# First bytes -> what the file is and what to do.
_MAGIC = {
    b"\x1f\x8b": "a gzip archive: unpack it and give the file in it",
    b"BZh": "a bzip2 archive: unpack it and give the file in it",
    b"\xfd7zXZ\0": "an xz archive: unpack it and give the file in it",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive: unpack it and give the file in it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it and give the file in it",
    b"Rar!": "a RAR archive: unpack it and give the file in it",
    b"\x93NUMPY": "a numpy array: save a state dict with torch.save",
    b"\x89HDF\r\n": "an HDF5 file, as Keras and Caffe write: convert it to a PyTorch state dict",
    b"%PDF": "a PDF document",
    b"\x89PNG": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
}
_TENSORFLOW = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # the last bytes of its tables
_SUFFIXES = {
    ".onnx": "an ONNX model",
    ".caffemodel": "a Caffe model",
    ".pb": "a TensorFlow graph",
    ".tflite": "a TensorFlow Lite model",
    ".pdparams": "a PaddlePaddle file",
    ".msgpack": "a Flax file",
}


def named_otherwise(file: Path) -> str | None:
    """Say what `file` is if its name says that it is another program's; for a file that could not be read."""
    if ".data-0" in file.name or file.suffix == ".index":
        return "part of a TensorFlow checkpoint: convert it to a PyTorch state dict"
    kind = _SUFFIXES.get(file.suffix.lower())
    return kind and f"{kind}: convert it to a PyTorch state dict"


def foreign(file: Path) -> str | None:
    """Say what `file` is, and what to do, if that is surely no weight file of PyTorch or MXNet; None otherwise.

    Raises:
        OSError: it cannot be opened.
        ValueError: an archive that claims to hold more than `limits` admit.
    """
    with file.open("rb") as stream:
        head = stream.read(_HEAD)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - len(_TENSORFLOW)))
        tail = stream.read()
    if not head:
        return f"empty: {_AGAIN}"
    if head[257:262] == b"ustar":
        return "a tar archive: unpack it and give the file in it"
    if head.startswith(b"PK"):
        return _archive(file, size)
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if tail == _TENSORFLOW:
        return "a TensorFlow checkpoint: convert it to a PyTorch state dict"
    length = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 0 < length < size:
        return "a safetensors file: convert it once with torch.save(safetensors.torch.load_file(IN), OUT)"
    return _text(head)


def _text(head: bytes) -> str | None:
    """Say what a text is; None if `head` is none."""
    try:
        text = head.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # not a character that is cut off
            return None
        text = head[: error.start].decode("utf-8-sig")
    if any(not (c.isprintable() or c in "\t\r\n") for c in text):
        return None
    start = text.lstrip()
    if start.startswith("version https://git-lfs"):
        return "a Git LFS pointer, which stands for the file: run `git lfs pull` in its repository"
    title = _TITLE.search(start)
    titled = f" ('{one_line(title[2], _SHOWN)}')" if title else ""
    if re.match(r"<(!doctype\s+html|html|head|body)", start, re.IGNORECASE):
        return f"a web page{titled}, which was sent instead of the file: {_AGAIN}"
    if start.startswith("<"):
        return f"an XML document{titled}, as services send instead of a file: {_AGAIN}"
    if start.startswith(("{", "[")):
        return (
            f"a JSON text ({one_line(start, _SHOWN)}), as services send instead of a file: {_AGAIN}"
        )
    return f"a text that begins with '{one_line(start.splitlines()[0] if start else '', _SHOWN)}': {_AGAIN}"


def _archive(file: Path, size: int) -> str | None:
    """Say what a zip archive is; None for one of torch.save, which never compresses."""
    try:
        with zipfile.ZipFile(file) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return f"an archive without its end: its download was cut off; {_AGAIN}"
    names = [member.filename for member in members]
    unpacked = sum(member.file_size for member in members)
    if unpacked > size:
        require_bytes(unpacked)
    if any(name.endswith("/constants.pkl") for name in names):
        return "a TorchScript program: save its state_dict() with torch.save"
    if any(name.endswith("/data.pkl") for name in names):
        return None
    kind = "a numpy" if names and all(name.endswith(".npy") for name in names) else "a zip"
    held = one_line(", ".join(names[:2]) or "nothing", _SHOWN)
    return f"{kind} archive that holds {held}: give a state dict that torch.save wrote"
