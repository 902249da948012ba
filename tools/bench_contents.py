"""How long it takes to see that a large data set is as before: `content_id` against a plain stat of each file.

    python tools/bench_contents.py [--files 80000] [--repeat 5]

Both are done in one process on the same files, in turn, after a first reading; the best time of each counts.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from wsssbench.files import contents


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=80_000)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, memory = Path(folder) / "data", Path(folder) / "memory"
        files = make_files(root, options.files)
        paths = list(files.values())
        first = timed(lambda: contents.content_id(files, memory))

        def again() -> None:
            contents._known.clear()  # as another process
            contents.content_id(files, memory)

        def stat() -> None:
            for path in paths:
                os.stat(path)  # noqa: PTH116

        both = [(timed(stat), timed(again)) for _ in range(options.repeat)]
    plain, known = (min(times) for times in zip(*both, strict=True))
    print(
        f"{options.files} files: read once {first:.2f} s; plain stat {plain:.3f} s; known again {known:.3f} s"
    )
    print(f"known again / plain stat = {known / plain:.2f}")


def make_files(root: Path, count: int) -> dict[str, str]:
    """`count` small files in folders of 10,000, as name -> path."""
    files = {}
    for i in range(count):
        path = root / str(i // 10_000) / f"{i:06}.jpg"
        if i % 10_000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(b"%06d" % i)
        files[path.stem] = str(path)
    return files


def timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
