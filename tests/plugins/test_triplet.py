"""The triplet losses against eq. 6-11 in loops, for every switch of the paper's Tables 2 and 3."""

from __future__ import annotations

import dataclasses
import itertools
import math
import pickle

import naive_aeft as naive
import numpy as np
import pytest
import torch
from tiny_classifier import LABELS, K, batch, recorder
from wsssbench_aeft import maths
from wsssbench_aeft.gpp import GPP
from wsssbench_aeft.triplet import AEFT
from wsssbench_baselines.gap import GAP

from wsssbench.errors import UserError
from wsssbench.plugins import load

# rows of Table 2, of section 4.3's text, and of Table 3
ROWS = {
    "attract only": {"repel": 0.0},
    "repel only": {"attract": 0.0},
    "direct": {"embedding": "direct"},
    "both": {},
    "e_A instead of e_AL": {"repelled": "full"},
    "rigid": {"repel": 0.0, "attraction": "rigid"},
}
WIDE = {"margin": 3.5}  # untrained embeddings are far apart: with 0.5 nothing would be repelled
READINGS = [
    {},
    WIDE,
    {**WIDE, "distance": "mean"},
    {**WIDE, "present_only": True},
    {**WIDE, "mask": "hard"},
    {"margin": 1.5, "t_low": 0.4, "t_high": 0.8, "attract": 0.7, "repel": 0.9},
]


def aeft(**parameters):
    return AEFT(K, (6,), **parameters)


def run(erasing, *, labels=LABELS, pooling=None, seed=0):
    torch.manual_seed(seed)  # for the gates
    classifier = recorder(pooling or GPP(K, bins=(2, 4)), seed)
    given = batch(labels, seed=seed)
    output = classifier(given.images)
    return classifier, given, output, erasing.losses(classifier, given, output)


def naive_terms(e, classifier, given, output):
    """Terms and the erased images, from the formulas; `e` is the AEFT whose parameters count."""
    maps, labels = output.maps.detach().numpy(), given.labels.numpy()
    space = output.maps if e.embedding == "direct" else output.attention
    space = space.detach().numpy()
    cams = [naive.cam(f) for f in maps]
    full = [naive.embedding(p) for p in space]
    terms, erased = {}, None
    if e.attract:
        classes = [np.flatnonzero(y) if e.present_only else range(K) for y in labels]
        erased = np.stack(
            [
                naive.masked(image, naive.foreground(a, c), e.t_high, e.mask == "hard")
                for image, a, c in zip(given.images.numpy(), cams, classes, strict=True)
            ]
        )
        second = classifier(torch.from_numpy(erased))
        if e.attraction == "rigid":
            loss = naive.binary_cross_entropy(second.logits.detach().numpy(), labels)
        else:
            space_p = (second.maps if e.embedding == "direct" else second.attention).detach()
            positive = [naive.embedding(p) for p in space_p.numpy()]
            pairs = zip(full, positive, strict=True)
            loss = np.mean([naive.distance(a, p, e.distance) for a, p in pairs])
        terms["attract"] = e.attract * loss
    if e.repel:
        low = [naive.low_embedding(p, a, e.t_low) for p, a in zip(space, cams, strict=True)]
        pushed = full if e.repelled == "full" else low
        terms["repel"] = e.repel * naive.repel(pushed, full, labels, e.margin, e.distance)
    return terms, erased


@pytest.mark.parametrize("reading", READINGS, ids=str)
@pytest.mark.parametrize("row", ROWS)
def test_every_row_of_tables_2_and_3_is_the_formula(row, reading):
    erasing = aeft(**{**reading, **ROWS[row]})
    classifier, given, output, losses = run(erasing)
    seen = classifier.seen[1:]

    expected, erased = naive_terms(erasing, classifier, given, output)

    assert set(losses.terms) == set(expected)
    for name, value in expected.items():
        assert losses.terms[name].item() == pytest.approx(value, abs=1e-10), name
    if erased is None:
        assert not seen
    else:
        np.testing.assert_allclose(seen[0].detach(), erased, rtol=0, atol=1e-10)


def test_the_rows_differ():
    """Guards the test above: a switch without effect would pass it."""
    values = []
    for row in ROWS.values():
        terms = run(aeft(**WIDE, **row))[-1].terms
        values.append(round(sum(t.item() for t in terms.values()), 9))
    assert len(set(values)) == len(ROWS)


