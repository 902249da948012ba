"""Several runs that need the same stage at once: one computes it, the others wait and reuse it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from test_kill import config_file, start

from wsssbench.experiment import run as pipeline
from wsssbench.experiment.config import resolve
from wsssbench.experiment.plan import Settings, make_plan
from wsssbench.experiment.run import execute
from wsssbench.progress import Silent


class Heard(Silent):
    """What was said, and what is done when somebody is waited for."""

    def __init__(self, on_waiting: Any = None) -> None:
        self.said: list[str] = []
        self.on_waiting = on_waiting

    def say(self, text: str) -> None:
        self.said.append(text)
        if text.endswith("waiting") and self.on_waiting:
            self.on_waiting()

    warn = say


def settings(work_dir: Path, progress: Heard) -> Settings:
    return Settings(work_dir, "cpu", 1, progress, until="data")


def test_two_runs_at_once_compute_every_stage_once(tmp_path: Path) -> None:
    config = config_file(tmp_path, 6)
    both = [start(config, tmp_path / "work", "--until", "cam", "--workers", "1") for _ in "ab"]
    codes, outputs = [process.wait() for process in both], [process.output for process in both]
    assert codes == [0, 0], outputs
    for stage in ("data", "classify", "cam", "evaluate.cam"):
        made = [len(re.findall(rf"\] {stage}: (computed|resumed)", text)) for text in outputs]
        assert sum(made) == 1, (stage, outputs)


def test_what_another_process_made_meanwhile_is_reused(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "_LOCK_POLL_SECONDS", 0.05)
    config = resolve(tiny)
    plan = make_plan(config, settings(tmp_path, Heard()))
    (step,) = plan.steps
    held = FileLock(step.entry.lock)
    step.entry.lock.parent.mkdir(parents=True)
    held.acquire()

    def other_process_finishes() -> None:
        step.entry.open()
        step.entry.close({}, {"node": "data", "seconds": 1.0, "peak_mib": 1.0})
        held.release()

    heard = Heard(other_process_finishes)
    assert execute(plan, settings(tmp_path, heard)) == {"data": "reused"}
    assert heard.said == [
        "[1/1] data: another process is computing it, waiting",
        "[1/1] data: reused",
    ]


def test_a_file_system_without_locks_is_warned_about(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: Any, **__: Any) -> None:
        raise NotImplementedError

    monkeypatch.setattr(pipeline.FileLock, "acquire", no_locks)
    heard = Heard()
    plan = make_plan(resolve(tiny), settings(tmp_path, heard))
    assert execute(plan, settings(tmp_path, heard)) == {"data": "computed"}
    assert any("no file locks" in text for text in heard.said)


def test_the_lock_of_a_killed_run_is_free(tmp_path: Path) -> None:
    lock = tmp_path / "a.lock"
    code = (
        "import signal, sys; from filelock import FileLock; FileLock(sys.argv[1]).acquire();"
        "print('held', flush=True); signal.pause()"
    )
    process = subprocess.Popen([sys.executable, "-c", code, lock], stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stdout.readline() == b"held\n"
    process.kill()
    process.wait()
    FileLock(lock).acquire(blocking=False)
