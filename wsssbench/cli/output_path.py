"""Checks the output file of a command before the work."""

from __future__ import annotations

from pathlib import Path

from wsssbench.errors import UserError


def check_output(path: Path, option: str = "", replace: bool = True, suffix: str = "") -> None:
    """Raise UserError if the file `path` cannot be written.

    Args:
        option: names the option that gave it, e.g. ``--json``.
        replace: an existing file will be replaced; otherwise it is a mistake.
        suffix: how its name has to end, since readers go by that.
    """
    where = f"{option} {path}".lstrip()
    if suffix and path.suffix.lower() != suffix:
        raise UserError(f"{where}: its name has to end in {suffix}, which is what is written")
    if path.exists() and not replace:
        raise UserError(f"{where}: exists already; remove it or choose another name")
    if path.is_dir():
        raise UserError(f"{where}: is a folder")
    if not path.parent.is_dir():
        raise UserError(f"{where}: the folder {path.parent} does not exist")
