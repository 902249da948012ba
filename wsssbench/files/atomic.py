"""Files that are either whole or absent, whenever the process is killed.

Who writes holds a lock of the temporary file, which goes with the process: so what killed processes have left can be
told from what others are writing just now.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from wsssbench.errors import UserError

_PARTIAL = ".partial"
_SHOWN = 40  # characters of a file's name in that of the temporary one
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def write_atomically(path: Path, data: bytes | memoryview) -> None:
    """Write `data` under a temporary name in the same directory, then rename it to `path`.

    Nothing is flushed to the device: after a power cut the file may be torn, which the readers of
    artefacts detect.

    Raises:
        UserError: the disk is full, or the directory may not be written to.
    """
    path = Path(path)
    # The beginning of the name alone: it may be as long as names can be.
    writer = f"{os.getpid()}-{threading.get_ident()}"
    partial = path.with_name(f".{path.name[:_SHOWN]}.{writer}{_PARTIAL}")
    try:
        try:
            _write(partial, path, data)
        except FileNotFoundError:  # swept away by another process before it was locked
            _write(partial, path, data)
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(
                f"no space left on the disk of {path.parent}: free some, then give the same "
                "command again and it continues"
            ) from error
        if isinstance(error, PermissionError):
            raise UserError(f"{path.parent} cannot be written to: {error.strerror}") from error
        raise OSError(error.errno, error.strerror, str(path)) from error  # not the temporary name
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write `content` to `path` in one step: never half a file."""
    write_atomically(path, (json.dumps(content, indent=1, default=list) + "\n").encode())


def _write(partial: Path, path: Path, data: bytes | memoryview) -> None:
    """Write `partial` and rename it, holding its lock."""
    with partial.open("wb") as file:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(file, fcntl.LOCK_EX)
        file.write(data)
        file.flush()
        os.replace(partial, path)  # noqa: PTH105 (the documented atomic one)


def remove_partials(directory: Path) -> None:
    """Remove what killed processes left in `directory`, and nothing that another one is writing."""
    for partial in Path(directory).glob(f".*{_PARTIAL}"):
        with suppress(FileNotFoundError), partial.open("r+b") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:  # a file system without locks: callers sweep where nobody writes
                pass
            partial.unlink()
