"""Registries: lazy import, parameter check, sentences for mistakes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from wsssbench.errors import UserError
from wsssbench.interfaces import Cams
from wsssbench.registry import (
    KINDS,
    Parameter,
    Registries,
    check_parameters,
    signature_parameters,
)


def sample(
    supplied: int,
    *,
    rate: float = 0.5,
    bins: tuple[int, ...] = (1, 2),
    mode: Literal["a", "b"] = "a",
    flag: bool = False,
    name: str | None = None,
    size: int,
) -> None:
    """A function with one parameter of each sort."""


def test_keyword_only_arguments_are_the_parameters() -> None:
    assert list(signature_parameters(sample)) == ["rate", "bins", "mode", "flag", "name", "size"]


class Base:
    def __init__(
        self, supplied: int, *, rate: float = 0.5, size: int = 1, flag: bool = False
    ) -> None:
        """The base has three."""


class Between(Base):
    """It has no constructor of its own."""


class Derived(Between):
    def __init__(
        self, supplied: int, *, mode: Literal["a", "b"] = "a", size: int = 9, **rest: Any
    ) -> None:
        super().__init__(supplied, size=size, **rest)


class Closed(Derived):
    def __init__(self, supplied: int, *, name: str) -> None:
        super().__init__(supplied)


def test_what_a_class_hands_on_to_its_base_are_parameters_too() -> None:
    parameters = signature_parameters(Derived)
    assert list(parameters) == ["mode", "size", "rate", "flag"]
    assert parameters["size"].default == 9 and parameters["rate"].annotation is float
    assert check_parameters(Derived, {"flag": True}, "here")["rate"] == 0.5
    with pytest.raises(UserError, match=r"rate=.* has to be float"):
        check_parameters(Derived, {"rate": "fast"}, "here")
    with pytest.raises(UserError, match="unknown parameter 'rates': did you mean rate"):
        check_parameters(Derived, {"rates": 1.0}, "here")


def test_a_class_that_hands_nothing_on_ends_the_search() -> None:
    assert list(signature_parameters(Closed)) == ["name"]
    assert list(signature_parameters(Between)) == ["rate", "size", "flag"]


def test_an_annotation_that_exists_for_type_checkers_only_is_one_sentence() -> None:
    def guided(classes: int, *, guide: TrainedClassifier) -> None:  # type: ignore[name-defined] # noqa: F821
        """As with an import under TYPE_CHECKING."""

    with pytest.raises(UserError, match=r"'TrainedClassifier'.*: import it at run time") as error:
        signature_parameters(guided)
    assert "guided" in str(error.value) and "\n" not in str(error.value)


def test_a_parameter_that_reads_a_stage_takes_its_name_or_what_it_made(tmp_path: Path) -> None:
    from wsssbench.stages.handles import CamFiles, LabelFiles

    def reading(*, one: Cams, perhaps: Cams | None = None, many: tuple[Cams, ...] = ()) -> None:
        """What a stage of a plugin may take."""

    cams = CamFiles(tmp_path)
    for one in ("cam", cams):
        assert check_parameters(reading, {"one": one}, "here")["one"] == one
    given = {"one": "cam", "perhaps": None, "many": [cams, cams]}
    assert check_parameters(reading, given, "here") == {**given, "many": (cams, cams)}
    for wrong in (3, None, LabelFiles(tmp_path), [cams]):
        with pytest.raises(UserError, match="has to be the name of a stage that makes CAMs"):
            check_parameters(reading, {"one": wrong}, "here")


def test_a_former_parameter_says_where_it_went() -> None:
    class Renamed:
        former_parameters: ClassVar = {"speed": "it is called 'rate' now"}

        def __init__(self, *, rate: float = 1.0) -> None:
            """A parameter was renamed."""

    with pytest.raises(
        UserError, match="'speed' is no parameter any more: it is called 'rate' now"
    ):
        check_parameters(Renamed, {"speed": 2.0}, "here")


def test_defaults_are_filled_in_and_lists_become_tuples() -> None:
    resolved = check_parameters(sample, {"size": 3, "bins": [4, 8]}, "here")
    assert resolved == {
        "rate": 0.5, "bins": (4, 8), "mode": "a", "flag": False, "name": None, "size": 3
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"size": 1, "bin": (2,)}, ["here", "bin", "did you mean bins"]),
        ({}, ["here", "size", "has to be given"]),
        ({"size": "many"}, ["size='many'", "int"]),
        ({"size": 1, "rate": True}, ["rate=True", "float"]),
        ({"size": 1, "mode": "c"}, ["mode='c'", "'a' or 'b'"]),
        ({"size": 1, "bins": (1, "x")}, ["bins", "int"]),
        ({"size": 1, "flag": "perhaps"}, ["flag='perhaps'", "bool"]),
    ],
)
def test_mistakes_get_one_sentence(given: dict, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        check_parameters(sample, given, "here")
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_unknown_component_names_near_matches() -> None:
    registries = Registries()
    registries.pooling.add("GPP", "some.module:GPP", summary="s")
    with pytest.raises(UserError, match="did you mean GPP"):
        registries.pooling.get("GPPP")
    with pytest.raises(UserError, match="unknown kind of component"):
        registries["poolin"]


def test_a_config_without_type_is_refused() -> None:
    with pytest.raises(UserError, match=r"classifier\.pooling is .*dict\(type="):
        Registries().pooling.resolve("GAP", "classifier.pooling")


def test_a_class_that_breaks_the_contract_is_refused() -> None:
    registries = Registries()
    registries.pooling.add("Odd", "collections:OrderedDict", summary="s")
    with pytest.raises(UserError, match=r"no wsssbench.interfaces.Pooling"):
        registries.pooling.get("Odd")


def test_a_name_is_registered_once() -> None:
    registries = Registries()
    registries.erasing.add("A", "x:A", summary="s")
    with pytest.raises(ValueError, match="registered already"):
        registries.erasing.add("A", "y:A", summary="s")


def test_a_failing_plugin_leaves_nothing_behind() -> None:
    registries = Registries()

    def register(given: Registries) -> None:
        given.pooling.add("Half", "x:Half", summary="s")
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        registries.register_from("p", "d", "1", register)
    assert registries.find("Half") == []


def test_every_kind_has_a_registry_and_a_contract() -> None:
    from wsssbench import interfaces

    assert [registry.kind for registry in Registries()] == list(KINDS)
    for contract in KINDS.values():
        assert hasattr(interfaces, contract)


@pytest.mark.parametrize("arguments", [["--help"], ["plugins", "list"]])
def test_help_and_list_start_without_the_big_libraries(arguments: list[str]) -> None:
    code = (
        "import sys\nfrom wsssbench.cli import build_app\n"
        f"try:\n    build_app()({arguments!r})\nexcept SystemExit:\n    pass\n"
        "assert not {'torch', 'mmengine', 'scipy'} & set(sys.modules), 'a slow import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_a_reference_may_be_to_one_of_several_artefacts() -> None:
    from wsssbench.interfaces import Cams, LabelMaps, ScoreMaps
    from wsssbench.registry import artefact_classes, called, check_value

    assert artefact_classes(Cams | None) == (Cams,)
    assert artefact_classes(tuple[Cams | ScoreMaps, ...]) == (Cams, ScoreMaps)
    assert artefact_classes(int | str) == ()
    assert called((Cams, ScoreMaps)) == "CAMs or scores"
    either = Parameter("given", Cams | ScoreMaps, None)
    assert check_value(either, "crf", "here") == "crf"
    with pytest.raises(UserError, match="makes CAMs or scores"):
        check_value(either, LabelMaps, "here")
