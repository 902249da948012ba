from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from wsssbench.errors import UserError
from wsssbench.results.run import Evaluation, Point, from_json, to_json


def test_everything_but_the_pictures_comes_back(make_result):
    result = make_result()
    back = from_json(to_json(result))
    assert back == result  # the gallery is not compared
    assert back.gallery == []


def test_every_field_of_a_run_is_in_the_comparison(make_result):
    result = make_result()
    changed = {
        "name": "x",
        "run_id": "x",
        "config_text": "x",
        "evaluations": [],
        "times": [],
        "environment": {},
        "created": "x",
        "reference": {},
        "class_names": [],
        "training": [],
        "figures": {"classify": {"val mAP": 90.0}},
        "trial": "smoke",
        "artefacts": {"cam": "CAMs"},
    }
    assert set(changed) == {f.name for f in dataclasses.fields(result)} - {"gallery"}
    for name, value in changed.items():
        other = dataclasses.replace(result, **{name: value})
        assert from_json(to_json(other)) != result, name


def test_the_file_has_the_documented_schema(make_result):
    document = json.loads(to_json(make_result()))
    assert document["schema"] == "wsssbench.metrics/2"
    cam = document["rungs"][0]
    assert cam["chosen"] == {"threshold": 0.3, "miou": 39.0, "precision": 50.3, "recall": 69.7}
    assert cam["iou"]["sofa"] is None
    assert [point["threshold"] for point in cam["curve"]] == [0.1, 0.2, 0.3]
    assert document["times"][0]["reused"] is True
    assert document["config"] == "seed = 0\n"


def test_numbers_json_cannot_hold_become_null_and_come_back_as_nan(make_result):
    rung = Evaluation(
        "CAM", "cam", "train", Point(math.nan, math.inf, 5.0, 0.5), iou={"cat": math.nan}
    )
    text = to_json(make_result(evaluations=[rung]))
    assert "NaN" not in text and "Infinity" not in text
    back = from_json(text).evaluations[0]
    assert math.isnan(back.chosen.miou) and math.isnan(back.chosen.precision)
    assert back.chosen.recall == 5.0 and back.iou == {"cat": None}


def test_numpy_numbers_are_accepted(make_result):
    rung = Evaluation(
        "CAM",
        "cam",
        "train",
        Point(np.float32(41.5), np.float64(2.0), np.float32(3.0), np.float32(0.25)),
        iou={"cat": np.float32(12.5)},
        card={"images": np.int64(60), "flip": np.bool_(True), "threshold": np.float32(0.25)},
    )
    back = from_json(to_json(make_result(evaluations=[rung]))).evaluations[0]
    assert back.chosen == Point(41.5, 2.0, 3.0, 0.25)
    assert back.card == {"images": 60, "flip": True, "threshold": 0.25}
    assert back.card["flip"] is True


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("[]", "schema None"),
        ('{"schema": "wsssbench.metrics/99"}', "wsssbench.metrics/99"),
        ('{"schema": "wsssbench.metrics/2"}', "metrics.json: name: Field required"),
    ],
)
def test_a_file_that_is_no_metrics_file_gets_one_sentence(text, says):
    with pytest.raises(UserError, match=says.replace("/", ".")) as error:
        from_json(text)
    assert "\n" not in str(error.value)
