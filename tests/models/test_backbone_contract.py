"""What every registered backbone has to keep, of whichever installed plugin."""

from __future__ import annotations

import pickle

import pytest
import torch
from torch import nn

from wsssbench.errors import UserError
from wsssbench.interfaces import Backbone
from wsssbench.plugins import load

REGISTRY = load().registries.backbone
SIZES = [(64, 64), (65, 71), (37, 90)]
# settings beside the defaults; small networks where there is a choice
SETTINGS: dict[str, list[dict]] = {
    "EfficientNetLite0": [{"output_stride": s} for s in (32, 16, 8)],
    "SmallResNet": [{"width": 8, "output_stride": s} for s in (16, 8, 4)],
    "TorchvisionBackbone": [
        {"name": name, "output_stride": s}
        for name in ("resnet18", "vgg11_bn", "mobilenet_v2")
        for s in (16, 8)
    ],
}
CASES = [
    pytest.param(name, setting, id="-".join([name, *map(str, setting.values())]))
    for name in sorted(REGISTRY.components)
    for setting in SETTINGS.get(name, [{}])
]
FREEZABLE = ["EfficientNetLite0", "ResNet38d", "TorchvisionBackbone"]


def build(kind: str, device: str = "meta", /, **setting) -> Backbone:
    """With random weights; on the meta device, which computes shapes only, it costs next to nothing."""
    known = REGISTRY.parameters(kind)
    off = {"weights": None, "pretrained": False}
    config = {"type": kind, **{k: v for k, v in off.items() if k in known}, **setting}
    torch.manual_seed(0)
    with torch.device(device):
        return REGISTRY.build(config)


def images(*size: int, device: str = "cpu", n: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(n, 3, *size, generator=generator).to(device)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("name", "setting"), CASES)
def test_feature_maps_have_the_declared_channels_and_rounded_up_sizes(name, setting, size):
    backbone = build(name, **setting)
    features = backbone(images(*size, device="meta"))
    expected = [
        (2, channels, -(-size[0] // stride), -(-size[1] // stride))
        for channels, stride in zip(backbone.channels, backbone.strides, strict=True)
    ]
    assert [tuple(f.shape) for f in features] == expected
    assert list(backbone.strides) == sorted(backbone.strides)
    if "output_stride" in setting:
        assert backbone.strides[-1] == setting["output_stride"]


@pytest.mark.parametrize("name", sorted(SETTINGS))
def test_evaluation_is_deterministic_and_training_reaches_what_is_not_frozen(name):
    """With other settings than the defaults, with which the contract test asks the same of every backbone."""
    backbone = build(name, "cpu", **SETTINGS[name][-1]).eval()
    batch = images(33, 47)
    with torch.no_grad():
        first, again = backbone(batch), backbone(batch)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    backbone.train()
    backbone(batch)[-1].square().mean().backward()
    for parameter_name, parameter in backbone.named_parameters():
        assert (parameter.grad is not None) == parameter.requires_grad, parameter_name


@pytest.mark.parametrize("name", FREEZABLE)
def test_frozen_parts_stay_frozen_through_train_and_pickle(name):
    setting = {"name": "resnet18"} if name == "TorchvisionBackbone" else {}
    backbone = build(name, frozen_stages=2, frozen_norm=True, **setting)
    backbone = pickle.loads(pickle.dumps(backbone))
    wrapped = nn.Sequential(backbone)
    wrapped.eval()
    wrapped.train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms
    assert not any(norm.training for norm in norms)
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())
    convolutions = [m for m in backbone.modules() if isinstance(m, nn.Conv2d)]
    assert not convolutions[0].weight.requires_grad
    assert not convolutions[0].training
    assert convolutions[-1].weight.requires_grad
    assert convolutions[-1].training


@pytest.mark.parametrize("name", ["EfficientNetLite0", "TorchvisionBackbone"])
def test_a_training_step_changes_statistics_exactly_where_it_may(name):
    setting = {"name": "resnet18"} if name == "TorchvisionBackbone" else {}
    for frozen_norm in (False, True):
        backbone = build(name, "cpu", frozen_stages=1, frozen_norm=frozen_norm, **setting).train()
        before = {k: v.clone() for k, v in backbone.state_dict().items()}
        backbone(images(40, 40) + 1)
        changed = {k for k, v in backbone.state_dict().items() if not torch.equal(v, before[k])}
        moving = {k for k in before if "running" in k or "batches" in k}
        first = {k for k in moving if k.startswith("stages.0.")}
        assert first
        assert changed == (set() if frozen_norm else moving - first)


@pytest.mark.parametrize("name", FREEZABLE)
def test_more_frozen_stages_than_there_are_are_refused(name):
    with pytest.raises(UserError, match="frozen_stages=9"):
        build(name, frozen_stages=9)


@pytest.mark.parametrize("name", ["EfficientNetLite0", "TorchvisionBackbone"])
def test_state_dict_round_trip(name):
    setting = {"name": "resnet18"} if name == "TorchvisionBackbone" else {}
    one = build(name, "cpu", **setting).eval()
    torch.manual_seed(5)
    other = build(name, "cpu", **setting).eval()
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.1)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        assert torch.equal(one(images(32, 40))[-1], other(images(32, 40))[-1])
