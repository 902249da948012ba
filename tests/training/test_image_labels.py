from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from wsssbench.datasets.voc.dataset import VOC2012
from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.interfaces import Augmentation, Photo
from wsssbench.stages.handles import FilePhoto
from wsssbench.training.loading import ImageLabels, collate_views, plain_errors
from wsssbench.training.transforms import TrainTransform

DRAWS = [(0, 0), (2, 1), (1, 2), (0, 3), (2, 4)]
TRANSFORM = TrainTransform(resize_long=(20, 40), crop=24)


@pytest.fixture
def images(voc_root: Path) -> ImageLabels:
    dataset, labels = VOC2012(root=str(voc_root)), np.eye(3, dtype=np.float32)
    photos = [
        FilePhoto(id, dataset.image_path(id), row)
        for id, row in zip(dataset.ids("train"), labels, strict=True)
    ]
    return ImageLabels(photos, TRANSFORM, seed=5)


class Idle(Augmentation):
    """Draws, but changes nothing."""

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        random.random(7)
        return [photo]


class Darker(Augmentation):
    """The photo, a dark one, and one of noise, with a plane that tells what is bright."""

    count = 3

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        image = photo.image
        noise = random.integers(0, 256, image.shape, dtype=np.uint8)
        planes = {"bright": (image[..., 0] > 99).astype(np.uint8)}
        dark = photo.changed(image=image // 2, labels=np.zeros_like(photo.labels), planes=planes)
        return [photo.changed(planes=planes), dark, dark.changed(image=noise)]


class Twice(Augmentation):
    """The photo and its negative."""

    count = 2

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        return [photo, photo.changed(image=255 - photo.image)]


class Short(Augmentation):
    """Fewer views than it says."""

    count = 2

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        return [photo]


class Damaged(Augmentation):
    """Reads a file that is not whole."""

    def views(self, photo: Photo, random: np.random.Generator) -> Sequence[Photo]:
        raise CorruptArtefactError("a.png", "it is short")


def test_a_draw_is_the_transformed_image_with_its_labels(images: ImageLabels) -> None:
    (item,) = images[(1, 9)]
    photo = images.photos[1]
    expected = TRANSFORM(photo.image, np.random.default_rng((5, 9)))
    assert np.array_equal(item["images"].numpy(), expected)
    assert item["labels"].tolist() == photo.labels.tolist()
    assert item["labels"].dtype == torch.float32
    assert (item["ids"], item["positions"], item["planes"]) == (photo.id, 9, {})
    assert len(images) == 3


def test_views_depend_on_seed_and_position_only(images: ImageLabels) -> None:
    images.augment = (Darker(),)

    def noise(position: int) -> torch.Tensor:
        return images[(0, position)][2]["images"]

    one = noise(3)
    assert torch.equal(pickle.loads(pickle.dumps(images))[(0, 3)][2]["images"], one)
    assert not torch.equal(noise(4), one)
    images.seed = 6
    assert not torch.equal(noise(3), one)


def test_workers_make_the_same_batches(images: ImageLabels) -> None:
    images.augment = (Darker(),)

    def batches(workers: int) -> list[dict[str, torch.Tensor]]:
        options = {"num_workers": workers, "collate_fn": collate_views}
        return list(DataLoader(images, batch_size=2, sampler=DRAWS, **options))

    alone, helped = batches(0), batches(2)
    assert [len(batch["images"]) for batch in alone] == [6, 6, 3]
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(a["images"], b["images"]) and torch.equal(a["labels"], b["labels"])
        assert torch.equal(a["planes"]["bright"], b["planes"]["bright"]) and a["ids"] == b["ids"]


def test_items_do_not_share_memory_with_the_labels(images: ImageLabels) -> None:
    images[(0, 0)][0]["labels"].fill_(7)
    assert set(images[(0, 0)][0]["labels"].tolist()) <= {0, 1}


def test_an_augmentation_that_does_nothing_leaves_every_crop_as_it_was(images: ImageLabels) -> None:
    with_idle = ImageLabels(images.photos, TRANSFORM, 5, [Idle()])
    first_of_three = ImageLabels(images.photos, TRANSFORM, 5, [Idle(), Darker()])
    for draw in DRAWS:
        crop = images[draw][0]["images"]
        assert torch.equal(with_idle[draw][0]["images"], crop)
        assert torch.equal(first_of_three[draw][0]["images"], crop)


def test_a_batch_has_all_first_views_then_all_second_ones(images: ImageLabels) -> None:
    """And of two augmentations, the second makes its views of each view of the first."""
    both = ImageLabels(images.photos, TrainTransform(crop=64, flip=False), 5, [Twice(), Darker()])
    assert both.views == 6
    batch = collate_views([both[draw] for draw in DRAWS])
    assert batch["ids"] == [images.photos[index].id for index, _ in DRAWS] * 6
    assert batch["positions"].tolist() == [position for _, position in DRAWS] * 6
    dark = [False, True, True] * 2
    for view, samples in enumerate(batch["labels"].reshape(6, len(DRAWS), -1)):
        assert samples.any() != dark[view]
    assert batch["planes"]["bright"].shape == (30, 64, 64)


def test_planes_move_with_the_image(images: ImageLabels) -> None:
    """A plane that shows where the image is white is found where the crop is white; 255 where there is no image."""
    rng = np.random.default_rng(0)
    for size in ((30, 70), (90, 50)):
        plane = np.kron(rng.integers(0, 2, (3, 3)), np.ones((size[0] // 3 + 1, size[1] // 3 + 1)))
        plane = plane[: size[0], : size[1]].astype(np.uint8)
        image = np.repeat(255 * plane[..., None], 3, axis=2)
        for seed in range(20):
            transform = TrainTransform(resize_long=(40, 90), crop=48, jitter_probability=0)
            crop, planes = transform.with_planes(image, {"a": plane}, np.random.default_rng(seed))
            moved = planes["a"]
            assert moved.shape == (48, 48) and moved.dtype == np.uint8
            inside = (np.abs(crop) > 1e-6).any(axis=0)  # outside all three are 0
            assert np.array_equal(moved == 255, ~inside)
            white = crop[0] > 0
            # bicubic and nearest differ at borders only
            assert (white == (moved == 1))[inside].mean() > 0.9
            plain = transform(image, np.random.default_rng(seed))
            assert np.array_equal(plain, crop)


@pytest.mark.parametrize(
    ("augmentation", "sentence"),
    [
        (Short(), "augmentation Short: views.. of photo .* returns 1 photos, but its `count` is 2"),
        (
            Damaged(),
            "augmentation Damaged: a.png is not a readable artefact.* run the same command",
        ),
    ],
)
@pytest.mark.parametrize("workers", [0, 1])
def test_what_goes_wrong_in_a_loading_process_is_one_sentence(
    images: ImageLabels, augmentation: Augmentation, sentence: str, workers: int
) -> None:
    broken = ImageLabels(images.photos, TRANSFORM, 5, [augmentation])
    options = {"num_workers": workers, "collate_fn": collate_views}
    with pytest.raises(UserError, match=f"^{sentence}"), plain_errors():
        list(DataLoader(broken, batch_size=2, sampler=DRAWS, **options))
