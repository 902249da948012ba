"""Puzzle-CAM at the small scale, where CAMs under-activate. To compare with: configs/gap_part.py, which is without."""

_base_ = ["../_base_/synthetic_small_part.py"]
name = "puzzle_synthetic"
classifier = dict(pooling=dict(type="GAP"), erasing=[], objectives=[dict(type="PuzzleCAM")])
