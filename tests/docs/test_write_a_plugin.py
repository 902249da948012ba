"""``docs/write-a-plugin.md`` does what it says: its files are written and its commands run, in its order.

In the document, a ``console`` block has commands after ``$``, and below each what it prints, with ``...`` for anything.
A ``python`` block that starts with ``# file: PATH`` is a file. A command has to fail if ``error:`` is what it prints.
"""

from __future__ import annotations

import ast
import csv
import importlib
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from plugin_environments import environment_with, make_venv
from warm_processes import WarmProcess

from wsssbench import plugin_files
from wsssbench.plugins import load
from wsssbench.scaffold.names import names_of
from wsssbench.scaffold.write import write_plugin

REPOSITORY = Path(__file__).parents[2]
TEXT = (REPOSITORY / "docs" / "write-a-plugin.md").read_text()
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")
METHOD, ANNOUNCED, MATRIX, STAGES, ONE_FILE = (
    "my-pooling/my_pooling/pooling.py", "my-pooling/my_pooling/__init__.py", "my_table.py",
    "my_stages.py", "top_mean.py",
)  # fmt: skip
# What imports torch, and takes seconds at least, is left to the slow test.
LONG = re.compile(r"pytest|wsssbench (plugins check|run|sweep|compare)")


@dataclass(frozen=True)
class Command:
    """A line after ``$``, and the pattern of what it prints."""

    line: str
    expected: str

    @property
    def fails(self) -> bool:
        return self.expected.startswith("error:")

    def check(self, code: int, output: str) -> None:
        assert code == (2 if self.fails else 0), f"$ {self.line}\n{output}"
        pattern = ".*?".join(re.escape(part) for part in self.expected.split("..."))
        assert re.search(pattern, output, re.DOTALL), f"$ {self.line}\n{output}"


@dataclass(frozen=True)
class File:
    """A file that the reader writes."""

    path: str
    content: str


def steps() -> Iterator[Command | File]:
    for language, content in BLOCK.findall(TEXT):
        if language == "console":
            for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
                line, _, expected = part.partition("\n")
                yield Command(line, expected.strip("\n"))
        elif language == "python" and (found := FILE.match(content)):
            yield File(found[1], content[found.end() :])


def files() -> dict[str, str]:
    return {step.path: step.content for step in steps() if isinstance(step, File)}


