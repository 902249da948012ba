"""AE-PSL's mining and erasing against their definitions, pixel by pixel."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from wsssbench_baselines.methods.ae_psl import (
    ErasedCAM,
    EraseRegions,
    MinedOrBackground,
    MinedRegions,
)

from wsssbench.contract.samples import CLASSES, Mean, make_classifier, write_photos
from wsssbench.errors import UserError
from wsssbench.files.images import write_label
from wsssbench.interfaces import Cam, Photo
from wsssbench.models.multiscale_cam import MultiScaleCAM
from wsssbench.stages.handles import LabelFiles
from wsssbench.stages.infer_cams import InferCams

RANDOM = np.random.default_rng(0)
CLASSES_OF = np.array([2, 4], np.uint8)  # of the first sample photo


@pytest.fixture
def photo(tmp_path: Path) -> Photo:
    return write_photos(tmp_path)[0]


def regions(folder: Path, photo: Photo) -> tuple[LabelFiles, np.ndarray]:
    """Label maps of an earlier round, with that of `photo`: about a third of it is of two classes."""
    label = RANDOM.choice([0, 0, 0, 0, 2, 4], photo.image.shape[:2]).astype(np.uint8)
    write_label(folder / f"{photo.id}.png", label)
    return LabelFiles(folder), label


def cam_of(photo: Photo) -> Cam:
    size = photo.image.shape[:2]
    maps = RANDOM.random((2, *size)).astype(np.float32)
    return Cam(CLASSES_OF, maps / maps.max(axis=(1, 2), keepdims=True), size)


@pytest.mark.parametrize("top", [0.2, 0.8])
def test_regions_are_what_comes_near_the_peak_and_earlier_ones_stay(
    top: float, tmp_path: Path, photo: Photo
) -> None:
    cam, (earlier, former) = cam_of(photo), regions(tmp_path, photo)
    first = MinedRegions(CLASSES, top=top).label(photo, cam)
    united = MinedRegions(CLASSES, top=top, add_to=earlier).label(photo, cam)
    for at in np.ndindex(first.shape):
        strongest = int(cam.maps[(slice(None), *at)].argmax())
        mined = CLASSES_OF[strongest] if cam.maps[(strongest, *at)] > 1 - top else 0
        assert first[at] == mined
        assert united[at] == (former[at] or mined)
    assert 0 < np.count_nonzero(first) < first.size


def test_erased_photos_have_the_fill_on_the_regions(tmp_path: Path, photo: Photo) -> None:
    earlier, former = regions(tmp_path, photo)
    (view,) = EraseRegions(regions=earlier, fill=(1, 2, 3)).views(photo, RANDOM)
    assert (view.image[former > 0] == (1, 2, 3)).all() and (former > 0).any()
    np.testing.assert_array_equal(view.image[former == 0], photo.image[former == 0])
    np.testing.assert_array_equal(view.labels, photo.labels)
    small = photo.changed(image=photo.image[:-1])
    with pytest.raises(UserError, match="the regions of image 'image_0' are 40 x 56, but it is 39"):
        EraseRegions(regions=earlier).views(small, RANDOM)


def test_its_cams_are_those_of_the_erased_photo(tmp_path: Path, photo: Photo) -> None:
    earlier, former = regions(tmp_path, photo)
    image = photo.image.copy()
    image[former > 0] = (124, 116, 104)
    classifier, plain = make_classifier(Mean()), MultiScaleCAM(scales=(1.0,))
    for given, shown in ((earlier, photo.changed(image=image)), (None, photo)):
        ours = ErasedCAM(scales=(1.0,), regions=given).infer(classifier, photo)
        np.testing.assert_array_equal(ours.maps, plain.infer(classifier, shown).maps)


def test_a_rehearsal_shows_it_no_photo_of_which_nothing_was_mined(tmp_path: Path) -> None:
    """The classifier of a plan whose first round is in the cache: it is not even built."""
    component = {"type": "ErasedCAM", "regions": LabelFiles(tmp_path)}
    work = SimpleNamespace(config={"cam": component}, inputs={"classifier": object()})
    InferCams().rehearse(work, pretrained=True)  # type: ignore[arg-type]


def test_pseudo_labels_are_regions_background_or_ignored(tmp_path: Path, photo: Photo) -> None:
    cam, (earlier, former) = cam_of(photo), regions(tmp_path, photo)
    label = MinedOrBackground(CLASSES, regions=earlier, background=0.6).label(photo, cam)
    for at in np.ndindex(label.shape):
        low = max(cam.maps[(slice(None), *at)]) < 0.6
        assert label[at] == (former[at] or (0 if low else 255))
    assert set(np.unique(label)) == {0, 2, 4, 255}
