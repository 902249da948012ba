from __future__ import annotations

from math import ceil

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wsssbench.models.resnet38d import ResNet38d


@pytest.fixture(scope="module")
def network() -> ResNet38d:
    torch.manual_seed(0)
    network = ResNet38d()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.05)
            nn.init.uniform_(layer.running_var, 0.01, 0.1)
            nn.init.uniform_(layer.weight, 0.5, 1.5)
    return network.eval()


def naive(state: dict[str, Tensor], x: Tensor) -> list[Tensor]:
    """The network as the paper's table lists it, straight from the tensors."""

    def relu_norm(x: Tensor, name: str) -> Tensor:
        mean, var = state[f"{name}.running_mean"], state[f"{name}.running_var"]
        return F.relu(F.batch_norm(x, mean, var, state[f"{name}.weight"], state[f"{name}.bias"]))

    def convolve(x: Tensor, name: str, stride: int = 1, dilation: int = 1) -> Tensor:
        weight = state[f"{name}.weight"]
        padding = dilation * (weight.shape[-1] // 2)
        return F.conv2d(x, weight, None, stride, padding, dilation)

    taps = []
    x = convolve(x, "conv1a")
    first = {"b2": (2, 1, 1), "b3": (2, 1, 1), "b4": (2, 1, 1), "b5": (1, 1, 2)}
    for level, count in (("b2", 2), ("b3", 2), ("b4", 5), ("b5", 2), ("b6", 0), ("b7", 0)):
        for unit in [level] + [f"{level}_{i + 1}" for i in range(count)]:
            rest = 2 if level == "b5" else 4 if level in ("b6", "b7") else 1
            stride, d1, d2 = first.get(unit, (1, rest, rest))
            a = relu_norm(x, f"{unit}.bn_branch2a")
            if unit in ("b4", "b5", "b6"):
                taps.append(a)
            shortcut = x
            if unit == level:
                shortcut = convolve(a, f"{unit}.conv_branch1", stride)
            if level in ("b6", "b7"):
                a = convolve(a, f"{unit}.conv_branch2a")
                a = convolve(relu_norm(a, f"{unit}.bn_branch2b1"), f"{unit}.conv_branch2b1", 1, 4)
                a = convolve(relu_norm(a, f"{unit}.bn_branch2b2"), f"{unit}.conv_branch2b2")
            else:
                a = convolve(a, f"{unit}.conv_branch2a", stride, d1)
                a = convolve(relu_norm(a, f"{unit}.bn_branch2b1"), f"{unit}.conv_branch2b1", 1, d2)
            x = shortcut + a
    return [*taps, relu_norm(x, "bn7")]


def test_features_equal_the_network_written_out(network):
    x = torch.randn(1, 3, 33, 24)
    with torch.no_grad():
        got = network(x)
        expected = naive(network.state_dict(), x)
    assert [f.shape[1] for f in got] == [256, 512, 1024, 4096]
    for a, b in zip(got, expected, strict=True):
        assert b.std() > 1e-3
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


SIZES = [(65, 63), (66, 71), (71, 64), (73, 99), (81, 79), (88, 87), (95, 83), (97, 91), (321, 353)]


@pytest.mark.parametrize("size", SIZES)
def test_sizes_are_rounded_up_at_each_of_the_three_strides(size):
    with torch.device("meta"):  # computes shapes only
        features = ResNet38d().eval()(torch.zeros(1, 3, *size))
    half = tuple(ceil(n / 2) for n in size)
    quarter = tuple(ceil(n / 2) for n in half)
    eighth = tuple(ceil(n / 2) for n in quarter)
    assert [tuple(f.shape[2:]) for f in features] == [quarter, eighth, eighth, eighth]
    assert eighth == tuple(ceil(n / 8) for n in size)


def test_a_converted_file_loads_and_the_lineage_s_classifier_is_left_out(network, tmp_path):
    state = {n: v for n, v in network.state_dict().items() if "num_batches" not in n}
    state["fc8.weight"] = torch.zeros(20, 4096, 1, 1)
    # saved in half precision to keep the test light
    torch.save({n: v.half() for n, v in state.items()}, tmp_path / "res38.pth")
    loaded = ResNet38d(weights=str(tmp_path / "res38.pth"))
    torch.testing.assert_close(
        loaded.b7.conv_branch2b2.weight, network.b7.conv_branch2b2.weight, atol=1e-3, rtol=1e-2
    )
    assert loaded.b7.conv_branch2b2.weight.dtype == torch.float32


def test_stem_and_b2_and_all_normalisation_are_frozen_by_default():
    with torch.device("meta"):
        network = ResNet38d().train()
    trained = {n for n, p in network.named_parameters() if p.requires_grad}
    assert trained
    assert all("conv" in n for n in trained)
    assert {n.split(".")[0].split("_")[0] for n in trained} == {"b3", "b4", "b5", "b6", "b7"}
    assert network.b6.dropout.training
    assert (network.b6.dropout.p, network.b7.dropout.p) == (0.3, 0.5)


@pytest.mark.parametrize("setting", [{"dropout": (0.3, 1.0)}, {"frozen_stages": 8}])
def test_values_out_of_range_are_refused(setting):
    with torch.device("meta"), pytest.raises(ValueError, match=r"ha(s|ve) to be"):
        ResNet38d(**setting)
