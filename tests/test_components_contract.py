"""What every registered pooling and erasing has to keep, of whichever installed plugin.

Components that cannot be built without parameters are skipped: their own tests have to cover them.
"""

from __future__ import annotations

import inspect
import pickle
import warnings

import pytest
import torch
from torch import Tensor, nn

from wsssbench.errors import UserError
from wsssbench.interfaces import Backbone, Batch, Losses
from wsssbench.models.classifier import Classifier
from wsssbench.plugins import load

K = 4
REGISTRIES = load().registries
POOLINGS = sorted(REGISTRIES.pooling.components)
ERASINGS = sorted(REGISTRIES.erasing.components)
COMPONENTS = [("pooling", name) for name in POOLINGS] + [("erasing", name) for name in ERASINGS]
SIZES = [(1, 8, 8), (3, 7, 5), (2, 1, 1), (2, 3, 17)]

pytestmark = pytest.mark.filterwarnings("ignore:GPP. bin:UserWarning")


class TwoConvolutions(Backbone):
    """The smallest backbone there is: feature maps at stride 2 and 4."""

    channels = (6, 8)
    strides = (2, 4)

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 6, 3, stride=2, padding=1)
        self.second = nn.Conv2d(6, 8, 3, stride=2, padding=1)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        fine = torch.relu(self.first(images))
        return fine, torch.relu(self.second(fine))


def build(kind: str, name: str, **parameters) -> nn.Module:
    needed = REGISTRIES[kind].parameters(name).values()
    missing = [p.name for p in needed if p.default is inspect.Parameter.empty]
    if missing:
        pytest.skip(f"{name} cannot be built without {', '.join(missing)}")
    supplied = (K,) if kind == "pooling" else (K, TwoConvolutions.channels)
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return REGISTRIES[kind].build({"type": name, **parameters}, *supplied)


def classifier_with(pooling: str, erasing: nn.Module) -> Classifier:
    torch.manual_seed(1)
    return Classifier(TwoConvolutions(), build("pooling", pooling), K, erasing=(erasing,))


def make_batch(n: int, height: int, width: int) -> Batch:
    generator = torch.Generator().manual_seed(2)
    labels = torch.zeros(n, K)
    labels[torch.arange(n), torch.arange(n) % K] = 1  # every image has a negative in the batch
    return Batch(torch.randn(n, 3, height, width, generator=generator), labels, progress=0.5)


def losses_of(classifier: Classifier, batch: Batch) -> Losses:
    torch.manual_seed(3)  # an erasing may draw
    return classifier.erasing[0].losses(classifier, batch, classifier(batch.images))


def test_the_built_in_components_are_among_those_tested():
    assert {"GAP", "GPP"} <= set(POOLINGS)
    assert {"AEFT", "RigidErasing"} <= set(ERASINGS)


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_a_misspelt_parameter_is_rejected_with_its_near_match(kind, name):
    parameters = list(REGISTRIES[kind].parameters(name))
    wrong = parameters[0] + "x" if parameters else "anything"
    hint = f"did you mean .*{parameters[0]}" if parameters else "there are none"
    with pytest.raises(UserError, match=f"{name}.*unknown parameter '{wrong}'.*{hint}"):
        REGISTRIES[kind].build({"type": name, wrong: 1}, K)


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_parameters_have_types_and_the_component_a_description(kind, name):
    for parameter in REGISTRIES[kind].parameters(name).values():
        assert parameter.annotation is not inspect.Parameter.empty
    assert REGISTRIES[kind].components[name].summary
    assert inspect.getdoc(REGISTRIES[kind].get(name))


