"""What fuzz_readers.py does to valid files: to their bytes, and to what PNG, zip and JSON files hold."""

from __future__ import annotations

import copy
import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence
from typing import Any

NUMBERS = (0, 1, 2, 255, 256, 65_535, 8_000_000, 2**31 - 1, 2**31, 2**32 - 1)
VALUES: tuple[Any, ...] = (
    None, True, -1, 0, 10**25, 1e308, float("inf"), float("nan"), "", "\x1b[2J\x07", "\u202e\n", "x" * 3000, [], {},
    [[[[1]]]], {"a": None},
)  # fmt: skip
TEXTS = (
    b"\x1b[2J",
    b"\n",
    b"\0",
    b"\xff",
    b"\xc3",
    b"[" * 3000,
    b"-1",
    b"1e999",
    b"\xe2\x80\xae",
    b"9" * 5000,
)
MOST_BYTES = 1 << 20


def mutated(
    dice: random.Random, seeds: Sequence[bytes], form: str, tokens: Sequence[bytes]
) -> bytes:
    """One of `seeds`, changed; by a third of the cases in what its `form` holds instead of in its bytes."""
    data = dice.choice(seeds)
    if form and dice.random() < 0.4:
        data = STRUCTURED[form](dice, data, tokens)
        if dice.random() < 0.8:
            return data
    for _ in range(dice.choice((1, 1, 1, 2, 3, 8))):
        data = _changed(dice, data, seeds, tokens)
    return data[:MOST_BYTES]


def _changed(
    dice: random.Random, data: bytes, seeds: Sequence[bytes], tokens: Sequence[bytes]
) -> bytes:
    if not data:
        return dice.choice((*tokens, *TEXTS))
    at = dice.randrange(len(data))
    # Headers are short and say most.
    if dice.random() < 0.3:
        at = dice.randrange(min(len(data), 64))
    to = min(len(data), at + dice.choice((1, 1, 2, 4, 16, 200)))
    match dice.randrange(9):
        case 0:
            return data[:at] + bytes([data[at] ^ 1 << dice.randrange(8)]) + data[at + 1 :]
        case 1:
            return data[:at] + bytes([dice.choice((0, 1, 127, 128, 255))]) + data[at + 1 :]
        case 2:
            return data[:at]
        case 3:
            return data[:at] + data[to:]
        case 4:
            return data[:at] + dice.choice((*tokens, *TEXTS)) + data[at:]
        case 5:
            token = dice.choice((*tokens, *TEXTS))
            return data[:at] + token + data[at + len(token) :]
        case 6:
            number = struct.pack(dice.choice("<>") + "I", dice.choice(NUMBERS))
            return data[:at] + number + data[at + 4 :]
        case 7:
            return data[:to] + data[at:to] + data[to:]
        case _:
            other = dice.choice(seeds)
            return data[:at] + other[dice.randrange(len(other) + 1) :]


def _png(dice: random.Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """Changes one chunk, or the pixels before compression; the checksums are right again afterwards."""
    parts, at = [], 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append([data[at + 4 : at + 8], data[at + 8 : at + 8 + length]])
        at += 12 + length
    if not parts:
        return data
    part = dice.choice(parts)
    if part[0] == b"IDAT" and dice.random() < 0.7:
        pixels = zlib.decompressobj().decompress(part[1])
        part[1] = zlib.compress(_changed(dice, pixels, [pixels], tokens))
    elif dice.random() < 0.8:
        part[1] = _changed(dice, part[1], [part[1]], tokens)
    else:
        parts.insert(
            dice.randrange(len(parts)), [dice.choice(CHUNKS), dice.choice((*tokens, *TEXTS))]
        )
    packed = (
        struct.pack(">I", len(content))
        + kind
        + content
        + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in parts
    )
    return data[:8] + b"".join(packed)


CHUNKS = (
    b"tEXt",
    b"zTXt",
    b"iTXt",
    b"iCCP",
    b"eXIf",
    b"tRNS",
    b"PLTE",
    b"pHYs",
    b"acTL",
    b"fcTL",
    b"cHRM",
)


def _zip(dice: random.Random, data: bytes, tokens: Sequence[bytes]) -> bytes:
    """Changes, adds, leaves out or doubles a member, with right checksums."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = dice.choice(list(members))
    match dice.randrange(6):
        case 0:
            del members[name]
        case 1:
            members[f"{name}x"] = members[name]
        case 2:
            members[name] = dice.choice(list(members.values()))
        case _:
            members[name] = _changed(dice, members[name], list(members.values()), tokens)
    buffer = io.BytesIO()
    method = dice.choice(
        (zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
    )
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            # a member with a date of its own: the present one would be in the bytes
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=method)
    return buffer.getvalue()


def _json(dice: random.Random, data: bytes, _: Sequence[bytes]) -> bytes:
    """Replaces, leaves out or renames one value somewhere in the tree."""
    tree = json.loads(data)
    for _ in range(dice.choice((1, 1, 2))):
        spots = list(_spots(tree))
        if not spots:
            break
        holder, key = dice.choice(spots)
        match dice.randrange(4):
            case 0 if isinstance(holder, dict):
                del holder[key]
            case 1 if isinstance(holder, dict):
                holder[dice.choice(("\x1b[2J", "", "id", "x" * 2000))] = holder.pop(key)
            case _:
                holder[key] = copy.deepcopy(dice.choice(VALUES))
    return json.dumps(tree, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")


def _spots(tree: Any) -> list[tuple[Any, Any]]:
    """Every (dict or list, key) in `tree`."""
    keys = (
        tree.keys()
        if isinstance(tree, dict)
        else range(len(tree))
        if isinstance(tree, list)
        else ()
    )
    spots: list[tuple[Any, Any]] = [(tree, key) for key in keys]
    return spots + [spot for key in list(keys) for spot in _spots(tree[key])]


STRUCTURED = {"png": _png, "zip": _zip, "json": _json}
