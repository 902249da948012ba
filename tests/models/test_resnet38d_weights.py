from __future__ import annotations

import numpy as np
import pytest
import torch
from mxnet_writer import plan_of
from released_resnet38 import released

from wsssbench.errors import UserError
from wsssbench.files.weights import load_state_dict_file
from wsssbench.models.resnet38d import ResNet38d
from wsssbench.models.resnet38d_mxnet import from_mxnet, mxnet_names
from wsssbench.models.torchvision_backbone import TorchvisionBackbone


def test_every_array_of_the_released_file_has_its_place_and_shape():
    expected = released()
    assert len(expected) == 193
    assert sum(name.startswith(("arg:res", "arg:conv1a")) for name in expected) == 43
    places = {given: own for given, (own, _) in expected.items() if own is not None}
    assert mxnet_names() == places
    with torch.device("meta"):
        state = ResNet38d().state_dict()
    shapes = {name: tuple(v.shape) for name, v in state.items() if "num_batches" not in name}
    assert shapes == {own: shape for own, shape in expected.values() if own is not None}


def test_names_and_types_of_tensors():
    arrays = {
        "arg:conv1a_weight": np.array([1.5], np.float64),
        "aux:bn4b3_branch2b1_moving_var": np.array([2.5], np.float16),
        "arg:linear1000_weight": np.ones(3, np.float32),
        "arg:other": np.ones(2, np.float32),
    }
    state = from_mxnet(arrays)
    assert set(state) == {"conv1a.weight", "b4_3.bn_branch2b1.running_var", "arg:other"}
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    assert state["conv1a.weight"].tolist() == [1.5]
    assert state["b4_3.bn_branch2b1.running_var"].tolist() == [2.5]
    assert state["arg:other"].data_ptr() == arrays["arg:other"].ctypes.data  # nothing is copied


@pytest.mark.parametrize(
    ("name", "values", "problem"),
    [
        ("arg:x", np.array([1.0, np.nan, np.inf], np.float32), "2 of 3 values that are no finite"),
        ("arg:x", np.array([-np.inf, 0], np.float16), "1 of 2 values that are no finite"),
        ("arg:x", np.array([1e300]), "1 of 1 values that are no finite float32"),
        ("arg:x", np.array([1, 2]), "is of type int64 instead"),
        ("aux:x_moving_var", np.array([1, -0.5], np.float32), "variances down to -0.5"),
    ],
)
def test_values_that_no_training_leaves_are_refused(tmp_path, name, values, problem):
    path = tmp_path / "x.params"
    path.write_bytes(plan_of([(name, values)]).raw)
    with pytest.raises(UserError) as refused:
        ResNet38d(weights=str(path))
    for words in (str(path), "1 arrays are damaged", name, problem):
        assert words in str(refused.value)
    assert "\n" not in str(refused.value)


def test_another_network_s_arrays_are_named(tmp_path):
    path = tmp_path / "vgg.params"
    path.write_bytes(plan_of([("arg:fc6\nweight", np.ones(2, np.float32))]).raw)
    with pytest.raises(UserError) as refused:
        ResNet38d(weights=str(path))
    assert "191 missing (conv1a.weight, " in str(refused.value)
    assert r"1 unexpected ('arg:fc6\nweight')" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_damaged_file_gets_the_byte(tmp_path):
    path = tmp_path / "resnet_38d.params"
    raw = plan_of([("arg:conv1a_weight", np.ones(2, np.float32))]).raw
    for damaged, words in (
        (raw[:-1], "at byte"),
        (raw[:5], "at byte"),
        (b"", "is empty"),
        (b"<html>not found</html>", "is a web page"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match=words):
            ResNet38d(weights=str(path))


def test_the_content_decides_which_kind_of_file_it_is(tmp_path):
    raw = plan_of([("arg:conv1a_weight", np.ones(2, np.float32))]).raw
    for name in ("a.params", "a.pth", "a"):
        (tmp_path / name).write_bytes(raw)
        assert set(load_state_dict_file(tmp_path / name, from_mxnet)) == {"conv1a.weight"}
    torch.save({"w": torch.ones(2)}, tmp_path / "b.params")
    assert set(load_state_dict_file(tmp_path / "b.params", from_mxnet)) == {"w"}


def test_other_networks_refuse_mxnet_files(tmp_path):
    path = tmp_path / "a.params"
    path.write_bytes(plan_of([("arg:conv1a_weight", np.ones(2, np.float32))]).raw)
    with pytest.raises(UserError, match="is an MXNet file, which is read for ResNet38d only"):
        TorchvisionBackbone(name="resnet18", weights=str(path))
