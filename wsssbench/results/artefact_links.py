"""The folder ``artefacts`` of a run: a link to every result in the cache, and a file that says what they are.

Links are relative, so they survive a move of the work folder. They do not survive a removal from the cache, which the
file says, too.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wsssbench.experiment.plan import Plan
from wsssbench.files.atomic import write_atomically

FOLDER = "artefacts"
README = "README.txt"
_TEXT = """What this run has made. Every name is a link to a folder in the cache, which other runs share: copy files
from there, and do not change them. A link that leads nowhere was removed from the cache since; the same command
makes it again. Files for other programs are written by 'wsssbench export'.

"""


def artefacts_of(plan: Plan) -> dict[str, str]:
    """Return the nodes of a `plan` that leave something to use -> what that is, in words."""
    return {
        step.node.name: step.node.in_chain(step.node.title or step.node.makes.called)
        for step in plan.steps
        if step.node.makes is not None
    }


def write_links(plan: Plan, directory: Path) -> None:
    """Write the folder for the run in `directory`; without links on a file system that has none."""
    made, folder = artefacts_of(plan), directory / FOLDER
    folder.mkdir(exist_ok=True)
    for name in made:
        _link(folder / name, plan[name].entry.directory)
    wide = max(map(len, made), default=0)
    lines = [
        f"{name:<{wide}}  {what}  ({plan[name].entry.directory})\n" for name, what in made.items()
    ]
    write_atomically(folder / README, (_TEXT + "".join(lines)).encode())


def links_of(directory: Path, artefacts: Mapping[str, str]) -> list[tuple[str, str, Path]]:
    """Return (node, what it is, path) of all `artefacts` of the run in `directory` whose link leads somewhere."""
    paths = {name: directory / FOLDER / name for name in artefacts}
    return [(name, artefacts[name], path) for name, path in paths.items() if path.is_dir()]


def _link(place: Path, target: Path) -> None:
    try:
        if place.is_symlink():
            place.unlink()
        place.symlink_to(os.path.relpath(target, place.parent), target_is_directory=True)
    except OSError:  # no links here, or a file of the user's: the text has the path
        return
