"""Torch tensors inside pickled dictionaries: read as they are, and nothing outside their storage."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from wsssbench.errors import UserError
from wsssbench.files.npy import load_array_dict

REBUILD = torch._utils._rebuild_tensor_v2
FROM_BYTES = torch.storage._load_from_bytes
load_tensors = partial(load_array_dict, tensors=True)


class Calls:
    """Pickles to a call of `function` with `args`."""

    def __init__(self, function: object, *args: object, state: object = None) -> None:
        self.call = (function, args) if state is None else (function, args, state)

    def __reduce__(self) -> Any:
        return self.call


def saved(tmp_path: Path, content: Any, protocol: int = 4) -> Path:
    outer = np.empty((), object)
    outer[()] = content
    with (tmp_path / "x.npy").open("wb") as stream:
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "|O", "fortran_order": False, "shape": ()}
        )
        pickle.dump(outer, stream, protocol)
    return tmp_path / "x.npy"


def storage_bytes(values: torch.Tensor) -> bytes:
    """What torch pickles for the storage of `values`."""
    buffer = io.BytesIO()
    torch.save(values._typed_storage(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def tensors() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    base = torch.rand(4, 5, 6)
    return {
        "contiguous": base,
        "permuted": base.permute(2, 0, 1),
        "strided": base[1:, ::2, 1:5:3],
        "half": base.half(),
        "double": base.double(),
        "grad": torch.rand(3, requires_grad=True),
        "indices": torch.tensor([0, 7, 19]),
        "bytes": torch.arange(5, dtype=torch.uint8),
        "bool": torch.tensor([True, False]),
        "number": torch.tensor(3.5),
        "empty": torch.zeros(0, 5, 6),
        "row": base[2, 3],
    }


def test_tensors_are_refused_where_only_arrays_are_expected(tmp_path: Path) -> None:
    """E.g. in a file of image-level labels."""
    with pytest.raises(UserError, match="only dictionaries of numeric arrays"):
        load_array_dict(saved(tmp_path, {"x": torch.ones(2)}))


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("name", list(tensors()))
def test_reads_tensors(tmp_path: Path, name: str, protocol: int) -> None:
    tensor = tensors()[name]
    read = load_tensors(saved(tmp_path, {"x": tensor, 3: np.arange(2)}, protocol))
    expected = tensor.detach().numpy()
    assert read["x"].dtype == expected.dtype and read["x"].shape == expected.shape
    assert np.array_equal(read["x"], expected)
    assert read["x"].flags.c_contiguous and read["x"].flags.writeable
    assert read[3].tolist() == [0, 1]


def test_reads_bfloat16_as_float32(tmp_path: Path) -> None:
    tensor = torch.rand(7).bfloat16()
    read = load_tensors(saved(tmp_path, {"x": tensor}))["x"]
    assert read.dtype == np.float32 and read.tolist() == tensor.tolist()


def test_tensors_may_share_a_storage(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    read = load_tensors(saved(tmp_path, {"a": base[:6], "b": base[3:], "c": base[:6]}))
    assert read["a"].tolist() == base[:6].tolist() and read["b"].tolist() == base[3:].tolist()
    read["a"][:] = 0
    assert read["c"].tolist() == base[:6].tolist()


def test_reads_what_torch_wrote_before_0_4(tmp_path: Path) -> None:
    values = torch.arange(6.0)
    old = Calls(torch._utils._rebuild_tensor, values._typed_storage(), 1, (2, 2), (3, 1))
    assert load_tensors(saved(tmp_path, {"x": old}))["x"].tolist() == [[1, 2], [4, 5]]


def described(offset: Any, size: Any, stride: Any, *more: Any) -> Calls:
    """A tensor on a storage of 12 elements."""
    storage = torch.arange(12.0)._typed_storage()
    return Calls(REBUILD, storage, offset, size, stride, False, OrderedDict(), *more)


def test_the_description_is_followed_to_the_last_element(tmp_path: Path) -> None:
    read = load_tensors(saved(tmp_path, {"x": described(2, (2, 5), (5, 1))}))["x"]
    assert read.tolist() == [[2, 3, 4, 5, 6], [7, 8, 9, 10, 11]]


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [
        (3, (2, 5), (5, 1)),
        (0, (13,), (1,)),
        (0, (2, 2), (11, 1)),
        (12, (1,), (1,)),
        (-1, (2,), (1,)),
        (0, (2,), (-1,)),
        (0, (-2,), (1,)),
        (0, (1000, 1000, 1000), (0, 0, 0)),
        (0, (2**39, 2**39), (0, 0)),
        (2**62, (1,), (1,)),
        (0, (2**70,), (0,)),
        (0, (2,), (2**63,)),
        (0, (2, 2), (1,)),
        (0, (1,) * 60, (1,) * 60),
        (0, [2], [1]),
        (0, (2.0,), (1,)),
        (0, (True,), (1,)),
        ("0", (2,), (1,)),
        (0, 5, 1),
        (0, ("2",), (1,)),
    ],
)
def test_forged_descriptions_are_user_errors(
    tmp_path: Path, offset: Any, size: Any, stride: Any
) -> None:
    with pytest.raises(UserError, match=r"x\.npy.*(outside its storage|whole numbers)"):
        load_tensors(saved(tmp_path, {"x": described(offset, size, stride)}))


class Bomb:
    def __reduce__(self) -> Any:
        return os.system, ("touch bomb",)


def forged_storages() -> dict[str, bytes]:
    good = storage_bytes(torch.arange(12.0))
    buffer = io.BytesIO()
    torch.save({"x": Bomb()}, buffer, _use_new_zipfile_serialization=False)
    zipped = io.BytesIO()
    torch.save(torch.arange(3.0)._typed_storage(), zipped)
    other = io.BytesIO()
    torch.save(torch.arange(3.0), other, _use_new_zipfile_serialization=False)
    listed = io.BytesIO()
    torch.save([1, 2], listed, _use_new_zipfile_serialization=False)
    huge = good.replace(b"K\x0cNt", b"\x8a\x06\x00\x00\x00\x00\x00\x7fNt")
    assert huge != good
    return {
        "code": buffer.getvalue(),
        "a plain pickle": pickle.dumps(Bomb(), 2),
        "code after the magic number": good[:14] + pickle.dumps(Bomb(), 2),
        "code in every part": good[:14] + 4 * pickle.dumps(Bomb(), 2),
        "a zip archive": zipped.getvalue(),
        "a tensor": other.getvalue(),
        "a list": listed.getvalue(),
        "an announced size": huge,
        "another function": good.replace(b"ctorch\nFloatStorage\n", b"cposix\nsystem\n"),
        "truncated": good[:-5],
        "nothing": b"",
    }


@pytest.mark.parametrize("name", list(forged_storages()))
def test_forged_storages_are_user_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    inner = Calls(FROM_BYTES, forged_storages()[name])
    tensor = Calls(REBUILD, inner, 0, (2,), (1,), False, OrderedDict())
    with pytest.raises(UserError, match=r"x\.npy"):
        load_tensors(saved(tmp_path, {"x": tensor}))
    assert not (tmp_path / "bomb").exists()


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_damaged_storages_are_user_errors(tmp_path: Path) -> None:
    """Whatever bit flips in it: an error, or 12 numbers."""
    good = storage_bytes(torch.arange(12.0))
    rng = np.random.default_rng(0)
    for at in [*range(len(good) - 48), *rng.integers(0, len(good), 50).tolist()]:
        damaged = bytearray(good)
        damaged[at] ^= 1 << int(rng.integers(8))
        inner = Calls(FROM_BYTES, bytes(damaged))
        tensor = Calls(REBUILD, inner, 0, (3, 4), (4, 1), False, OrderedDict())
        try:
            read = load_tensors(saved(tmp_path, {"x": tensor}))
        except UserError:
            continue
        assert read["x"].shape == (3, 4)


def zip_of(name: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(name, b"x")
    return buffer.getvalue()


NOT_TENSORS = {
    "no storage": Calls(REBUILD, b"abc", 0, (1,), (1,), False, OrderedDict()),
    "an array for a storage": Calls(REBUILD, np.zeros(3), 0, (1,), (1,), False, OrderedDict()),
    "a tensor for a storage": Calls(REBUILD, described(0, (1,), (1,)), 0, (1,), (1,), False, None),
    "metadata": described(0, (2,), (1,), {"neg": True}),
    "too few arguments": Calls(REBUILD, torch.arange(3.0)._typed_storage()),
    "storage with a state": Calls(FROM_BYTES, storage_bytes(torch.ones(2)), state={"values": 1}),
    "storage with slots": Calls(
        FROM_BYTES, storage_bytes(torch.ones(2)), state=(None, {"values": 1})
    ),
    "tensor with a state": Calls(
        REBUILD, torch.ones(2)._typed_storage(), 0, (2,), (1,), False, None,
        state=(1, (10**6,), np.dtype("f4"), False, b"abcd"),
    ),
    "a storage itself": torch.ones(2)._typed_storage(),
    "sparse": torch.ones(2).to_sparse(),
    "a parameter": torch.nn.Parameter(torch.ones(2)),
    "a module": torch.nn.Linear(1, 1),
    "bytes of a zip": Calls(FROM_BYTES, zip_of("archive/data.pkl")),
    "not bytes": Calls(FROM_BYTES, 7),
    "a list of tensors": [torch.ones(2)],
}  # fmt: skip


@pytest.mark.parametrize("name", list(NOT_TENSORS))
def test_other_things_than_tensors_are_user_errors(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"x\.npy"):
        load_tensors(saved(tmp_path, {"x": NOT_TENSORS[name]}))
    good = load_tensors(saved(tmp_path, {"x": torch.ones(2)}))  # nothing of ours was changed
    assert good["x"].tolist() == [1, 1]
