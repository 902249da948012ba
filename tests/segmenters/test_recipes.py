"""The published recipes: each config builds the network it names, trains it with its settings and predicts."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_segmentation import CLASSES, context, make_items

from wsssbench.experiment.config import read_config
from wsssbench.files.images import image_size
from wsssbench.plugins import load
from wsssbench.segmenters.deeplab import DeepLab
from wsssbench.segmenters.settings import initial_weights
from wsssbench.training.quiet import quiet

BASES = Path(__file__).parents[2] / "configs" / "_base_"
RECIPES = sorted(path.stem for path in (BASES / "segmenters").glob("*.py"))
VOC = tuple(f"class{i}" for i in range(20))


def _config(recipe: str) -> dict:
    return read_config(BASES / "segmenters" / f"{recipe}.py")["segmenter"]


def _deeplab(recipe: str, classes=VOC, **changes) -> DeepLab:
    config = {**_config(recipe), **changes}
    return load().registries.segmenter.build(config, classes)


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """The real networks without memory for their values: their shapes, strides and names."""
    log = tmp_path_factory.mktemp("log") / "log"
    with quiet(log):
        from mmengine.model import BaseModule

        from wsssbench.segmenters.run import _network

        with torch.device("meta"), pytest.MonkeyPatch.context() as patch:
            patch.setattr(BaseModule, "init_weights", lambda self: None)  # it looks at the values
            return {
                name: _network(_deeplab(name).settings, "cpu", pretrained=False) for name in RECIPES
            }


def test_the_recipes_that_are_named():
    assert RECIPES == [
        "deeplabv2_resnet101",
        "deeplabv2_resnet101_balanced",
        "deeplabv2_vgg16",
        "deeplabv3plus_resnet101",
        "largefov_resnet38d",
        "largefov_vgg16",
        "pspnet_resnet101",
    ]


SIX = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
POLY = {"momentum": 0.9, "weight_decay": 5e-4, "power": 0.9, "new_layers_lr": 10.0, "bias_lr": 2.0}
PUBLISHED = {
    "largefov_resnet38d": (
        {
            "crop": 448,
            "resize": (0.5, 1.5),
            "photometric": "hsv10",
            "channels": 512,
            "interpolation": "cubic",
            "small_images": "random",
            "last_layer": "kaiming",
        },
        {**POLY, "batch_size": 10, "iterations": 20000, "lr": 1e-3},
        {"scales": SIX, "flip": True, "average": "logits", "crf": "seg_test"},
    ),
    "deeplabv2_resnet101": (
        {"crop": 321, "resize": (0.5, 1.5), "dilations": (6, 12, 18, 24), "photometric": False},
        {**POLY, "batch_size": 10, "iterations": 20000, "lr": 2.5e-4},
        {"scales": (1.0,), "flip": False, "crf": "deeplab"},
    ),
    "deeplabv2_resnet101_balanced": (
        {"crop": 321, "resize": (0.5, 2.0), "loss": {"type": "BalancedCrossEntropy"}},
        {**POLY, "batch_size": 10, "iterations": 30000, "lr": 2.5e-4},
        {"scales": (1.0,), "flip": False, "crf": "deeplab"},
    ),
    "pspnet_resnet101": (
        {"crop": 512, "resize": (0.5, 2.0), "photometric": True, "channels": 512},
        {"batch_size": 16, "iterations": 20000, "lr": 0.005, "weight_decay": 5e-4, "power": 0.9},
        {"scales": SIX, "flip": True, "slide": True, "crf": "deeplab"},
    ),
}


@pytest.mark.parametrize("recipe", PUBLISHED)
def test_the_settings_of_the_lineage_s_codebases(recipe):
    """YudeWang's (SEAM, CPN), kazuto's (AdvCAM, RIB and others), and WSSS_MMSeg (PMM)."""
    views, schedule, test = PUBLISHED[recipe]
    config = _config(recipe)
    assert {key: config[key] for key in views} == views
    assert {key: config["schedule"][key] for key in schedule} == schedule
    assert config["schedule"].get("bias_weight_decay", 0) == 0
    assert config["test"] == test


@pytest.mark.parametrize("data", ["voc12", "coco14"])
@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_joins_any_data_set(tmp_path, data, recipe):
    path = tmp_path / "joined.py"
    bases = [str(BASES / f"{data}.py"), str(BASES / "segmenters" / f"{recipe}.py")]
    path.write_text(f"_base_ = {bases!r}\n")
    joined = read_config(path)
    assert joined["segmenter"] == _config(recipe)
    assert {"data", "splits", "evaluate"} <= set(joined)


@pytest.mark.parametrize("recipe", RECIPES)
def test_one_iteration_and_a_prediction_on_a_tiny_backbone(tmp_path, recipe):
    schedule = {**_config(recipe)["schedule"], "iterations": 1, "batch_size": 2}
    changes = {"backbone": {"type": "TinyBackbone"}, "crop": 64, "schedule": schedule}
    network = _deeplab(recipe, CLASSES, fc_from_vgg=False, **changes)
    items = make_items(tmp_path / "items", 3)
    network.train(items, context(tmp_path / "train"))
    network.predict(items[:2], tmp_path / "train", context(tmp_path / "out"))
    for item in items[:2]:
        assert image_size(tmp_path / "out" / f"{item.id}.png") == image_size(item.image)


# The rate of fc6 or of the classifiers, the channels between, and parameters in millions: Chen et al., TPAMI 2018,
# Table 1, has 20.5 for LargeFOV on VGG-16; others: ResNet-101 without its classifier has 42.50, VGG-16 14.71.
@pytest.mark.parametrize(
    ("recipe", "shape", "millions"),
    [
        ("largefov_vgg16", (512, 41, 41), 20.5),
        ("deeplabv2_vgg16", (512, 41, 41), 14.71 + 4 * (20.50 - 14.71)),
        ("deeplabv2_resnet101", (2048, 41, 41), 42.50 + 4 * 2048 * 9 * 21 / 1e6),
        ("largefov_resnet38d", (4096, 56, 56), None),
        ("deeplabv3plus_resnet101", (2048, 33, 33), None),
        # 1 x 1 from 2048 to 512 channels four times, 3 x 3 from 4096 to 512 with batch normalisation, 1 x 1 to 21
        ("pspnet_resnet101", (2048, 64, 64), 42.50 + (4 * 2049 + 9 * 4096 + 23 + 8) * 512 / 1e6),
    ],
)
def test_published_networks(networks, recipe, shape, millions):
    model = networks[recipe]
    crop = _config(recipe)["crop"]
    with torch.device("meta"):
        features = model.eval().backbone(torch.zeros(1, 3, crop, crop))
        logits = model.decode_head(features)
    assert tuple(features[-1].shape[1:]) == shape
    side = 129 if "v3plus" in recipe else shape[1]  # v3+ decodes at stride 4
    assert logits.shape == (1, 21, side, side)
    if millions is not None:
        assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(millions, rel=2e-3)


def test_vgg_is_dilated_as_deeplabs(networks):
    """TPAMI 2018, Section 3.1: no stride in the last two poolings, dilation 2 in conv5, 12 in fc6."""
    model = networks["largefov_vgg16"]
    convolutions = [m for m in model.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [m.dilation[0] for m in convolutions] == [1] * 10 + [2] * 3 + [1] + [12, 1]
    assert all(m.stride == (1, 1) for m in convolutions)
    assert sum(isinstance(m, torch.nn.MaxPool2d) for m in model.modules()) == 3


# Factor on the learning rate -> number of parameter tensors, counted in the architectures: VGG-16 has 13 convolutions
# with bias; ResNet-101 1 + 3 * 33 + 4 without; ResNet38d 43 without; the heads: see docs.
GROUPS = {
    "largefov_vgg16": {1: 13 + 2, 2: 13 + 2, 10: 1, 20: 1},
    "deeplabv2_vgg16": {1: 13 + 4 * 2, 2: 13 + 4 * 2, 10: 4, 20: 4},
    "deeplabv2_resnet101": {1: 104, 10: 4, 20: 4},
    "largefov_resnet38d": {1: 43, 10: 3 + 2 * 2, 20: 1},  # the new normalisations count as weights
}


def _groups(networks, recipe):
    from wsssbench.segmenters.run import lr_multipliers
    from wsssbench.training.optimizer import build_optimizer

    settings = _deeplab(recipe).settings
    wrapper = build_optimizer(networks[recipe], settings.schedule, lr_multipliers(settings))
    return settings.schedule, wrapper.optimizer.param_groups


@pytest.mark.parametrize("recipe", GROUPS)
def test_learning_rates_of_old_and_new_weights_and_biases(networks, recipe):
    schedule, groups = _groups(networks, recipe)
    counts = {round(group["lr"] / schedule.lr): len(group["params"]) for group in groups}
    assert counts == GROUPS[recipe]
    factor = {id(p): round(g["lr"] / schedule.lr) for g in groups for p in g["params"]}
    decay = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    listed = 0
    for path, module in networks[recipe].named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                assert id(parameter) not in factor
                continue
            # of VGG's heads, the last layer alone is new: what has no ReLU
            new = path.startswith("decode_head") and (
                "vgg" not in recipe or not path.endswith("conv")
            )
            bias = name == "bias"
            convolution = isinstance(module, torch.nn.Conv2d)
            assert factor[id(parameter)] == (10 if new else 1) * (2 if bias and convolution else 1)
            assert decay[id(parameter)] == (0.0 if bias and convolution else 5e-4)
            listed += 1
    assert listed == sum(len(group["params"]) for group in groups)


def test_deeplabv3plus_learns_everywhere_at_one_rate(networks):
    _, groups = _groups(networks, "deeplabv3plus_resnet101")
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.007, 1e-4)]
    trained = sum(len(group["params"]) for group in groups)
    assert trained == len(list(networks["deeplabv3plus_resnet101"].parameters()))


def test_every_recipe_starts_from_imagenet():
    weights = {name: initial_weights(_config(name)) for name in RECIPES}
    assert weights.pop("largefov_resnet38d") == "ImageNet (resnet_38d.params)"
    assert set(weights.values()) == {"ImageNet (IMAGENET1K_V1)"}
