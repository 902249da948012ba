"""Config files, read by mmengine: in the encoding that Python reads them in, mistakes as sentences about the file."""

from __future__ import annotations

import importlib.util
import io
import re
import sys
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from wsssbench.errors import UserError, contained, escaped, printing, raised

_MOST = 20  # times that a file may be a base in one config
_ENCODING = re.compile(r"^[ \t\f]*#.*?coding[:=].*$")  # a comment in the first two lines


def load_config_file(path: Path) -> dict[str, Any]:
    """Run the config at `path`, the user's own Python, and merge in its ``_base_`` files; plain dicts.

    What it prints goes to the standard error.

    Raises:
        UserError: whatever is wrong in it, or in a file that it is based on.
    """
    from mmengine.config import Config
    from mmengine.config import config as library

    reader = _Reader()
    try:
        with ExitStack() as stack:
            output = stack.enter_context(printing())
            stack.enter_context(contained())
            stack.enter_context(patch.object(library, "open", reader.open, create=True))
            merge = partial(_merged, Config._merge_a_into_b)
            stack.enter_context(patch.object(Config, "_merge_a_into_b", merge))
            loaded = Config.fromfile(path, lazy_import=False, import_custom_modules=False)
            content: dict[str, Any] = _plain_values(loaded.to_dict())
    # A config is the user's own Python: any error of it is reported as theirs.
    except Exception as error:
        raise UserError(_sentence(path, error, reader.files)) from error
    if printed := str(output):
        print(escaped(printed, keep="\n"), file=sys.stderr)
    return content


class _Reader:
    """The files that mmengine opens: it makes copies of a config before it runs it, and knows UTF-8 alone.

    Attributes:
        files: of the user's, in the order in which they are read.
    """

    def __init__(self) -> None:
        self.files: list[str] = []
        self._copies: set[str] = set()

    def open(self, file: str, mode: str = "r", **options: Any) -> Any:
        if mode != "r":
            self._copies.add(file)
            return open(file, mode, **options)  # noqa: PTH123
        data = Path(file).read_bytes()
        if file in self._copies:
            return io.StringIO(data.decode("utf-8"))
        self.files.append(file)
        if self.files.count(file) > _MOST:
            raise ValueError(f"{file} is based on itself")
        lines = _text(data).split("\n")
        # The copies are in UTF-8, whatever the file says about itself.
        lines[:2] = ["#" if _ENCODING.match(line) else line for line in lines[:2]]
        return io.StringIO("\n".join(lines))


def _text(data: bytes) -> str:
    """The text of a Python file; SyntaxError if it is not in the encoding that it says, by default UTF-8."""
    try:
        return importlib.util.decode_source(data)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise SyntaxError(f"{error}: save it in UTF-8") from None


def _merged(
    merge: Callable[..., dict[str, Any]],
    given: Mapping[str, Any],
    base: Mapping[str, Any],
    *options: Any,
) -> dict[str, Any]:
    """Merge the section `given` into that of a base, as mmengine does, but a component of another type replaces."""
    replacing = {
        key: {**item, "_delete_": True} if _is_other_type(item, base.get(key)) else item
        for key, item in given.items()
    }
    return merge(replacing, base, *options)


def _is_other_type(given: Any, there: Any) -> bool:
    return (
        isinstance(given, Mapping)
        and isinstance(there, Mapping)
        and "type" in there
        and given.get("type", there["type"]) != there["type"]
    )


def _plain_values(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain_values(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_plain_values(item) for item in value)
    return value


def _sentence(path: Path, error: BaseException, files: list[str]) -> str:
    """What is wrong, with the file and the line where it is: the config's own, or one's that it is based on."""
    at_fault, line, reason = path, None, raised(error)
    if isinstance(error, SyntaxError):
        if (
            error.__context__ and not error.__suppress_context__
        ):  # mmengine's own words are about its copy of the file
            error = error.__context__
        at_fault, line = Path(files[-1]), getattr(error, "lineno", None)
        reason = f"SyntaxError: {getattr(error, 'msg', error)}"
    else:
        raised_at = (error.__cause__ or error).__traceback__
        for frame in traceback.extract_tb(raised_at):
            if frame.filename in files:
                at_fault, line = Path(frame.filename), frame.lineno
    shown = path if at_fault.absolute() == path.absolute() else at_fault
    return f"config {shown} cannot be read: {reason}{f' (line {line})' if line else ''}"
