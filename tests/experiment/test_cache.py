"""The cache: keys, manifests, damage, reasons."""

from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path
from typing import Any

import pytest

from wsssbench.errors import UserError
from wsssbench.experiment.cache import Entry, Key, read_manifest
from wsssbench.experiment.plan import state_of

KEY = Key(
    "cam", {"scales": (1.0,), "cam": {"flip": True}}, {"wsssbench": "1"}, {"classifier": "ab"}, "d"
)


def made(tmp_path: Path, key: Key = KEY) -> Entry:
    entry = Entry(tmp_path, key)
    entry.open()
    (entry.directory / "sub").mkdir()
    (entry.directory / "a.npz").write_bytes(b"alpha")
    (entry.directory / "sub" / "b.png").write_bytes(b"beta")
    entry.close({"images": 2}, {"seconds": 1.5})
    return entry


def test_complete_only_with_a_manifest(tmp_path: Path) -> None:
    entry = Entry(tmp_path, KEY)
    assert not entry.started() and entry.manifest() is None
    entry.open()
    assert entry.started() and entry.manifest() is None
    entry.close({"images": 0}, {"seconds": 0.0})
    assert not entry.started() and entry.manifest()["result"] == {"images": 0}


def test_hash_ignores_order_and_list_versus_tuple() -> None:
    same = dataclasses.replace(KEY, config={"cam": {"flip": True}, "scales": [1.0]})
    assert same.hash == KEY.hash


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "label"},
        {"config": {"scales": (1.5,), "cam": {"flip": True}}},
        {"code": {"wsssbench": "2"}},
        {"upstream": {"classifier": "cd"}},
        {"data": "e"},
    ],
)
def test_hash_follows_everything_the_result_depends_on(change: dict[str, Any]) -> None:
    assert dataclasses.replace(KEY, **change).hash != KEY.hash


def test_damage_is_found_by_content_and_only_damaged_files_go(tmp_path: Path) -> None:
    entry = made(tmp_path)
    assert entry.damage() == []
    os.utime(entry.directory / "a.npz", (1, 1))  # touched, not changed
    assert entry.damage() == []
    (entry.directory / "a.npz").write_bytes(b"alphb")  # same size, other content
    (entry.directory / "sub" / "b.png").unlink()
    assert entry.damage() == ["a.npz", "sub/b.png"]
    entry.reopen(["a.npz"])
    assert entry.manifest() is None and not (entry.directory / "a.npz").exists()


def test_a_torn_manifest_is_no_manifest(tmp_path: Path) -> None:
    entry = made(tmp_path)
    path = entry.directory / "manifest.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert entry.manifest() is None and entry.started()


@pytest.mark.parametrize(
    "text",
    ["{}", "[]", '{"files": 3}', '{"files": {"a": 3}}', "\udcff", "[" * 10**5, '{"files": {"a": [1, 2, "x"]}}'],
)  # fmt: skip
def test_what_is_no_manifest_is_none(tmp_path: Path, text: str) -> None:
    entry = made(tmp_path)
    path = entry.directory / "manifest.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert entry.manifest() is None and entry.started() and entry.damage() == []
    # What is whole is used: a damaged record is no reason to compute everything again.
    assert state_of(entry, {}) == ("resumed", "was interrupted")


CHANGES: dict[str, Any] = {
    "seconds": "long", "peak_mib": -1, "node": [], "result": [], "config": 3, "upstream": {"a": 3},
    "content": None, "read": {"x": 7}, "code": "1", "format": 2.5, "data": None, "stage": {},
}  # fmt: skip


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("entry_name", CHANGES)
def test_no_entry_of_a_manifest_may_be_of_another_type(
    tmp_path: Path, entry_name: str, sealed: bool
) -> None:
    """Also not of manifests of earlier versions, which are not sealed."""
    entry = made(tmp_path)
    path = entry.directory / "manifest.json"
    manifest = json.loads(path.read_text())
    assert entry_name in {**manifest, "node": "", "peak_mib": 0.0}
    manifest[entry_name] = CHANGES[entry_name]
    if not sealed:
        del manifest["seal"]
    path.write_text(json.dumps(manifest))
    assert entry.manifest() is None and entry.started()
    with pytest.raises(UserError, match=r"manifest\.json is damaged: run the experiment again"):
        read_manifest(entry.directory)


def test_a_manifest_is_used_as_it_was_written_only(tmp_path: Path) -> None:
    entry = made(tmp_path)
    path = entry.directory / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "result": {"images": 3}}))
    assert entry.manifest() is None
    del manifest["seal"]  # as earlier versions wrote it
    path.write_text(json.dumps(manifest))
    assert entry.manifest() is not None and entry.damage() == []


