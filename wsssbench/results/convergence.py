"""Which rows of a comparison were trained too little to be compared with the others.

A method's CAMs say nothing about the method while its classifier does not yet know the classes. What a run records of
that is the mAP of the trained classifier on the validation split. A row is marked if its mean over seeds is below
`SHARE` of the highest row's on the same data. The rule is relative, since what a converged classifier reaches depends
on the data; so it cannot tell if no row has converged, and a method that classifies worse by its nature is marked, too.
"""

from __future__ import annotations

import math
from statistics import fmean

from wsssbench.results.collection import Collection, Member

SHARE = 0.95
_FIGURE = "val mAP"


def classifier_map(member: Member) -> float | None:
    """The validation mAP of the classifier of `member`, per cent, of its last round; None if it has none."""
    found = [of[_FIGURE] for of in member.result.figures.values() if _FIGURE in of]
    return found[-1] if found and math.isfinite(found[-1]) else None


def unconverged(collection: Collection) -> dict[str, str]:
    """Row -> why its classifier has to be taken for not converged."""
    means: dict[str, dict[str, float]] = {}  # data -> row -> mAP
    for row in collection.rows:
        members = [m for m in collection.of(row) if not m.result.trial]
        found = [value for member in members if (value := classifier_map(member)) is not None]
        if found:
            means.setdefault(repr(members[0].config.get("data")), {})[row] = fmean(found)
    said = {}
    for of_rows in means.values():
        best = max(of_rows, key=of_rows.__getitem__)
        for row, value in of_rows.items():
            if value < SHARE * of_rows[best]:
                said[row] = (
                    f"classifier not converged: its {_FIGURE} is {value:.1f}, below {100 * SHARE:g} % of the "
                    f"{of_rows[best]:.1f} of {best}"
                )
    return said
