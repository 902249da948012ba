"""How the rows of a comparison are told apart in its charts: by number, and a few by colour and dashes as well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SLOTS = 8  # looks of a line in the style sheet: colours that differ in lightness, too, and dashes


@dataclass(frozen=True)
class RowStyle:
    """The look of a row: its `number` from 1, 0 for none; the `slot` of the style sheet, None for grey."""

    name: str
    number: int
    slot: int | None

    @property
    def emphasised(self) -> bool:
        return self.slot is not None

    @property
    def css(self) -> str:
        """Class of the style sheet."""
        return "rest" if self.slot is None else f"r{self.slot}"

    @property
    def title(self) -> str:
        return f"{self.number} {self.name}" if self.number else self.name


def row_styles(
    rows: Sequence[str], ranked: Sequence[str], always: Sequence[str] = ()
) -> dict[str, RowStyle]:
    """The look of each of `rows`.

    Args:
        rows: names, in the order in which they are numbered.
        ranked: those that have numbers, best first; the first of them are emphasised.
        always: rows that are emphasised wherever they stand, e.g. the baseline.
    """
    wanted = [*always, *(row for row in ranked if row not in always)][:SLOTS]
    slots = {row: slot for slot, row in enumerate(row for row in rows if row in wanted)}
    return {row: RowStyle(row, place, slots.get(row)) for place, row in enumerate(rows, 1)}
