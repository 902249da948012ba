from __future__ import annotations

import dataclasses

import pytest
import torch
from tiny_models import ScaledMean, TinyBackbone, tiny_classifier

from wsssbench.errors import UserError
from wsssbench.interfaces import Classifier, Erasing, Losses, Output
from wsssbench.models.classifier import build_classifier
from wsssbench.training.optimizer import build_optimizer
from wsssbench.training.schedule import Schedule

IMAGES = torch.randn(2, 3, 21, 30, generator=torch.Generator().manual_seed(0))


class AddOne(Erasing):
    def losses(self, classifier, batch, output) -> Losses:
        return Losses({})

    def maps(self, classifier: Classifier, output: Output) -> torch.Tensor:
        return output.maps + 1


class Double(AddOne):
    def __init__(self) -> None:
        super().__init__()
        self.factor = torch.nn.Parameter(torch.tensor(2.0))

    def maps(self, classifier: Classifier, output: Output) -> torch.Tensor:
        return output.maps * self.factor


def test_forward_is_backbone_then_a_linear_map_per_cell_then_pooling():
    classifier = tiny_classifier().eval()
    output = classifier(IMAGES)
    feature = classifier.backbone(IMAGES)[-1]
    expected = torch.einsum("nchw,kc->nkhw", feature, classifier.head.weight[:, :, 0, 0])
    torch.testing.assert_close(output.maps, expected)
    torch.testing.assert_close(output.logits, expected.mean((2, 3)))
    assert output.logits.shape == (2, 3)
    assert torch.equal(output.attention, output.maps.sigmoid())


def test_classifying_features_equals_forward():
    classifier = tiny_classifier(dropout=0.5).eval()
    output = classifier(IMAGES)
    again = classifier.classify(output.features)
    for field in dataclasses.fields(Output):
        a, b = getattr(output, field.name), getattr(again, field.name)
        if field.name == "features":
            assert len(a) == len(b) == 2
        elif field.name in ("images", "labels"):
            assert b is None
        else:
            assert torch.equal(a, b)


def test_a_hidden_layer_is_a_convolution_and_relu_between_dropout_and_head():
    classifier = tiny_classifier(hidden=7).eval()
    output = classifier(IMAGES)
    assert classifier.hidden.weight.shape == (7, 6, 1, 1)
    assert classifier.hidden.bias is None
    assert classifier.head.weight.shape == (3, 7, 1, 1)
    feature = classifier.backbone(IMAGES)[-1]
    between = torch.einsum("nchw,dc->ndhw", feature, classifier.hidden.weight[:, :, 0, 0])
    assert (between < 0).any()
    expected = torch.einsum(
        "ndhw,kd->nkhw", between.clamp(min=0), classifier.head.weight[:, :, 0, 0]
    )
    torch.testing.assert_close(output.maps, expected)
    torch.testing.assert_close(classifier.classify(output.features).maps, expected)
    # Xavier: uniform within sqrt(6 / (inputs + outputs)), of both
    for layer, bound in ((classifier.hidden, (6 / 13) ** 0.5), (classifier.head, (6 / 10) ** 0.5)):
        assert 0.7 * bound < layer.weight.abs().max() <= bound


def test_without_a_hidden_layer_nothing_is_saved_of_it():
    names = [n for n in tiny_classifier().state_dict() if not n.startswith("backbone.")]
    assert names == ["head.weight", "pooling.factor"]


def test_dropout_takes_whole_channels_and_only_in_training():
    classifier = tiny_classifier(dropout=0.5)
    feature = torch.ones(64, 6, 3, 4)
    torch.manual_seed(0)
    dropped = classifier.train().dropout(feature)
    per_channel = dropped.flatten(2)
    assert torch.equal(per_channel.amax(2), per_channel.amin(2))
    assert set(per_channel.unique().tolist()) == {0.0, 2.0}
    assert torch.equal(classifier.eval().dropout(feature), feature)


def test_cam_maps_pass_through_the_erasing_methods_in_order():
    torch.manual_seed(0)
    classifier = Classifier(TinyBackbone(), ScaledMean(3), 3, [AddOne(), Double()]).eval()
    torch.testing.assert_close(classifier.cam_maps(IMAGES), (classifier(IMAGES).maps + 1) * 2)


