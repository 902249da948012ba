"""Errors a user can cause: one sentence that names the thing, what was given, what is allowed and what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user asked for. The command line prints the sentence and exits with code 2."""


class LeakError(UserError):
    """A stage that may only see image-level labels asked for pixel ground truth."""


class IncompatibleError(UserError):
    """Components that are fine by themselves do not go together."""


class CorruptArtefactError(Exception):
    """A stored artefact cannot be read back; the stage that wrote it makes it again.

    Args:
        path: the file.
        reason: what was wrong with it.
    """

    def __init__(self, path: object, reason: str) -> None:
        super().__init__(
            path, reason
        )  # the arguments themselves, so that it pickles across processes
        self.path = path
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.path} is not a readable artefact: {self.reason}"


def unknown(kind: str, given: str, allowed: Iterable[str]) -> str:
    """The sentence for a name that does not exist, with its near matches.

    Args:
        kind: what the name should have been, e.g. ``"pooling"``.
        given: what was given.
        allowed: every name that exists.
    """
    names = sorted(allowed)
    near = difflib.get_close_matches(given, names, n=3, cutoff=0.6) or [
        name for name in names if name.lower() == given.lower()
    ]
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    known = ", ".join(names) if names else "there are none"
    return f"unknown {kind} '{given}': {hint}known: {known}"
