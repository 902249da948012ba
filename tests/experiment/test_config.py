"""Configs: bases, overrides, the check; every mistake gets one sentence that helps."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from shipped import CONFIGS, EXPERIMENTS, MATRICES

from wsssbench.errors import UserError
from wsssbench.experiment.config import config_text, read_config, resolve
from wsssbench.experiment.overrides import apply_overrides, refuse_repeated

SHIPPED = [path.relative_to(CONFIGS).as_posix() for path in EXPERIMENTS]


@pytest.mark.parametrize("name", SHIPPED)
def test_every_shipped_config_resolves(name: str, tmp_path: Path) -> None:
    config = read_config(CONFIGS / name)
    assert config["name"] == Path(name).stem
    resolved = resolve(config)
    assert resolve(resolved) == resolved  # every default is in it, and it is a config itself


@pytest.mark.parametrize("name", MATRICES)
def test_a_matrix_is_no_experiment(name: str) -> None:
    with pytest.raises(UserError, match=r"a matrix of experiments.*'wsssbench sweep'"):
        resolve(read_config(CONFIGS / name))


def test_bases_are_merged(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("a = dict(x=1, y=2)\n")
    (tmp_path / "top.py").write_text("_base_ = ['base.py']\na = dict(y=3)\n")
    assert read_config(tmp_path / "top.py") == {"a": {"x": 1, "y": 3}}


def test_defaults_are_filled_in(tiny: dict[str, Any]) -> None:
    resolved = resolve(tiny)
    assert resolved["classifier"]["pooling"] == {
        "type": "GPP", "bins": (2,), "aggregation": "coarse_to_fine"
    }  # fmt: skip
    assert resolved["splits"] == {
        "train": "train", "evaluate": "train", "val": "val", "test": "", "heldout": ""
    }  # fmt: skip
    assert resolved["classifier"]["schedule"]["power"] == 0.9


OTHERS = {
    "classifier": "dict(pooling=dict(type='GAP'))",
    "data": "dict(type='VOC2012', root='voc')",
    "refine": "dict(rw=dict(type='DenseCRF', alpha=2.0))",
}


@pytest.mark.parametrize("section", OTHERS)
def test_a_component_of_another_type_replaces_that_of_the_base(
    tiny: dict[str, Any], tmp_path: Path, section: str
) -> None:
    """What the base says about its own component is no parameter of the other one."""
    (tmp_path / "base.py").write_text(config_text(tiny))
    (tmp_path / "top.py").write_text(f"_base_ = ['base.py']\n{section} = {OTHERS[section]}\n")
    given, (name, part) = eval(OTHERS[section]), next(iter(eval(OTHERS[section]).items()))
    expected = given if section == "data" else {**tiny[section], name: part}
    assert read_config(tmp_path / "top.py") == {**tiny, section: expected}
    # The same type is merged, also when it is written out.
    same = "classifier = dict(pooling=dict(type='GPP', aggregation='average'))\n"
    (tmp_path / "top.py").write_text(f"_base_ = ['base.py']\n{same}")
    assert read_config(tmp_path / "top.py")["classifier"]["pooling"] == {
        "type": "GPP", "bins": (2,), "aggregation": "average"
    }  # fmt: skip


def test_an_override_that_would_have_no_effect(tiny: dict[str, Any]) -> None:
    imported = {**tiny, "import_cams": {"directory": "cams", "format": "psa"}}
    for key in ("classifier.pooling=GAP", "cam.flip=false"):
        with pytest.raises(UserError, match="no effect, since the section import_cams stands in"):
            apply_overrides(imported, [key])
    assert apply_overrides(imported, ["import_cams=none", "cam.flip=false"])["cam"]["flip"] is False
    with pytest.raises(UserError, match="--set seed is given 2 times"):
        refuse_repeated(["seed=1", "cam.flip=false", "seed=2"])
    refuse_repeated(["classifier.erasing.0=none", "classifier.erasing.0=none"])


@pytest.mark.parametrize(
    ("override", "path", "value"),
    [
        ("seed=7", ("seed",), 7),
        ("classifier.pooling.bins=(2, 4)", ("classifier", "pooling", "bins"), (2, 4)),
        (
            "classifier.pooling.aggregation=average",
            ("classifier", "pooling", "aggregation"),
            "average",
        ),
        ("classifier.pooling=GAP", ("classifier", "pooling"), {"type": "GAP"}),
        ("classifier.pooling.type=GAP", ("classifier", "pooling"), {"type": "GAP"}),
        ("classifier.pooling.type=GPP", ("classifier", "pooling"), {"type": "GPP", "bins": (2,)}),
        # Text that looks like something else, where the parameter takes text.
        ("name=20240115", ("name",), "20240115"),
        ("name=2007_000032", ("name",), "2007_000032"),
        ("name=1e3", ("name",), "1e3"),
        ("name=-0x1F", ("name",), "-0x1F"),
        ("name=None", ("name",), "None"),
        ("name=true", ("name",), "true"),
        ("splits.val=2012", ("splits", "val"), "2012"),
        ("label={'input': 7}", ("label", "input"), "7"),
        (
            "data=VOC2012(root=2012, masks_of={'train': 1_0}, labels=None, classes=1e3)",
            ("data",),
            {
                "type": "VOC2012",
                "root": "2012",
                "masks_of": {"train": "1_0"},
                "labels": None,
                "classes": "1e3",
            },
        ),
        # One value where a list is wanted.
        ("cam.scales=1", ("cam", "scales"), [1]),
        ("classifier.pooling.bins=4", ("classifier", "pooling", "bins"), [4]),
        ("classifier.erasing=AEFT", ("classifier", "erasing"), [{"type": "AEFT"}]),
        ("classifier.erasing=none", ("classifier", "erasing"), []),
        (
            "classifier.pooling=GPP(bins=(2, 4), aggregation='average')",
            ("classifier", "pooling"),
            {"type": "GPP", "bins": (2, 4), "aggregation": "average"},
        ),
        (
            "classifier.erasing=[AEFT(repel=0.0), RigidErasing()]",
            ("classifier", "erasing"),
            [{"type": "AEFT", "repel": 0.0}, {"type": "RigidErasing"}],
        ),
        (
            "classifier.erasing=AEFT(repel=-1)",
            ("classifier", "erasing"),
            [{"type": "AEFT", "repel": -1}],
        ),
        (
            "refine.crf=dict(type='DenseCRF', input='cam')",
            ("refine", "crf"),
            {"type": "DenseCRF", "input": "cam"},
        ),
        ("name=a(b", ("name",), "a(b"),
        ("name=f(1)", ("name",), "f(1)"),  # not as a component would be called
        ("splits.val=train", ("splits", "val"), "train"),
        ("label=none", ("label",), None),
        ("cam.flip=false", ("cam", "flip"), False),
        ("+extra.deep=1", ("extra", "deep"), 1),
    ],
)
def test_overrides(tiny: dict[str, Any], override: str, path: tuple[str, ...], value: Any) -> None:
    before = repr(tiny)
    found: Any = apply_overrides(tiny, [override])
    for key in path:
        found = found[key]
    assert found == value
    assert repr(tiny) == before  # the config itself is left alone


def test_erasing_in_a_config_is_a_list(tiny: dict[str, Any]) -> None:
    tiny["classifier"]["erasing"] = {"type": "AEFT"}
    with pytest.raises(UserError, match="has to be a list"):
        resolve(tiny)


def test_list_items_by_index(tiny: dict[str, Any]) -> None:
    done = apply_overrides(tiny, ["classifier.erasing=AEFT", "classifier.erasing.0.attract=0.3"])
    assert resolve(done)["classifier"]["erasing"][0]["attract"] == 0.3


AEFT = {"type": "AEFT", "present_only": True, "start": 0.4}  # as the config below has it


@pytest.mark.parametrize(
    ("override", "erasing"),
    [
        # A bare name keeps the parameters of the item of that type; a call has its defaults.
        ("classifier.erasing=AEFT", [AEFT]),
        ("classifier.erasing=AEFT()", [{"type": "AEFT"}]),
        ("classifier.erasing=[AEFT,RigidErasing]", [AEFT, {"type": "RigidErasing"}]),
        ("classifier.erasing=[RigidErasing, AEFT]", [{"type": "RigidErasing"}, AEFT]),
        ("classifier.erasing=[AEFT(start=0.5)]", [{"type": "AEFT", "start": 0.5}]),
        # An index stands for one item; the one behind the last appends; none takes it away.
        ("classifier.erasing.0=AEFT", [AEFT]),
        ("classifier.erasing.0=AEFT()", [{"type": "AEFT"}]),
        ("classifier.erasing.0=RigidErasing", [{"type": "RigidErasing"}]),
        ("classifier.erasing.1=RigidErasing()", [AEFT, {"type": "RigidErasing"}]),
        ("classifier.erasing.0=none", []),
        ("classifier.erasing.0.start=0.5", [{**AEFT, "start": 0.5}]),
        # Names inside of a call are text, with dots, too.
        (
            "classifier.erasing=AEFT(guide=ordinary.classify)",
            [{"type": "AEFT", "guide": "ordinary.classify"}],
        ),
    ],
)
def test_lists_of_components(override: str, erasing: list[Any]) -> None:
    config = read_config(CONFIGS / "aeft_synthetic.py")
    assert config["classifier"]["erasing"] == [AEFT]
    assert apply_overrides(config, [override])["classifier"]["erasing"] == erasing


def test_entries_with_a_name_of_the_users(tiny: dict[str, Any]) -> None:
    crf, walk = tiny["refine"]["crf"], tiny["refine"]["rw"]

    def refine(override: str) -> Any:
        return apply_overrides(tiny, [override])["refine"]

    assert refine("refine.crf=none") == {"rw": walk}
    assert refine("refine.rw=AffinityWalk") == tiny["refine"]
    assert refine("refine.rw=AffinityWalk()") == {"crf": crf, "rw": {"type": "AffinityWalk"}}
    assert refine("refine.crf=AffinityWalk") == {"crf": {"type": "AffinityWalk"}, "rw": walk}
    assert refine("refine.crf={'alpha': 2}") == {"crf": {**crf, "alpha": 2}, "rw": walk}
    assert list(refine("+refine.mine=DenseCRF")) == ["crf", "rw", "mine"]


def test_parts_of_a_default(tiny: dict[str, Any]) -> None:
    """A key that the config leaves out has its default."""
    del tiny["classifier"]["pooling"]["bins"]
    done = apply_overrides(tiny, ["classifier.pooling.bins.0=3"])
    full = resolve(apply_overrides(tiny, ["classifier.pooling=GPP()"]))
    expected = (3, *full["classifier"]["pooling"]["bins"][1:])
    assert resolve(done)["classifier"]["pooling"]["bins"] == expected


@pytest.mark.parametrize(
    ("key", "sentence"),
    [
        ("classifier.pooling.bins.1.1", "classifier.pooling.bins.1 is 4, which has no parts"),
        ("classifier.pooling.bins.1.bins.1", "classifier.pooling.bins.1 is 4, which has no parts"),
        ("classifier.pooling.bins.¹1", "bins is a list of 2, '¹1' is no index in it"),
        ("classifier.pooling.bins.-1", "bins is a list of 2, '-1' is no index in it"),
        ("classifier.erasing.2", "erasing is a list of 1, '2' is no index in it"),
        ("seed.x", "seed is 0, which has no parts"),
        ("classifier.pooling.aggregation.x", "is 'coarse_to_fine', which has no parts"),
        ("classifier.", "a part of the key is empty"),
        (".seed", "a part of the key is empty"),
        ("classifier..pooling", "a part of the key is empty"),
    ],
)
def test_places_that_are_none(key: str, sentence: str) -> None:
    config = read_config(CONFIGS / "aeft_synthetic.py")
    config["classifier"]["pooling"] = {"type": "GPP", "bins": (2, 4)}
    with pytest.raises(UserError) as error:
        apply_overrides(config, [f"{key}=7"])
    assert sentence in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("clasifier.dropout=0", ["clasifier", "did you mean classifier"]),
        ("classifier.pooling.bin=3", ["'bin'", "did you mean bins?"]),
        ("refine.mine={}", ["'mine'", "+refine.mine"]),
        ("classifier.erasing.0.attract=1", ["list of 0"]),
        ("seed.x=1", ["seed is 0, which has no parts"]),
        ("nonsense", ["key.subkey=value"]),
        ("classifier.schedule.epoch=3", ["did you mean epochs"]),
    ],
)
def test_misspelt_overrides(tiny: dict[str, Any], override: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        apply_overrides(tiny, [override])
    for word in words:
        assert word in str(error.value)


def test_no_advice_to_add_what_would_be_refused(tiny: dict[str, Any]) -> None:
    for override in ("classifier.pooling.bin=3", "splits.eval=train"):
        with pytest.raises(UserError) as error:
            apply_overrides(tiny, [override])
        assert "to add a new one" not in str(error.value)
        with pytest.raises(UserError, match="unknown parameter"):
            resolve(apply_overrides(tiny, [f"+{override}"]))


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("classifier.pooling=GAPP", ["unknown pooling 'GAPP'", "GAP"]),
        ("seed=x", ["seed='x'", "int"]),
        ("data=VOC2012(root=007)", ["data=VOC2012(root=007)", "a text in quotes"]),
        ("refine.crf.input=camm", ["refine.crf.input", "did you mean cam"]),
        ("refine.crf.input=rw", ["refine.crf.input", "'rw'"]),  # only what is above
        ("label.input=camm", ["label.input", "did you mean cam"]),
        ("+refine.bad={}", ["refine.bad"]),
        ("+extra=1", ["unknown parameter 'extra'"]),
        ("evaluate.thresholds=(0.5, 0.1, 0.1)", ["first <= last"]),
        ("evaluate.threshold=2", ["threshold=2", "has to be float >= 0 and <= 1"]),
        ("classifier.schedule.iterations=5", ["exactly one"]),
        ("data=1", ["data"]),
        ("name=../x", ["name='../x' has to be the name of a folder"]),
        ("name=", ["name='' has to be the name of a folder"]),
        ("name=" + "x" * 201, ["at most 200 bytes"]),
        ("name=a/b", ["name='a/b' has to be the name of a folder"]),
        ("name=/tmp/x", ["has to be the name of a folder"]),
        ("name=..", ["has to be the name of a folder"]),
        ("name=a\\b", ["has to be the name of a folder"]),
        ("name=.hidden", ["no blank or dot at either end"]),
        ("name=-x", ["no - at the beginning"]),
        ("name=' x'", ["no blank or dot at either end"]),
        ("classifier.schedule.lr=nan", ["lr='nan'", "finite"]),
        ("classifier.dropout=1e999", ["dropout=inf", "finite"]),
    ],
)
def test_wrong_configs(tiny: dict[str, Any], override: str, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        resolve(apply_overrides(tiny, [override]))
    assert "\n" not in str(error.value)
    for word in words:
        assert word in str(error.value)


def test_a_segmenter_needs_labels(tiny: dict[str, Any]) -> None:
    config = resolve(read_config(CONFIGS / "gap_synthetic.py"))
    with pytest.raises(UserError, match="needs pseudo-labels"):
        resolve({**config, "label": None})


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("missing.py", None, ["unknown config", "did you mean mising.py"]),
        ("broken.py", "a = (", ["broken.py", "cannot be read"]),
        ("raises.py", "a = 1 / 0", ["raises.py", "cannot be read", "ZeroDivisionError"]),
        ("other.yaml", "a: 1", ["not a Python config"]),
    ],
)
def test_unreadable_configs(tmp_path: Path, name: str, text: str | None, words: list[str]) -> None:
    (tmp_path / "mising.py").write_text("")
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(UserError) as error:
        read_config(tmp_path / name)
    for word in words:
        assert word in str(error.value)
