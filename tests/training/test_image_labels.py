from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from wsssbench.datasets.voc.dataset import VOC2012
from wsssbench.files.images import read_image
from wsssbench.models.preprocess import normalise
from wsssbench.training.loading import ImageLabels
from wsssbench.training.transforms import TrainTransform

DRAWS = [(0, 0), (2, 1), (1, 2), (0, 3), (2, 4)]


@pytest.fixture
def images(voc_root: Path) -> ImageLabels:
    dataset = VOC2012(root=str(voc_root))
    paths = [dataset.image_path(id) for id in dataset.ids("train")]
    transform = TrainTransform(resize_long=(20, 40), crop=24)
    return ImageLabels(paths, np.eye(3)[:, :2], transform, seed=5)


def test_a_draw_is_the_transformed_image_with_its_labels(images: ImageLabels) -> None:
    images.transform = lambda image, rng: normalise(image) + np.float32(rng.random())
    item = images[(1, 9)]
    expected = normalise(read_image(images.paths[1])) + np.float32(
        np.random.default_rng((5, 9)).random()
    )
    assert np.array_equal(item["images"].numpy(), expected)
    assert item["labels"].tolist() == [0, 1] and item["labels"].dtype == torch.float32
    assert len(images) == 3


def test_views_depend_on_seed_and_position_only(images: ImageLabels) -> None:
    one = images[(0, 3)]["images"]
    assert torch.equal(pickle.loads(pickle.dumps(images))[(0, 3)]["images"], one)
    assert not torch.equal(images[(0, 4)]["images"], one)
    images.seed = 6
    assert not torch.equal(images[(0, 3)]["images"], one)


def test_workers_make_the_same_batches(images: ImageLabels) -> None:
    def batches(workers: int) -> list[dict[str, torch.Tensor]]:
        loader = DataLoader(images, batch_size=2, sampler=DRAWS, num_workers=workers)
        return list(loader)

    alone, helped = batches(0), batches(2)
    assert [len(batch["images"]) for batch in alone] == [2, 2, 1]
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a["images"], b["images"]) and torch.equal(a["labels"], b["labels"])


def test_items_do_not_share_memory_with_the_labels(images: ImageLabels) -> None:
    images[(0, 0)]["labels"].zero_()
    assert images[(0, 0)]["labels"].tolist() == [1, 0]


def test_lengths_must_agree(images: ImageLabels) -> None:
    with pytest.raises(ValueError, match="3 images, but labels of 2"):
        ImageLabels([Path(p) for p in images.paths], np.zeros((2, 4)), images.transform, 0)
