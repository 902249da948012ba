"""The range of a number stands beside its parameter: every number has one, it is shown, and values are held to it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import annotated_types
import pytest
from pydantic import Field

from wsssbench.errors import UserError
from wsssbench.experiment.config import PLAIN, Top
from wsssbench.plugins import load
from wsssbench.registry import (
    Parameter,
    check_value,
    part_of,
    ranges,
    signature_parameters,
    takes_text,
    trials,
    type_text,
)
from wsssbench.sweep.matrix import MatrixFile, RowSection

SECTIONS = {**PLAIN, "the top level": Top, "a matrix": MatrixFile, "a row": RowSection}
Share = Annotated[float, Field(ge=0, le=1)]


def every_parameter() -> Iterator[Any]:
    for registry in load().registries:
        for name in registry.components:
            for parameter in registry.parameters(name).values():
                yield pytest.param(parameter, id=f"{registry.kind} {name}.{parameter.name}")
    for place, cls in SECTIONS.items():
        for parameter in signature_parameters(cls).values():
            yield pytest.param(parameter, id=f"{place}.{parameter.name}")


WITH_NUMBERS = [p for p in every_parameter() if list(ranges(p.values[0].annotation))]


@pytest.mark.parametrize("parameter", WITH_NUMBERS)
def test_no_number_is_without_a_range(parameter: Parameter) -> None:
    for limits in ranges(parameter.annotation):
        assert limits.low is not None and limits.high is not None, "give it ge or gt, and le or lt"


@pytest.mark.parametrize("parameter", WITH_NUMBERS)
def test_what_is_outside_is_a_sentence(parameter: Parameter) -> None:
    """Also what the issue names: NaN, infinite, 10^12, and a bool, which Python takes for a number."""
    tried = list(trials(parameter.annotation, parameter.default))
    for value, inside in tried:
        if inside:
            check_value(parameter, value, "here")
            continue
        with pytest.raises(UserError) as error:
            check_value(parameter, value, "here")
        assert str(error.value).startswith(f"here: {parameter.name}=")
    for value in (10**12, -(10**12), True, [True], {"a": True}):
        with pytest.raises(UserError):
            check_value(parameter, value, "here")


def test_the_numbers_of_the_issue_have_ranges() -> None:
    """That the walk above sees them at all."""
    ids = {str(p.id) for p in WITH_NUMBERS}
    for name in ("lr", "epochs", "iterations", "power", "weight_decay", "momentum", "batch_size"):
        assert f"classifier.schedule.{name}" in ids and f"refine.*.schedule.{name}" in ids
    assert {"cam MultiScaleCAM.scales", "classifier.transform.jitter", "the top level.reference",
            "refinement AffinityWalk.radius", "refinement AffinityWalk.alpha",
            "refinement DenseCRF.bilateral_sxy", "pooling GPP.bins", "a matrix.seeds",
            "evaluate.thresholds", "segmenter DeepLab.resize"} <= ids  # fmt: skip


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (Annotated[int, Field(gt=0)] | None, "int > 0 | None"),
        (Annotated[float, annotated_types.Interval(ge=0, lt=1)], "float >= 0 and < 1"),
        (tuple[Share, Share], "tuple[float >= 0 and <= 1, float >= 0 and <= 1]"),
        (
            Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=2)],
            "tuple[int >= 1, ...] of at least 2",
        ),
        (dict[str, Share] | None, "dict[str, float >= 0 and <= 1] | None"),
        (Literal["a", "b"] | bool, "Literal['a', 'b'] | bool"),
        (dict[str, Any], "dict[str, Any]"),
    ],
)
def test_an_annotation_as_it_is_written(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


def test_trials_are_at_the_ends_of_a_range() -> None:
    def tried(annotation: Any, default: Any, inside: bool) -> list[Any]:
        return [value for value, legal in trials(annotation, default) if legal is inside]

    assert tried(Annotated[int, Field(ge=1, le=9)], 2, True) == [1, 9]
    assert tried(Annotated[int, Field(ge=1, le=9)], 2, False)[:2] == [0, 10]
    assert tried(Annotated[int, Field(gt=1, lt=9)], 2, True) == [2, 8]
    below, above, *none = tried(Share, 0.5, False)
    assert below == math.nextafter(0, -1) and above == math.nextafter(1, 2)
    assert math.isnan(none[0]) and none[1] == math.inf
    for value in tried(Annotated[float, Field(gt=0, lt=4)], 1, True):
        assert 0 < value < 4
    assert tried(tuple[Share, Share], (0.2, 0.3), True) == [
        (0.0, 0.3), (1.0, 0.3), (0.2, 0.0), (0.2, 1.0)
    ]  # fmt: skip
    several = Annotated[tuple[Annotated[int, Field(ge=1, le=9)], ...], Field(min_length=1)]
    assert tried(several | None, (4, 5), True) == [(4, 1), (4, 9)]
    assert () in tried(several, (4, 5), False)


def test_the_annotation_of_an_item_and_what_is_text() -> None:
    assert part_of(dict[str, int] | None, "a") is int
    assert part_of(tuple[int, str], "1") is str and part_of(tuple[int, str], "7") is Any
    assert part_of(tuple[int, ...], "²") is Any and part_of(Any, "a") is Any
    assert takes_text(str, 3) and takes_text(str | None, 3) and not takes_text(str | None, None)
    assert takes_text(str, True) and not takes_text(bool | str, True) and not takes_text(int, 3)
    assert not takes_text(str | float, 3)
