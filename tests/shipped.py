"""The experiments that come with the repository, which are all configs but the matrices."""

from __future__ import annotations

from pathlib import Path

CONFIGS = Path(__file__).parents[1] / "configs"
MATRICES = ("methods.py", "refinements.py")  # those outside of configs/ablations
EXPERIMENTS = sorted(
    path
    for pattern in ("*.py", "methods/*.py")
    for path in CONFIGS.glob(pattern)
    if path.name not in MATRICES
)
