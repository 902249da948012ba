"""SBD's folder and masks against scipy's writer; damaged and other files get one sentence."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from sbd_archive import make_archives, sbd_mask, write_mat
from scipy.io import savemat

from wsssbench.datasets.voc.sbd import TRAIN_AUG, find_sbd, read_sbd_mask, train_aug_ids
from wsssbench.errors import UserError
from wsssbench.files.image_lists import read_id_list


@pytest.mark.parametrize("size", [(12, 17), (1, 9), (9, 1)])
def test_reads_the_segmentation(tmp_path: Path, size: tuple[int, int]) -> None:
    given = sbd_mask("2008_000005", size)
    write_mat(tmp_path / "x.mat", given)
    read = read_sbd_mask(tmp_path / "x.mat")
    assert read.dtype == np.uint8 and read.flags.c_contiguous
    assert np.array_equal(read, given)


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.full((4, 5), 21, np.uint8), r"has the label 21, but SBD's are 0\.\.20"),
        (np.full((4, 5), 255, np.uint8), "has the label 255"),
        (np.zeros((4, 5, 3), np.uint8), r"of shape \(4, 5, 3\)"),
        (np.zeros((4, 5), np.float64), "no uint8 array, but 4x5 float64"),
        (np.zeros((4, 5), np.uint16), "no uint8 array, but 4x5 uint16"),
        (np.zeros((0, 0), np.uint8), r"of shape \(0, 0\)"),
    ],
)
def test_other_masks_are_refused(tmp_path: Path, mask: np.ndarray, sentence: str) -> None:
    write_mat(tmp_path / "x.mat", mask)
    with pytest.raises(UserError, match=r"x\.mat .*" + sentence):
        read_sbd_mask(tmp_path / "x.mat")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ({"GTinst": {"Segmentation": np.zeros((4, 5), np.uint8)}}, "no variable GTcls"),
        ({"GTcls": {"Boundaries": np.zeros((4, 5), np.uint8)}}, "no field Segmentation"),
        ({"GTcls": np.zeros((4, 5), np.uint8)}, "no 1x1 structure, but 4x5 uint8"),
        ({"GTcls": {"Segmentation": "text"}}, "uint8 array, but 1 text"),
        ({"GTcls": {"Segmentation": {"deeper": 1}}}, "1x1 struct"),
    ],
)
def test_other_contents_are_refused(tmp_path: Path, content: dict, sentence: str) -> None:
    savemat(tmp_path / "x.mat", content, do_compression=True)
    with pytest.raises(UserError, match=r"x\.mat.*" + sentence):
        read_sbd_mask(tmp_path / "x.mat")


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"\0" * 127, b"\0" * 200, b"GIF89a and so on" * 20, b"MATLAB 7.3 MAT-file" * 20],
)
def test_other_files_are_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x.mat").write_bytes(data)
    with pytest.raises(UserError, match=r"x\.mat .*unpack the archive again"):
        read_sbd_mask(tmp_path / "x.mat")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"x\.mat does not exist"):
        read_sbd_mask(tmp_path / "x.mat")


def test_uncompressed_files_are_refused(tmp_path: Path) -> None:
    """Damaged ones can crash scipy's reader; also behind a compressed variable."""
    path = tmp_path / "x.mat"
    write_mat(path, sbd_mask("2008_000005"), compress=False)
    plain = path.read_bytes()
    write_mat(path, sbd_mask("2008_000005"))
    for content in (plain, path.read_bytes() + plain[128:]):
        path.write_bytes(content)
        with pytest.raises(UserError, match=r"x\.mat .*uncompressed data, unlike SBD's files"):
            read_sbd_mask(path)


def test_truncated_and_damaged_files(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    given = sbd_mask("2008_000005")
    write_mat(path, given)
    good = path.read_bytes()
    for length in range(0, len(good), 3):
        path.write_bytes(good[:length])
        with pytest.raises(UserError, match=r"x\.mat"):
            read_sbd_mask(path)
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(800):
        damaged = bytearray(good)
        damaged[rng.integers(len(good))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            mask = read_sbd_mask(path)
        except UserError as error:
            assert "x.mat" in str(error) and "\n" not in str(error)
            refused += 1
        else:  # only the text at the file's beginning has no checksum
            np.testing.assert_array_equal(mask, given)
    assert refused > 400


def test_what_unpacks_to_far_too_much_is_not_unpacked(tmp_path: Path) -> None:
    path = tmp_path / "x.mat"
    write_mat(path, sbd_mask("2008_000005"))
    packed = zlib.compress(bytes((1 << 26) + 1))
    path.write_bytes(path.read_bytes()[:128] + struct.pack("<II", 15, len(packed)) + packed)
    with pytest.raises(UserError, match=r"x\.mat .*far too large"):
        read_sbd_mask(path)


def test_finds_the_folder(tmp_path: Path) -> None:
    _, release = make_archives(tmp_path)
    inner = release / "dataset"
    for given in (inner, release, tmp_path):
        assert find_sbd(given).resolve() == inner.resolve()


def test_folders_without_sbd(tmp_path: Path) -> None:
    voc, release = make_archives(tmp_path)
    with pytest.raises(UserError, match=r"gone does not exist"):
        find_sbd(tmp_path / "gone")
    with pytest.raises(UserError, match=r"VOC2012 has no folder cls/ .*benchmark_RELEASE"):
        find_sbd(voc)
    (release / "dataset" / "val.txt").unlink()
    with pytest.raises(UserError, match=r"has no val\.txt"):
        find_sbd(release)


def test_the_rule_of_train_aug() -> None:
    assert train_aug_ids(["b"], ["v"], ["c", "v"], ["a", "b"]) == ["a", "b", "c"]
    rng = np.random.default_rng(0)
    for _ in range(20):
        ids = [f"{i:03d}" for i in range(50)]
        train, val, first, second = ({id for id in ids if rng.random() < 0.4} for _ in range(4))
        made = train_aug_ids(train, val, first, second)
        wanted = [
            id for id in ids if (id in train or id in first or id in second) and id not in val
        ]
        assert made == wanted


def test_the_published_train_aug(voc12_lists: Path) -> None:
    """The published list is a union without val: its parts, however SBD splits them, give it back."""
    ids = {s: read_id_list(voc12_lists / f"{s}.txt") for s in ("train", "train_aug", "val")}
    assert len(set(ids["train_aug"])) == TRAIN_AUG
    assert not set(ids["train_aug"]) & set(ids["val"]) and set(ids["train"]) <= set(
        ids["train_aug"]
    )
    rest = [id for id in ids["train_aug"] if id not in set(ids["train"])]
    assert len(rest) == TRAIN_AUG - 1464
    with_val = [*rest[3000:], *ids["val"][::2], *ids["train"][::3]]
    made = train_aug_ids(ids["train"], ids["val"], rest[:3000], with_val)
    assert made == sorted(ids["train_aug"])
