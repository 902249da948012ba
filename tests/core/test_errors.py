from __future__ import annotations

import pickle
import unicodedata
from pathlib import Path

import pytest

from wsssbench.errors import (
    LONGEST_MESSAGE,
    CorruptArtefactError,
    LeakError,
    UserError,
    escaped,
    one_line,
    shortened,
    unknown,
)

EVIL = "a\x1b[2Jb\nc\rd\x07e\x9bf\u202eg\u2028h\u200bi\udcffj\ufeffk"


def test_whatever_does_not_print_is_shown_as_its_escape() -> None:
    assert escaped("\x1b[31m\n\t\u202e\x9b\udcff") == r"\x1b[31m\n\t\u202e\x9b\udcff"
    assert escaped("a\nb\x07", keep="\n") == "a\nb\\x07"
    assert escaped("größe 椅子 ✓ [red]") == "größe 椅子 ✓ [red]"


def test_no_character_of_any_plane_passes_unless_it_prints() -> None:
    shown = escaped("".join(map(chr, range(0x3100))) + "\U000e0041\U0001f600")
    categories = {unicodedata.category(c) for c in shown if c != " "}
    assert not {c for c in categories if c[0] in "CZ"}
    assert "\U0001f600" in shown


def test_long_texts_keep_their_beginning_and_end() -> None:
    text = "begin" + "x" * 10_000 + "end"
    assert len(shortened(text)) <= LONGEST_MESSAGE
    assert shortened(text).startswith("begin") and shortened(text).endswith("end")
    assert shortened("short") == "short"
    assert len(one_line("\x00" * 10_000)) <= LONGEST_MESSAGE


@pytest.mark.parametrize("kind", [UserError, LeakError])
def test_the_text_of_an_error_is_one_line_and_its_arguments_are_whole(
    kind: type[UserError],
) -> None:
    error = kind(f"file {EVIL} " + "long " * 1000)
    assert str(error).isprintable() and len(str(error)) <= LONGEST_MESSAGE
    assert str(error).startswith(r"file a\x1b[2Jb\nc\rd\x07e\x9bf\u202eg")
    assert error.args == (f"file {EVIL} " + "long " * 1000,)
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_the_text_of_a_corrupt_artefact_is_one_line() -> None:
    error = CorruptArtefactError(Path(EVIL), EVIL)
    assert str(error).isprintable() and "is not a readable artefact" in str(error)
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error) and again.reason == EVIL


def test_a_long_unknown_name_is_cut() -> None:
    sentence = unknown("class", "x" * 100_000, ["cat", "dog"])
    assert len(sentence) < 200 and sentence.endswith("known: cat, dog")
