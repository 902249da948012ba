"""The 80 object categories of MS-COCO, and what becomes of their numbers in a label map."""

from __future__ import annotations

import numpy as np

from wsssbench.interfaces import IGNORE

COCO_CLASSES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train"),
    *("truck", "boat", "traffic light", "fire hydrant", "stop sign"),
    *("parking meter", "bench", "bird", "cat", "dog", "horse"),
    *("sheep", "cow", "elephant", "bear", "zebra", "giraffe"),
    *("backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee"),
    *("skis", "snowboard", "sports ball", "kite", "baseball bat"),
    *("baseball glove", "skateboard", "surfboard", "tennis racket"),
    *("bottle", "wine glass", "cup", "fork", "knife", "spoon"),
    *("bowl", "banana", "apple", "sandwich", "orange", "broccoli"),
    *("carrot", "hot dog", "pizza", "donut", "cake", "chair"),
    *("couch", "potted plant", "bed", "dining table", "toilet", "tv"),
    *("laptop", "mouse", "remote", "keyboard", "cell phone"),
    *("microwave", "oven", "toaster", "sink", "refrigerator", "book"),
    *("clock", "vase", "scissors", "teddy bear", "hair drier"),
    *("toothbrush",),
)
# Category ids run from 1 to 90. Of the 91 that were planned, these have no objects and occur in no file.
_ABSENT = (12, 26, 29, 30, 45, 66, 68, 69, 71, 83)
CATEGORIES = dict(zip([id for id in range(1, 91) if id not in _ABSENT], COCO_CLASSES, strict=True))
# Category id -> label-map value: 1..80 in the order of the ids.
VALUE_OF = {category: value for value, category in enumerate(CATEGORIES, 1)}

_FIRST_STUFF, _LAST_STUFF = 91, 181  # of COCO-Stuff's pixel maps


def stuff_table() -> np.ndarray:
    """Value of a COCO-Stuff pixel map -> label-map value, (256,) int16; -1 where there is no such value.

    A pixel map holds category id - 1: things up to 89, stuff from 91 to 181, and 255 for void. Stuff is background
    here, void stays 255.
    """
    table = np.full(256, -1, np.int16)
    table[_FIRST_STUFF : _LAST_STUFF + 1] = 0
    table[IGNORE] = IGNORE
    for category, value in VALUE_OF.items():
        table[category - 1] = value
    return table
