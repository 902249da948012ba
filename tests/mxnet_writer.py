"""MXNet ``.params`` files written field by field, from the format's description alone."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

FLAGS = {"<f4": 0, "<f8": 1, "<f2": 2, "|u1": 3, "<i4": 4, "|i1": 5, "<i8": 6}
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


def plan_of(arrays: Iterable[tuple[str, np.ndarray]], version: str = "V2") -> Plan:
    """The file that holds `arrays`."""
    items = list(arrays)
    plan = Plan()
    plan.add("list magic", "Q", 0x112)
    plan.add("reserved", "Q", 0)
    plan.add("count", "Q", len(items))
    for _, array in items:
        if version == "legacy":
            plan.add("magic", "I", array.ndim)
            plan.add("shape", f"{array.ndim}I", *array.shape)
        else:
            plan.add("magic", "I", MAGICS[version])
            if version in ("V2", "V3"):
                plan.add("storage", "i", 0)
            plan.add("ndim", "i", array.ndim)
            plan.add("shape", f"{array.ndim}q", *array.shape)
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        plan.add("device", "ii", 1, 0)
        plan.add("type", "i", FLAGS[little.dtype.str])
        plan.fields.append(Field("data", little.tobytes()))
    plan.add("name count", "Q", len(items))
    for name, _ in items:
        raw = name.encode()
        plan.add("name length", "Q", len(raw))
        plan.fields.append(Field("name", raw))
    return plan
