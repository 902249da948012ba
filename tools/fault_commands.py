"""Wrong command lines: sound ones with one or two words replaced, left out, or repeated, and files damaged."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

from fault_outcomes import command_outcome, show
from fault_world import build

WORDS = (
    *(
        "",
        "-1",
        "0",
        "nan",
        "inf",
        "99999999999999999999",
        "1e309",
        "x",
        "a=b=c",
        "=",
        "--",
        "..",
        "/",
        ".",
    ),
    *(
        "None",
        "[]",
        "{}",
        "\x1b[2J",
        "[/red]",
        "name\nname",
        "é" * 300,
        "missing.file",
        "/dev/null",
        "train.txt",
    ),
    *(
        "tiny.py",
        "cams",
        "masks",
        "empty",
        "junk.bin",
        "folder/none/x",
        "work",
        "--no-such-option",
        "0:0:0",
    ),
    *(
        "1:0:0.1",
        "0:1:1e-9",
        "psa",
        "cam",
        "png",
        "cam.scales=[]",
        "cam=3",
        "data.seed=nan",
        "seed=-1",
    ),
    *("refine.none.x=1", "classifier.pooling=Nope", "name=../x", "+x=1", "label.confidence=7"),
)


def try_commands(count: int, seed: int, shown: int) -> bool:
    """Try `count` wrong command lines, and print what happened, by command."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    details: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    dice = random.Random(seed)
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        whole, place = Path(folder) / "whole", Path(folder) / "place"
        whole.mkdir()
        sound = build(whole)
        (whole / "empty").write_bytes(b"")
        (whole / "junk.bin").write_bytes(bytes(dice.randrange(256) for _ in range(999)))
        for number in range(count):
            if number % 20 == 0:  # some command lines that are accepted write files
                os.chdir(before)
                shutil.rmtree(place, ignore_errors=True)
                shutil.copytree(whole, place, symlinks=True)
                os.chdir(place)
            line = changed(dice, dice.choice(sound))
            happened, text = command_outcome(line)
            name = next((word for word in line if word and not word.startswith("-")), "")
            counts[name][happened] += 1
            details[name][happened].append(f"{line}: {' / '.join(text.split())[-200:]}")
        os.chdir(before)
    known = {line[0] for line in sound}
    bad = False
    for name in sorted(counts, key=lambda name: (name not in known, name)):
        bad |= show(f"command lines, {name[:12]!r}", counts[name], details[name], shown)
    return bad


def changed(dice: random.Random, line: list[str]) -> list[str]:
    """`line` with one or two of its words behind the command changed."""
    line = list(line)
    for _ in range(dice.choice((1, 1, 2))):
        place = dice.randrange(1, len(line)) if len(line) > 1 else 0
        how = dice.choice(("replace", "replace", "replace", "drop", "repeat", "add"))
        if how == "replace" and place:
            line[place] = dice.choice(WORDS)
        elif how == "drop" and place:
            del line[place]
        elif how == "repeat" and place:
            line.insert(place, line[place])
        else:
            line.append(dice.choice(WORDS))
    return line
