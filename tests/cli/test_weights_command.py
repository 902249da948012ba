from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from in_process import call, refused
from mxnet_writer import plan_of
from released_resnet38 import random_arrays, released
from torch import Tensor

from wsssbench.models import resnet38d_mxnet
from wsssbench.models.resnet38d import ResNet38d

PUBLISHED = "ff21f45d6bf03284100dcbec571edfad"  # of ademxapp's models/checksum.md5


def tiny_file(path: Path) -> Path:
    """Some right arrays, some wrong in each way."""
    arrays = {
        "arg:bn2a_branch2a_gamma": np.ones(64, np.float32),
        "arg:bn2a_branch2a_beta": np.full(64, np.nan, np.float32),
        "arg:bn3a_branch2a_beta": np.ones(7, np.float16),
        "arg:linear1000_bias": np.ones(1000, np.float32),
        "arg:fc6\n_weight": np.full((2, 3), 1e300),
    }
    path.write_bytes(plan_of(arrays.items(), "V2").raw)
    return path


@pytest.mark.parametrize("command", ["convert", "check"])
def test_what_misfits_is_listed_in_full_and_nothing_is_written(tmp_path, monkeypatch, command):
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "out.pth"
    source = tiny_file(tmp_path / "x.params")
    outcome = call("weights", command, source, *([out] if command == "convert" else []))
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: {source} does not hold ResNet38d's weights: 192 probl")
    assert ("nothing was written" in outcome.err) == (command == "convert")
    assert not out.exists() and sorted(tmp_path.iterdir()) == [source]
    assert "5 arrays (3 float32, 1 float16, 1 float64)" in outcome.out
    assert "3 of 191 tensors are in the file; left out: arg:linear1000_bias" in outcome.out
    rows = {" ".join(line.split()) for line in outcome.out.splitlines()}
    there = ("b2.bn_branch2a.weight", "b2.bn_branch2a.bias", "b3.bn_branch2a.bias")
    for given, (own, _) in released().items():
        if own is not None:
            assert (f"missing {own} {given} in MXNet's file" in rows) == (own not in there)
    assert rows > {
        "mis-shaped b3.bn_branch2a.bias shape (7,) instead of (128,)",
        r"unexpected 'arg:fc6\n_weight' shape (2, 3)",
        r"damaged 'arg:fc6\n_weight' has 6 of 6 values that are no finite float32",
        "damaged arg:bn2a_branch2a_beta has 64 of 64 values that are no finite float32",
    }


