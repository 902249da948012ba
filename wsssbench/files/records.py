"""The toolkit's own JSON files: whatever is wrong in one becomes a sentence with the file and the entry."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from wsssbench.errors import UserError, shortened
from wsssbench.files.reading import cause

if TYPE_CHECKING:
    from pydantic import TypeAdapter, ValidationError

T = TypeVar("T")
_LONGEST_PLACE = 100  # characters
_LONGEST_VALUE = 60


def parse_json(text: str | bytes) -> Any:
    """The content of a JSON file; ValueError if it is none, also if it is not in UTF-8 or nested too deeply."""
    from pydantic_core import from_json

    try:
        return from_json(text)
    except ValueError as error:
        raise ValueError(f"not valid JSON: {error}") from None


def checked(kind: type[T], content: Any, names: Mapping[str, str] | None = None) -> T:
    """`content` as a `kind`: a dataclass, or any other type that pydantic knows.

    Args:
        names: field -> what the file calls it.

    Raises:
        ValueError: a missing entry or one of another type; the error names the first.
    """
    from pydantic import ValidationError

    try:
        value: T = _adapter(cast(Any, kind)).validate_python(content)
    except ValidationError as error:
        raise ValueError(_first(error, names or {})) from None
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    return value


def read_record(kind: type[T], path: Path, hint: str) -> T:
    """The JSON file at `path` as a `kind`, see `checked`.

    Raises:
        UserError: it cannot be read, or an entry is wrong; `hint` says what to do.
    """
    try:
        return checked(kind, parse_json(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({cause(error)}); {hint}") from None


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    # Pydantic takes 0.3 s to import.
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _first(error: ValidationError, names: Mapping[str, str]) -> str:
    """The first thing that is wrong: its place, the reason, and what was given."""
    first = error.errors(include_url=False)[0]
    place = ".".join(names.get(str(part), str(part)) for part in first["loc"])
    given = "" if first["type"] == "missing" else f", not {first['input']!r:.{_LONGEST_VALUE}}"
    return f"{shortened(place, _LONGEST_PLACE)}: {first['msg']}{given}".removeprefix(": ")
