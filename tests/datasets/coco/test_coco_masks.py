"""MS-COCO's objects -> pixels -> label maps, against pixel-by-pixel references."""

from __future__ import annotations

import json

import numpy as np
import pytest
from mini_coco import HEIGHT, WIDTH, mini_coco, rectangle, run_lengths
from pycocotools import mask as official

from wsssbench.datasets.coco.annotations import read_instances
from wsssbench.datasets.coco.classes import CATEGORIES, COCO_CLASSES, VALUE_OF
from wsssbench.datasets.coco.masks import InstanceMasks, StuffMap, StuffMasks, find_stuff_maps
from wsssbench.datasets.coco.regions import Region, paint, region_pixels
from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.files.images import read_label

SIZE = (HEIGHT, WIDTH)


def some_pixels(seed: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """Blobs, so that there are long runs; every other one with the first pixel set."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros(size, bool)
    for _ in range(5):
        y, x = rng.integers(0, size[0]), rng.integers(0, size[1])
        pixels[y : y + rng.integers(1, 9), x : x + rng.integers(1, 9)] ^= True
    pixels[0, 0] = seed % 2
    return pixels


def inside(polygon: np.ndarray, x: float, y: float) -> bool:
    """Even-odd rule: how often does a ray to the right cross the outline?"""
    crossings = 0
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            crossings += 1
    return crossings % 2 == 1


def distance(polygon: np.ndarray, x: float, y: float) -> float:
    """From a point to the outline."""
    best = np.inf
    for a, b in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        along = np.clip(np.dot((x, y) - a, b - a) / np.dot(b - a, b - a), 0, 1)
        best = min(best, float(np.hypot(*((x, y) - (a + along * (b - a))))))
    return best


@pytest.mark.parametrize("seed", range(4))
def test_polygons_cover_what_is_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.random(8)) * 2 * np.pi
    radius = rng.uniform(4, 11, 8)
    polygon = np.stack([16 + radius * np.cos(angles), 12 + radius * np.sin(angles)], axis=1)
    pixels = region_pixels([polygon.reshape(-1).tolist()], SIZE)
    clear = 0
    for y in range(HEIGHT):
        for x in range(WIDTH):
            centre = (x + 0.5, y + 0.5)
            if distance(polygon, *centre) > 1:  # on the outline, MS-COCO has rules of its own
                clear += 1
                assert pixels[y, x] == inside(polygon, *centre)
    assert clear > 500 and pixels.sum() > 20


def test_polygons_with_whole_coordinates_are_exact_and_united() -> None:
    expected = np.zeros(SIZE, bool)
    expected[2:7, 3:9], expected[5:20, 6:11], expected[0:2, 30:32] = True, True, True
    polygons = [rectangle(3, 2, 9, 7), rectangle(6, 5, 11, 20), rectangle(30, 0, 32, 2)]
    assert (region_pixels(polygons, SIZE) == expected).all()
    assert (region_pixels([*polygons, [1, 1, 9, 9]], SIZE) == expected).all()  # 4 numbers: no box
    assert not region_pixels([], SIZE).any()
    outside = region_pixels([rectangle(-5, -3, 4, 2)], SIZE)
    assert outside[:2, :4].all() and outside.sum() == 8


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_as_numbers_and_as_string(seed: int) -> None:
    size = (HEIGHT, WIDTH) if seed < 4 else (301, 217)  # runs of more than one character
    pixels = some_pixels(seed, size)
    assert (
        region_pixels({"size": list(size), "counts": run_lengths(pixels)}, size) == pixels
    ).all()
    packed = official.encode(np.asfortranarray(pixels, np.uint8))["counts"].decode()
    assert (region_pixels({"size": list(size), "counts": packed}, size) == pixels).all()


@pytest.mark.parametrize(
    ("segmentation", "sentence"),
    [
        (None, "neither a list of polygons"),
        ({"size": [HEIGHT, WIDTH]}, "neither a list of polygons"),
        ([3, 4, 5, 6, 7, 8], "no list of x, y pairs"),
        ([[1, 2, 3, 4, 5, 6, 7]], "no list of x, y pairs"),
        ([[1, 2, 3, float("nan"), 5, 6]], "no number of pixels"),
        ([[1, 2, 3, 1e9, 5, 6]], "no number of pixels"),
        ([[1, 2, 3, "4", 5, 6]], "no number of pixels"),
        ({"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]}, r"size \[32, 24\], but the image"),
        ({"size": [HEIGHT, WIDTH], "counts": [5]}, "cover 5 pixels, but the image has 768"),
        ({"size": [HEIGHT, WIDTH], "counts": [769, -1]}, "no list of whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": [True]}, "no list of whole numbers"),
        ({"size": [HEIGHT, WIDTH], "counts": "\x1f"}, "have the character"),
        ({"size": [HEIGHT, WIDTH], "counts": "ooo"}, "end within a number"),
        ({"size": [HEIGHT, WIDTH], "counts": "1O1O"}, "no list of whole numbers|cover"),
    ],
)
def test_segmentations_that_are_none(segmentation: object, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        region_pixels(segmentation, SIZE)


def test_outlines_that_would_crash_the_painter_do_not_get_there(monkeypatch) -> None:
    """3000 corners at 1e5 pixels overflow a counter in MS-COCO's code: a segmentation fault."""
    given = []
    monkeypatch.setattr(official, "frPyObjects", lambda *args: given.append(args))
    corners = [x for i in range(3000) for x in ((-1e5, 1e5) if i % 2 else (1e5, -1e5))]
    for polygons in ([corners], [corners[:16]] * 200):
        with pytest.raises(ValueError, match=r"outlines are .*e\+0\d pixels long"):
            region_pixels(polygons, SIZE)
    assert given == []
    monkeypatch.undo()
    zigzag = [x for i in range(2000) for x in (i % WIDTH, 0 if i % 2 else HEIGHT)]
    assert region_pixels([zigzag], SIZE).any()  # long, and sound


def test_a_run_length_of_a_million_characters_takes_no_time() -> None:
    with pytest.raises(ValueError, match="longer than any image"):
        region_pixels({"size": list(SIZE), "counts": "o" * 10**6}, SIZE)


def test_images_that_overflow_the_painter_are_refused_whatever_the_limit(
    tmp_path, monkeypatch
) -> None:
    mini_coco(tmp_path)
    path = next(tmp_path.rglob("instances_train2014.json"))
    content = json.loads(path.read_text())
    content["images"][0] |= {"height": 65535, "width": 65535}
    path.write_text(json.dumps(content))
    monkeypatch.setenv("WSSSBENCH_MAX_PIXELS", str(10**12))
    with pytest.raises(UserError, match="65535 x 65535 pixels, too many to paint"):
        read_instances(path, "train")


def box(value: int, top: int, left: int, bottom: int, right: int, crowd: bool = False) -> Region:
    pixels = np.zeros(SIZE, bool)
    pixels[top:bottom, left:right] = True
    return Region(value, pixels, crowd)


def test_smaller_objects_are_on_top_and_crowds_below() -> None:
    small, large, crowd = box(3, 4, 4, 8, 8), box(7, 2, 2, 12, 12), box(1, 5, 5, 6, 6, crowd=True)
    expected = np.zeros(SIZE, np.uint8)
    expected[2:12, 2:12] = 7
    expected[4:8, 4:8] = 3
    for order in ([small, large, crowd], [crowd, large, small], [large, crowd, small]):
        assert (paint(order, SIZE, "smallest") == expected).all()
    assert (paint([large, small], SIZE, "last") == expected).all()
    hidden = np.where(expected == 3, 7, expected)
    assert (paint([small, large, crowd], SIZE, "last") == hidden).all()  # the crowd stays below
    same = box(9, 2, 2, 12, 12)
    assert (paint([large, same], SIZE, "smallest") == np.where(expected, 9, 0)).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("overlap", ["smallest", "last"])
def test_painting_pixel_by_pixel(seed: int, overlap: str) -> None:
    rng = np.random.default_rng(seed)
    regions = [
        Region(int(rng.integers(1, 81)), some_pixels(10 * seed + i), i % 3 == 2) for i in range(6)
    ]
    label = paint(regions, SIZE, overlap)  # type: ignore[arg-type]
    for y in range(HEIGHT):
        for x in range(WIDTH):
            here = [(i, r) for i, r in enumerate(regions) if r.pixels[y, x]]
            objects = [pair for pair in here if not pair[1].crowd] or here
            if not objects:
                assert label[y, x] == 0
            elif overlap == "last":
                assert label[y, x] == max(objects, key=lambda pair: pair[0])[1].value
            else:
                smallest = min(int(r.pixels.sum()) for _, r in objects)
                top = [r for _, r in objects if r.pixels.sum() == smallest][-1]
                assert label[y, x] == top.value


def test_categories_become_values_without_gaps() -> None:
    assert len(COCO_CLASSES) == len(CATEGORIES) == 80
    assert list(CATEGORIES) == sorted(CATEGORIES)
    assert sorted(set(range(1, 91)) - set(CATEGORIES)) == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]
    assert list(VALUE_OF.values()) == list(range(1, 81))
    known = {1: "person", 18: "dog", 27: "backpack", 44: "bottle", 62: "chair", 90: "toothbrush"}
    assert {c: CATEGORIES[c] for c in known} == known
    assert {c: COCO_CLASSES[VALUE_OF[c] - 1] for c in known} == known


