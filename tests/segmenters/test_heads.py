"""The networks: shapes, gradients, fields of view, the loss, pretrained weights."""

from __future__ import annotations

import pytest
import torch
from tiny_segmentation import register
from torch.nn import functional as F

from wsssbench.segmenters.settings import HeadSettings
from wsssbench.training.noise import quiet

HEADS = ("largefov", "v2", "v3plus")


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    register()
    log = tmp_path_factory.mktemp("log") / "log"
    with quiet(log):
        from wsssbench.segmenters.network import build_network

    def build(head: str, backbone=None, **settings):
        torch.manual_seed(0)
        backbone = backbone or {"type": "TinyBackbone"}
        with quiet(log):
            return build_network(backbone, HeadSettings(head, **settings), 4, 32, False, "cpu")

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


def test_v2_is_the_sum_of_its_branches(build):
    head = build("v2").decode_head
    assert [branch.dilation[0] for branch in head.branches] == [6, 12, 18, 24]
    maps = torch.randn(2, 10, 40, 40)
    expected = sum(
        F.conv2d(maps, branch.weight, branch.bias, padding=rate, dilation=rate)
        for branch, rate in zip(head.branches, (6, 12, 18, 24), strict=True)
    )
    torch.testing.assert_close(head([maps]), expected)


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
