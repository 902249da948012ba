"""Nothing of a stranger's files runs: the calls that could run them stand in a list here, each with its reason."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import wsssbench

ROOT = Path(wsssbench.__file__).parent
PLUGINS = ROOT.parent / "plugins"
FILES = sorted([*ROOT.rglob("*.py"), *PLUGINS.rglob("*.py")])
# The name of a call -> the files that may have it, and why.
ALLOWED = {
    "eval": {},
    "exec": {},
    "compile": {},
    "__import__": {},
    "os.system": {},
    "os.popen": {},
    "runpy.run_path": {},
    "runpy.run_module": {},
    "pickle.load": {},
    "pickle.loads": {},
    "marshal.loads": {},
    "shelve.open": {},
    "yaml.load": {},
    "joblib.load": {},
    "shutil.unpack_archive": {},
    "np.load": {},
    "numpy.load": {},
    "torch.hub.load": {},
    "load_state_dict_from_url": {},
    "mmengine.runner.load_checkpoint": {},
    "Config.fromfile": {"experiment/config_file.py": "a config that the user names is their own Python"},
    "pickle.Unpickler": {"files/npy.py": "with a list of what a pickle may name"},
    "subprocess.run": {"experiment/provenance.py": "git, without programs of the checkout"},
    "subprocess.Popen": {"sweep/process.py": "wsssbench itself, for a cell"},
    "importlib.import_module": {
        "registry/components.py": "components of installed plugins",
        "plugins.py": "plugin files that the user names",
        "cli/doctor.py": "libraries by names that stand there",
    },
    "tarfile.open": {"datasets/voc/submission.py": "reads members into memory, extracts nothing"},
}  # fmt: skip
UNSAFE_LOAD = {"contract/rig.py": "the file that it has just written"}


def name_of(node: ast.expr) -> str:
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


def used(path: Path) -> Iterator[tuple[str, ast.expr]]:
    """Every name, dotted or not, that is called or derived from in the file at `path`, with the node."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield name_of(node.func), node
        elif isinstance(node, ast.ClassDef):
            yield from ((name_of(base), base) for base in node.bases)


@cache
def calls() -> list[tuple[Path, str, ast.expr]]:
    return [(path, name, node) for path in FILES for name, node in used(path)]


def place(path: Path) -> str:
    return str(path.relative_to(ROOT if ROOT in path.parents else PLUGINS))


def test_no_call_could_run_a_file() -> None:
    for path, name, node in calls():
        assert name not in ALLOWED or place(path) in ALLOWED[name], (
            f"{name} in {path}:{node.lineno}"
        )
        if not isinstance(node, ast.Call):
            continue
        given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        assert given.get("allow_pickle", "False") == "False", f"{path}:{node.lineno}"
        assert given.get("shell", "False") == "False", f"{path}:{node.lineno}"
        assert name.rpartition(".")[2] not in ("extract", "extractall"), f"{path}:{node.lineno}"
        if name == "torch.load" and place(path) not in UNSAFE_LOAD:
            assert given.get("weights_only") == "True", f"{path}:{node.lineno}"


def test_the_list_has_nothing_that_is_gone() -> None:
    found = {(name, place(path)) for path, name, _ in calls()}
    listed = {(name, file) for name, files in ALLOWED.items() for file in files}
    assert listed <= found
    assert {("torch.load", file) for file in UNSAFE_LOAD} <= found
