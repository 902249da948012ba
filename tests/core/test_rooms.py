"""An import may only point down the list of rooms; mmseg is imported in one room, plugins in none.

Every import counts: at the top of a file, inside functions, for annotations only, and by importlib.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import wsssbench

ROOT = Path(wsssbench.__file__).parent
# From the top down; the rooms of one line may not import each other.
ROOMS = [
    ("__main__",),
    ("cli",),
    # the package itself, which imports the door when somebody asks for a function of it
    ("__init__",),
    ("api",),
    ("pages", "contract", "scaffold"),
    ("sweep",),
    ("results",),
    ("experiment",),
    ("stages",),
    ("segmenters", "refinements", "labelling"),
    ("training",),
    ("models",),
    ("datasets",),
    ("evaluation",),
    ("parallel",),
    ("files",),
    ("builtin",),
    ("plugins",),
    ("plugin_files",),
    ("hookspecs",),
    ("registry",),
    ("interfaces",),
    ("progress",),
    ("errors",),
    ("ops",),
]
LEVEL = {room: level for level, rooms in enumerate(ROOMS) for room in rooms}
LOOSE_FILES = 6  # at the top level, beside __init__ and __main__
FILES = sorted(ROOT.rglob("*.py"))


def room_of(path: Path) -> str:
    relative = path.relative_to(ROOT)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imports(path: Path) -> Iterator[str]:
    """The full names of everything that the file at `path` imports, wherever it stands."""
    package = ("wsssbench", *path.relative_to(ROOT).parent.parts)
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            up = package[: len(package) - node.level + 1] if node.level else ()
            base = ".".join([*up, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            texts = (n.value for n in ast.walk(node) if isinstance(n, ast.Constant))
            yield from (text for text in texts if str(text).startswith("wsssbench"))


def test_every_room_is_in_the_list() -> None:
    assert {room_of(path) for path in FILES} <= set(LEVEL)


def test_contributing_lists_the_rooms_in_this_order() -> None:
    text = (ROOT.parent / "CONTRIBUTING.md").read_text()
    listed = [
        name.rstrip("/").removesuffix(".py")
        for line in text.splitlines()
        if line.startswith("| `")
        for name in re.findall(r"`([\w./]+)`", line.split("|")[1])
    ]
    inner = [room for rooms in ROOMS for room in rooms if not room.startswith("__")]
    assert [LEVEL[name] for name in listed] == [LEVEL[room] for room in inner]
    assert set(listed) == set(inner)


def test_few_files_are_loose() -> None:
    loose = {path.stem for path in ROOT.glob("*.py")} - {"__init__", "__main__"}
    assert len(loose) <= LOOSE_FILES, sorted(loose)


def test_imports_point_down() -> None:
    wrong = []
    for path in FILES:
        room = room_of(path)
        for name in imports(path):
            parts = str(name).split(".")
            if parts[0] in ("mmseg", "mmcv") and room != "segmenters":
                wrong.append(f"{path.relative_to(ROOT)} imports {name}")
            if parts[0].startswith("wsssbench_"):
                wrong.append(f"{path.relative_to(ROOT)} imports the plugin {name}")
            if parts[0] != "wsssbench" or len(parts) < 2 or parts[1] not in LEVEL:
                continue
            if parts[1] != room and LEVEL[parts[1]] <= LEVEL[room]:
                wrong.append(f"{path.relative_to(ROOT)} imports {name}, which is not below it")
    assert not wrong, "\n".join(sorted(set(wrong)))


def test_no_files_import_each_other_in_a_circle() -> None:
    modules = {module_of(path): path for path in FILES}
    arrows = {
        name: {target for text in imports(path) if (target := _module(str(text), modules))} - {name}
        for name, path in modules.items()
    }
    while arrows:
        free = {name for name, targets in arrows.items() if not targets & arrows.keys()}
        assert free, f"in or above a circle: {sorted(arrows)}"
        arrows = {name: targets for name, targets in arrows.items() if name not in free}


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _module(text: str, modules: dict[str, Path]) -> str | None:
    """The file that an imported name stands in; a package's own file only if it is named itself."""
    while text and text not in modules:
        text = text.rpartition(".")[0]
    return text or None
