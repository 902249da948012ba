"""Files that are either whole or absent, whenever the process is killed."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError

_PARTIAL = ".partial"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write `data` under a temporary name in the same directory, then rename it to `path`.

    Nothing is flushed to the device: after a power cut the file may be torn, which the readers of
    artefacts detect.

    Raises:
        UserError: the disk is full, or the directory may not be written to.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}{_PARTIAL}")
    try:
        partial.write_bytes(data)
        os.replace(partial, path)  # noqa: PTH105 (the documented atomic one)
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"no space left on the disk of {path.parent}: free some, then give the same "
                "command again and it continues"
            ) from error
        if isinstance(error, PermissionError):
            raise UserError(f"{path.parent} cannot be written to: {error.strerror}") from error
        raise
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` in one step: never half a file."""
    write_atomically(path, (json.dumps(content, indent=1, default=list) + "\n").encode())


def remove_partials(directory: Path) -> None:
    """Remove what killed processes left in `directory`; only while nobody writes there."""
    for partial in Path(directory).glob(f".*{_PARTIAL}"):
        partial.unlink(missing_ok=True)
