"""kill -9 at random moments of a run with all stages; the same command again; the end has to be as undisturbed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from fault_outcomes import show
from fault_world import CONFIG

from wsssbench.experiment.config import config_text

SIDE_NOTES = {"manifest.json", "intent.json", "libraries.log", "scalars.jsonl"}  # they hold times
SAME = "refused"  # the column in which the table of the campaign has what is right


def try_kills(runs: int, kills: int, seed: int) -> bool:
    """Kill each of `runs` runs up to `kills` times, finish it, and compare it with an undisturbed one."""
    counts: Counter[str] = Counter()
    dice = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "tiny.py").write_text(config_text(CONFIG))
        started = time.monotonic()
        finish(place, "unbroken", 1)
        seconds = time.monotonic() - started
        expected = results(place / "unbroken")
        for number in range(runs):
            work = f"broken{number}"
            for _ in range(dice.randint(1, kills)):
                kill_after(place, work, dice.uniform(1, 0.9 * seconds), dice.choice((1, 2)))
            code, text = finish(place, work, dice.choice((1, 2)))
            counts[_compared(expected, place / work, code, text)] += 1
    return show(f"runs killed 1 to {kills} times", counts, {}, 5)


def finish(place: Path, work: str, workers: int) -> tuple[int, str]:
    """Run the experiment to its end: exit code and output."""
    ended = subprocess.run(
        _command(work, workers), cwd=place, capture_output=True, text=True, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


def kill_after(place: Path, work: str, seconds: float, workers: int) -> None:
    """Start the run, and kill it with all its processes after `seconds`, if it has not ended by then."""
    process = subprocess.Popen(
        _command(work, workers),
        cwd=place,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def results(work: Path) -> dict[str, bytes]:
    """Every artefact by its place in the cache."""
    root = work / "cache"
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name not in SIDE_NOTES and "checkpoint" not in str(path)
    }


def _compared(expected: dict[str, bytes], work: Path, code: int, text: str) -> str:
    if code != 0:
        return f"exit code {code}: {text[-200:]}"
    left = [str(p) for p in work.rglob("*") if ".partial" in p.name]
    if left:
        return f"{len(left)} half-written files are left, e.g. {left[0]}"
    there = results(work)
    if list(there) != list(expected):
        return f"other files: {sorted(set(there) ^ set(expected))[:3]}"
    different = [name for name in expected if there[name] != expected[name]]
    return f"{len(different)} files differ, e.g. {different[0]}" if different else SAME


def _command(work: str, workers: int) -> list[str]:
    options = ["--work-dir", work, "--workers", str(workers), "--device", "cpu"]
    return [sys.executable, "-m", "wsssbench", "run", "tiny.py", *options]
