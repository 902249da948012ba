"""What people give as weight files and is none: it is named, by every reader of weights, and sound files are read."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import refused

from wsssbench.errors import UserError
from wsssbench.files.npy import load_array_dict
from wsssbench.files.pickles import require_small
from wsssbench.files.weights import load_state_dict_file

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.zeros(2)}


def saved(zipped: bool = True) -> bytes:
    buffer = io.BytesIO()
    torch.save(STATE, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


def archive(names: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as written:
        for name, content in names.items():
            written.writestr(name, content)
    return buffer.getvalue()


def tarred(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as written:
        member = tarfile.TarInfo("resnet.pth")
        member.size = len(content)
        written.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.ones(3))
    return buffer.getvalue()


PAGE = b"<!DOCTYPE html>\n<html><head><title>Google Drive - Quota exceeded</title></head></html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 102502400\n"
FOREIGN: dict[str, tuple[bytes, str]] = {
    "page": (PAGE, r"is a web page \('Google Drive - Quota exceeded'\).* fetch the file again"),
    "page with a mark": (b"\xef\xbb\xbf\n<HTML lang='de'>\xc3\xbc", "is a web page"),
    "pointer": (POINTER, "is a Git LFS pointer.*git lfs pull"),
    "xml": (
        b"<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>",
        r"is an XML document \('AccessDenied'\)",
    ),
    "json": (b'{"error": "not found"}', r"is a JSON text \(\{\"error\": \"not found\"\}\)"),
    "text": (b"404: Not Found", "is a text that begins with '404: Not Found'"),
    "escapes": (b"caf\xc3\xa9" * 2000, "is a text that begins with 'café"),
    "empty": (b"", "is empty: fetch the file again"),
    "gzip": (gzip.compress(saved()), "is a gzip archive: unpack it"),
    "bzip2": (bz2.compress(saved()), "is a bzip2 archive: unpack it"),
    "xz": (lzma.compress(saved()), "is an xz archive: unpack it"),
    "tar": (tarred(saved()), "is a tar archive: unpack it"),
    "zip": (archive({"a/resnet.pth": saved()}), "is a zip archive that holds a/resnet.pth"),
    "npz": (archive({"a.npy": npy(), "b.npy": npy()}), "is a numpy archive that holds a.npy"),
    "npy": (npy(), "is a numpy array"),
    "cut off": (saved()[:-100], "is an archive without its end"),
    "script": (
        archive({"m/data.pkl": b"", "m/code/a.py": b"", "m/constants.pkl": b""}),
        "is a TorchScript program",
    ),
    "safetensors": (
        (20).to_bytes(8, "little") + b'{"__metadata__": {}}' + bytes(8),
        "is a safetensors file: convert it",
    ),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file"),
    "tensorflow": (
        bytes(range(99)) + bytes.fromhex("57fb808b247547db"),
        "is a TensorFlow checkpoint",
    ),
}


@pytest.mark.parametrize("kind", list(FOREIGN))
@pytest.mark.parametrize("name", ["weights.pth", "weights.params"])
def test_what_is_no_weight_file_is_named(tmp_path: Path, kind: str, name: str) -> None:
    content, said = FOREIGN[kind]
    (tmp_path / name).write_bytes(content)
    for from_mxnet in (None, lambda arrays: {}):
        with pytest.raises(UserError, match=rf"^weight file .*{name} {said}") as told:
            load_state_dict_file(tmp_path / name, from_mxnet)
        assert str(told.value).isprintable()


def test_the_commands_name_it_too(tmp_path: Path) -> None:
    (tmp_path / "x.params").write_bytes(PAGE)
    assert "is a web page" in refused("weights", "check", tmp_path / "x.params")
    out = tmp_path / "x.pth"
    assert "is a web page" in refused("weights", "convert", tmp_path / "x.params", out)
    assert not out.exists()


@pytest.mark.parametrize("name", ["model.onnx", "net.caffemodel", "model.ckpt.data-00000-of-00001"])
def test_formats_without_a_sign_are_known_by_their_names(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(bytes(range(8, 208)))
    with pytest.raises(UserError, match="convert it to a PyTorch state dict"):
        load_state_dict_file(tmp_path / name)
    (tmp_path / name).write_bytes(saved())  # only a file that cannot be read
    assert load_state_dict_file(tmp_path / name).keys() == STATE.keys()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("name", ["w.pth", "w.pth.tar", "w.params", "w"])
def test_sound_files_are_read_whatever_they_are_called(
    tmp_path: Path, name: str, zipped: bool
) -> None:
    (tmp_path / name).write_bytes(saved(zipped))
    read = load_state_dict_file(tmp_path / name)
    assert all(torch.equal(read[key], STATE[key]) for key in STATE)


def bomb(levels: int, doubled: bytes) -> bytes:
    """A pickled dictionary whose key is a tuple of twice the same tuple, and so on."""
    return b"\x80\x02})q\x01" + doubled * levels + b"K\x01s."


WAYS = {
    "by number": b"h\x01\x86q\x01",
    "by doubling": b"2\x86",
    "behind a mark": b"q\x010(h\x01h\x01t",
}


@pytest.mark.parametrize("way", list(WAYS))
def test_tuples_in_tuples_are_counted_before_they_are_built(way: str) -> None:
    small = bomb(15, WAYS[way])
    require_small(small, len(small))
    (key,) = pickle.loads(small)
    assert repr(key).count("(") > 1 << 15  # it is what it says
    with pytest.raises(pickle.UnpicklingError, match="a tuple of more than 1,000,000 parts"):
        require_small(bomb(60, WAYS[way]), 1000)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda data: archive({"x/data.pkl": data, "x/version": b"3\n", "x/byteorder": b"little"}),
        lambda data: (
            b"".join(pickle.dumps(n, 2) for n in (0x1950A86A20F9469CFC6C, 1001, {})) + data
        ),
    ],
)
def test_bombs_of_tuples_do_not_hang_the_reader(
    tmp_path: Path, wrap: Callable[[bytes], bytes]
) -> None:
    (tmp_path / "x.pth").write_bytes(wrap(bomb(60, WAYS["by number"])))
    with pytest.raises(UserError, match=r"x\.pth.*a tuple of more than"):
        load_state_dict_file(tmp_path / "x.pth")


def test_keys_of_array_dictionaries_are_counted_too(tmp_path: Path) -> None:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "|O", "fortran_order": False, "shape": ()}
    )
    (tmp_path / "x.npy").write_bytes(header.getvalue() + bomb(60, WAYS["by doubling"]))
    with pytest.raises(UserError, match=r"x\.npy.*a tuple of more than"):
        load_array_dict(tmp_path / "x.npy")


def test_pickles_of_any_protocol_pass() -> None:
    given: list[Any] = [
        {"a": (1, (2.5, b"x"), [()])},
        set("ab"),
        frozenset("c"),
        10**30,
        STATE["a.bias"],
    ]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps(given, protocol)
        require_small(data, len(data))
        stream = io.BytesIO(data + b"rest")
        require_small(stream, len(data))
        assert stream.read() == b"rest"


def test_archives_are_bounded_before_they_are_unpacked(tmp_path: Path, monkeypatch) -> None:
    packed = archive({"x/data.pkl": b"", "x/data/0": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    (tmp_path / "x.pth").write_bytes(packed)
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", "10000")
    with pytest.raises(UserError, match=r"x\.pth.*1,048,576 bytes.*WSSSBENCH_MAX_PIXELS"):
        load_state_dict_file(tmp_path / "x.pth")
    (tmp_path / "y.pth").write_bytes(saved())
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", "1")  # what is not compressed is as large as it says
    assert load_state_dict_file(tmp_path / "y.pth").keys() == STATE.keys()
