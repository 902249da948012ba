from __future__ import annotations

import pickle
import random

import pytest
import torch
from torch import nn

from wsssbench.errors import UserError
from wsssbench.files.weights import load_into, load_state_dict_file


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Linear(4, 2))


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"state_dict": s, "epoch": 3}])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_state_dicts_are_read_plain_wrapped_and_prefixed(tmp_path, wrap, prefix):
    state = network().state_dict()
    torch.save(wrap({prefix + n: v for n, v in state.items()}), tmp_path / "w.pth")
    read = load_state_dict_file(tmp_path / "w.pth")
    assert set(read) == set(state)
    assert all(torch.equal(read[n], state[n]) for n in state)


class Trap:
    def __reduce__(self):
        return (print, ("the file's code ran",))


def test_a_file_s_code_is_not_run(tmp_path, capsys):
    torch.save({"w": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UserError, match=r"holds more than tensors \(.*print") as error:
        load_state_dict_file(tmp_path / "trap.pth")
    assert "trusted source" not in str(error.value)  # which torch advises
    assert capsys.readouterr().out == ""


def write_garbage(path):
    path.write_bytes(b"no weights here" * 10)


def write_half(path):
    torch.save(network().state_dict(), path)
    path.write_bytes(path.read_bytes()[:900])


def write_empty(path):
    path.write_bytes(b"")


def write_tensor(path):
    torch.save(torch.zeros(3), path)


def write_numbers(path):
    torch.save({"a": 1}, path)


def write_pickle(path):
    path.write_bytes(pickle.dumps({"a": [1]}))


@pytest.mark.parametrize(
    "write", [write_garbage, write_half, write_empty, write_tensor, write_numbers, write_pickle]
)
def test_what_is_no_state_dict_gets_one_sentence(tmp_path, write):
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(UserError) as refused:
        load_state_dict_file(path)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("zipped", [True, False])
def test_damage_anywhere_gets_one_sentence(tmp_path, zipped):
    path = tmp_path / "w.pth"
    state = nn.Linear(2, 2).state_dict()
    torch.save(state, path, _use_new_zipfile_serialization=zipped)
    good = path.read_bytes()
    rng = random.Random(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(good)
        damaged[rng.randrange(len(good))] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            load_state_dict_file(path)
        except UserError as error:
            assert str(path) in str(error) and "\n" not in str(error)
            refused += 1
    assert refused > 50


def test_missing_files_and_folders_get_one_sentence(tmp_path):
    for path in (tmp_path / "none.pth", tmp_path):
        with pytest.raises(UserError, match="does not exist"):
            load_state_dict_file(path)


def test_all_kinds_of_misfit_are_in_the_sentence_and_nothing_is_loaded():
    target = network()
    before = {n: v.clone() for n, v in target.state_dict().items()}
    state = {n: v + 1 for n, v in network().state_dict().items()}
    del state["2.bias"]
    state["extra.weight"] = torch.zeros(1)
    state["0.weight"] = torch.zeros(4, 3, 3, 3)
    with pytest.raises(UserError) as refused:
        load_into(target, state, "weight file x.pth")
    sentence = str(refused.value)
    assert "weight file x.pth does not fit Sequential" in sentence
    assert "1 missing (2.bias)" in sentence
    assert "1 unexpected (extra.weight)" in sentence
    assert "0.weight (4, 3, 3, 3) instead of (4, 3, 1, 1)" in sentence
    assert all(torch.equal(v, before[n]) for n, v in target.state_dict().items())


def test_counters_may_be_absent_and_prefixes_ignored():
    target, source = network(), network()
    state = dict(source.state_dict())
    del state["1.num_batches_tracked"]
    state["2.weight"] = torch.zeros(1000, 4)
    kept = target[2].weight.clone()
    load_into(target, state, "file", ignore=("2.",))
    assert torch.equal(target[0].weight, source[0].weight)
    assert torch.equal(target[2].weight, kept)