def test_names_are_not_cut_in_a_narrow_terminal(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    outcome = call("weights", "check", tiny_file(tmp_path / "x.params"))
    assert outcome.code == 2
    assert "…" not in outcome.out and "..." not in outcome.out


def test_a_converter_s_refusals_come_before_any_reading(tmp_path):
    source = tiny_file(tmp_path / "x.params")
    out = tmp_path / "out.pth"
    out.write_text("mine")
    assert "exists already" in refused("weights", "convert", source, out)
    assert out.read_text() == "mine"
    assert "the folder" in refused("weights", "convert", source, tmp_path / "no" / "out.pth")
    absent = tmp_path / "absent.params"
    assert "does not exist" in refused("weights", "convert", absent, tmp_path / "o.pth")
    assert "is a folder" in refused("weights", "check", tmp_path)
    torch.save({"w": torch.ones(1)}, tmp_path / "w.pth")
    new = tmp_path / "new.pth"
    assert "nothing to convert" in refused("weights", "convert", tmp_path / "w.pth", new)
    source.write_bytes(source.read_bytes()[:100])
    assert "at byte" in refused("weights", "convert", source, new)
    assert not new.exists()


def test_md5_is_insisted_on(tmp_path):
    source, out = tiny_file(tmp_path / "x.params"), tmp_path / "out.pth"
    own = hashlib.md5(source.read_bytes()).hexdigest()
    sentence = refused("weights", "convert", source, out, "--md5", PUBLISHED)
    assert f"has md5 {own} instead of {PUBLISHED}" in sentence
    assert "32 hexadecimal digits" in refused("weights", "check", source, "--md5", "abc")
    assert f"md5 {own}" in call("weights", "check", source, "--md5", own.upper()).out
    assert not out.exists()


def test_the_published_file_is_known_by_its_md5(tmp_path, monkeypatch):
    assert resnet38d_mxnet.PUBLISHED_MD5 == PUBLISHED
    source = tiny_file(tmp_path / "x.params")
    out = call("weights", "check", source).out
    assert "warning: this is not the published ResNet38 A1 file" in out and PUBLISHED in out
    own = hashlib.md5(source.read_bytes()).hexdigest()
    monkeypatch.setattr(resnet38d_mxnet, "PUBLISHED_MD5", own)
    out = call("weights", "check", source).out
    assert f"md5 {own}: the published ResNet38 A1 file" in out and "warning" not in out


def thin_state() -> dict[str, Tensor]:
    """Tensors of the right shapes whose file is small: one number stands for all of each."""
    return {own: torch.ones(1).expand(shape) for own, shape in released().values() if own}


def test_check_reads_pytorch_files(tmp_path):
    path = tmp_path / "x.pth"
    more = {"fc8.weight": torch.ones(1), "bn7.num_batches_tracked": torch.tensor(3)}
    torch.save({**thin_state(), **more}, path)
    outcome = call("weights", "check", path)
    assert (outcome.code, outcome.err) == (0, "")
    assert "PyTorch file" in outcome.out and "warning" not in outcome.out
    assert "191 of 191 tensors are in the file; left out: fc8.weight" in outcome.out


def test_check_finds_every_fault_of_a_pytorch_file(tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    path = tmp_path / "x.pth"
    state = thin_state()
    del state["b4_3.conv_branch2a.weight"]
    state["bn7.bias"] = torch.ones(1).expand(5)
    state["bn7.running_var"] = -torch.ones(1).expand(4096)
    state["b2.bn_branch2a.bias"] = torch.ones(64).to_sparse()
    state["strange"] = torch.ones(2, 2, dtype=torch.bfloat16)
    torch.save(state, path)
    outcome = call("weights", "check", path)
    assert outcome.code == 2 and "5 problems, listed above" in outcome.err
    for words in (
        "b4_3.conv_branch2a.weight", "arg:res4b3_branch2a_weight in MXNet's file", "(5,) instead",
        "variances down to -1", "is no plain tensor", "strange", "shape (2, 2)",
    ):  # fmt: skip
        assert words in outcome.out


@pytest.fixture(scope="module")
def full_size(tmp_path_factory) -> Iterator[tuple[dict[str, np.ndarray], Path]]:
    """A file as large as the published one: 193 arrays, 437 MB, in the oldest version."""
    folder = tmp_path_factory.mktemp("full")
    path = folder / "resnet_38d.params"
    arrays = random_arrays()
    with path.open("wb") as file:
        file.writelines(part.raw for part in plan_of(arrays.items(), "legacy").fields)
    yield arrays, path
    for left in folder.iterdir():
        left.unlink()


def test_the_full_size_file_is_converted_and_loaded(full_size):
    arrays, source = full_size
    out = source.with_name("out.pth")
    outcome = call("weights", "convert", source, out)
    assert (outcome.code, outcome.err) == (0, "")
    assert "193 arrays (193 float32)" in outcome.out
    assert "191 of 191 tensors" in outcome.out
    assert "left out: arg:linear1000_weight, arg:linear1000_bias" in outcome.out
    assert sorted(p.name for p in source.parent.iterdir()) == ["out.pth", "resnet_38d.params"]
    state = torch.load(out, weights_only=True)
    values = sum(tensor.numel() for tensor in state.values())
    assert out.stat().st_size < 4 * values + 200_000  # no tensor drags the whole file along

    places = {own: given for given, (own, _) in released().items() if own is not None}
    assert set(state) == set(places)
    for own, tensor in state.items():
        assert tensor.dtype == torch.float32
        assert np.array_equal(tensor.numpy(), arrays[places[own]])
    del state

    converted, direct = ResNet38d(weights=str(out)).eval(), ResNet38d(weights=str(source)).eval()
    by_hand = ResNet38d().eval()
    own = by_hand.state_dict()
    with torch.no_grad():
        for name, given in places.items():
            own[name].copy_(torch.from_numpy(arrays[given]))
    for network in (converted, direct):
        got = network.state_dict()
        assert all(torch.equal(got[name], own[name]) for name in places)
    images = torch.randn(1, 3, 17, 25, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        for a, b, c in zip(converted(images), direct(images), by_hand(images), strict=True):
            assert torch.equal(a, c) and torch.equal(b, c)
            assert c.std() > 1e-3
