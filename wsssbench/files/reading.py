"""The door of every reader: whatever a library raises about a file becomes one sentence with the file and the cause."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wsssbench.errors import CorruptArtefactError, UserError

_PLAIN = (OSError, ValueError, SyntaxError, EOFError)  # whose texts are about the file


@contextmanager
def reading(
    what: str, path: str | os.PathLike[str], form: str = "", hint: str = ""
) -> Iterator[None]:
    """Turn every exception of the library that reads `path` into a UserError.

    The toolkit's own errors pass, and so does what is no error of the file, such as KeyboardInterrupt.

    Args:
        what: what the file is, e.g. ``"mask"``: begins the sentence.
        path: names the file in the sentence.
        form: what it was read as, e.g. ``" as CSV"``.
        hint: ends the sentence: what to do.

    Raises:
        UserError: the file is missing, damaged or of another kind, or needs more memory than there is.
    """
    try:
        yield
    except (UserError, CorruptArtefactError):
        raise
    except FileNotFoundError:
        raise UserError(f"{what} {path} does not exist".lstrip()) from None
    except Exception as error:
        sentence = f"{what} {path} cannot be read{form}: {cause(error)}{hint}"
        raise UserError(sentence.lstrip()) from error


@contextmanager
def reading_artefact(path: str | os.PathLike[str]) -> Iterator[None]:
    """`reading` for the toolkit's own artefacts, which are made again if they are damaged.

    Raises:
        CorruptArtefactError: `path` is missing, damaged or foreign.
        UserError: it is the machine's fault: no permission, no memory, a failing disk.
    """
    try:
        yield
    except (UserError, CorruptArtefactError):
        raise
    except FileNotFoundError:
        raise CorruptArtefactError(path, "there is no such file") from None
    except Exception as error:
        by_the_system = isinstance(error, OSError) and error.errno is not None
        if by_the_system or isinstance(error, MemoryError):
            raise UserError(f"{path} cannot be read: {cause(error)}") from error
        raise CorruptArtefactError(path, cause(error)) from error


def cause(error: BaseException) -> str:
    """Say in a few words what `error` is about."""
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if isinstance(error, UnicodeDecodeError) and error.encoding == "utf-8":
        byte = error.object[error.start]
        return f"it is not in UTF-8: save it in that (byte {error.start} is 0x{byte:02x})"
    if isinstance(error, UnicodeDecodeError):
        return f"it is damaged at byte {error.start}, as {error.encoding.upper()[:6]}: save it as UTF-8"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.lower()
    text = next(iter(str(error).strip().splitlines()), "")
    if text and isinstance(error, _PLAIN):
        return text
    return f"it is damaged ({type(error).__name__}{': ' if text else ''}{text})"


def read_text(what: str, path: Path, form: str = " as text") -> str:
    """Read the text of a UTF-8 file, with or without a byte order mark, or of a UTF-16 file with one.

    Raises:
        UserError: missing, or in another encoding.
    """
    with reading(what, path, form):
        data = Path(path).read_bytes()
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):  # Windows' "Unicode"
            return data.decode("utf-16")
        if b"\0" in data:
            raise ValueError(
                "it is not in UTF-8, but holds zeros, as UTF-16 does: save it as UTF-8"
            )
        return data.decode("utf-8-sig")
