"""What AEFT's released code does otherwise, each difference alone and all together, against loops."""

from __future__ import annotations

import itertools
import pickle
from dataclasses import replace
from typing import get_args

import naive_aeft as naive
import naive_released as released
import numpy as np
import pytest
import torch
from tiny_classifier import K, batch, recorder
from wsssbench_aeft import maths
from wsssbench_aeft import released as ours
from wsssbench_aeft.gpp import GPP
from wsssbench_aeft.released import AEFTReleased
from wsssbench_aeft.triplet import AEFT, Difference

from wsssbench.errors import UserError
from wsssbench.plugins import load

DIFFERENCES = get_args(Difference)
# What brings AEFTReleased's own defaults back to those of AEFT.
PAPERS = {"attract": 0.15, "present_only": False}
# The paper's AEFT but for one difference; and with it, each of the two that are parameters of AEFT
ALONE = [*((name, PAPERS) for name in DIFFERENCES), (None, {**PAPERS, "present_only": True})]


def but(*differences):
    """The `paper` of an AEFTReleased that follows the paper in everything but `differences`."""
    return tuple(name for name in DIFFERENCES if name not in differences)


# 0: ordinary; 1: one image has every class, thus no negative; 2: nobody has one; 3: one image;
# 4: an image without any class
BATCHES = [
    [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [1, 0, 1, 0], [0, 0, 0, 1], [0, 1, 0, 0], [0, 1, 0, 1]],
    [[1, 1, 1, 1], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 0]],
    [[1, 1, 0, 0], [1, 0, 1, 0], [0, 1, 1, 0]],
    [[1, 0, 0, 1]],
    [[0, 0, 0, 0], [1, 0, 0, 0], [0, 1, 1, 0]],
]  # fmt: skip


def labelled(which):
    return torch.tensor(BATCHES[which], dtype=torch.float64)


def run(which=0, seed=0, **parameters):
    """The losses of AEFTReleased(**parameters) on random weights and images, and what they were made from."""
    erasing = AEFTReleased(K, (6,), **parameters)
    torch.manual_seed(seed)  # for the gates
    classifier = recorder(GPP(K, bins=(2, 4)), seed)
    given = replace(batch(labelled(which), seed=seed), seed=seed)
    output = classifier(given.images)
    return erasing, classifier, given, output, erasing.losses(classifier, given, output)


def naive_terms(e, classifier, given, output):
    """Both terms and the erased images by loops, following the paper in what `e.paper` names."""
    labels = given.labels.numpy().astype(int)
    activate = naive.cam if "activation" in e.paper else released.activation
    maps = output.maps.detach().numpy()
    attention = output.attention.detach().numpy()
    erased = np.stack(
        [
            naive_erased(e, image, f, y, activate)
            for image, f, y in zip(given.images.numpy(), maps, labels, strict=True)
        ]
    )
    second = classifier(torch.from_numpy(erased)).attention.detach().numpy()
    how = {
        "rectified": "attract_relu" not in e.paper,
        "norm": "vector" if "attract_norm" in e.paper else "none",
        "classes": "all" if "attract_classes" in e.paper else "own",
    }
    anchors = [released.to_attract(p, y, **how) for p, y in zip(attention, labels, strict=True)]
    positives = [released.to_attract(p, y, **how) for p, y in zip(second, labels, strict=True)]
    distance = "squared" if "attract_distance" in e.paper else "absolute"
    attract = released.attract(anchors, positives, distance)

    how = {
        "norm": "vector" if "repel_norm" in e.paper else "peak",
        "classes": "all" if "repel_classes" in e.paper else "own",
    }
    images = list(zip(attention, [activate(f) for f in maps], labels, strict=True))
    pushed = [released.to_repel(p, a, y, t_low=e.t_low, **how) for p, a, y in images]
    region = "all" if "negative_region" in e.paper else "below_peak"
    others = [released.as_negative(p, a, y, region=region, **how) for p, a, y in images]
    scores = [one.random(len(labels)) for one in given.generators("AEFTReleased")]
    chosen = [
        naive.negative(labels, i) if "negative" in e.paper else released.negative(labels, i, scores)
        for i in range(len(labels))
    ]
    rows = "all" if "repel_rows" in e.paper else "hard"
    repel = released.repel(pushed, others, chosen, e.margin, rows)
    return {"attract": e.attract * attract, "repel": e.repel * repel}, erased


def naive_erased(e, image, f, y, activate):
    classes = np.flatnonzero(y) if e.present_only else range(K)
    if "mask_size" in e.paper:
        fg = naive.foreground(activate(f), classes)
    else:
        fg = released.image_foreground(f, classes, image.shape[1:], activate)
    return naive.masked(image, fg, e.t_high, hard=False)


def compare(which, seed, **parameters):
    erasing, classifier, given, output, losses = run(which, seed, **parameters)
    seen = classifier.seen[1].detach()
    expected, erased = naive_terms(erasing, classifier, given, output)
    assert set(losses.terms) == set(expected)
    for name, value in expected.items():
        assert losses.terms[name].item() == pytest.approx(value, abs=1e-10), name
    np.testing.assert_allclose(seen, erased, rtol=0, atol=1e-10)
    return expected


