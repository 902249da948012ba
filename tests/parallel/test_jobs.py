"""Going through images: what is whole is kept, the number of processes does not matter, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest

from wsssbench.errors import CorruptArtefactError, UserError
from wsssbench.interfaces import RunContext
from wsssbench.parallel import jobs
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.progress import Silent


class Item(NamedTuple):
    number: int
    target: Path


class Squares(ImageJob[Item]):
    """Writes the square of a number."""

    def prepare(self) -> None:
        self.ready = True

    def valid(self, path: Path) -> None:
        if not path.read_text().endswith("."):
            raise CorruptArtefactError(path, "no full stop")

    def run(self, item: Item) -> None:
        assert self.ready
        item.target.write_text(f"{item.number**2}.")


def context(directory: Path, workers: int) -> RunContext:
    return RunContext(directory, "cpu", workers, 0, Silent())


def items(directory: Path, count: int = 5) -> list[Item]:
    directory.mkdir(exist_ok=True)
    return [Item(i, directory / f"{i}.txt") for i in range(count)]


def test_whole_artefacts_are_kept_and_the_others_made(tmp_path: Path) -> None:
    given = items(tmp_path / "a")
    given[1].target.write_text("kept.")
    given[2].target.write_text("torn")
    run_images(Squares(), given, context(tmp_path, 1), "squares")
    assert [item.target.read_text() for item in given] == ["0.", "kept.", "4.", "9.", "16."]


def test_processes_make_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "_POOL_FROM", 1)
    given = items(tmp_path / "a")
    run_images(Squares(), given, context(tmp_path, 2), "squares")
    assert [item.target.read_text() for item in given] == ["0.", "1.", "4.", "9.", "16."]


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


@pytest.mark.parametrize(("long", "told"), [(0.0, 1), (1e9, 0)])
def test_the_time_is_told_once_if_it_is_long(
    long: float, told: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_LONG", long)
    progress = Told()
    given = RunContext(tmp_path, "cpu", 1, 0, progress)
    run_images(Squares(), items(tmp_path / "a", 9), given, "squares")
    assert len(progress.said) == told
    if told:
        assert "so the 5 that are left take about" in progress.said[0]


def test_the_time_is_told_without_that_of_loading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock at which loading takes 1000 s, and an image 100 s."""
    monkeypatch.setattr(jobs, "_LONG", 0.0)
    seconds = iter([1000.0, 1300.0])  # when the first image is made, and when three more are
    monkeypatch.setattr(jobs, "time", SimpleNamespace(monotonic=lambda: next(seconds)))
    progress = Told()
    given = RunContext(tmp_path, "cpu", 1, 0, progress)
    run_images(Squares(), items(tmp_path / "a", 6), given, "squares")
    assert (
        "an image takes 1 min 40 s, so the 2 that are left take about 3 min 20 s"
        in progress.said[0]
    )


@pytest.mark.parametrize("slow", [False, True])
def test_slow_images_start_processes_for_a_few(
    slow: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pools = []

    def pool(job: Squares, given: list[Item], workers: int) -> Iterator[None]:
        pools.append(workers)
        return iter([None] * len(given))

    monkeypatch.setattr(jobs, "_run_pool", pool)
    job = Squares()
    job.slow = slow
    run_images(job, items(tmp_path / "a", 4), context(tmp_path, 2), "squares")
    assert pools == ([2] if slow else [])


class FatalInParallel(Squares):
    """A job whose process dies at one image, if there are several of them."""

    def __init__(self) -> None:
        self.first = os.getpid()

    def run(self, item: Item) -> None:
        if item.number == 3 and os.getpid() != self.first:
            os.kill(os.getpid(), signal.SIGKILL)
        super().run(item)


def test_a_process_that_dies_gets_a_sentence_and_fewer_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_POOL_FROM", 1)
    given = items(tmp_path / "a")
    with pytest.raises(UserError, match=r"worker processes died.*smaller --workers"):
        run_images(FatalInParallel(), given, context(tmp_path, 2), "squares")
    done = {item.target: item.target.stat().st_mtime_ns for item in given if item.target.exists()}
    run_images(FatalInParallel(), given, context(tmp_path, 1), "squares")
    assert [item.target.read_text() for item in given] == ["0.", "1.", "4.", "9.", "16."]
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())


def hears_ctrl_c() -> bool:
    return signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_ctrl_c_is_heard_by_the_run_alone() -> None:
    with jobs.worker_pool(1) as pool:
        assert not pool.submit(hears_ctrl_c).result()
        assert hears_ctrl_c()
    assert hears_ctrl_c()


PROGRAM = """
import os, signal
from wsssbench.parallel.jobs import worker_pool

if __name__ == "__main__":
    with worker_pool(1) as pool:
        print(pool.submit(os.getpid).result(), flush=True)
        signal.pause()
"""


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="Linux")
def test_workers_end_with_a_killed_run(tmp_path: Path) -> None:
    script = tmp_path / "program.py"
    script.write_text(PROGRAM)
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        child = int(run.stdout.readline())
        assert _alive(child)
        run.kill()
    while _alive(child):
        time.sleep(0.05)


UNGUARDED = """
import os
from wsssbench.parallel.jobs import worker_pool

print("begins", flush=True)
with worker_pool(1) as pool:
    assert pool.submit(os.getpid).result() != os.getpid()
    print("works", flush=True)
"""
GUARDED = """
import os
from pathlib import Path
from wsssbench.interfaces import RunContext
from wsssbench.parallel import jobs
from wsssbench.parallel.jobs import ImageJob, run_images
from wsssbench.progress import Silent

class Item:
    def __init__(self, target):
        self.target = target

class Pids(ImageJob):
    def valid(self, path): pass
    def run(self, item): item.target.write_text(str(os.getpid()))

if __name__ == "__main__":
    print("begins", flush=True)
    jobs._POOL_FROM = 1
    item = Item(Path("made.txt"))
    run_images(Pids(), [item, Item(Path("too.txt"))], RunContext(Path(), "cpu", 2, 0, Silent()), "pids")
    assert int(item.target.read_text()) != os.getpid()
    print("works", flush=True)
"""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        pytest.param(UNGUARDED, ["program.py"], marks=pytest.mark.slow),
        (UNGUARDED, ["-"]),
        pytest.param(GUARDED, ["program.py"], marks=pytest.mark.slow),
    ],
    ids=["script", "standard input", "job in the script"],
)
def test_a_users_script_needs_no_guard(tmp_path: Path, code: str, words: list[str]) -> None:
    """It begins once, however Python was given it; a job of the script's own class works with a guard."""
    (tmp_path / "program.py").write_text(code)
    done = subprocess.run(
        [sys.executable, *words], input=code, capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "begins\nworks\n", "")