def test_instance_masks_of_a_file(tmp_path) -> None:
    coco = mini_coco(tmp_path)
    job = InstanceMasks(tmp_path, coco.file, "smallest")
    job.prepare()
    images = read_instances(coco.file, "train")
    for image in images:
        job.run(image)
    labels = [read_label(job.target(image)) for image in images]
    dogs = np.zeros(SIZE, np.uint8)
    dogs[2:20, 2:20] = VALUE_OF[1]
    dogs[10:16, 10:14] = dogs[1:4, 22:25] = VALUE_OF[18]
    assert (labels[0] == dogs).all()
    assert not labels[1].any()
    brush = np.zeros(SIZE, np.uint8)
    brush[5:9, 4:30] = 1
    brush[6:20, 6:10] = 80
    assert (labels[2] == brush).all()


def test_an_annotation_that_cannot_be_painted_is_named(tmp_path) -> None:
    coco = mini_coco(tmp_path)
    coco.object(25, 2, [[1, 2, 3]])
    coco.write()
    job = InstanceMasks(tmp_path, coco.file, "last")
    job.prepare()
    with pytest.raises(UserError, match=r"instances_train2014\.json: annotation 904 of image 25"):
        job.run(read_instances(coco.file, "train")[1])


def test_cut_off_masks_are_made_again(tmp_path) -> None:
    coco = mini_coco(tmp_path)
    job = InstanceMasks(tmp_path, coco.file, "last")
    job.prepare()
    image = read_instances(coco.file, "train")[0]
    job.run(image)
    path = job.target(image)
    job.valid(path)
    whole = path.read_bytes()
    for damaged in (whole[:-1], whole[: len(whole) // 2], b"", b"text" * 20):
        path.write_bytes(damaged)
        with pytest.raises(CorruptArtefactError):
            job.valid(path)


def test_stuff_becomes_background_and_void_stays(tmp_path) -> None:
    coco = mini_coco(tmp_path)
    rng = np.random.default_rng(0)
    allowed = [c - 1 for c in CATEGORIES] + list(range(91, 182)) + [255]
    values = rng.choice(allowed, SIZE)
    values[0] = np.resize(allowed, WIDTH)
    coco.stuff_map(9, values)
    images = read_instances(coco.file, "train")[:1]
    (item,) = find_stuff_maps(tmp_path / "stuffthingmaps", images)
    job = StuffMasks(tmp_path)
    job.run(item)
    label = read_label(job.target(item))
    order = sorted(CATEGORIES)
    for y in range(HEIGHT):
        for x in range(WIDTH):
            value = int(values[y, x])
            if value == 255:
                assert label[y, x] == 255
            elif value + 1 in order:
                assert label[y, x] == order.index(value + 1) + 1
            else:
                assert label[y, x] == 0


@pytest.mark.parametrize("value", [11, 25, 82, 90, 182, 254])
def test_values_that_coco_stuff_does_not_have(tmp_path, value: int) -> None:
    coco = mini_coco(tmp_path)
    values = np.full(SIZE, 100)
    values[3, 3] = value
    path = coco.stuff_map(9, values)
    image = read_instances(coco.file, "train")[0]
    with pytest.raises(UserError, match=f"has the value {value}, but COCO-Stuff's are"):
        StuffMasks(tmp_path).run(StuffMap(image, path))


def test_pixel_maps_are_found_in_both_folders_and_missing_ones_named(tmp_path) -> None:
    coco = mini_coco(tmp_path)
    images = read_instances(coco.file, "train")
    folder = tmp_path / "stuffthingmaps"
    with pytest.raises(UserError, match=r"no such folder; unpack stuffthingmaps_trainval2017\.zip"):
        find_stuff_maps(folder, images)
    paths = [
        coco.stuff_map(9, np.zeros(SIZE), "train2017"),
        coco.stuff_map(25, np.zeros(SIZE), "val2017"),
    ]
    with pytest.raises(UserError, match=r"1 of 3 images have no pixel map .*COCO_train2014_0+30'"):
        find_stuff_maps(folder, images)
    paths.append(coco.stuff_map(30, np.zeros((HEIGHT, WIDTH + 1)), "."))
    found = find_stuff_maps(folder, images)
    assert [item.path.resolve() for item in found] == [path.resolve() for path in paths]
    with pytest.raises(UserError, match=r"has the size \(24, 33\), but image 30 has \(24, 32\)"):
        StuffMasks(tmp_path).run(found[2])
