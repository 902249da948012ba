"""``plugins list`` and ``plugins describe``: what there is, and what each component takes."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pytest
from in_process import call, refused

from wsssbench import plugins
from wsssbench.cli.docstrings import paragraphs, parse
from wsssbench.experiment.overrides import apply_overrides
from wsssbench.plugins import GROUP, load, load_entry_points

COMPONENTS = [c for registry in load().registries for c in registry.components.values()]
PLACES = {"dataset": "data", "cam": "cam", "segmenter": "segmenter", "labelling": "label"}


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def described(name: str) -> str:
    outcome = call("plugins", "describe", name)
    assert (outcome.code, outcome.err) == (0, "")
    return outcome.out


def test_describe() -> None:
    out = described("GPP")
    for text in ("pooling GPP", "ECCV 2022", "plugin aeft",
                 "bins: tuple[int >= 1 and <= 256, ...] of at least 1 = (2, 4, 8, 16)",
                 "the pyramid's grids, b x b each", "ValueError: `bins`",
                 "Pool `maps` (N, K, h, w) to logits (N, K).", "attention` (N, K, h, w)",
                 "classifier = dict(pooling=dict(type='GPP'))",
                 "--set classifier.pooling=GPP"):  # fmt: skip
        assert text in out.replace("\n          ", " "), text
    required = described("VOC2012")
    assert "root: str, required" in required and "dict(type='VOC2012', root='ROOT')" in required
    assert "did you mean GPP" in refused("plugins", "describe", "GP")


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")
def test_every_component_is_described_for_a_terminal_of_80_columns(component: Any) -> None:
    out = described(component.name)
    text, _, usage = out.partition("\nin a config\n")
    assert text.startswith(f"{component.kind} {component.name}: ")
    assert max(map(len, text.splitlines())) <= 80
    for parameter in load().registries[component.kind].parameters(component.name):
        assert f"\n  {parameter}: " in text
    assert usage


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda c: f"{c.kind}-{c.name}")
def test_the_examples_are_valid(component: Any) -> None:
    """Both ways to write the component are accepted, and mean the same."""
    registry = load().registries[component.kind]
    usage = described(component.name).partition("\nin a config\n")[2]
    code, _, option = usage.partition("on the command line\n")
    config: dict[str, Any] = {}
    exec("\n".join(line[2:] for line in code.splitlines()), {}, config)
    override = option.strip().removeprefix("--set ").strip('"')
    assigned = apply_overrides(
        {"classifier": {}, "refine": {}, "segmenter": {"type": "DeepLab"}}, [override]
    )
    found = [component_in(where, component.kind) for where in (config, assigned)]
    assert found[0] == found[1]
    assert found[0].pop("input", "INPUT") == "INPUT"  # the stage that a labelling reads
    assert registry.resolve(found[0], "here")["type"] == component.name


def component_in(config: dict[str, Any], kind: str) -> Any:
    if kind in PLACES:
        return config[PLACES[kind]]
    if kind == "refinement":
        return config["refine"]["mine"]
    if kind == "loss":
        return config["segmenter"]["loss"]
    if kind == "stage":
        return config["stages"]["mine"]
    lists = {"erasing": "erasing", "objective": "objectives", "augmentation": "augment"}
    section = config["classifier"]
    return section[lists[kind]][0] if kind in lists else section[kind]


SECTIONED = '''
from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import Pooling

class Sectioned(Pooling):
    """A pooling.

    Example:
        dict(type="Sectioned", size=3)
          and an indented line
    """

    def __init__(self, num_classes: int, *, size: int, weights: dict[str, float]) -> None:
        super().__init__()

@hookimpl
def register(registries):
    registries.pooling.add("Sectioned", "sectioned_plugin:Sectioned", summary="for a test")
'''


def test_other_sections_are_shown_and_required_parameters_get_values(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sectioned_plugin.py").write_text(SECTIONED)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = (*entry_points(group=GROUP), EntryPoint("sectioned", "sectioned_plugin", GROUP))
    loaded = load_entry_points(points)
    monkeypatch.setattr(plugins, "load", lambda: loaded)
    out = described("Sectioned")
    assert 'example\n  dict(type="Sectioned", size=3)\n    and an indented line\n' in out
    assert "  size: int, required\n" in out
    assert "dict(type='Sectioned', size=0, weights=dict())" in out


REFERRING = '''
from wsssbench.hookspecs import hookimpl
from wsssbench.interfaces import Cams, Stage


class Referring(Stage):
    """Reads CAMs."""

    makes = Cams

    def __init__(self, classes, *, cams: Cams) -> None: ...

    def run(self, photos, context):
        return {}


@hookimpl
def register(registries):
    registries.stage.add("Referring", "referring_plugin:Referring", summary="for a test")
'''


def test_a_reference_is_shown_as_a_name_to_replace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "referring_plugin.py").write_text(REFERRING)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = (*entry_points(group=GROUP), EntryPoint("referring", "referring_plugin", GROUP))
    loaded = load_entry_points(points)
    monkeypatch.setattr(plugins, "load", lambda: loaded)
    out = described("Referring")
    assert "  cams: Cams, required\n" in out
    assert "stages = dict(mine=dict(type='Referring', cams='CAMS'))" in out
    assert "--set \"+stages.mine=Referring(cams='CAMS')\"" in out


def test_list_of_one_kind() -> None:
    outcome = call("plugins", "list", "--kind", "erasing")
    assert {"AEFT", "RigidErasing"} <= set(outcome.out.split()) and "GPP" not in outcome.out
    assert "did you mean pooling" in refused("plugins", "list", "--kind", "poling")


def test_list_for_programs() -> None:
    facts = json.loads(call("plugins", "list", "--json").out)
    assert facts["broken"] == []
    assert {c["name"] for c in facts["components"]} == {c.name for c in COMPONENTS}
    gpp = next(c for c in facts["components"] if c["name"] == "GPP")
    assert gpp["kind"] == "pooling" and gpp["plugin"] == "aeft"
    assert "ECCV 2022" in gpp["reference"] and gpp["version"]


def test_a_docstring_in_parts() -> None:
    def documented() -> None:
        """One line.

        More (a: b).

        Args:
            first: of two lines,
                the second indented.
            second (int): a word
        Raises:
            ValueError: never.

        After all.
        """

    parts = parse(documented)
    assert parts.text == "One line.\n\nMore (a: b).\n\nAfter all."
    assert parts.entries("Args") == {
        "first": "of two lines, the second indented.",
        "second": "a word",
    }
    assert parts.entries("Raises") == {"ValueError": "never."}
    assert parts.entries("Returns") == {}
    assert parse(lambda: None).text == ""


def test_paragraphs_are_filled_and_lists_are_not() -> None:
    text = "one two\nthree\n\n* a\n* b"
    assert paragraphs(text, 9, "  ") == "  one two\n  three\n\n  * a\n  * b"
