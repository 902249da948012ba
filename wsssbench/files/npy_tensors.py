"""Torch tensors inside pickled dictionaries: written, and read without trusting their pickle (see `npy`).

A tensor pickles as a call of ``torch._utils._rebuild_tensor_v2`` with a storage, an offset, sizes and strides; the
storage as a call of ``torch.storage._load_from_bytes`` with what ``torch.save`` made of it, i.e. another pickle. The
stand-ins here let torch read that one by ``weights_only``, and check that the view stays within the storage.
"""

from __future__ import annotations

import io
import pickle
import struct
from collections import OrderedDict
from typing import Any

import numpy as np

# Protocol 2 of the number with which torch's format without a zip archive begins, the only one of a storage in a
# pickle: neither zip nor tar archives are opened.
_MAGIC = b"\x80\x02" + pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)[2:]
_MAX_DIMENSIONS = 8


class SavedTensor:
    """Pickles as the torch tensor of `array` (float32 or int64) does, for `npy.save_array_dict`.

    Torch itself writes the memory's address into the file; here equal arrays give equal bytes.
    """

    def __init__(self, array: np.ndarray) -> None:
        self.array = np.ascontiguousarray(array)

    def __reduce__(self) -> tuple[Any, ...]:
        from torch._utils import _rebuild_tensor_v2

        shape = self.array.shape
        strides = tuple(step // self.array.itemsize for step in self.array.strides)
        hooks: OrderedDict[str, Any] = OrderedDict()
        parts = (_SavedStorage(self.array), 0, shape, strides, False, hooks)
        return _rebuild_tensor_v2, parts


class _SavedStorage:
    """Pickles as the storage of a tensor does."""

    def __init__(self, array: np.ndarray) -> None:
        self.array = array

    def __reduce__(self) -> tuple[Any, ...]:
        import torch

        kind = {"float32": torch.FloatStorage, "int64": torch.LongStorage}[self.array.dtype.name]
        buffer = io.BytesIO(_MAGIC)
        buffer.seek(0, io.SEEK_END)
        sizes = {"short": 2, "int": 4, "long": 4}
        version = 1001  # of this format
        header = {"protocol_version": version, "little_endian": True, "type_sizes": sizes}
        for part in (version, header):
            pickle.dump(part, buffer, protocol=2)
        _NamingPickler(buffer, ("storage", kind, "0", "cpu", self.array.size, None)).dump(self)
        pickle.dump(["0"], buffer, protocol=2)
        little = self.array.astype(self.array.dtype.newbyteorder("<"))
        buffer.write(struct.pack("<q", self.array.size) + little.tobytes())
        return torch.storage._load_from_bytes, (buffer.getvalue(),)


class _NamingPickler(pickle.Pickler):
    """Writes `name` in place of the one object that it is given, as torch refers to a storage whose data follow."""

    def __init__(self, stream: io.BytesIO, name: tuple[Any, ...]) -> None:
        super().__init__(stream, protocol=2)
        self._name = name

    def persistent_id(self, thing: Any) -> tuple[Any, ...] | None:
        return self._name if isinstance(thing, _SavedStorage) else None


class Storage:
    """Stand-in for a pickled storage: its elements, (n,)."""

    __slots__ = ("values",)
    values: np.ndarray

    def __init__(self, values: np.ndarray) -> None:
        object.__setattr__(self, "values", values)

    def __setattr__(self, name: str, value: object) -> None:
        raise pickle.UnpicklingError("a pickle may not set attributes")

    def __setstate__(self, state: object) -> None:
        raise pickle.UnpicklingError("a storage has no state")


def storage(data: Any) -> Storage:
    """What ``torch.storage._load_from_bytes`` makes of `data`."""
    import torch

    if not isinstance(data, bytes) or not data.startswith(_MAGIC):
        raise pickle.UnpicklingError("the storage of a tensor is not in torch's format")
    loaded = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(loaded, torch.storage.TypedStorage):
        raise pickle.UnpicklingError(f"a {type(loaded).__name__} is not the storage of a tensor")
    flat = torch.empty(0, dtype=loaded.dtype).set_(loaded._untyped_storage)
    if flat.dtype == torch.bfloat16:  # numpy has none
        flat = flat.float()
    return Storage(flat.numpy())


def tensor(
    source: Any,
    offset: Any,
    size: Any,
    stride: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> np.ndarray:
    """The elements that ``torch._utils._rebuild_tensor_v2`` would show, as an array of its own."""
    if not isinstance(source, Storage):
        raise pickle.UnpicklingError("a tensor without a storage is not admitted")
    if metadata:
        raise pickle.UnpicklingError("tensors with conjugate or negative bits are not admitted")
    numbers = _whole_numbers(size, stride)
    values = source.values
    if numbers is None or len(size) != len(stride) or _whole_numbers((offset,)) is None:
        raise pickle.UnpicklingError("a tensor is described by other things than whole numbers")
    count = 1
    for side in size:
        count *= side
    last = offset + sum((side - 1) * step for side, step in zip(size, stride, strict=True))
    if count > len(values) or (count and last >= len(values)):
        raise pickle.UnpicklingError(
            f"a tensor of size {size} and stride {stride} at {offset} is outside its storage of "
            f"{len(values)} elements"
        )
    if not count:
        return np.zeros(size, values.dtype)
    steps = [step * values.itemsize for step in stride]
    view = np.lib.stride_tricks.as_strided(values[offset:], size, steps, writeable=False)
    return np.array(view, order="C")


def _whole_numbers(*parts: Any) -> list[int] | None:
    """All entries of all `parts`, or None if they are not short tuples of non-negative ints."""
    if any(not isinstance(part, tuple) or len(part) > _MAX_DIMENSIONS for part in parts):
        return None
    numbers = [number for part in parts for number in part]
    if any(type(number) is not int or not 0 <= number < 2**40 for number in numbers):
        return None
    return numbers