@pytest.mark.parametrize(("kind", "name"), COMPONENTS)
def test_pickle_and_state_dict_round_trip(kind, name):
    component, fresh = build(kind, name), build(kind, name)
    with torch.no_grad():
        for value in component.parameters():
            value.normal_()
    fresh.load_state_dict(component.state_dict())
    for other in (pickle.loads(pickle.dumps(component)), fresh):
        assert other.state_dict().keys() == component.state_dict().keys()
        for key, value in component.state_dict().items():
            torch.testing.assert_close(other.state_dict()[key], value, rtol=0, atol=0)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_gives_logits_and_gradients_at_every_size(name, size):
    n, height, width = size
    pooling = build("pooling", name)
    maps = torch.randn(n, K, height, width, requires_grad=True)
    pooled = pooling(maps)
    assert pooled.logits.shape == (n, K)
    assert pooled.logits.dtype == torch.float32
    assert pooled.attention is None or pooled.attention.shape == maps.shape
    assert pooled.logits.isfinite().all()
    pooled.logits.square().sum().backward()
    assert maps.grad.isfinite().all()
    assert maps.grad.any()
    for parameter in pooling.parameters():
        assert parameter.grad is not None
        assert parameter.grad.isfinite().all()


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("value", [0.0, 50.0, -50.0])
def test_pooling_of_constant_maps_is_finite(name, value):
    maps = torch.full((2, K, 6, 6), value, requires_grad=True)
    logits = build("pooling", name)(maps).logits
    logits.sum().backward()
    assert logits.isfinite().all()
    assert maps.grad.isfinite().all()


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_in_eval_is_deterministic_and_sees_one_image_at_a_time(name):
    pooling, maps = build("pooling", name).eval(), torch.randn(4, K, 9, 6)
    before = maps.clone()
    logits = pooling(maps).logits
    torch.testing.assert_close(pooling(maps).logits, logits, rtol=0, atol=0)
    torch.testing.assert_close(pooling(maps[2:3]).logits, logits[2:3])
    assert torch.equal(maps, before)


@pytest.mark.parametrize("name", POOLINGS)
def test_pooling_under_bfloat16_autocast(name):
    pooling, maps = build("pooling", name).eval(), torch.randn(2, K, 8, 8)
    maps = maps.bfloat16().requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = pooling(maps).logits
    logits.sum().backward()
    expected = pooling(maps.detach().float()).logits
    torch.testing.assert_close(logits.detach().float(), expected, rtol=0.05, atol=0.05)
    assert maps.grad.isfinite().all()


def check_losses(losses: Losses) -> None:
    assert losses.terms, "an erasing with its default parameters adds a loss"
    for name, term in losses.terms.items():
        assert term.shape == (), name
        assert term.is_floating_point(), name
        assert term.isfinite(), name
    assert all(torch.as_tensor(value).shape == () for value in losses.log.values())


@pytest.mark.parametrize("size", [(3, 32, 32), (1, 32, 32), (4, 29, 37)], ids=str)
@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", ERASINGS)
def test_erasing_trains_the_classifier_with_finite_gradients(name, pooling, size):
    erasing = build("erasing", name)
    classifier, batch = classifier_with(pooling, erasing), make_batch(*size)
    images, labels = batch.images.clone(), batch.labels.clone()
    try:
        losses = losses_of(classifier, batch)
    except UserError as sentence:  # it may need an attention, but has to say so
        assert pooling in str(sentence)
        return
    check_losses(losses)
    sum(losses.terms.values()).backward()
    assert classifier.head.weight.grad.any(), "no gradient reaches the class maps"
    for parameter in classifier.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
    for parameter in erasing.parameters():
        assert parameter.grad is not None or not parameter.requires_grad
    assert torch.equal(batch.images, images)
    assert torch.equal(batch.labels, labels)


@pytest.mark.parametrize("name", ERASINGS)
def test_every_erasing_works_with_some_pooling(name):
    def works(pooling: str) -> bool:
        try:
            losses_of(classifier_with(pooling, build("erasing", name)), make_batch(2, 32, 32))
        except UserError:
            return False
        return True

    assert any(works(pooling) for pooling in POOLINGS)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", ERASINGS)
def test_erasing_in_eval_is_deterministic_and_its_maps_fit(name, pooling):
    classifier = classifier_with(pooling, build("erasing", name)).eval()
    batch = make_batch(3, 32, 32)
    output = classifier(batch.images)
    assert classifier.erasing[0].maps(output).shape == output.maps.shape
    try:
        first, second = (losses_of(classifier, batch) for _ in range(2))
    except UserError:
        return
    assert {k: v.item() for k, v in first.terms.items()} == {
        k: v.item() for k, v in second.terms.items()
    }


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("name", ERASINGS)
def test_erasing_under_bfloat16_autocast(name, pooling):
    classifier, batch = classifier_with(pooling, build("erasing", name)), make_batch(3, 32, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        try:
            losses = losses_of(classifier, batch)
        except UserError:
            return
    check_losses(losses)
    sum(losses.terms.values()).backward()
    for parameter in classifier.parameters():
        assert parameter.grad is None or parameter.grad.isfinite().all()
