"""The checks of an objective, of which an erasing is one: losses beside the classification loss."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import product

import numpy as np
import torch
from torch import nn

from wsssbench.contract.checks import attempt, need
from wsssbench.contract.modules import (
    check_spawned,
    check_state,
    need_finite,
    need_gradients,
    need_new_layers,
    need_unchanged,
)
from wsssbench.contract.objective_passes import (
    PROGRESS,
    at_work,
    backward,
    cases,
    check_losses,
    checked,
    classifier_with,
    losses_of,
    train_on,
)
from wsssbench.contract.rig import Subject
from wsssbench.contract.samples import make_batch
from wsssbench.interfaces import Batch, Classifier
from wsssbench.interfaces.requirements import need_class_maps


def poolings(subject: Subject) -> None:
    """It works with some pooling, and refuses the others by an error that names them."""
    at_work(subject)


def losses(subject: Subject) -> None:
    """At every progress its losses are named finite scalars."""
    for pooling in at_work(subject)[0]:
        for progress in PROGRESS:
            batch = make_batch(3, 32, 32, progress)
            where = f"with {pooling} at progress {progress:g}"
            check_losses(losses_of(classifier_with(subject, pooling), batch, where), where)


def odd_sizes(subject: Subject) -> None:
    """Images may have any size."""
    for classifier, progress in cases(subject):
        train_on(classifier, make_batch(4, 29, 37, progress), "of images of 29 x 37")


def batch_of_one(subject: Subject) -> None:
    """A batch may be one image, which has no other to compare with."""
    for classifier, progress in cases(subject):
        train_on(classifier, make_batch(1, 32, 32, progress), "of a single image")


def no_class(subject: Subject) -> None:
    """Images may have no class at all."""
    for classifier, progress in cases(subject):
        batch = make_batch(3, 32, 32, progress)
        empty = replace(batch, labels=torch.zeros_like(batch.labels))
        train_on(classifier, empty, "of images without a class")


def gradients(subject: Subject) -> None:
    """Finite gradients reach the class maps or the feature maps, and its own parameters."""
    for (classifier, progress), size in product(cases(subject), ((3, 32, 32), (4, 29, 37))):
        classifier.zero_grad()
        train_on(classifier, make_batch(*size, progress), "")
        trained = [classifier.head.weight, *classifier.backbone.parameters()]
        need(
            any(p.grad is not None and bool(p.grad.any()) for p in trained),
            "no gradient reaches the class maps or the feature maps",
            "the losses have to train the classifier",
        )
        need_gradients(checked(classifier), "its parameter")


def deterministic(subject: Subject) -> None:
    """In evaluation mode, from one state of torch's random generator, the same batch gives the same losses."""
    for classifier, progress in cases(subject):
        classifier.eval()
        batch = make_batch(3, 32, 32, progress)
        first, second = (losses_of(classifier, batch, "").terms for _ in range(2))
        values = [
            {name: value.item() for name, value in terms.items()} for terms in (first, second)
        ]
        need(
            values[0] == values[1],
            f"in evaluation mode one batch gives the losses {values[0]} and then {values[1]}",
            "with the same seed they have to be the same",
        )


def cam_maps(subject: Subject) -> None:
    """The maps it gives CAM inference are as large as the classifier's, and finite."""
    for classifier, _ in cases(subject):
        batch = make_batch(2, 29, 37)
        with torch.no_grad():
            output = classifier.eval()(batch.images, batch.labels)
            with attempt("maps(classifier, output)", "CAMs are inferred from it"):
                maps = checked(classifier).maps(classifier, output)
        need_class_maps(maps, output.maps)
        need_finite(maps, "what maps() gives")


def classification_weight(subject: Subject) -> None:
    """Its weight of the classification loss is a number, not negative, and the one that its config has."""
    config, weight = subject.config(), checked(next(cases(subject))[0]).classification_weight
    need(
        type(weight) in (int, float) and math.isfinite(weight) and weight >= 0,
        f"its classification_weight is {weight!r}",
        "the classification loss is multiplied with it",
    )
    name = "classification_weight"
    parameter = subject.registry.parameters(subject.name).get(name)
    default = getattr(subject.cls, name) if parameter is None else parameter.default
    need(
        weight == config.get(name, default),
        f"its {name} is {weight!r}, but that of its config {config.get(name, default)!r}",
        "the protocol card has what the config says: keep the parameter in the attribute of the same name, or have a "
        "constant of the class",
    )


def new_layers(subject: Subject) -> None:
    """`new_layers` is None, or a tuple of the first parts of names, each of parameters that are trained."""
    declared = subject.shared().new_layers
    if declared is not None:
        need_new_layers(subject.shared(), declared)


def inputs_unchanged(subject: Subject) -> None:
    """The batch it is given stays as it is."""
    for classifier, progress in cases(subject):
        batch = make_batch(3, 32, 32, progress)
        before = {"batch.images": batch.images.clone(), "batch.labels": batch.labels.clone()}
        losses_of(classifier, batch, "")
        after = {"batch.images": batch.images, "batch.labels": batch.labels}
        need_unchanged(before, after)


def half_precision(subject: Subject) -> None:
    """Under bfloat16 autocast losses and gradients are finite."""
    for classifier, progress in cases(subject):
        batch = make_batch(3, 32, 32, progress)
        where = "under bfloat16 autocast"
        with torch.autocast("cpu", dtype=torch.bfloat16):
            losses = losses_of(classifier, batch, where)
        check_losses(losses, where)
        backward(classifier, losses, where)


def state(subject: Subject) -> None:
    """A classifier with a new instance that loads its state gives the same class maps and losses."""
    names, progress = at_work(subject)
    one, other = (classifier_with(subject, names[0], seed).eval() for seed in (0, 1))
    with torch.no_grad():
        for parameter in checked(one).parameters():
            parameter.normal_(std=0.5)
    batch = make_batch(3, 32, 32, progress)
    check_state(one, other, lambda m: torch.from_numpy(_everything(m, batch)))


def spawned_process(subject: Subject) -> None:
    """Pickled to a spawned process it gives the same class maps and losses."""
    names, progress = at_work(subject)
    batch = make_batch(3, 32, 32, progress)
    check_spawned(subject, classifier_with(subject, names[0]).eval(), _everything, batch)


CHECKS = (
    poolings,
    losses,
    odd_sizes,
    batch_of_one,
    no_class,
    gradients,
    deterministic,
    cam_maps,
    classification_weight,
    new_layers,
    inputs_unchanged,
    half_precision,
    state,
    spawned_process,
)


def _everything(classifier: nn.Module, batch: Batch) -> np.ndarray:
    """Class maps for CAMs and the losses in one vector, in the order of their names."""
    assert isinstance(classifier, Classifier)
    with torch.no_grad():
        terms = losses_of(classifier, batch, "").terms
        maps = classifier.cam_maps(batch.images, batch.labels)
    values = [terms[name].reshape(1) for name in sorted(terms)]
    return np.asarray(torch.cat([maps.flatten(), *values]).float())
