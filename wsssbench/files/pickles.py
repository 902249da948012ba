"""What a pickle would build, from its instructions, before anything is built.

Twice the same tuple in a tuple, and so on, takes three bytes per level, and whoever looks at all of it (a dictionary
whose key it is, a message that shows it) takes twice the time per level. A remembered object takes a table as long as
its number.
"""

from __future__ import annotations

import pickle
import pickletools
from typing import BinaryIO

_MOST = 1_000_000  # parts of a tuple, each counted as often as it occurs
_STORE = frozenset(("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"))
_RECALL = frozenset(("GET", "BINGET", "LONG_BINGET", "DUP"))
_MARK = pickletools.markobject


def _effect(opcode: pickletools.OpcodeInfo) -> tuple[bool, int, tuple[int, ...]]:
    """Whether the values behind the last mark go from the stack, how many others, and what comes: 0 for a mark."""
    before = opcode.stack_before
    marked = _MARK in before
    after = tuple(0 if kind is _MARK else 1 for kind in opcode.stack_after)
    return marked, before.index(_MARK) if marked else len(before), after


_EFFECTS = {opcode.name: _effect(opcode) for opcode in pickletools.opcodes}


def require_small(source: bytes | BinaryIO, length: int) -> None:
    """Go through the pickle in `source`; a file is left behind its end.

    Args:
        length: of `source`, in bytes.

    Raises:
        UnpicklingError: a tuple with more than a million parts, tuples in tuples counted as often as they occur; or a
            number of a remembered object beyond all objects that fit.
        ValueError: no pickle.
    """
    stack: list[int] = []  # the sizes of the values, 0 for a mark
    memo: dict[int, int] = {}
    for opcode, argument, _ in pickletools.genops(source):
        name = opcode.name
        if name in _STORE:
            number = len(memo) if argument is None else int(argument)
            if not 0 <= number <= length:
                raise pickle.UnpicklingError(
                    f"object {number} is remembered, but there are not as many"
                )
            memo[number] = stack[-1] if stack else 1
        elif name in _RECALL:
            known = memo.get(int(argument), 1) if argument is not None else (stack or [1])[-1]
            stack.append(known)
        else:
            marked, count, after = _EFFECTS[name]
            size = _take(stack, marked, count)
            is_tuple = opcode.stack_after == [pickletools.pytuple]
            stack.extend([1 + size] if is_tuple else after)
            if is_tuple and size > _MOST:
                raise pickle.UnpicklingError(f"it has a tuple of more than {_MOST:,} parts")


def _take(stack: list[int], marked: bool, count: int) -> int:
    """Remove the values behind the last mark, if `marked`, and `count` others; their sizes together."""
    size = 0
    while marked and stack:
        last = stack.pop()
        if not last:
            break
        size += last
    for _ in range(min(count, len(stack))):
        size += stack.pop()
    return size
