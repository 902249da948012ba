"""An import may only point down the list of rooms; mmseg is imported in one room, plugins in none."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import wsssbench

ROOT = Path(wsssbench.__file__).parent
# From the top down; rooms of one line may import each other.
ROOMS = [
    ("cli", "__main__"),
    ("report", "contract", "scaffold"),
    ("sweep",),
    ("pipeline", "planning", "experiment", "cache", "provenance"),
    ("stages",),
    ("segmenters",),
    ("refinements",),
    ("training",),
    ("models",),
    ("data",),
    (
        "config",
        "overrides",
        "components",
        "plugins",
        "registry",
        "hookspecs",
        "interfaces",
        "ranks",
        "tensorboard",
    ),
    ("ops", "progress", "errors", "__init__"),
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
FILES = sorted(path for path in ROOT.rglob("*.py"))
# Imports inside functions, where a contract names a concrete class or a check has to look into a section.
ALLOWED = {
    ("overrides", "data"),
    ("overrides", "training"),
    ("overrides", "segmenters"),
    ("config", "data"),
    ("config", "training"),
}


def room_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> set[str]:
    tree = ast.parse(path.read_text())
    typing_only = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for child in ast.walk(node)
    }
    found = set()
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def test_every_room_has_a_level() -> None:
    assert {room_of(path) for path in FILES} <= set(LEVEL)


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    room = room_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] in ("mmseg", "mmcv"):
            assert room == "segmenters", f"{path} imports {name}"
        assert not parts[0].startswith("wsssbench_"), f"{path} imports the plugin {name}"
        if parts[0] == "wsssbench" and len(parts) > 1 and parts[1] in LEVEL:
            fine = LEVEL[parts[1]] >= LEVEL[room] or (room, parts[1]) in ALLOWED
            assert fine, f"{path.relative_to(ROOT)} imports {name}, which is above it"
