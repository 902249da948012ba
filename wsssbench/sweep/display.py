"""The interface by which a sweep shows its progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsssbench.results.sweep_record import Status, SweepCell


class SweepDisplay:
    """Shows the state of cells. This base class shows nothing."""

    def started(self, cell: SweepCell) -> None:
        """`cell` runs from now on."""

    def line(self, cell: SweepCell, text: str) -> None:
        """The run of `cell` printed `text`."""

    def ended(self, cell: SweepCell, status: Status) -> None:
        """`cell` has ended."""

    def say(self, text: str) -> None:
        """Show a sentence about the whole sweep."""