def lines_of(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


@pytest.fixture
def checkout(tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """A folder with the checkout's configs, and the environment of a reader's shell."""
    pytest.importorskip("hatchling", reason="hatchling")
    folder = tmp_path / "checkout"
    shutil.copytree(REPOSITORY / "configs", folder / "configs")
    return folder, {**make_venv(tmp_path / "venv"), "COLUMNS": "120"}


def follow(folder: Path, environment: dict[str, str], left_out: re.Pattern[str] | None) -> None:
    for step in steps():
        if isinstance(step, File):
            (folder / step.path).write_text(step.content)
        elif left_out is None or not left_out.match(step.line):
            done = subprocess.run(
                step.line, shell=True, cwd=folder, env=environment, text=True,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            )  # fmt: skip
            step.check(done.returncode, done.stdout)


def test_every_block_is_of_a_kind_that_is_tested() -> None:
    """``py`` is a fragment of a file: nothing runs it, but it is Python."""
    blocks = BLOCK.findall(TEXT)
    assert {language for language, _ in blocks} == {"console", "python", "py"}
    for language, code in blocks:
        if language == "py":
            ast.parse(code)
    assert TEXT.count("```") == 2 * len(BLOCK.findall(TEXT))
    commands = [step.line for step in steps() if isinstance(step, Command)]
    for word in ("plugins new", "pip install -e", "plugins check", "plugins describe",
                 "run configs/", "sweep my_table.py --dry-run", "compare"):  # fmt: skip
        assert any(word in command for command in commands), word


def test_the_reader_writes_at_most_thirty_lines(tmp_path: Path) -> None:
    """The method, the matrix, and the lines of ``__init__`` that were not generated."""
    write_plugin(names_of("my-pooling"), "pooling", tmp_path)
    generated = lines_of((tmp_path / "my_pooling" / "__init__.py").read_text())
    found = files()
    announced = [line for line in lines_of(found[ANNOUNCED]) if line not in generated]
    assert len(announced) == 2  # the summary and the reference
    own = [*lines_of(found[METHOD]), *lines_of(found[MATRIX]), *announced]
    assert len(own) <= 30


def test_files_of_the_reader_are_those_that_were_generated(tmp_path: Path) -> None:
    write_plugin(names_of("my-pooling"), "pooling", tmp_path / "my-pooling")
    for path in files():
        assert path in (MATRIX, STAGES, ONE_FILE) or (tmp_path / path).is_file()


def test_the_config_of_the_stage_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a process that has the package: its stage is planned where the page puts it."""
    write_plugin(names_of("my-stage"), "stage", tmp_path / "my-stage")
    shutil.copytree(REPOSITORY / "configs", tmp_path / "configs")
    (tmp_path / STAGES).write_text(files()[STAGES])
    environment = environment_with([tmp_path / "my-stage"], tmp_path / "installed")
    (command,) = (
        s for s in steps() if isinstance(s, Command) and "--dry-run" in s.line and STAGES in s.line
    )
    monkeypatch.chdir(tmp_path)
    output = tmp_path / "output.txt"
    process = WarmProcess(*command.line.split(), output=output, environment=environment)
    command.check(process.wait(), process.output)
    planned = [line.split()[0].rstrip(":") for line in process.output.splitlines() if line.split()]
    assert planned.index("cam") < planned.index("sharp") < planned.index("refine.crf")
    assert "evaluate.sharp" in planned


@pytest.mark.parametrize("seed", [0, 1])
def test_the_rank_pooling_is_that_of_its_paper(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """On probabilities, with a decay for classes and one for the background, as the released code of SEC."""
    monkeypatch.syspath_prepend(str(REPOSITORY / "tests" / "plugins"))
    given, wanted, parameters = importlib.import_module("golden").golden(f"gwrp-sec-{seed}")
    module: dict[str, Any] = {}
    exec(files()[METHOD], module)
    logits = torch.from_numpy(given["logits_times_8"] / 8.0)
    p = logits.softmax(dim=1) + parameters["minimum_probability"]
    p = p / p.sum(dim=1, keepdim=True)
    for planes, kind in ((p[:, 1:], "foreground"), (p[:, :1], "background")):
        pooling = module["MyPooling"](planes.shape[1], decay=parameters[f"decay_{kind}"])
        expected = torch.from_numpy(wanted[f"gwrp_{kind}"]).reshape(len(p), -1)
        # The guide's weights are rounded to float32.
        torch.testing.assert_close(pooling(planes).logits, expected, rtol=1e-5, atol=0)


def test_the_one_file_is_a_pooling_of_the_highest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every place it is the average, of the least share the maximum."""
    monkeypatch.setenv(plugin_files.VARIABLE, "")
    (tmp_path / ONE_FILE).write_text(files()[ONE_FILE])
    plugin_files.use([tmp_path / ONE_FILE])
    build, maps = load().registries.pooling.build, torch.randn(2, 3, 4, 5)
    everywhere = build({"type": "TopMean", "share": 1.0}, 3)(maps).logits
    torch.testing.assert_close(everywhere, maps.mean(dim=(2, 3)))
    torch.testing.assert_close(
        build({"type": "TopMean", "share": 1e-9}, 3)(maps).logits, maps.amax(dim=(2, 3))
    )


def test_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert (REPOSITORY / "docs" / target).exists(), target


def test_the_hook_keeps_a_list_of_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pluggy

    from wsssbench import hookspecs

    (snippet,) = [c for kind, c in BLOCK.findall(TEXT) if kind == "python" and not FILE.match(c)]
    module: dict[str, Any] = {}
    exec(snippet, module)
    manager = pluggy.PluginManager("wsssbench")
    manager.add_hookspecs(hookspecs)
    plugin = type("Plugin", (), {"after_stage": staticmethod(module["after_stage"])})
    manager.register(plugin)
    manager.check_pending()
    monkeypatch.chdir(tmp_path)
    given = {"config": {}, "directory": str(tmp_path), "run": {"name": "gap", "seed": 3}}
    scores = {"chosen": {"miou": 41.7}, "oracle": None, "reused": True}
    manager.hook.after_stage(node="classify", result={"seconds": 1.0}, **given)
    manager.hook.after_stage(node="evaluate.cam", result=scores, **given)
    with Path("scores.csv").open(newline="") as file:
        assert list(csv.reader(file)) == [["gap", "3", "evaluate.cam", "41.7"]]


def test_what_takes_seconds(checkout: tuple[Path, dict[str, str]]) -> None:
    follow(*checkout, left_out=LONG)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_all_of_it(checkout: tuple[Path, dict[str, str]]) -> None:
    follow(*checkout, left_out=None)
