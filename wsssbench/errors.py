"""Errors a user can cause: one sentence that names the thing, what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
import io
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import FrameType

LONGEST_MESSAGE = 500  # characters
_LONGEST_NAME = 80


def escaped(text: str, keep: str = "") -> str:
    r"""`text` with every character that does not print as its escape: ``\x1b``, ``\n``, ``\u202e``.

    These are control characters, marks that change the direction of writing, halves of surrogate pairs (bytes of a
    file name that are no text), and spaces that look like a plain one.

    Args:
        text: anything from a file, an argument or a library.
        keep: characters that stay as they are.
    """
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c in keep else c.encode("unicode_escape").decode() for c in text
    )


def shortened(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """`text` in at most `limit` characters: of a longer one the beginning and the end."""
    if len(text) <= limit:
        return text
    tail = limit // 3
    return f"{text[: limit - tail - 5]} ... {text[-tail:]}"


def one_line(text: str, limit: int = LONGEST_MESSAGE) -> str:
    """`text` as the terminal and the log may have it: on one line, `escaped` and `shortened`."""
    return shortened(escaped(shortened(text, limit)), limit)


class UserError(Exception):
    """A mistake in what the user asked for. The command line prints the sentence and exits with code 2.

    Its text is safe to print, whatever names and values of files and arguments went into it; `whole` keeps them.
    """

    def __str__(self) -> str:
        return one_line(self.whole)

    @property
    def whole(self) -> str:
        """The sentence as it is, not shortened and not escaped: for JSON, which is complete."""
        return super().__str__()


class LeakError(UserError):
    """A stage that may only see image-level labels asked for pixel ground truth."""


class IncompatibleError(UserError):
    """Components that are fine by themselves do not go together."""


class PluginError(UserError):
    """The code of a plugin raised an exception.

    Args:
        sentence: names the component, the exception and its place.
        details: the whole traceback, for the log.
    """

    def __init__(self, sentence: str, details: str) -> None:
        super().__init__(sentence, details)  # the arguments themselves, for pickling
        self.sentence, self.details = sentence, details

    @property
    def whole(self) -> str:
        return self.sentence


class MissingPackageError(UserError):
    """A component needs a package that is not installed; its contract is not checked then.

    Args:
        component: which one, e.g. ``stage ClusterFeatures``.
        package: as it is called on PyPI.
        extra: of wsssbench, or of a distribution ``name[extra]``, that brings it.
    """

    def __init__(self, component: str, package: str, extra: str) -> None:
        super().__init__(component, package, extra)  # the arguments themselves, for pickling
        self.component, self.package = component, package
        self.extra = extra if "[" in extra else f"wsssbench[{extra}]"

    @property
    def whole(self) -> str:
        return (
            f"{self.component} needs {self.package}, which is not installed: pip install "
            f'"{self.extra}"'
        )


class MissingWeightsError(UserError):
    """A weight file is not there. A plan goes on without it and says so; a run does not begin.

    Args:
        file: as it was given.
        kinds: what it may be.
    """

    def __init__(self, file: str, kinds: str = "a PyTorch state dict") -> None:
        # The arguments themselves, so that it can be pickled from one process to another.
        super().__init__(file, kinds)
        self.file = file
        self.kinds = kinds

    @property
    def whole(self) -> str:
        return (
            f"weight file {self.file} does not exist (looked in {Path(self.file).parent.absolute()}): give the path of "
            f"{self.kinds}, e.g. with --set classifier.backbone.weights=PATH, wherever the config names it"
        )


class CorruptArtefactError(Exception):
    """A stored artefact cannot be read back; the stage that wrote it makes it again.

    Args:
        path: the file.
        reason: what was wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        # The arguments themselves, so that it can be pickled from one process to another.
        super().__init__(path, reason)
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return one_line(f"{self.path} is not a readable artefact: {self.reason}")


class ForeignExitError(Exception):
    """Code of a plugin or of a config tried to end the command: ``sys.exit()``, a KeyboardInterrupt of its own."""


@contextmanager
def contained() -> Iterator[None]:
    """Run code of a plugin or of a config, which must not end the command.

    A request of the user's to stop, i.e. a signal, passes, whatever the code does to the handlers of signals.

    Raises:
        ForeignExitError: in the place of what is no Exception, such as SystemExit.
    """
    came: list[int] = []
    handlers: dict[signal.Signals, Callable[[int, FrameType | None], object]] = {}
    if threading.current_thread() is threading.main_thread():  # no other one hears signals
        for stop in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if callable(handler := signal.getsignal(stop)):
                handlers[stop] = handler

    def note(number: int, frame: FrameType | None) -> None:
        came.append(number)
        handlers[signal.Signals(number)](number, frame)

    try:
        for hooked in handlers:
            signal.signal(hooked, note)
        yield
    except Exception:
        raise
    except BaseException as error:
        if came:
            raise
        raise ForeignExitError(f"{raised(error)} (it may not end the command)") from error
    finally:
        for hooked, handler in handlers.items():
            signal.signal(hooked, handler)


class Printed(io.BytesIO):
    """What was printed."""

    def close(self) -> None:
        """Stay open: code that closes its standard output closes this."""

    def __str__(self) -> str:
        return self.getvalue().decode("utf-8", "backslashreplace").strip()


@contextmanager
def printing() -> Iterator[Printed]:
    """Keep what is printed to the standard output inside, where it would spoil a command's tables and JSON."""
    kept = Printed()
    stream = io.TextIOWrapper(kept, "utf-8", errors="backslashreplace", write_through=True)
    with redirect_stdout(stream):
        yield kept


def raised(error: BaseException) -> str:
    """The kind of `error` and the first line of its text, in one line, whatever its class does."""
    if isinstance(error, ForeignExitError):
        return one_line(str(error))
    try:
        text = str(error).strip()
    except Exception:
        text = ""
    line = next(iter(text.splitlines()), "")
    return one_line(f"{type(error).__name__}{': ' if line else ''}{line}")


def unknown(kind: str, given: str, allowed: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with its near matches.

    Args:
        kind: what the name should have been, e.g. ``"pooling"``.
        given: what was given.
        allowed: every name that exists.
    """
    names = sorted(set(allowed))
    given = shortened(str(given), _LONGEST_NAME)
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.6) or [
        name for name in names if name.lower() == given.lower()
    ]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    known = ", ".join(names) if names else "there are none"
    return f"unknown {kind} '{given}': {hint}known: {known}"
