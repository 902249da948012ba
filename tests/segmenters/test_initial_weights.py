"""What a segmentation network starts from: loaded as told, said on the terminal and for the protocol card."""

from __future__ import annotations

import pytest
import torch
import torchvision
from tiny_segmentation import TinyBackbone, context, deeplab, make_items

from wsssbench.errors import UserError
from wsssbench.segmenters.settings import initial_weights
from wsssbench.training.quiet import quiet

COCO = {"trained_on": "COCO"}


@pytest.fixture(scope="module")
def build(tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "log"
    with quiet(log):
        from wsssbench.segmenters import run

    def build(pretrained=True, **changes):
        with quiet(log):
            return run._network(deeplab(**changes).settings, "cpu", pretrained)

    build.lr_multipliers = run.lr_multipliers
    return build


def _save(module, path):
    torch.save(module.state_dict(), path)
    return str(path)


def _same(module, other):
    a, b = module.state_dict(), other.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_backbones_weights(build, tmp_path):
    other = TinyBackbone()
    init = {"weights": _save(other, tmp_path / "a.pth"), **COCO}
    assert _same(build(init=init).backbone.network, other)
    assert not _same(build().backbone.network, other)


def test_a_file_in_the_names_the_backbone_itself_takes(build, tmp_path):
    """The backbone's own, missing file is not asked for."""
    network = torchvision.models.resnet18(weights=None)
    init = {"weights": _save(network, tmp_path / "a.pth"), **COCO}
    backbone = {"type": "TorchvisionBackbone", "name": "resnet18", "weights": "missing.pth"}
    model = build(backbone=backbone, init=init)
    assert torch.equal(model.backbone.network.stages[0][0].weight, network.conv1.weight)


def test_a_network_trained_here(build, tmp_path):
    other = build()
    weights = _save(other, tmp_path / "a.pth")
    started = build(init={"weights": weights, **COCO})
    assert _same(started.backbone, other.backbone)
    assert not _same(started.decode_head, other.decode_head)
    assert _same(build(init={"weights": weights, "part": "network", **COCO}), other)


def test_a_head_with_weights_is_no_new_layer(build):
    schedule = {"batch_size": 2, "iterations": 1, "lr": 0.1, "new_layers_lr": 7.0}
    init = {"weights": "a.pth", **COCO}
    assert build.lr_multipliers(deeplab(schedule=schedule).settings) == {"decode_head": 7.0}
    assert build.lr_multipliers(deeplab(schedule=schedule, init=init).settings) == {
        "decode_head": 7.0
    }
    whole = {**init, "part": "network"}
    assert build.lr_multipliers(deeplab(schedule=schedule, init=whole).settings) == {}


def test_files_that_do_not_fit_get_one_sentence(build, tmp_path):
    wrong = _save(torch.nn.Linear(2, 2), tmp_path / "wrong.pth")
    fitting = _save(TinyBackbone(), tmp_path / "backbone.pth")
    other_head = _save(build(channels=5), tmp_path / "network.pth")
    cases = [
        ({"weights": str(tmp_path / "none.pth")}, "does not exist"),
        ({"weights": wrong}, "6 missing (fine.0.weight, "),
        ({"weights": fitting, "part": "network"}, "holds no whole network"),
        ({"weights": other_head, "part": "network"}, "of another shape (conv_seg.weight"),
    ]
    for init, sentence in cases:
        with pytest.raises(UserError) as error:
            build(init={**init, **COCO})
        assert sentence in str(error.value)
        assert "\n" not in str(error.value)


def test_training_warns_once_and_prediction_needs_no_initial_weights(tmp_path, build):
    items = make_items(tmp_path / "items", 2)
    path = tmp_path / "coco.pth"
    init = {"weights": _save(TinyBackbone(), path), **COCO}
    schedule = {"batch_size": 2, "iterations": 1, "lr": 0.01}
    run = context(tmp_path / "train")
    deeplab(init=init, schedule=schedule).train(items, run)
    assert len(run.progress.lines) == 1
    assert "weights trained on COCO" in run.progress.lines[0]
    path.unlink()
    out = context(tmp_path / "out")
    deeplab(init=init, schedule=schedule).predict(items, tmp_path / "train", out)
    assert out.progress.lines == []
    assert len(list((tmp_path / "out").glob("*.png"))) == 2


def test_imagenet_is_no_warning(tmp_path):
    items = make_items(tmp_path / "items", 2)
    init = {"weights": _save(TinyBackbone(), tmp_path / "a.pth"), "trained_on": "ImageNet"}
    run = context(tmp_path / "train")
    deeplab(init=init, schedule={"batch_size": 2, "iterations": 1, "lr": 0.01}).train(items, run)
    assert run.progress.lines == []


@pytest.mark.parametrize(
    ("backbone", "text"),
    [
        ({"type": "ResNet38d", "weights": "a/resnet_38d.pth"}, "ImageNet (resnet_38d.pth)"),
        ({"type": "ResNet38d"}, "random"),
        ({"type": "EfficientNetLite0"}, "ImageNet"),
        ({"type": "TorchvisionBackbone"}, "ImageNet (IMAGENET1K_V1)"),
        ({"type": "TorchvisionBackbone", "pretrained": False}, "random"),
        (
            {"type": "TorchvisionBackbone", "pretrained": "IMAGENET1K_SWAG_E2E_V1"},
            "IMAGENET1K_SWAG_E2E_V1, not ImageNet only",
        ),
        ({"type": "TinyBackbone"}, "not stated"),
        (None, "not stated"),
    ],
)
def test_the_protocol_card(backbone, text):
    assert initial_weights({"type": "DeepLab", "backbone": backbone}) == text


def test_the_protocol_card_names_what_replaces_imagenet():
    config = {"type": "DeepLab", "backbone": {"type": "ResNet38d", "weights": "r.pth"}}
    init = {"weights": "x/deeplab_coco.pth", "trained_on": "COCO"}
    assert initial_weights({**config, "init": init}) == "COCO (deeplab_coco.pth), not ImageNet only"
    own = {"weights": "x/b.pth", "trained_on": "ImageNet-1k"}
    assert initial_weights({**config, "init": own}) == "ImageNet-1k (b.pth)"


def _vgg(width: int, channels: int) -> dict[str, torch.Tensor]:
    """The fully connected layers of a VGG with `width` instead of 4096 units, in torchvision's names."""
    shapes = {"0": (width, channels * 49), "3": (width, width)}
    state = {f"classifier.{i}.weight": torch.randn(shape) for i, shape in shapes.items()}
    return state | {f"classifier.{i}.bias": torch.randn(width) for i in shapes}


def test_vggs_layers_thinned(build):
    """Units of fc6 and fc7 computed from VGG's own, at the taps 0, 12 and 24 of its 7 x 7 kernel at dilation 4."""
    from torch.nn import functional as F

    from wsssbench.segmenters.initial import thin

    state = _vgg(30, 5)
    (w6, b6), (w7, b7) = thin(state, 8, 6)
    maps = torch.randn(1, 5, 25, 25)
    kernel = state["classifier.0.weight"].view(30, 5, 7, 7).clone()
    for tap in (1, 2, 4, 5):
        kernel[:, :, tap] = 0
        kernel[..., tap] = 0
    whole = F.conv2d(maps, kernel, state["classifier.0.bias"], dilation=4).flatten()
    fc6 = F.conv2d(maps, w6, b6, dilation=12).flatten()
    kept = [int((whole - value).abs().argmin()) for value in fc6]
    assert len(set(kept)) == 8
    torch.testing.assert_close(fc6, whole[kept])
    alive = torch.zeros(30)
    alive[kept] = whole[kept]
    whole7 = F.linear(alive, state["classifier.3.weight"], state["classifier.3.bias"])
    fc7 = F.conv2d(fc6.view(1, 8, 1, 1), w7, b7).flatten()
    kept7 = [int((whole7 - value).abs().argmin()) for value in fc7]
    assert len(set(kept7)) == 6
    torch.testing.assert_close(fc7, whole7[kept7])


@pytest.mark.parametrize(
    "head", [{"head": "largefov", "norm": False}, {"head": "v2", "dilations": (6, 12)}]
)
def test_a_head_from_vgg(build, tmp_path, head):
    from wsssbench.segmenters.initial import load_vgg

    state = _vgg(16, 10)  # the tiny backbone's width
    torch.save(state, tmp_path / "vgg.pth")
    head = build(**head).decode_head
    load_vgg(head, {"weights": str(tmp_path / "vgg.pth")})
    kernels = state["classifier.0.weight"].view(16, 10, 7, 7)[:, :, 3, 3].tolist()
    pairs = head.fc6_fc7()
    for fc6, fc7 in pairs:
        assert fc6.weight.shape == (8, 10, 3, 3)
        assert all(row in kernels for row in fc6.weight[:, :, 1, 1].tolist())
        assert set(fc7.bias.tolist()) <= set(state["classifier.3.bias"].tolist())
        assert torch.equal(fc7.weight, pairs[0][1].weight)
    del state["classifier.3.weight"]
    torch.save(state, tmp_path / "vgg.pth")
    with pytest.raises(UserError, match="has no fully connected layers"):
        load_vgg(head, {"weights": str(tmp_path / "vgg.pth")})


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"norm": False}, "needs a TorchvisionBackbone of a VGG"),
        ({"norm": None}, "needs layers like VGG's"),
        ({"head": "v3plus"}, "needs layers like VGG's"),
    ],
)
def test_only_vgg_has_vggs_layers(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        deeplab(fc_from_vgg=True, **changes)