def test_defaults_are_the_papers():
    erasing = aeft()
    assert (erasing.attract, erasing.repel, erasing.margin) == (0.15, 0.15, 0.5)
    assert (erasing.t_high, erasing.t_low) == (0.6, 0.2)
    assert (erasing.attraction, erasing.embedding, erasing.repelled) == ("soft", "indirect", "low")


def test_negatives_share_no_class_and_follow_in_batch_order():
    generator = torch.Generator().manual_seed(3)
    for n, k in itertools.product((1, 2, 5, 9), (1, 3, 6)):
        labels = (torch.rand(n, k, generator=generator) < 0.4).float()
        expected = [naive.negative(labels.numpy(), i) for i in range(n)]
        chosen = [None if j < 0 else j for j in maths.negatives(labels).tolist()]
        assert chosen == expected


def test_anchors_without_a_negative_are_left_out_and_counted():
    labels = torch.tensor([[1.0, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0]], dtype=torch.float64)
    with_all = run(aeft(margin=4.0), labels=labels)[-1]
    assert with_all.log["anchors_without_negative"] == 1
    chosen = torch.tensor([-1, 2, 1])
    e, repel = torch.randn(3, K), aeft(margin=40.0).repel_loss
    torch.testing.assert_close(repel(e, e, chosen), repel(e[1:], e[1:], torch.tensor([1, 0])))


def test_a_batch_without_negatives_repels_nothing_but_can_be_differentiated():
    labels = torch.ones(3, K, dtype=torch.float64)
    classifier, _, _, losses = run(aeft(attract=0.0), labels=labels)
    assert losses.terms["repel"].item() == 0
    assert losses.log["anchors_without_negative"] == 3
    losses.terms["repel"].backward()
    assert all(p.grad is None or not p.grad.any() for p in classifier.parameters())


def test_a_batch_of_one_only_attracts():
    terms = run(aeft(), labels=LABELS[:1])[-1].terms
    assert terms["attract"].item() > 0
    assert terms["repel"].item() == 0


def test_embeddings_have_unit_length_and_do_not_depend_on_scale():
    p = torch.randn(5, K, 6, 7, dtype=torch.float64)
    a = torch.rand(5, K, 6, 7, dtype=torch.float64)
    for e in (maths.embed(p), maths.embed_low(p, a, 0.2)):
        torch.testing.assert_close(e.norm(dim=1), torch.ones(5, dtype=torch.float64))
    torch.testing.assert_close(maths.embed(7 * p), maths.embed(p))


def test_low_embedding_without_low_pixels_is_zero_and_with_only_low_pixels_is_the_full_one():
    p = torch.randn(2, K, 4, 4)
    assert not maths.embed_low(p, torch.full_like(p, 0.2), 0.2).any()  # not below t_low
    torch.testing.assert_close(maths.embed_low(p, torch.zeros_like(p), 0.2), maths.embed(p))


def test_summed_distance_makes_the_margin_bind_where_the_mean_cannot():
    e = torch.nn.functional.normalize(torch.randn(40, 20), dim=1)
    assert maths.squared_distance(e, -e, reduce_mean=True).max() <= 4 / 20 + 1e-6  # below 0.5
    assert maths.squared_distance(e, -e, reduce_mean=False).min() >= 4 - 1e-5
    assert aeft().repel_loss(e, -e, torch.arange(40)) == 0


def test_gradient_of_the_losses_is_that_of_finite_differences():
    p, other = (torch.randn(3, K, 3, 4, dtype=torch.float64, requires_grad=True) for _ in "ab")
    cam = torch.rand(3, K, 3, 4, dtype=torch.float64)
    chosen = torch.tensor([1, -1, 0])

    def total(p, other):
        erasing = aeft(margin=3.9, t_low=0.5)
        e_al, _ = erasing.repel_embeddings(p, cam, labels=None)
        attract = erasing.attract_loss(p, other, labels=None)
        return attract + erasing.repel_loss(e_al, maths.embed(other), chosen)

    assert torch.autograd.gradcheck(total, (p, other))


@pytest.mark.parametrize(("mask", "reaches"), [("soft", True), ("hard", False)])
def test_the_gradient_passes_through_a_soft_mask_only(mask, reaches):
    classifier, given, output, _ = run(aeft())
    rigid = aeft(repel=0.0, attraction="rigid", mask=mask, t_high=2.0)
    loss = rigid.losses(classifier, given, output).terms["attract"]
    (gradient,) = torch.autograd.grad(loss, output.maps, allow_unused=True)
    assert (gradient is not None and bool(gradient.abs().sum() > 0)) == reaches


