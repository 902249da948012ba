"""Dictionaries of arrays in .npy files (AffinityNet's and IRNet's) without trusting their pickle.

``numpy.load(..., allow_pickle=True)`` runs whatever code the file names. Here a pickle may name
nothing but the few functions that make numpy's arrays and torch's tensors, and gets our stand-ins
for them, which check the parts before an array is built: the real ones would trust a forged
description of the memory.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wsssbench.errors import UserError
from wsssbench.files.atomic import write_atomically
from wsssbench.files.npy_tensors import SavedTensor, storage, tensor
from wsssbench.files.npz import read_header
from wsssbench.files.pickles import require_small
from wsssbench.files.reading import reading


def load_array_dict(path: Path, *, tensors: bool = False) -> dict[int | str, np.ndarray]:
    """Read what ``numpy.save(path, {key: array})`` wrote, by any numpy and by Python 2, too.

    Args:
        path: the file.
        tensors: admit torch's tensors, too, as IRNet's CAM files have them.

    Returns:
        The numeric arrays (and numbers, as 0-d arrays) by their int or str keys, in the file's
        order.

    Raises:
        UserError: missing or damaged file, another content, or a pickle that names anything but
        numeric arrays.
    """
    with reading("", path, " as a .npy file"):
        data = Path(path).read_bytes()
        stream = io.BytesIO(data)
        _check_header(stream, path)
        require_small(data[stream.tell() :], len(data))
        content = _Unpickler(stream, path, tensors).load()
        return _plain_dict(content, path)


def save_array_dict(
    path: Path, arrays: Mapping[int, np.ndarray] | Mapping[str, np.ndarray | SavedTensor]
) -> None:
    """Write ``{key: array}`` as ``numpy.save`` does, for tools that read AffinityNet's and IRNet's files.

    Equal arrays give equal bytes. They load with any numpy: numpy 2 writes names that releases
    before 1.26 do not know.
    """
    content = np.empty((), dtype=object)
    content[()] = {
        key: array if isinstance(array, SavedTensor) else np.array(array, order="C")
        for key, array in arrays.items()
    }
    # the first object is the outer array, so that the first match is its name and no data
    pickled = pickle.dumps(content, protocol=3).replace(b"cnumpy._core.", b"cnumpy.core.", 1)
    buffer = io.BytesIO()
    header = {"descr": "|O", "fortran_order": False, "shape": ()}
    np.lib.format.write_array_header_1_0(buffer, header)
    write_atomically(Path(path), buffer.getvalue() + pickled)


def _check_header(stream: io.BytesIO, path: Path) -> None:
    shape, _, dtype = read_header(stream)
    if shape != () or dtype != np.dtype(object):
        raise UserError(
            f"{path} holds an array of {dtype} and shape {shape}, not a dictionary of arrays"
        )


class _DType:
    """Stand-in for a pickled ``numpy.dtype``: numbers, text (keys) or objects (the outer array)."""

    def __init__(self, spec: object, *_flags: object) -> None:
        if not isinstance(spec, str):
            raise pickle.UnpicklingError(f"the type {spec!r} is not admitted")
        dtype = np.dtype(spec)
        if dtype.kind not in "biufcUSO" or dtype.names or dtype.subdtype:
            raise pickle.UnpicklingError(f"arrays of {dtype} are not admitted")
        self.value = dtype

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, order, subdtype, names, fields = state[:5]
        if subdtype is not None or names is not None or fields is not None:
            raise pickle.UnpicklingError("structured arrays are not admitted")
        if order not in ("<", ">", "=", "|"):
            raise pickle.UnpicklingError(f"byte order {order!r} is not admitted")
        self.value = self.value.newbyteorder(order)


class _Array:
    """Stand-in for a pickled ``numpy.ndarray``."""

    value: Any = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _version, shape, dtype, fortran, raw = state
        if dtype.value.kind == "O":
            self.value = list(raw) if len(shape) < 2 else None
            return
        flat = _from_bytes(raw, dtype)
        self.value = flat.reshape(tuple(shape), order="F" if fortran else "C")


class _Admitted:
    """A function that a pickle may call, but has nothing on it that a pickle could change."""

    __slots__ = ("call",)
    call: Callable[..., Any]

    def __init__(self, call: Callable[..., Any]) -> None:
        object.__setattr__(self, "call", call)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError("a pickle may not set attributes")

    def __call__(self, *args: Any) -> Any:
        return self.call(*args)


def _from_bytes(raw: Any, dtype: _DType) -> np.ndarray:
    if dtype.value.kind == "O":
        raise pickle.UnpicklingError("objects from bytes are not admitted")
    data = raw.encode("latin1") if isinstance(raw, str) else raw  # str: from Python 2
    if not isinstance(data, bytes | bytearray):  # numpy takes anything that has a buffer
        raise pickle.UnpicklingError(f"values given as {type(raw).__name__} are not admitted")
    return np.frombuffer(data, dtype=dtype.value).astype(dtype.value.newbyteorder("="))


def _array(*_args: object) -> _Array:
    return _Array()  # described by the state that follows


def _array_from_buffer(raw: Any, dtype: _DType, shape: Any, order: str) -> _Array:
    array = _Array()
    array.value = _from_bytes(raw, dtype).reshape(shape, order="F" if order == "F" else "C")
    return array


def _tensor_array(*parts: Any) -> _Array:
    array = _Array()  # not the numpy array itself, whose state a pickle could set
    array.value = tensor(*parts)
    return array


def _scalar(dtype: _DType, raw: Any = b"") -> Any:
    (value,) = _from_bytes(raw, dtype)
    return value


def _encode(text: str, encoding: str) -> bytes:
    if encoding not in ("latin1", "latin-1"):
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is not admitted")
    return text.encode("latin1")


_MAX_KEY = 2**63  # numpy's integers
_NUMPY: dict[tuple[str, str], Callable[..., Any]] = {
    ("numpy", "ndarray"): lambda *_: None,  # named as an argument, never called
    ("numpy", "dtype"): _DType,
    ("multiarray", "_reconstruct"): _array,
    ("multiarray", "scalar"): _scalar,
    ("numeric", "_frombuffer"): _array_from_buffer,
    ("_codecs", "encode"): _encode,  # how protocols 0 to 2 write bytes
    ("__builtin__", "bytes"): lambda: b"",  # and how they write no bytes
}
_TORCH: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor_v2"): _tensor_array,
    ("torch._utils", "_rebuild_tensor"): _tensor_array,  # before torch 0.4
    ("torch.storage", "_load_from_bytes"): storage,
    ("collections", "OrderedDict"): lambda *_: {},  # of a tensor's hooks
}


class _Unpickler(pickle.Unpickler):
    def __init__(self, stream: io.BytesIO, path: Path, tensors: bool) -> None:
        super().__init__(stream, encoding="latin1")
        self._path = path
        self._tensors = tensors

    def find_class(self, module: str, name: str) -> Any:
        short = module
        for package in ("numpy.core.", "numpy._core."):  # before and since numpy 2
            short = short.removeprefix(package)
        known = module in ("numpy", "_codecs", "__builtin__") or short != module
        if known and (short, name) in _NUMPY:
            return _Admitted(_NUMPY[short, name])
        if self._tensors and (module, name) in _TORCH:
            return _Admitted(_TORCH[module, name])
        torch = module.split(".")[0] == "torch"
        hint = " (save tensors as arrays: tensor.cpu().numpy())" if torch else ""
        raise UserError(
            f"{self._path} names {module}.{name}, but only dictionaries of numeric arrays are "
            f"admitted, since anything else could run code{hint}"
        )


def _plain_dict(content: Any, path: Path) -> dict[int | str, np.ndarray]:
    if isinstance(content, _Array) and isinstance(content.value, list) and len(content.value) == 1:
        content = content.value[0]
    if not isinstance(content, dict):
        raise UserError(f"{path} holds no dictionary of arrays")
    return {_key(key, path): _value(key, value, path) for key, value in content.items()}


def _plain(value: Any) -> Any:
    """An array, or the number in one without axes, of what a pickle made; anything else as it is."""
    value = value.value if isinstance(value, _Array) else value  # a tensor, too
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return value.item()
    return value


def _key(key: Any, path: Path) -> int | str:
    key = _plain(key)
    key = key.decode("latin1") if isinstance(key, bytes) else key
    if isinstance(key, int) and abs(key) > _MAX_KEY:  # Python refuses to print very long ones
        raise UserError(f"{path} has a key of {key.bit_length()} bits, which is no class index")
    if isinstance(key, bool) or not isinstance(key, int | str):
        shown = type(key).__name__ if isinstance(key, np.ndarray) else repr(key)
        raise UserError(f"{path} has the key {shown}, but keys are image ids or class indices")
    return key


def _value(key: Any, value: Any, path: Path) -> np.ndarray:
    array = value.value if isinstance(value, _Array) else value
    if isinstance(array, list | tuple):  # class indices
        numbers = [_plain(number) for number in array]
        if all(type(number) is int for number in numbers):
            array = np.array(numbers, np.int64)
    if isinstance(array, bool | int | float | np.generic):
        array = np.asarray(array)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "biufc":
        raise UserError(f"{path} has no numeric array under {key!r}")
    return array
