from __future__ import annotations

import urllib.error

import pytest
import torch
import torchvision
from torch import nn

from wsssbench.errors import UserError
from wsssbench.models.torchvision_backbone import TorchvisionBackbone


def shuffle_statistics(network: nn.Module) -> None:
    """Make batch normalisation matter."""
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.1)
            nn.init.uniform_(layer.running_var, 0.5, 1.5)


def saved(tmp_path, name: str) -> tuple[nn.Module, str]:
    torch.manual_seed(0)
    network = torchvision.models.get_model(name, weights=None).eval()
    shuffle_statistics(network)
    path = tmp_path / f"{name}.pth"
    # VGG's classifier is large, and not part of a backbone
    state = {n: v for n, v in network.state_dict().items() if not n.startswith("classifier.")}
    torch.save(state, path)
    return network, str(path)


@pytest.mark.parametrize(
    ("output_stride", "replace"), [(16, (False, False, True)), (8, (False, True, True))]
)
def test_resnet_equals_torchvision_s_own_dilation(tmp_path, output_stride, replace):
    network, path = saved(tmp_path, "resnet50")
    dilated = torchvision.models.resnet50(replace_stride_with_dilation=list(replace)).eval()
    dilated.load_state_dict(network.state_dict())
    dilated.double()
    x = torch.randn(1, 3, 49, 64).double()
    with torch.no_grad():
        expected = dilated.maxpool(dilated.relu(dilated.bn1(dilated.conv1(x))))
        backbone = TorchvisionBackbone(weights=path, output_stride=output_stride).eval().double()
        stem, *features = backbone.stage_features(x)
        torch.testing.assert_close(stem, expected)
        for name, got in zip(("layer1", "layer2", "layer3", "layer4"), features, strict=True):
            expected = getattr(dilated, name)(expected)
            torch.testing.assert_close(got, expected)


@pytest.mark.parametrize("name", ["resnet18", "mobilenet_v2", "regnet_x_400mf"])
def test_dilated_features_hold_the_strided_ones(tmp_path, name):
    _, path = saved(tmp_path, name)
    x = torch.randn(
        1, 3, 65, 65
    ).double()  # odd at every level: symmetric padding, so that cells coincide
    with torch.no_grad():
        coarse, fine = (
            TorchvisionBackbone(name=name, weights=path, output_stride=s).double().eval()(x)[-1]
            for s in (32, 8)
        )
    torch.testing.assert_close(fine[:, :, ::4, ::4], coarse)


def test_vgg_without_its_dropped_pooling_and_with_rounded_up_sizes(tmp_path):
    network, path = saved(tmp_path, "vgg11")
    x = torch.randn(1, 3, 64, 48)
    with torch.no_grad():
        features = TorchvisionBackbone(name="vgg11", weights=path, output_stride=16).eval()(x)
        torch.testing.assert_close(features[-1], network.features[:-1](x))
        assert len(features) == 3
        # at stride 8 the fourth pooling goes too, and what follows is dilated
        fine = TorchvisionBackbone(name="vgg11", weights=path, output_stride=8).eval()(x)
        torch.testing.assert_close(fine[1], network.features[:15](x))
        two = network.features[16], network.features[18]
        expected = fine[1]
        for layer in two:
            expected = torch.relu(
                nn.functional.conv2d(expected, layer.weight, layer.bias, padding=2, dilation=2)
            )
        torch.testing.assert_close(fine[2], expected)


def test_densenet_ends_with_the_activation_its_forward_applies(tmp_path):
    network, path = saved(tmp_path, "densenet121")
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        got = TorchvisionBackbone(name="densenet121", weights=path, output_stride=32).eval()(x)[-1]
        torch.testing.assert_close(got, torch.relu(network.features(x)))


@pytest.mark.parametrize("name", ["vit_b_16", "alexnet", "swin_t", "googlenet", "convnext_tiny"])
def test_a_network_that_does_not_convert_is_refused_in_one_sentence(name):
    with pytest.raises(ValueError, match=f"{name} cannot be made a dense backbone") as refused:
        TorchvisionBackbone(name=name, pretrained=False)
    assert "\n" not in str(refused.value)
    assert "ResNet" in str(refused.value)


def test_misspelt_names_are_answered_with_near_ones():
    with pytest.raises(ValueError, match="did you mean resnet50"):
        TorchvisionBackbone(name="resnet5O")
    with pytest.raises(ValueError, match="IMAGENET1K_V1, IMAGENET1K_V2"):
        TorchvisionBackbone(name="resnet50", pretrained="V3")


def test_without_network_the_sentence_names_file_and_parameter(monkeypatch, tmp_path):
    def offline(*args, **kwargs):
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(UserError) as refused:
        TorchvisionBackbone(name="resnet18")
    sentence = str(refused.value)
    assert "https://download.pytorch.org/models/resnet18-" in sentence
    assert "weights=FILE" in sentence
    assert str(tmp_path) in sentence
    assert "\n" not in sentence


def test_a_file_of_another_network_is_refused(tmp_path):
    _, path = saved(tmp_path, "resnet18")
    with pytest.raises(UserError, match=r"does not fit ResNet.*missing"):
        TorchvisionBackbone(name="resnet34", weights=path)


def test_an_own_classifier_in_the_file_does_not_matter(tmp_path):
    network = torchvision.models.resnet18(num_classes=5)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "five.pth")
    backbone = TorchvisionBackbone(name="resnet18", weights=str(tmp_path / "five.pth"))
    first = next(m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    assert torch.equal(first.weight, network.conv1.weight)
