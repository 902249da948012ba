"""Running an objective: the poolings it works with, its losses and their gradients."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator

import torch
from torch import Tensor

from wsssbench.contract.checks import BrokenContractError, attempt, need
from wsssbench.contract.modules import need_finite
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import Attention, K, Mean, make_batch, make_classifier, make_images
from wsssbench.errors import UserError
from wsssbench.interfaces import Batch, Classifier, Losses, Objective, Pooling
from wsssbench.interfaces.requirements import need_losses

# kind -> where a classifier has it
_PLACE = {"erasing": "erasing", "objective": "objectives"}
PROGRESS = (0.5, 0.0, 0.99)
OWN: dict[str, type[Pooling]] = {"a mean pooling": Mean, "an attention pooling": Attention}


def at_work(subject: Subject) -> tuple[list[str], float]:
    """The poolings it works with, and a progress at which it has a loss."""
    return subject.once("a pooling it works with", lambda: _try_poolings(subject))


def _try_poolings(subject: Subject) -> tuple[list[str], float]:
    working: list[str] = []
    acting: dict[str, float] = {}
    refused: list[str] = []
    subject.shared()  # it has to be built at all
    for name in _poolings(subject):
        for progress in PROGRESS:
            classifier = classifier_with(subject, name)
            try:
                terms = losses_of(classifier, make_batch(3, 32, 32, progress), f"with {name}").terms
            except BrokenContractError as broken:
                if not isinstance(broken.__cause__, UserError):
                    raise
                refused.append(str(broken.__cause__))
                _check_refusal(refused[-1], name, type(classifier.pooling).__name__)
                break
            if terms:
                acting.setdefault(name, progress)
        else:
            working.append(name)
    need(
        bool(working),
        f"it refuses every pooling, the last by '{refused[-1] if refused else ''}'",
        "it has to work with at least one, with its default parameters",
    )
    need(
        bool(acting),
        "with its default parameters it has no loss at progress 0, 0.5 or 0.99",
        "a config that only names it has to train with it",
    )
    first = next(iter(acting.values()))
    return [name for name in working if acting.get(name) == first], first


def _check_refusal(sentence: str, name: str, cls: str) -> None:
    need(
        name in sentence or cls in sentence or name in OWN,
        f"with pooling {name} it raised the error '{sentence}'",
        "a UserError has to name the pooling that does not suit, type(classifier.pooling).__name__",
    )


def _poolings(subject: Subject) -> list[str]:
    """Our own, and all registered ones that can be built without parameters and do work."""
    registry = subject.rig.registries.pooling
    usable = list(OWN)
    for name in sorted(registry.components):
        try:
            parameters = registry.parameters(name).values()
            if all(p.default is not inspect.Parameter.empty for p in parameters):
                _use_as_objectives_do(registry.build({"type": name}, K))
                usable.append(name)
        except Exception:  # that pooling's own checks say what is wrong with it
            continue
    return usable


def _use_as_objectives_do(pooling: Pooling) -> None:
    """Raises what `pooling` raises on the batches of the checks, of which no objective is to blame."""
    classifier = make_classifier(pooling)
    for n, height, width in ((3, 32, 32), (4, 29, 37), (1, 32, 32)):
        classifier(make_images(n, height, width))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        classifier(make_images(3, 32, 32))


def cases(subject: Subject) -> Iterator[tuple[Classifier, float]]:
    """A new classifier for each pooling it works with, and a progress at which it has a loss."""
    names, progress = at_work(subject)
    for name in names:
        yield classifier_with(subject, name), progress


def classifier_with(subject: Subject, pooling: str, seed: int = 0) -> Classifier:
    objective = copy.deepcopy(subject.shared()) if seed == 0 else subject.build(seed=seed)
    registry = subject.rig.registries.pooling
    torch.manual_seed(0)
    made: Pooling = OWN[pooling]() if pooling in OWN else registry.build({"type": pooling}, K)
    return make_classifier(made, **{_PLACE[subject.component.kind]: (objective,)})


def checked(classifier: Classifier) -> Objective:
    """The objective that is under check: the only one of `classifier`."""
    return classifier.all_objectives()[0][1]


def losses_of(classifier: Classifier, batch: Batch, where: str) -> Losses:
    torch.manual_seed(3)  # it may draw
    output = classifier(batch.images, batch.labels)
    with attempt(
        f"losses() {where}".strip(),
        "it has to give the losses of every batch, or refuse the pooling by a UserError that names it",
    ):
        losses: Losses = checked(classifier).losses(classifier, batch, output)
    need_losses(losses, where)
    return losses


def check_losses(losses: Losses, where: str) -> None:
    for name, term in losses.terms.items():
        need_finite(term, f"the loss '{name}' {where}".strip())


def train_on(classifier: Classifier, batch: Batch, where: str) -> None:
    """One training step but for the optimiser, with finite losses and gradients."""
    losses = losses_of(classifier, batch, where)
    check_losses(losses, where)
    backward(classifier, losses, where)


def backward(classifier: Classifier, losses: Losses, where: str) -> None:
    total = sum(losses.terms.values())
    if not isinstance(total, Tensor) or not total.requires_grad:
        return  # nothing to learn from this batch
    with attempt(f"the backward pass {where}".strip(), "the losses have to be differentiable"):
        total.backward()
    for name, parameter in classifier.named_parameters():
        if parameter.grad is not None:
            need_finite(parameter.grad, f"the gradient of '{name}' {where}".strip())
