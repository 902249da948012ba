from __future__ import annotations

import pytest

from wsssbench.results.formatting import card_value, interval, number, signed, signs
from wsssbench.results.protocol import card_differences, side_by_side, threshold_origin
from wsssbench.results.run import Evaluation
from wsssbench.results.table import Footnotes


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "none"), (True, "yes"), (False, "no"), (0.1 + 0.2, "0.3"), (1464, "1464"), ("a", "a")],
)
def test_a_value_has_one_wording_in_sentences_and_in_tables(value, text):
    assert card_value(value) == text
    one, other = (Evaluation("CAM", "cam", "train", card={"x": v}) for v in (value, "other"))
    assert card_differences(one, other) == [f"x other instead of {text}"]
    assert side_by_side([one.card, other.card, {}]) == [("x", [text, "other", ""], True)]


def test_how_a_threshold_came_about_has_one_wording():
    held = {"threshold_choice": "heldout", "held out": "val (7 images)"}
    assert threshold_origin(held) == (
        "at the threshold that is best on the masks of the held-out split val (7 images)"
    )
    assert threshold_origin({"threshold_choice": "fixed"}) == threshold_origin({}) == ""


def test_equal_notes_have_one_number():
    footnotes = Footnotes()
    assert footnotes.numbers(["a", "b"]) == (0, 1)
    assert footnotes.numbers(iter(["b", "c"])) == (1, 2)
    assert footnotes.texts == ["a", "b", "c"]
    assert signs([1, 2, 1]) == "‡ §" and signs([4]) == "††" and signs([]) == ""


def test_numbers_have_one_decimal_and_a_minus_sign():
    assert (number(54.25), number(None), number(float("nan"))) == ("54.2", "–", "–")
    assert (signed(-0.44), signed(1.8), interval(-3.6, 2.04)) == ("−0.4", "+1.8", "[−3.6, 2.0]")
