"""Processes that start in milliseconds: they are forked from a server that has imported torch and mmseg.

A forked process computes the same, ends the same and dies of SIGKILL the same as one whose Python was started for it;
what it saves are the four seconds of imports. One test of each kind starts Python itself all the same:
``test_smoke`` the command line and, in the slow set, ``test_engine`` a program of two ranks by torchrun.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing import connection
from multiprocessing.context import ForkServerProcess, SpawnProcess
from pathlib import Path

import pytest

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(
    ["pytest", "torch", "torchvision", "mmengine.runner", "mmseg.apis", "pydensecrf.densecrf",
     "scipy.sparse.linalg", "wsssbench.cli.run", "wsssbench.segmenters.deeplab"]
)  # fmt: skip


@pytest.fixture(scope="module")
def warm_workers() -> Iterator[None]:
    """Worker processes (`wsssbench.parallel.jobs`) are forked, too; what they get is pickled as it is to spawned ones.

    They have the environment variables with which the server started. ``parallel/test_jobs.py`` spawns its own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SpawnProcess, "_Popen", staticmethod(ForkServerProcess._Popen))
        yield


class WarmProcess:
    """A running program: the leader of a process group of its own, its output in a file.

    Args:
        program: a file (as in ``python FILE``) or the name of a module (as in ``python -m NAME``).
        output: the file of what it prints to stdout and stderr; its folder is made.
        environment: what is added to the environment.
    """

    def __init__(
        self,
        program: Path | str,
        *arguments: object,
        output: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        output.parent.mkdir(parents=True, exist_ok=True)
        self._output = output
        whole = {**os.environ, **(environment or {})}
        given = (program, [str(argument) for argument in arguments], output, whole, Path.cwd())
        self._process = _SERVER.Process(target=_run, args=given)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its number; it leads the process group of this number."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def sentinel(self) -> int:
        """Ready for `multiprocessing.connection.wait` when the process has ended."""
        return self._process.sentinel

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return self._output.read_text() if self._output.exists() else ""

    def ended(self) -> bool:
        """Has it ended?"""
        return self._process.exitcode is not None

    def wait(self) -> int:
        """Wait for its end; the exit code, negative for a signal."""
        try:
            self._process.join()
        except BaseException:  # pytest's time limit, Ctrl-C
            self.kill()
            raise
        code = self._process.exitcode
        assert code is not None
        return code

    def kill(self) -> None:
        """Kill -9 it and every process that it started, and wait for its end."""
        with suppress(ProcessLookupError):  # before it leads its group, or after its end
            os.killpg(self.pid, signal.SIGKILL)
        self._process.kill()
        self._process.join()


class RankError(Exception):
    """One of several ranks ended with another exit code than 0."""


def run_ranks(ranks: int, program: Path, *arguments: object, output: Path) -> None:
    """Run a program as so many ranks, with the environment that torchrun would give each.

    Args:
        output: a folder for what each rank prints.

    Raises:
        RankError: one of them failed; the others are killed then, as torchrun does.
    """
    from torch.distributed import TCPStore

    # as in torchrun, the ranks meet at a store that is there before they start: no port is chosen twice
    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": str(ranks),
        "LOCAL_WORLD_SIZE": str(ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "TORCHELASTIC_RESTART_COUNT": "0",
    }
    running = [
        WarmProcess(
            program,
            *arguments,
            output=output / f"rank{rank}.log",
            environment={**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(ranks)
    ]
    try:
        while running:
            connection.wait([process.sentinel for process in running])
            for process in [process for process in running if process.ended()]:
                running.remove(process)
                code = process.wait()
                if code:
                    raise RankError(f"a rank ended with {code}:\n{process.output}")
    finally:
        for process in running:
            process.kill()


def _run(
    program: Path | str,
    arguments: list[str],
    output: Path,
    environment: dict[str, str],
    directory: Path,
) -> None:
    """In the forked process: become the program."""
    os.setsid()
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    added = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in added if path and path not in sys.path]
    sys.argv = [str(program), *arguments]
    if isinstance(program, Path):
        sys.path.insert(0, str(program.parent))
        runpy.run_path(str(program), run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