@pytest.mark.parametrize("name", ["../kept", "/{root}/kept", "sub/../../kept", "a\0", "", "."])
def test_a_manifest_names_no_file_outside(tmp_path: Path, name: str) -> None:
    entry = made(tmp_path)
    kept = entry.directory.parent / "kept"
    kept.write_text("mine")
    path = entry.directory / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][name.format(root=kept.parent)] = [1, 1, 1]
    path.write_text(json.dumps(manifest))
    assert entry.manifest() is None
    entry.reopen(entry.damage())
    assert kept.read_text() == "mine"


def test_nothing_is_removed_or_written_through_a_link(tmp_path: Path) -> None:
    entry = made(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    (entry.directory / "sub").rename(elsewhere)
    (entry.directory / "sub").symlink_to(elsewhere)
    (elsewhere / "b.png").write_bytes(b"mine")
    assert entry.damage() == ["sub/b.png"]
    entry.reopen(entry.damage())
    assert (elsewhere / "b.png").read_bytes() == b"mine"
    with pytest.raises(UserError, match=f"sub is a link to {elsewhere}"):
        entry.open()
    entry.remove()
    assert (elsewhere / "b.png").read_bytes() == b"mine" and not entry.directory.exists()


def test_the_reason_tells_what_changed(tmp_path: Path) -> None:
    made(tmp_path)
    other = dataclasses.replace(KEY, config={"scales": (0.5, 1.0), "cam": {"flip": True}})
    assert Entry(tmp_path, other).reason() == "scales changed [1.0] -> [0.5, 1.0]"
    trained_anew = dataclasses.replace(KEY, upstream={"classifier": "x"})
    reads = {"classifier": "ordinary.classify"}
    assert Entry(tmp_path, trained_anew, reads=reads).reason() == "ordinary.classify changed"
    assert (
        "code of wsssbench"
        in Entry(tmp_path, dataclasses.replace(KEY, code={"wsssbench": "9"})).reason()
    )
    # Only another node's.
    assert Entry(tmp_path, other, "refine.crf").reason() == "no earlier result"
    assert Entry(tmp_path / "empty", KEY).reason() == "no earlier result"


def test_an_entry_is_outdated_once_what_it_read_came_out_differently(tmp_path: Path) -> None:
    read = made(tmp_path / "upstream")
    entry = Entry(tmp_path, KEY, reads={"classifier": "classify"})
    entry.open({"classifier": read.content()})
    entry.close({}, {})
    assert entry.outdated({"classifier": read.content()}) == []
    assert entry.outdated({"classifier": None}) == []  # not complete: to be seen later
    (read.directory / "a.npz").write_bytes(b"other")
    read.close({}, {})
    assert entry.outdated({"classifier": read.content()}) == ["classify"]


def test_interrupted_work_goes_on_only_from_what_it_has_read(tmp_path: Path) -> None:
    read = made(tmp_path / "upstream")
    entry = Entry(tmp_path, KEY, reads={"classifier": "classify"})
    entry.open({"classifier": read.content()})
    assert state_of(entry, {"classifier": read.content()}) == ("resumed", "was interrupted")
    (read.directory / "a.npz").write_bytes(b"other")
    read.close({}, {})
    reason = "classify was made again since, and came out differently"
    assert state_of(entry, {"classifier": read.content()}) == ("computed", reason)


def test_what_was_made_again_during_the_work_makes_its_result_outdated(tmp_path: Path) -> None:
    read = made(tmp_path / "upstream")
    entry = Entry(tmp_path, KEY, reads={"classifier": "classify"})
    entry.open({"classifier": read.content()})
    (read.directory / "a.npz").write_bytes(b"other")
    read.close({}, {})
    entry.close({}, {})
    assert entry.outdated({"classifier": read.content()}) == ["classify"]


def test_the_log_of_a_training_is_not_its_content(tmp_path: Path) -> None:
    first, again = made(tmp_path / "one"), made(tmp_path / "two")
    (again.directory / "libraries.log").write_text("at noon\n")
    again.close({"images": 2}, {})
    assert first.content() == again.content()


def test_the_content_is_of_the_files_not_of_their_times(tmp_path: Path) -> None:
    first, again = made(tmp_path / "one"), made(tmp_path / "two")
    assert first.content() == again.content() and len(str(first.content())) == 16
    (again.directory / "a.npz").write_bytes(b"alphb")
    again.close({"images": 2}, {})
    assert first.content() != again.content()
    assert Entry(tmp_path / "none", KEY).content() is None


def test_opening_sweeps_half_written_files(tmp_path: Path) -> None:
    from wsssbench.files import atomic

    entry = Entry(tmp_path, KEY)
    entry.open()
    half = entry.directory / f".a.npz.1-2{atomic._PARTIAL}"
    half.write_bytes(b"al")
    entry.open()
    assert not half.exists()