@pytest.mark.parametrize("which", range(len(BATCHES)))
@pytest.mark.parametrize(("name", "parameters"), ALONE)
def test_each_difference_alone_is_its_formula(name, parameters, which):
    compare(which, seed=which, margin=3.5, paper=but(name), **parameters)


@pytest.mark.parametrize("which", range(len(BATCHES)))
@pytest.mark.parametrize("name", DIFFERENCES)
def test_the_released_code_but_for_one_difference_is_its_formula(name, which):
    compare(which, seed=which, margin=3.5, paper=(name,))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("which", range(len(BATCHES)))
def test_all_differences_together_are_the_released_code(which, seed):
    compare(which, seed)


def test_the_released_code_costs_something():
    """Guards the test above: with nothing hard it would compare 0 with 0."""
    expected = compare(0, 0)
    assert expected["attract"] > 0
    assert expected["repel"] > 0
    assert compare(1, 1, margin=5.0)["repel"] > 0


def test_following_the_paper_in_everything_is_aeft_itself():
    *_, classifier, given, output, losses = run(0, paper=DIFFERENCES, margin=3.5, **PAPERS)
    expected = AEFT(K, (6,), margin=3.5).losses(classifier, given, output)
    assert losses.terms.keys() == expected.terms.keys()
    for name, term in losses.terms.items():
        assert term.item() == expected.terms[name].item()


def test_the_differences_differ():
    """One without effect would pass the tests of the formulas."""
    values = set()
    for name, parameters in [(None, PAPERS), *ALONE]:
        terms = run(margin=1.0, paper=but(name), **parameters)[-1].terms
        values.add(round(sum(term.item() for term in terms.values()), 11))
    assert len(values) == 1 + len(ALONE)


@pytest.mark.parametrize(("hard", "counts"), [(4, False), (5, True)])
def test_hard_triplets_are_learnt_from_only_if_more_than_four(hard, counts):
    e = torch.zeros(8, K)
    e[hard:, 0] = 1.0  # 1 away from their negative: not hard
    negatives = torch.zeros(8, K)
    chosen = torch.tensor([1, 2, 3, 4, 5, 6, 7, 0])
    cost = AEFTReleased(K, (6,)).repel_loss(e, negatives, chosen)
    assert cost.item() == (0.5 if counts else 0.0)
    diluted = AEFT(K, (6,)).repel_loss(e, negatives, chosen)
    assert diluted.item() == pytest.approx(0.5 * hard / 8)


