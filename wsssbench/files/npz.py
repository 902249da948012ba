"""Archives of plain arrays (.npz): sizes are looked at before memory is taken, and nothing is skipped."""

from __future__ import annotations

import io
import math
import zipfile

import numpy as np

from wsssbench.files.limits import require_bytes


def parse_npz(data: bytes) -> dict[str, np.ndarray]:
    """Read the arrays of the archive `data` by name, without the ending ``.npy``.

    Raises:
        Exception: damaged bytes make zipfile, zlib and numpy raise all sorts of things: see `reading`.
    """
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = archive.infolist()
        require_bytes(sum(member.file_size for member in members))
        arrays = {m.filename.removesuffix(".npy"): parse_npy(archive.read(m)) for m in members}
    if len(arrays) < len(members):
        raise ValueError("it holds an array twice")
    return arrays


def parse_npy(data: bytes) -> np.ndarray:
    """Read the array in the .npy file `data`, all of it.

    ``numpy.load`` takes the memory that the header asks for, and may never get to the checksum of an archive.

    Raises:
        ValueError: another version, or more or fewer bytes than the header says.
    """
    stream = io.BytesIO(data)
    shape, fortran, dtype = read_header(stream)
    if dtype.hasobject or not dtype.itemsize:
        raise ValueError(f"it holds an array of {dtype}, which is not plain numbers or text")
    announced, held = math.prod(shape) * dtype.itemsize, len(data) - stream.tell()
    if announced != held:
        raise ValueError(f"its array of shape {shape} needs {announced:,} bytes and has {held:,}")
    flat = np.frombuffer(data, dtype, offset=stream.tell())
    return flat.reshape(shape, order="F" if fortran else "C").copy(order="K")


def read_header(stream: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Read shape, whether in Fortran's order, and type of the .npy file in `stream`.

    Raises:
        ValueError: no such header, or of another version than 1.0 and 2.0.
    """
    version = np.lib.format.read_magic(stream)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(stream)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(stream)
    raise ValueError(f"it has .npy format {version[0]}.{version[1]}; 1.0 and 2.0 are known")
