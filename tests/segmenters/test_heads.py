"""The networks: shapes, gradients, fields of view, the loss, pretrained weights."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from wsssbench.segmenters.settings import HeadSettings
from wsssbench.training.quiet import quiet

HEADS = ("largefov", "dilated", "v2", "v3plus", "psp")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    with quiet(log):
        from wsssbench.segmenters.network import build_network

    def build(head: str, backbone=None, **settings):
        torch.manual_seed(0)
        backbone = backbone or {"type": "TinyBackbone"}
        with quiet(log):
            return build_network(backbone, HeadSettings(head, **settings), 4, "cpu", crop=32)

    return build


@pytest.mark.parametrize("head", HEADS)
def test_logits_and_gradients(build, head):
    model = build(head).train()
    logits = model(torch.randn(2, 3, 45, 38), mode="tensor")
    stride = 4 if head == "v3plus" else 8
    assert logits.shape == (2, 4, -(-45 // stride), -(-38 // stride))
    (logits * torch.randn_like(logits)).sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        # a bias before batch norm has no effect, everything else has
        assert parameter.grad.abs().sum() > 0, name


def test_initial_values_of_the_last_layer(build):
    """Normal with deviation 0.01, or sqrt(2 / fan-out) (He et al., ICCV 2015): here a fan-out of 4."""
    for chosen, deviation in (("normal", 0.01), ("kaiming", 0.5**0.5)):
        last = build("largefov", channels=400, last_layer=chosen).decode_head.conv_seg
        assert last.weight.std().item() == pytest.approx(deviation, rel=0.1)
        assert (last.bias.abs() <= 1 / 20).all() and bool(last.bias.any()) == (chosen == "kaiming")


def test_two_dilated_convolutions(build):
    head = build("dilated", channels=6).decode_head
    names = {name: tuple(value.shape) for name, value in head.state_dict().items()}
    assert names == {
        "hidden.weight": (6, 10, 3, 3),
        "hidden.bias": (6,),
        "conv_seg.weight": (4, 6, 3, 3),
        "conv_seg.bias": (4,),
    }
    maps = torch.randn(1, 10, 30, 30)
    hidden = F.conv2d(maps, head.hidden.weight, head.hidden.bias, padding=12, dilation=12).relu()
    last = head.conv_seg
    expected = F.conv2d(hidden, last.weight, last.bias, padding=12, dilation=12)
    torch.testing.assert_close(head([maps]), expected)
    assert head.hidden.weight.abs().max() <= (6 / (9 * 16)) ** 0.5  # Glorot & Bengio, uniform


def test_v2_is_the_sum_of_its_branches(build):
    head = build("v2").decode_head
    assert [branch.dilation[0] for branch in head.branches] == [6, 12, 18, 24]
    maps = torch.randn(2, 10, 40, 40)
    expected = sum(
        F.conv2d(maps, branch.weight, branch.bias, padding=rate, dilation=rate)
        for branch, rate in zip(head.branches, (6, 12, 18, 24), strict=True)
    )
    torch.testing.assert_close(head([maps]), expected)


def test_psp_pools_to_four_grids(build):
    """CVPR 2017, Fig. 3: means of 1, 2, 3 and 6 parts of each side, enlarged, beside the map itself."""
    head = build("psp", channels=7).decode_head.eval()
    maps = torch.randn(2, 10, 12, 18)
    beside = [maps]
    for parts, (_, layer) in zip((1, 2, 3, 6), head.psp_modules, strict=True):
        cells = maps.view(2, 10, parts, 12 // parts, parts, 18 // parts).mean(dim=(3, 5))
        beside.append(F.interpolate(layer(cells), (12, 18), mode="bilinear"))
    assert [part.shape[1] for part in beside] == [10, 7, 7, 7, 7]
    merged = head.bottleneck(torch.cat(beside, dim=1))
    last = head.conv_seg
    torch.testing.assert_close(head([maps]), F.conv2d(merged, last.weight, last.bias))


def test_largefov_sees_nine_cells_twelve_apart(build):
    head = build("largefov", channels=16).decode_head.eval()
    maps = torch.randn(1, 10, 41, 41, requires_grad=True)
    head([maps])[0, :, 20, 20].sum().backward()
    seen = maps.grad.abs().sum(dim=(0, 1)).nonzero().tolist()
    assert {tuple(cell) for cell in seen} == {(y, x) for y in (8, 20, 32) for x in (8, 20, 32)}


def test_rates_follow_the_stride(build):
    backbone = {"type": "EfficientNetLite0", "weights": None, "output_stride": 16}
    assert build("largefov", backbone).decode_head.convs[0].conv.dilation == (6, 6)
    assert [b.dilation[0] for b in build("v2", backbone).decode_head.branches] == [3, 6, 9, 12]
    assert build("v3plus", backbone).decode_head.dilations == (1, 6, 12, 18)  # as in the paper
    chosen = build("largefov", backbone, dilations=(4,))
    assert chosen.decode_head.convs[0].conv.dilation == (4, 4)


def test_published_widths(build):
    assert build("largefov").decode_head.channels == 512
    assert build("largefov").decode_head.dropout.p == 0.5
    assert build("v3plus").decode_head.channels == 256
    assert build("psp").decode_head.channels == 512
    assert build("psp").decode_head.dropout.p == 0.1
    assert build("v3plus", dropout=0.0).decode_head.dropout is None


def test_the_loss_counts_labelled_pixels_only(build):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    model = build("v2").eval()
    labels = torch.randint(0, 4, (2, 1, 32, 32))
    labels[0, :, :20] = 255
    labels[1] = 255
    samples = [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]
    images = torch.randn(2, 3, 32, 32)
    loss = model(images, samples, mode="loss")["decode.loss_ce"]
    logits = F.interpolate(model(images, mode="tensor"), (32, 32), mode="bilinear")
    torch.testing.assert_close(loss, F.cross_entropy(logits, labels[:, 0], ignore_index=255))


def test_initialising_the_head_leaves_pretrained_weights_alone(build):
    model = build("largefov", {"type": "TinyBackbone", "marked": True})
    model.init_weights()
    weight = model.backbone.network.fine[0].weight
    assert torch.equal(weight, torch.full_like(weight, 0.25))


def test_the_backbone_can_be_named_in_an_mmseg_config(build):
    from mmseg.registry import MODELS

    config = {"type": "WsssbenchBackbone", "network": {"type": "TinyBackbone"}}
    fine, coarse = MODELS.build(config)(torch.zeros(1, 3, 33, 32))
    assert (fine.shape, coarse.shape) == ((1, 6, 9, 8), (1, 10, 5, 4))


def test_largefov_without_norm_is_fc6_fc7_fc8(build):
    """ICLR 2015: convolution with bias, ReLU, dropout, twice; then the classifier."""
    head = build("largefov", channels=16, norm=False).decode_head
    names = [type(m).__name__ for m in head.modules() if not list(m.children())]
    assert sorted(names) == sorted(
        ["CrossEntropyLoss", *["Conv2d"] * 3, *["ReLU"] * 2, *["Dropout"] * 2]
    )
    maps = torch.randn(2, 10, 30, 30)
    fc6, fc7, fc8 = head.convs[0].conv, head.convs[2].conv, head.conv_seg
    x = F.relu(F.conv2d(maps, fc6.weight, fc6.bias, padding=12, dilation=12))
    x = F.relu(F.conv2d(x, fc7.weight, fc7.bias))
    expected = F.conv2d(x, fc8.weight, fc8.bias)
    torch.testing.assert_close(head.eval()([maps]), expected)
    one, other = head.train()([maps]), head([maps])
    assert not torch.equal(one, other)
    head.convs[1].p = head.dropout.p = 0.0
    torch.testing.assert_close(head([maps]), expected)


def test_v2_with_channels_has_a_branch_per_rate(build):
    """TPAMI 2018, Fig. 7."""
    head = build("v2", channels=16).decode_head.eval()
    maps = torch.randn(2, 10, 30, 30)
    expected = 0
    for branch, rate in zip(head.branches, (6, 12, 18, 24), strict=True):
        fc6, fc7, fc8 = (m for m in branch.modules() if isinstance(m, torch.nn.Conv2d))
        x = F.relu(F.conv2d(maps, fc6.weight, fc6.bias, padding=rate, dilation=rate))
        x = F.relu(F.conv2d(x, fc7.weight, fc7.bias))
        expected = expected + F.conv2d(x, fc8.weight, fc8.bias)
    torch.testing.assert_close(head([maps]), expected)
    assert [m.p for m in head.modules() if isinstance(m, torch.nn.Dropout)] == [0.5] * 8


def test_norm_momentum(build):
    modules = build("v3plus", norm_momentum=3e-4).decode_head.modules()
    momenta = {m.momentum for m in modules if isinstance(m, torch.nn.BatchNorm2d)}
    assert momenta == {3e-4}
