from __future__ import annotations

import gzip
import io
import tarfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wsssbench.datasets.voc.submission import check_submission, write_submission
from wsssbench.errors import UserError
from wsssbench.files.images import read_label, voc_palette, write_label

SIZES = {"2008_000006": (12, 17), "2008_000011": (9, 20), "2008_000012": (30, 4)}
FOLDER = "results/VOC2012/Segmentation/comp6_test_cls"
Items = list[tuple[str, Path]]
FIRST, SECOND, THIRD = SIZES


def labels_of(id: str) -> np.ndarray:
    return np.random.default_rng(int(id[-3:])).integers(0, 21, SIZES[id]).astype(np.uint8)


@pytest.fixture
def items(tmp_path: Path) -> Items:
    """Photos and predictions; the list is not sorted."""
    (tmp_path / "images").mkdir()
    (tmp_path / "test").mkdir()
    found = []
    for id, size in reversed(SIZES.items()):
        path = tmp_path / "images" / f"{id}.jpg"
        Image.new("RGB", size[::-1]).save(path)
        write_label(tmp_path / "test" / f"{id}.png", labels_of(id))
        found.append((id, path))
    return found


@pytest.fixture
def refuse(tmp_path: Path, items: Items) -> Callable[..., str]:
    """The sentence with which the predictions are refused; no archive may be left behind."""

    def refused(given: Items = items, competition: str = "comp6") -> str:
        with pytest.raises(UserError) as refusal:
            write_submission(tmp_path / "test", given, 20, tmp_path / "x.tar.gz", competition)
        assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "test"]
        assert "\n" not in str(refusal.value)
        return str(refusal.value)

    return refused