class Adapted(TinyBackbone):
    """With a layer that no pretraining has seen, and one whose name is that of the classifier's head."""

    new_layers = ("adapter",)

    def __init__(self):
        super().__init__()
        self.adapter = torch.nn.Conv2d(6, 6, 1)
        self.classifier = torch.nn.ModuleDict({"head": torch.nn.Conv2d(6, 6, 1)})


def test_new_layers_are_the_classifier_s_own_and_those_that_the_backbone_declares():
    """As the optimiser sorts them: what is called like a new layer, but stands in the backbone, is not one."""
    classifier = Classifier(Adapted(), ScaledMean(3), 3, [Double()], hidden=4)
    faster = dict.fromkeys((f"classifier.{path}" for path in classifier.new_layers()), 10.0)
    model = torch.nn.ModuleDict({"classifier": classifier})
    schedule = Schedule(batch_size=1, iterations=1, lr=0.1)
    groups = build_optimizer(model, schedule, faster).optimizer.param_groups
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    names = {name for name, p in classifier.named_parameters() if rate[id(p)] == 1.0}
    assert names == {
        *("hidden.weight", "head.weight", "pooling.factor", "erasing.0.factor"),
        *("backbone.adapter.weight", "backbone.adapter.bias"),
    }
    assert {rate[id(p)] for n, p in classifier.named_parameters() if n not in names} == {0.1}


def test_building_from_a_config():
    config = {
        "backbone": {"type": "EfficientNetLite0", "output_stride": 8},
        "pooling": {"type": "GAP"},
        "erasing": [{"type": "AEFT"}],
        "dropout": 0.2,
        "hidden": 16,
    }
    classifier = build_classifier(config, 4, pretrained=False)
    assert classifier.hidden.out_channels == 16
    assert classifier.num_classes == 4
    assert classifier.dropout.p == 0.2
    assert classifier.backbone.strides[-1] == 8
    assert [type(e).__name__ for e in classifier.erasing] == ["AEFT"]
    assert classifier(torch.zeros(1, 3, 33, 33)).maps.shape == (1, 4, 5, 5)


def test_without_initial_weights_no_file_is_asked_for():
    gap = {"type": "GAP"}
    config = {"backbone": {"type": "ResNet38d", "weights": "gone.pth"}, "pooling": gap}
    with torch.device("meta"):
        build_classifier(config, 4, pretrained=False)
    with torch.device("meta"), pytest.raises(UserError, match=r"gone\.pth does not exist"):
        build_classifier(config, 4)
    config = {"backbone": {"type": "TorchvisionBackbone", "name": "resnet18"}, "pooling": gap}
    with torch.device("meta"):
        build_classifier(config, 4, pretrained=False)


LITE = {"type": "EfficientNetLite0", "weights": None}


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({"backbone": LITE}, "classifier: 'pooling' is missing"),
        ({"pooling": {"type": "GAP"}}, "classifier: 'backbone' is missing"),
        ({"backbone": LITE, "pooling": {"type": "GAP"}, "droput": 0.1}, "did you mean dropout"),
        ({"backbone": {"type": "Lite"}, "pooling": {"type": "GAP"}}, "unknown backbone 'Lite'"),
        ({"backbone": LITE, "pooling": {"type": "GAP"}, "dropout": 1.5}, "dropout=1.5"),
        ({"backbone": LITE, "pooling": {"type": "GAP"}, "hidden": -1}, "hidden=-1"),
        (
            {"backbone": {**LITE, "output_stride": 5}, "pooling": {"type": "GAP"}},
            r"classifier.backbone \(backbone EfficientNetLite0\): output_stride=5",
        ),
        (
            {"backbone": LITE, "pooling": {"type": "GAP"}, "erasing": [{"type": "Nothing"}]},
            "unknown erasing 'Nothing'",
        ),
    ],
)
def test_mistakes_in_the_config_get_a_sentence(config, sentence):
    with torch.device("meta"), pytest.raises(UserError, match=sentence):
        build_classifier(config, 4)