@pytest.mark.parametrize("present_only", [True, False])
def test_a_hardly_active_absent_class_does_not_blow_up_the_gradient(present_only):
    def gradient(scale):
        classifier, given = recorder(GPP(K, bins=(2, 4))), batch()
        with torch.no_grad():
            classifier.head.weight[3] *= scale  # no image has this class
        erasing = aeft(present_only=present_only, repel=0.0)
        erasing.losses(classifier, given, classifier(given.images)).terms["attract"].backward()
        return classifier.head.weight.grad.norm()

    assert gradient(1e-6) < 10 * gradient(1.0)


def test_attraction_brings_the_erased_image_closer_and_repulsion_moves_negatives_away():
    for parameters in ({"repel": 0.0}, {"attract": 0.0, "margin": 4.0}):
        erasing = aeft(**parameters)
        classifier, given, _, before = run(erasing)
        sum(before.terms.values()).backward()
        with torch.no_grad():
            for weight in classifier.parameters():
                if weight.grad is not None:
                    weight -= 0.05 * weight.grad / (weight.grad.norm() + 1e-12)
        after = erasing.losses(classifier, given, classifier(given.images))
        assert sum(after.terms.values()) < sum(before.terms.values())


@pytest.mark.parametrize("bias", [0.0, -5.0])
def test_maps_without_any_activation_stay_finite(bias):
    classifier = recorder(GPP(K, bins=(2, 4)))
    torch.nn.init.zeros_(classifier.head.weight)
    given = batch()
    output = classifier(given.images)
    losses = aeft().losses(classifier, given, output)
    total = sum(losses.terms.values()) + bias * output.maps.sum()
    total.backward()
    assert total.isfinite()
    assert all(p.grad is None or p.grad.isfinite().all() for p in classifier.parameters())


def test_autocast_keeps_losses_and_gradients_finite():
    classifier = recorder(GPP(K, bins=(2, 4))).float()
    given = batch()
    given = type(given)(given.images.float(), given.labels.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = aeft(margin=4.0).losses(classifier, given, classifier(given.images))
    sum(losses.terms.values()).backward()
    assert all(term.dtype == torch.float32 and term.isfinite() for term in losses.terms.values())
    assert all(p.grad is None or p.grad.isfinite().all() for p in classifier.parameters())


def test_indirect_embedding_needs_a_pooling_with_attention():
    with pytest.raises(UserError, match="GAP has none: use pooling GPP or embedding='direct'"):
        run(aeft(), pooling=GAP(K))
    assert run(aeft(embedding="direct"), pooling=GAP(K))[-1].terms["attract"].isfinite()
    assert run(aeft(attraction="rigid", repel=0.0), pooling=GAP(K))[-1].terms["attract"].isfinite()


def test_both_weights_zero_add_nothing():
    classifier, _, _, losses = run(aeft(attract=0.0, repel=0.0))
    assert not losses.terms
    assert len(classifier.seen) == 1


@pytest.mark.parametrize(
    "wrong", [{"attract": -0.1}, {"margin": math.nan}, {"t_low": 0.0}, {"t_high": -1.0}], ids=str
)
def test_values_out_of_range_are_one_sentence(wrong):
    (name,) = wrong
    with pytest.raises(UserError, match=f"AEFT.*: {name}=.* has to be"):
        load().registries.erasing.build({"type": "AEFT", **wrong}, K, (6,))


@pytest.mark.parametrize("name", ["AEFT", "RigidErasing"])
def test_a_late_start_leaves_the_first_share_of_the_schedule_to_classification(name):
    erasing = load().registries.erasing.build({"type": name, "start": 0.4}, K, (6,))
    classifier = recorder(GPP(K, bins=(2,)))
    for progress, begun in ((0.0, False), (0.39, False), (0.4, True), (0.99, True)):
        given = dataclasses.replace(batch(), progress=progress)
        output = classifier(given.images)
        assert bool(erasing.losses(classifier, given, output).terms) is begun
    with pytest.raises(UserError, match="start"):
        load().registries.erasing.build({"type": name, "start": 1.0}, K, (6,))


def test_pickle_keeps_every_switch():
    erasing = aeft(attraction="rigid", repelled="full", distance="mean")
    again = pickle.loads(pickle.dumps(erasing))
    assert [t.item() for t in run(again)[-1].terms.values()] == [
        t.item() for t in run(erasing)[-1].terms.values()
    ]
