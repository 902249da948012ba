"""Draw the README's picture of the synthetic scenes: every class once, then scenes with their masks.

python tools/draw_samples.py [docs/images/synthetic-samples.png]
"""

from __future__ import annotations

import colorsys
import itertools
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from wsssbench.datasets.synthetic.dataset import SyntheticScenes
from wsssbench.datasets.synthetic.scene_layout import SceneParameters
from wsssbench.datasets.synthetic.scenes import Scene, draw_scene

COLUMNS = 8
CELL, GAP, TEXT = (
    144,
    6,
    26,
)  # pixels: side of a picture, space between pictures, height of a line of text
INK, PAPER = (32, 32, 32), (255, 255, 255)
FONT = ImageFont.load_default(size=15)
CLASSES_TITLE = (
    "The 8 classes. Two share each body; only the small badge tells them apart. "
    "Around an object, usually: the ground of its class."
)
SCENES_TITLE = (
    "Scenes of the data set, and their masks, which are for evaluation only (white: ignored)."
)


def main(path: Path) -> None:
    data = SyntheticScenes()
    colours = class_colours(len(data.classes))
    scenes = [data.scene("train", index) for index in range(2 * COLUMNS)]
    rows: list[str | list[Image.Image]] = [CLASSES_TITLE, portraits(data, colours), SCENES_TITLE]
    for band in (scenes[:COLUMNS], scenes[COLUMNS:]):
        rows += [
            [enlarge(scene.image) for scene in band],
            [truth(scene, data.classes, colours) for scene in band],
        ]
    path.parent.mkdir(parents=True, exist_ok=True)
    page = compose(rows).quantize(256, dither=Image.Dither.FLOYDSTEINBERG)  # a third of the bytes
    page.save(path, optimize=True)


def class_colours(count: int) -> np.ndarray:
    """Colours that neighbours do not confuse, (count, 3) float in [0, 255]."""
    return 255 * np.array(
        [colorsys.hsv_to_rgb(i / count, 0.9, (1, 0.75)[i % 2]) for i in range(count)]
    )


def portraits(data: SyntheticScenes, colours: np.ndarray) -> list[Image.Image]:
    """Every class by itself on its ground, named, in its colour."""
    alone = replace(
        data.parameters,
        objects=(1, 1),
        object_size=(0.55, 0.55),
        occluders=0.0,
        context_probability=1.0,
        context_leak=0.0,
        clutter=0.0,
    )
    pictures = []
    for category, name in enumerate(data.classes):
        picture = Image.new("RGB", (CELL, CELL + TEXT), tuple(colours[category].astype(int)))
        picture.paste(enlarge(whole_object(alone, category).image))
        write(ImageDraw.Draw(picture), (CELL / 2, CELL + TEXT / 2), name)
        pictures.append(picture)
    return pictures


def whole_object(parameters: SceneParameters, category: int) -> Scene:
    """The first scene in which the object is not cut off by the image's edge."""
    for seed in itertools.count():
        scene = draw_scene(np.random.default_rng(seed), parameters, category)
        body = scene.things[0].body
        if not (body[[0, -1]].any() or body[:, [0, -1]].any()):
            return scene
    raise AssertionError


def truth(scene: Scene, classes: Sequence[str], colours: np.ndarray) -> Image.Image:
    """The mask in the classes' colours over the faded image, every object with its name."""
    grey = np.repeat(scene.image.mean(axis=2, keepdims=True) * 0.5 + 20, 3, axis=2)
    palette = np.zeros((256, 3))
    palette[1 : len(colours) + 1], palette[255] = colours, 255
    shown = scene.mask > 0
    grey[shown] = 0.25 * grey[shown] + 0.75 * palette[scene.mask[shown]]
    picture = enlarge(grey.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for thing in scene.things:
        # Written where the visible part is thickest, so that the name is on the object whatever its shape.
        depth = ndimage.distance_transform_edt(np.pad(thing.visible, 1))[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        scale = CELL / len(scene.mask)
        write(
            draw,
            (float(np.clip(x * scale, 26, CELL - 26)), float(y * scale)),
            classes[thing.category],
        )
    return picture


def write(draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str) -> None:
    draw.text(at, text, PAPER, FONT, anchor="mm", stroke_width=2, stroke_fill=INK)


def enlarge(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image).resize((CELL, CELL), Image.Resampling.BICUBIC)


def compose(rows: Sequence[str | list[Image.Image]]) -> Image.Image:
    """Lines of text and rows of pictures, one below the other."""
    heights = [TEXT if isinstance(row, str) else row[0].height + GAP for row in rows]
    page = Image.new("RGB", (COLUMNS * (CELL + GAP) + GAP, sum(heights) + GAP), PAPER)
    draw = ImageDraw.Draw(page)
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        if isinstance(row, str):
            draw.text((GAP, top + TEXT / 2 - 3), row, INK, FONT, anchor="lm")
        else:
            for column, picture in enumerate(row):
                page.paste(picture, (GAP + column * (CELL + GAP), top))
        top += height
    return page


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/synthetic-samples.png"))
