"""SC-CAM's clusters and loss against its released code and against their definitions."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from golden import golden
from torch import nn
from torch.nn import functional as F
from wsssbench_baselines.methods import sc_cam

from wsssbench.contract import Rig, Subject
from wsssbench.contract.samples import CLASSES, SampleClassifier, write_photos
from wsssbench.errors import UserError
from wsssbench.files.atomic import write_json
from wsssbench.interfaces import Batch, Output, RunContext
from wsssbench.models.preprocess import normalise
from wsssbench.plugins import load
from wsssbench.progress import Silent


@pytest.mark.parametrize("seed", [0, 1])
def test_the_partition_of_separate_clusters_is_the_released_codes(seed: int) -> None:
    given, wanted, parameters = golden(f"sccam-clusters-{seed}")
    table = sc_cam.cluster(given["features"], given["labels"], parameters["k"])
    np.testing.assert_array_equal(table >= 0, given["labels"] > 0)
    for c in np.unique(wanted["pairs"][:, 0]):
        rows = wanted["pairs"][:, 0] == c
        ours = table[wanted["pairs"][rows, 1], c]
        theirs = wanted["cluster_of_pair"][rows]
        assert len(set(zip(ours, theirs, strict=True))) == len(set(ours)) == len(set(theirs))


def test_several_starts_reach_what_those_of_the_released_code_reach() -> None:
    for seed in (0, 1):
        given, wanted, parameters = golden(f"sccam-kmeans-starts-{seed}")
        features = given["features"].astype(float)
        of = sc_cam.cluster(features, np.ones((len(features), 1)), parameters["k"])[:, 0]
        inertia = sum(((features[of == j] - features[of == j].mean(0)) ** 2).sum() for j in set(of))
        assert inertia <= wanted["inertia_10_starts"] * 1.001


def test_a_class_of_few_images_has_as_many_clusters() -> None:
    features = np.random.default_rng(0).normal(size=(5, 3))
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [1, 1, 0]])
    table = sc_cam.cluster(features, labels, 4)
    assert sorted(table[labels[:, 0] > 0, 0]) == [0, 1, 2, 3] == sorted(table[labels[:, 1] > 0, 1])
    assert (table[labels == 0] == -1).all()


def test_features_are_means_over_whole_images(tmp_path: Path) -> None:
    photos, trained = write_photos(tmp_path), SampleClassifier(tmp_path)
    stage = sc_cam.ClusterFeatures(CLASSES, classifier=trained, k=2)
    features = stage.features(photos, RunContext(tmp_path, "cpu", 0, 0, Silent()))
    network = trained.build().eval()
    for photo, row in zip(photos, features, strict=True):
        maps = network.backbone(torch.from_numpy(normalise(photo.image))[None])[-1][0]
        np.testing.assert_allclose(row, maps.detach().numpy().mean(axis=(1, 2)), atol=1e-6)


def loss_case(seed: int, folder: Path) -> tuple[sc_cam.SubCategory, Batch, Output, dict, dict]:
    """The objective with the released code's weights and sub-categories, and a batch of its images."""
    given, wanted, parameters = golden(f"sccam-loss-{seed}")
    k, ids = parameters["k"], tuple("abc")
    hot = [np.flatnonzero(row) for row in given["labels_sub"]]
    table = {
        id: {int(i) // k + 1: int(i) % k for i in row} for id, row in zip(ids, hot, strict=True)
    }
    write_json(folder / "sub_categories.json", table)
    objective = sc_cam.SubCategory(20, (4, 8), clusters=sc_cam.SubCategories(folder, k))
    objective.head.weight.data = torch.from_numpy(given["weight_sub"])
    maps = torch.from_numpy(given["maps"]).requires_grad_()
    batch = Batch(torch.zeros(3, 3, 8, 8), torch.from_numpy(given["labels"]), ids=ids)
    return objective, batch, Output((torch.zeros(0), maps), maps, maps), given, wanted


@pytest.mark.parametrize("seed", [0, 1])
def test_the_loss_and_its_gradients_are_the_released_codes(seed: int, tmp_path: Path) -> None:
    objective, batch, output, given, wanted = loss_case(seed, tmp_path)
    np.testing.assert_array_equal(objective.clusters.targets(batch.ids, 20), given["labels_sub"])
    plain = SimpleNamespace(dropout=nn.Identity())
    (term,) = objective.losses(plain, batch, output).terms.values()  # type: ignore[arg-type]
    assert term.item() == pytest.approx(5 * wanted["loss_sub"], rel=1e-5)
    first = output.features[-1].mean((2, 3)) @ torch.from_numpy(given["weight_parent"]).T
    (term + F.multilabel_soft_margin_loss(first, batch.labels)).backward()
    np.testing.assert_allclose(output.features[-1].grad, wanted["grad_maps"], atol=1e-7)
    np.testing.assert_allclose(objective.head.weight.grad, wanted["grad_weight_sub"], atol=1e-7)


def test_the_contract_checks_read_what_the_stage_leaves() -> None:
    registries = load().registries
    with Rig(registries) as rig:
        subject = Subject(rig, registries.objective.components["SubCategory"])
        assert not subject.missing()
        clusters = subject.config()["clusters"]
        assert clusters.k == 10 and set(clusters.of_images) == {f"image_{i}" for i in range(4)}


def test_without_scikit_learn_it_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sc_cam, "find_spec", lambda name: None)
    config = {"type": "ClusterFeatures", "classifier": SampleClassifier(Path())}
    with pytest.raises(UserError, match=r"scikit-learn.*pip install \"wsssbench\[baselines\]\""):
        load().registries.stage.build(config, CLASSES)
