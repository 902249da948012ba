"""Mutated files for every reader: it may refuse them with the toolkit's own errors, and with nothing else.

    python tools/fuzz_readers.py [--seconds 10] [--readers label,psa] [--seed 0] [--keep FOLDER]

Prints a table, and exits with 1 if a reader raised another exception, ended its process, hung, or wrote a message that
is not one line with the file's name. The valid files are made by the project's own writers (see fuzz_corpus.py). Each
reader runs in a process of its own; the file that it is reading is always there, so that the one that ends the process
can be kept. The same seed gives the same files.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path

from fault_outcomes import Hang, hang, raised_at
from fuzz_corpus import READERS, Reader
from fuzz_mutations import mutated

from wsssbench.errors import CorruptArtefactError, UserError

PATIENCE = 20  # seconds for one file
START = 120  # seconds in which the valid files have to be made
MEMORY = Path("/dev/shm")  # files there cost no disk
LONGEST = 500  # characters of a message


@dataclass
class Tally:
    """What happened to the files of one reader.

    Attributes:
        bad: how often something else happened, by what and where.
        mebibytes: by which the memory of the process grew at most.
    """

    files: int = 0
    accepted: int = 0
    refused: int = 0
    bad: dict[str, int] = field(default_factory=dict)
    mebibytes: int = 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each reader")
    parser.add_argument("--readers", default="", help=f"some of {', '.join(READERS)}")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="put the first file of each kind of failure here")
    options = parser.parse_args()
    names = options.readers.split(",") if options.readers else list(READERS)
    unknown = [name for name in names if name not in READERS]
    if unknown:
        parser.error(f"no reader '{unknown[0]}': known are {', '.join(READERS)}")
    print(f"{'reader':<16} {'files':>8} {'accepted':>8} {'refused':>8} {'other':>6} {'MiB':>6}")
    if options.keep is not None:
        options.keep.mkdir(parents=True, exist_ok=True)
    failed = False
    for name in names:
        tally = in_own_process(READERS[name], options.seconds, options.seed, options.keep)
        other = sum(tally.bad.values())
        print(
            f"{name:<16} {tally.files:>8} {tally.accepted:>8} {tally.refused:>8} {other:>6} {tally.mebibytes:>6}"
        )
        for place, count in sorted(tally.bad.items(), key=lambda item: -item[1]):
            print(f"    {count} x {place}")
        sys.stdout.flush()
        failed = failed or bool(other)
    return int(failed)


def in_own_process(reader: Reader, seconds: float, seed: int, keep: Path | None) -> Tally:
    """What `fuzz` tells from a child process; if that ended early, how."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as folder:
        place = Path(folder)
        child = multiprocessing.get_context("fork").Process(
            target=fuzz, args=(reader, seconds, seed, place, keep)
        )
        child.start()
        child.join(seconds + START + PATIENCE)
        if child.is_alive():  # hangs where no alarm reaches it
            child.kill()
            child.join()
        report = place / "tally.json"
        tally = Tally(**json.loads(report.read_text())) if report.is_file() else Tally()
        if child.exitcode:
            last = (place / "stderr").read_text(errors="replace").strip().splitlines()[-1:]
            tally.bad[f"the process ended with {child.exitcode} {last}"] = 1
            current = place / "work" / reader.file
            if keep is not None and current.is_file():
                shutil.copy(current, keep / f"{reader.name}-ended-{reader.file}")
        return tally


def fuzz(reader: Reader, seconds: float, seed: int, place: Path, keep: Path | None) -> None:
    """Read mutated files for `seconds`, and leave a `Tally` in `place`."""
    with (place / "stderr").open("w") as stream:
        os.dup2(stream.fileno(), 2)  # libraries in C write there
    signal.signal(signal.SIGALRM, hang)
    warnings.simplefilter("ignore")
    dice = random.Random(f"{reader.name} {seed}")
    work = place / "work"
    work.mkdir()
    seeds = reader.seeds(work)
    path = work / reader.file
    tally = Tally()
    for content in seeds:  # what is sound has to be accepted, else nothing is learned
        path.write_bytes(content)
        reader.read(path)
    before, end = _peak(), time.monotonic() + seconds
    while not tally.files or time.monotonic() < end:
        path.write_bytes(mutated(dice, seeds, reader.form, reader.tokens))
        tally.files += 1
        problem = _problem(reader, path, tally)
        if problem is not None:
            tally.bad[problem] = tally.bad.get(problem, 0) + 1
            if tally.bad[problem] == 1 and keep is not None:
                shutil.copy(path, keep / f"{reader.name}-{len(tally.bad)}-{reader.file}")
        tally.mebibytes = (_peak() - before) // 1024
        if tally.files % 1000 == 1 or problem is not None:
            (place / "tally.json").write_text(json.dumps(asdict(tally)))
    (place / "tally.json").write_text(json.dumps(asdict(tally)))


def _problem(reader: Reader, path: Path, tally: Tally) -> str | None:
    """Read `path`: what should not have happened, and where."""
    signal.alarm(PATIENCE)
    try:
        reader.read(path)
        tally.accepted += 1
    except (UserError, CorruptArtefactError) as error:
        tally.refused += 1
        text = str(error)
        if len(text) > LONGEST or not text.isprintable():
            kind = "does not print" if not text.isprintable() else "is too long"
            return f"a message that {kind}, made in {raised_at(error)}"
        if reader.named and path.name not in text:
            return f"a message without the file's name, made in {raised_at(error)}"
    except (Exception, Hang) as error:
        return f"{type(error).__name__} in {raised_at(error)}"
    finally:
        signal.alarm(0)
    return None


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    sys.exit(main())
