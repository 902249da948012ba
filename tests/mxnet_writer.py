"""MXNet ``.params`` files written field by field, from the format's description alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

FLAGS = {
    "<f4": 0, "<f8": 1, "<f2": 2, "|u1": 3, "<i4": 4, "|i1": 5, "<i8": 6, "|b1": 7, "<i2": 8,
    "<u2": 9, "<u4": 10, "<u8": 11,
}  # fmt: skip
VERSIONS = ("legacy", "V1", "V2", "V3")
MAGICS = {"V1": 0xF993FAC8, "V2": 0xF993FAC9, "V3": 0xF993FACA}


@dataclass
class Field:
    """One field of a file: what it is, and its bytes."""

    what: str
    raw: bytes


@dataclass
class Plan:
    """A whole file as a list of fields, so that a test can break any one of them."""

    fields: list[Field] = field(default_factory=list)

    def add(self, what: str, code: str, *values: int) -> None:
        self.fields.append(Field(what, struct.pack("<" + code, *values)))

    @property
    def raw(self) -> bytes:
        return b"".join(part.raw for part in self.fields)


def array_fields(
    plan: Plan, array: np.ndarray | None, version: str, flag: int | None = None
) -> None:
    """One array; None for one without values; `flag` for a type that numpy cannot express."""
    shape = () if array is None else array.shape
    none = array is None
    if version == "legacy":
        plan.add("magic", "I", len(shape))
        if shape:
            plan.add("shape", f"{len(shape)}I", *shape)
    else:
        plan.add("magic", "I", MAGICS[version])
        if version in ("V2", "V3"):
            plan.add("storage", "i", 0)
        plan.add("ndim", "i", -1 if none and version == "V3" else len(shape))
        if shape:
            plan.add("shape", f"{len(shape)}q", *shape)
    if array is None:
        return
    plan.add("device", "i", 1)
    plan.add("device number", "i", 0)
    plan.add("type", "i", FLAGS[array.dtype.newbyteorder("<").str] if flag is None else flag)
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    plan.fields.append(Field("data", little.tobytes()))


def plan_of(
    arrays: Iterable[tuple[str, np.ndarray | None]],
    version: str = "V2",
    named: bool = True,
    flag: int | None = None,
) -> Plan:
    """The file that holds `arrays`."""
    items = list(arrays)
    plan = Plan()
    plan.add("list magic", "Q", 0x112)
    plan.add("reserved", "Q", 0)
    plan.add("count", "Q", len(items))
    for _, array in items:
        array_fields(plan, array, version, flag)
    plan.add("name count", "Q", len(items) if named else 0)
    for name, _ in items if named else ():
        raw = name.encode()
        plan.add("name length", "Q", len(raw))
        plan.fields.append(Field("name", raw))
    return plan


def chunks(arrays: dict[str, np.ndarray], version: str) -> Iterator[bytes]:
    """The bytes of a large file, one field after another."""
    for part in plan_of(arrays.items(), version).fields:
        yield part.raw
