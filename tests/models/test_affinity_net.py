from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from tiny_models import TinyBackbone

from wsssbench.models.affinity_net import AffinityNet
from wsssbench.models.resnet38d import ResNet38d
from wsssbench.refinements.trained import new_layers


def net(**kwargs) -> AffinityNet:
    torch.manual_seed(0)
    return AffinityNet(TinyBackbone(), levels=2, channels=(4, 8), **kwargs).eval()


@pytest.mark.parametrize("stride", [2, 4, 8])
@pytest.mark.parametrize("size", [(32, 32), (33, 47)])
def test_the_embedding_is_one_vector_per_cell_of_the_grid(stride, size):
    out = net(stride=stride)(torch.randn(2, 3, *size))
    assert out.shape == (2, 12, -(-size[0] // stride), -(-size[1] // stride))


def test_the_embedding_is_the_mixed_levels():
    model = net(stride=2)
    x = torch.randn(1, 3, 16, 24)
    fine, coarse = model.backbone(x)
    first, second = (layer.weight[:, :, 0, 0] for layer in model.embed_levels)
    a = F.elu(torch.einsum("nchw,kc->nkhw", fine, first))
    b = F.elu(torch.einsum("nchw,kc->nkhw", coarse, second))
    b = F.interpolate(b, (8, 12), mode="bilinear", align_corners=False)
    mix = model.embed_all.weight[:, :, 0, 0]
    expected = F.elu(torch.einsum("nchw,kc->nkhw", torch.cat([a, b], 1), mix))
    torch.testing.assert_close(model(x), expected)


def test_new_layers_are_all_but_the_backbone():
    names = {n.split(".")[0] for n, _ in net().named_parameters()}
    assert names == {"backbone", *new_layers(net())}


def test_on_resnet38_it_is_the_published_448_channels():
    with torch.device("meta"):
        model = AffinityNet(ResNet38d())
        assert [tuple(p.shape[:2]) for p in model.embed_levels.parameters()] == [
            (64, 512),
            (128, 1024),
            (256, 4096),
        ]
        assert model(torch.zeros(1, 3, 65, 50)).shape == (1, 448, 9, 7)


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ({"levels": 3}, "levels=3.*2 feature maps"),
        ({"levels": 2, "channels": (1, 2, 3)}, "one number per level"),
        ({"levels": 1, "channels": (4,), "stride": 0}, "stride=0"),
    ],
)
def test_settings_that_do_not_fit_are_refused(setting, sentence):
    with pytest.raises(ValueError, match=sentence):
        AffinityNet(TinyBackbone(), **setting)