def test_supports_of_own_classes_are_disjoint_so_squared_lengths_add_up():
    """What makes the released repel term a pull towards longer embeddings of either image."""
    anchor = torch.tensor([[0.3, -0.4, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    distance = maths.squared_distance(anchor, anchor[[1, 0]], reduce_mean=False)
    torch.testing.assert_close(distance, torch.tensor([0.25 + 1.0] * 2))


def test_min_max_leaves_the_peak_below_one_except_for_huge_maps():
    maps = torch.rand(2, K, 5, 5)
    assert (ours.min_max(20 * maps) < 1).all()
    assert (ours.min_max(2000 * maps).amax(dim=(2, 3)) == 1).all()
    assert not ours.min_max(torch.full((1, K, 3, 3), 7.0)).any()
    assert not ours.min_max(-maps).any()


def test_random_negatives_share_no_class_and_are_each_drawn_alike():
    labels = labelled(0)
    valid = labels @ labels.T == 0
    torch.manual_seed(0)
    drawn = torch.stack([ours.random_negatives(labels, torch.rand(7, 7)) for _ in range(2000)])
    for anchor in range(len(labels)):
        counts = torch.bincount(drawn[:, anchor], minlength=len(labels))
        assert set(counts.nonzero().flatten().tolist()) == set(
            valid[anchor].nonzero().flatten().tolist()
        )
        expected = 2000 / valid[anchor].sum()
        assert (counts[valid[anchor]] - expected).abs().max() < 6 * expected**0.5


def test_an_image_without_classes_is_not_its_own_negative():
    labels = torch.zeros(1, K)
    assert ours.random_negatives(labels, torch.rand(1, 1)).tolist() == [-1]
    assert ours.random_negatives(labels.repeat(2, 1), torch.rand(2, 2)).tolist() == [1, 0]


def test_the_same_seed_draws_the_same_negatives_and_another_one_others():
    """Which is what a resumed run needs."""
    parameters = {"paper": but("negative"), "margin": 3.5, **PAPERS}
    first, again = (run(0, 5, **parameters)[-1].terms["repel"].item() for _ in "ab")
    erasing, classifier, given, output, _ = run(0, 5, **parameters)
    other = erasing.losses(classifier, replace(given, seed=6), output).terms["repel"].item()
    assert first == again != other


def combinations():
    """The paper but for a pair of differences; the released code, for either embedding that is repelled."""
    for first, second in itertools.combinations(DIFFERENCES, 2):
        yield {"paper": but(first, second), **PAPERS}
    for name in DIFFERENCES:
        yield {"paper": but(name), **PAPERS, "present_only": True}
    for repelled in ("low", "full"):
        yield {"repelled": repelled}


@pytest.mark.parametrize("embedding", ["indirect", "direct"])
@pytest.mark.parametrize("weights", ["random", "zero", "huge"])
def test_gradients_are_finite_for_every_pair_of_differences(weights, embedding):
    factor = {"random": 1.0, "zero": 0.0, "huge": 1e4}[weights]
    for parameters in combinations():
        classifier = recorder(GPP(K, bins=(2, 4)))
        with torch.no_grad():
            classifier.head.weight *= factor
        given = batch(labelled(0))
        erasing = AEFTReleased(K, (6,), **{"embedding": embedding, **parameters, "margin": 3.0})
        losses = erasing.losses(classifier, given, classifier(given.images))
        total = sum(losses.terms.values())
        total.backward()
        assert total.isfinite(), parameters
        gradients = [p.grad for p in classifier.parameters() if p.grad is not None]
        assert all(g.isfinite().all() for g in gradients), parameters


def test_half_precision_is_computed_in_single():
    classifier = recorder(GPP(K, bins=(2, 4))).float()
    given = batch(labelled(0))
    given = type(given)(given.images.float(), given.labels.float())
    erasing = AEFTReleased(K, (6,), margin=3.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = erasing.losses(classifier, given, classifier(given.images))
    full = erasing.losses(classifier, given, classifier(given.images))
    for name, term in losses.terms.items():
        assert term.dtype == torch.float32
        torch.testing.assert_close(term, full.terms[name], rtol=0.1, atol=0.02)
    sum(losses.terms.values()).backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in classifier.parameters())


def test_absent_classes_learn_nothing_from_the_released_losses():
    *_, given, output, losses = run(0)
    (gradient,) = torch.autograd.grad(sum(losses.terms.values()), output.attention)
    absent = given.labels == 0
    assert not gradient[absent].any()
    assert gradient[~absent].any()


def test_repel_needs_no_attract():
    alone = run(0, attract=0.0)
    assert set(alone[-1].terms) == {"repel"}
    assert len(alone[1].seen) == 1  # nothing erased was looked at
    assert alone[-1].terms["repel"].item() == run(0)[-1].terms["repel"].item()


def test_rigid_attraction_erases_as_the_released_code_does():
    erasing, classifier, given, output, losses = run(0, attraction="rigid", repel=0.0)
    erased = classifier.seen[1]
    naive_images = naive_terms(erasing, classifier, given, output)[1]
    np.testing.assert_allclose(erased.detach(), naive_images, rtol=0, atol=1e-10)
    logits = classifier(erased).logits.detach().numpy()
    expected = erasing.attract * naive.binary_cross_entropy(logits, given.labels.numpy())
    assert losses.terms["attract"].item() == pytest.approx(expected, abs=1e-10)


def test_pickle_keeps_every_difference():
    erasing, classifier, given, output, losses = run(0, paper=("repel_norm", "mask_size"))
    again = pickle.loads(pickle.dumps(erasing)).losses(classifier, given, output)
    assert [t.item() for t in again.terms.values()] == [t.item() for t in losses.terms.values()]


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"attraction": "rigid", "paper": ["attract_norm"]}, r"\['attract_norm'\] is about"),
        ({"attraction": "rigid", "paper": ["attract_classes", "negative"]}, "is about"),
        ({"margin": 0.0}, "margin=0 leaves none"),
        ({"paper": ["repel_row"]}, "has to be .*'repel_rows'"),
        ({"paper": ["attract"]}, "has to be .*'attract_norm'"),
        ({"attract": -1.0}, "attract=-1.0 has to be"),
        ({"repel_rows": "all"}, r"no parameter any more: .* with paper=\('repel_rows',\)"),
        ({"marge": 1.0}, "did you mean margin"),
    ],
    ids=str,
)
def test_a_mistake_is_one_sentence(wrong, sentence):
    with pytest.raises(UserError, match=sentence):
        load().registries.erasing.build({"type": "AEFTReleased", **wrong}, K, (6,))


@pytest.mark.parametrize("name", DIFFERENCES)
def test_a_config_of_before_learns_where_its_switch_is_now(name):
    with pytest.raises(UserError, match=rf"'{name}' is no parameter any more: type='AEFTReleased'"):
        load().registries.erasing.build({"type": "AEFT", name: "x"}, K, (6,))


def test_the_registry_sees_the_parameters_of_aeft_through_the_released_class():
    erasing = load().registries.erasing
    aeft, ours = erasing.parameters("AEFT"), erasing.parameters("AEFTReleased")
    assert ours.keys() == aeft.keys() | {"paper"}
    changed = {name for name in aeft if ours[name] != aeft[name]}
    assert changed == {"attract", "present_only"}
    resolved = erasing.resolve({"type": "AEFTReleased", "t_low": 0.3}, "here")
    assert resolved == {
        **erasing.resolve({"type": "AEFT"}, "here"),
        "type": "AEFTReleased",
        "paper": (),
        "attract": 0.2,
        "present_only": True,
        "t_low": 0.3,
    }