def packed(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("competition", ["comp5", "comp6"])
def test_the_archive(tmp_path: Path, items: Items, competition: str) -> None:
    out = tmp_path / "x.tar.gz"
    report = write_submission(tmp_path / "test", items, 20, out, competition)
    folder = FOLDER.replace("comp6", competition)
    with tarfile.open(out, "r:gz") as tar:
        assert tar.getnames() == [f"{folder}/{id}.png" for id in sorted(SIZES)]
        for id in SIZES:
            with Image.open(tar.extractfile(f"{folder}/{id}.png")) as image:  # type: ignore[arg-type]
                assert (image.mode, image.format) == ("P", "PNG")
                assert np.array_equal(np.array(image), labels_of(id))
                assert bytes(image.getpalette()) == voc_palette().tobytes()  # type: ignore[arg-type]
    assert (report.images, report.size) == (3, out.stat().st_size)
    wanted = [sum(k in labels_of(id) for id in SIZES) for k in range(21)]
    assert list(report.occurrences) == wanted


def test_equal_predictions_give_equal_bytes(
    tmp_path: Path, items: Items, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_submission(tmp_path / "test", items, 20, tmp_path / "x.tar.gz")
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 10_000)
    write_submission(tmp_path / "test", items[::-1], 20, tmp_path / "another.tar.gz")
    first, second = (tmp_path / name for name in ("x.tar.gz", "another.tar.gz"))
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(first) as tar:
        assert {(m.mtime, m.uid, m.gid, m.uname, m.gname, m.mode) for m in tar} == {
            (0, 0, 0, "", "", 0o644)
        }


def image_of(label: np.ndarray) -> Image.Image:
    image = Image.fromarray(label)
    image.putpalette(voc_palette().tobytes())
    return image


def colours(id: str) -> Image.Image:
    return image_of(labels_of(id)).convert("RGB")


def with_label(value: int) -> Image.Image:
    label = labels_of(FIRST)
    label[3, 4] = value
    return image_of(label)


def reordered() -> Image.Image:
    image = Image.fromarray(labels_of(FIRST))
    image.putpalette(voc_palette()[::-1].tobytes())
    return image


def short_palette() -> Image.Image:
    image = Image.fromarray(labels_of(FIRST))
    image.putpalette(voc_palette()[:21].tobytes())
    return image


WRONG: dict[str, tuple[Callable[[], Image.Image], str]] = {
    "RGB": (lambda: colours(FIRST), "no 8-bit palette PNG"),
    "grey": (lambda: Image.fromarray(labels_of(FIRST)), "no 8-bit palette PNG"),
    "adaptive": (
        lambda: colours(FIRST).convert("P", palette=Image.Palette.ADAPTIVE, colors=256),
        "not VOC's colour map",
    ),
    "other palette": (reordered, "not VOC's colour map"),
    "part of the palette": (short_palette, "not VOC's colour map"),
    "255": (lambda: with_label(255), "label 255 outside 0..20"),
    "21": (lambda: with_label(21), "label 21 outside 0..20"),
    "turned": (lambda: image_of(labels_of(FIRST).T.copy()), "not of the image's size"),
    "larger": (lambda: image_of(np.zeros((13, 17), np.uint8)), "not of the image's size"),
}


@pytest.mark.parametrize("name", list(WRONG))
def test_wrong_pngs(tmp_path: Path, refuse: Callable[..., str], name: str) -> None:
    make, problem = WRONG[name]
    make().save(tmp_path / "test" / f"{FIRST}.png")
    assert f"cannot be submitted: 1 have: {problem} ('{FIRST}')" in refuse()


def test_few_bits(tmp_path: Path, refuse: Callable[..., str]) -> None:
    image = Image.fromarray(np.zeros(SIZES[FIRST], np.uint8))
    image.putpalette(voc_palette()[:16].tobytes())
    image.save(tmp_path / "test" / f"{FIRST}.png", bits=4)
    assert "no 8-bit palette PNG" in refuse()


def test_other_and_damaged_files(tmp_path: Path, refuse: Callable[..., str]) -> None:
    path = tmp_path / "test" / f"{FIRST}.png"
    good = path.read_bytes()
    path.write_bytes(b"")
    assert "no PNG" in refuse()
    colours(FIRST).save(path, format="JPEG")
    assert "no PNG" in refuse()
    for cut in (*range(30, len(good), 40), len(good) - 1):
        path.write_bytes(good[:cut])
        assert "damaged" in refuse()
    damaged = bytearray(good)
    damaged[good.index(b"IDAT") + 10] ^= 1
    path.write_bytes(damaged)
    assert "damaged" in refuse()
    path.write_bytes(without_last_rows(good))
    with Image.open(path) as image:
        image.load()  # which Pillow does without a word
    assert "damaged" in refuse()


def without_last_rows(data: bytes) -> bytes:
    """The PNG `data` with half of its pixels, all checksums right."""
    start, length = data.index(b"IDAT"), int.from_bytes(data[data.index(b"IDAT") - 4 :][:4])
    pixels = zlib.decompress(data[start + 4 : start + 4 + length])
    row = 1 + int.from_bytes(data[16:20])
    content = b"IDAT" + zlib.compress(pixels[: len(pixels) // row // 2 * row])
    size, checksum = (len(content) - 4).to_bytes(4), zlib.crc32(content).to_bytes(4)
    return data[: start - 4] + size + content + checksum + data[start + 8 + length :]


def test_all_problems_are_told_at_once(
    tmp_path: Path, items: Items, refuse: Callable[..., str]
) -> None:
    predictions = tmp_path / "test"
    (predictions / f"{SECOND}.png").unlink()
    write_label(predictions / "2008_999999.png", labels_of(FIRST))
    with_label(255).save(predictions / f"{FIRST}.png")
    colours(THIRD).save(predictions / f"{THIRD}.png")
    sentence = refuse()
    for words in (
        f"1 of the list are missing: '{SECOND}'",
        "1 are not in the list: '2008_999999'",
        f"1 have: label 255 outside 0..20 ('{FIRST}')",
        f"1 have: no 8-bit palette PNG ('{THIRD}')",
    ):
        assert words in sentence
    assert f"1 ids more than once: '{FIRST}'" in refuse([*items, items[-1]])


def test_many_problems_are_told_by_the_first_few(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    Image.new("RGB", (3, 3)).save(tmp_path / "x.jpg")
    given = [(f"{i:04d}", tmp_path / "x.jpg") for i in range(1000)]
    with pytest.raises(UserError) as refusal:
        write_submission(tmp_path / "test", given, 20, tmp_path / "x.tar.gz")
    assert "1000 of the list are missing: '0000', '0001', '0002' and 997 more" in str(refusal.value)
    assert len(str(refusal.value)) < 300


def test_what_cannot_be_begun(tmp_path: Path, items: Items, refuse: Callable[..., str]) -> None:
    assert "unknown competition 'comp7'" in refuse(competition="comp7")
    assert "the list is empty" in refuse([])
    with pytest.raises(UserError, match="gone does not exist"):
        write_submission(tmp_path / "gone", items, 20, tmp_path / "x.tar.gz")


def test_archives_of_others(tmp_path: Path, items: Items) -> None:
    data = {id: (tmp_path / "test" / f"{id}.png").read_bytes() for id in SIZES}
    good = [(f"{FOLDER}/{id}.png", data[id]) for id in SIZES]
    path = tmp_path / "x.tgz"
    assert check_submission(packed(path, good), items, 20).images == 3

    def refused(members: list[tuple[str, bytes]]) -> str:
        with pytest.raises(UserError) as refusal:
            check_submission(packed(path, members), items, 20)
        return str(refusal.value)

    assert f"1 of the list are missing: '{THIRD}'" in refused(good[:2])
    assert f"1 are there more than once: '{FIRST}'" in refused([*good, good[0]])
    assert "1 are not in the list: '2099_000001'" in refused(
        [*good, (f"{FOLDER}/2099_000001.png", data[FIRST])]
    )
    assert f"have: not of the image's size ('{FIRST}', '{SECOND}')" in refused(
        [(good[0][0], data[SECOND]), (good[1][0], data[FIRST]), good[2]]
    )
    for name in ("x.png", f"./{FOLDER}/x.png", f"{FOLDER}/x.txt", f"{FOLDER}/../x.png", "/x.png"):
        assert f"1 entries are no PNGs in {FOLDER}/: '{name}'" in refused([*good, (name, b"")])
    comp5 = [(name.replace("comp6", "comp5"), data) for name, data in good]
    assert "3 entries are no PNGs" in refused(comp5)


def test_folders_and_links_in_archives(tmp_path: Path, items: Items) -> None:
    write_submission(tmp_path / "test", items, 20, tmp_path / "x.tar.gz")
    with tarfile.open(tmp_path / "tarred.tar.gz", "w:gz") as tar:
        for part in ("results", "results/VOC2012", "results/VOC2012/Segmentation", FOLDER):
            folder = tarfile.TarInfo(part)
            folder.type = tarfile.DIRTYPE
            tar.addfile(folder)
        for id in SIZES:
            tar.add(tmp_path / "test" / f"{id}.png", f"{FOLDER}/{id}.png")
    assert check_submission(tmp_path / "tarred.tar.gz", items, 20).images == 3
    with tarfile.open(tmp_path / "linked.tar.gz", "w:gz") as tar:
        for id in SIZES:
            link = tarfile.TarInfo(f"{FOLDER}/{id}.png")
            link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "test" / f"{id}.png")
            tar.addfile(link)
    with pytest.raises(UserError, match=r"3 of the list are missing.*3 entries are no PNGs"):
        check_submission(tmp_path / "linked.tar.gz", items, 20)


def test_damaged_archives(tmp_path: Path, items: Items) -> None:
    path = tmp_path / "x.tar.gz"
    write_submission(tmp_path / "test", items, 20, path)
    good = path.read_bytes()
    for cut in (*range(0, len(good), 37), len(good) - 1):
        path.write_bytes(good[:cut])
        with pytest.raises(UserError, match=r"x\.tar\.gz"):
            check_submission(path, items, 20)
    path.write_bytes(gzip.compress(b"no tar" * 1000))
    with pytest.raises(UserError, match=r"not a readable \.tar\.gz"):
        check_submission(path, items, 20)
    with pytest.raises(UserError, match="does not exist"):
        check_submission(tmp_path / "gone.tar.gz", items, 20)


def test_real_masks_without_their_contours(tmp_path: Path, minivoc: Path) -> None:
    """VOC's own masks are what the server wants, but for the 255."""
    ids = (minivoc / "ImageSets/Segmentation/val.txt").read_text().split()
    given = [(id, minivoc / "JPEGImages" / f"{id}.jpg") for id in ids]
    with pytest.raises(UserError, match=f"{len(ids)} have: label 255 outside"):
        _submit_masks(minivoc, ids, given, tmp_path / "raw", 255)
    report = _submit_masks(minivoc, ids, given, tmp_path / "filled", 0)
    assert report == len(ids)


def _submit_masks(minivoc: Path, ids: list[str], given: Items, folder: Path, ignored: int) -> int:
    folder.mkdir()
    for id in ids:
        label = read_label(minivoc / "SegmentationClass" / f"{id}.png")
        label[label == 255] = ignored
        write_label(folder / f"{id}.png", label)
    return write_submission(folder, given, 20, folder / "x.tar.gz").images
