"""Wrong inputs and kills, counted: what is refused in a sentence, what is accepted, and what should never happen.

    python tools/fault_campaign.py [--commands 1000] [--kills 20] [--seed 0] [--show 5] [CONFIG ...]

Three kinds: values that are wrong for certain in the place of every value of CONFIGs (default:
those in configs/ with generated data, so that they can be planned);
command lines with changed words, on a small world of files; ``kill -9`` at random moments of a run with every stage.
`fuzz_readers.py` does the same for damaged files. Exits with 1 if anything happened that never should: a traceback,
another exit code than 0 and 2, a certainly wrong value accepted, another result after a kill.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from fault_commands import try_commands
from fault_kills import try_kills
from fault_outcomes import HEAD
from fault_values import try_values


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("configs", nargs="*", type=Path, metavar="CONFIG")
    parser.add_argument("--commands", type=int, default=1000, help="wrong command lines")
    parser.add_argument("--kills", type=int, default=20, help="runs, each killed up to 3 times")
    parser.add_argument("--no-values", action="store_true", help="leave the wrong values out")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--show", type=int, default=5, help="examples of each outcome")
    options = parser.parse_args()
    # Kept short: the same words on a narrow terminal would be folded.
    os.environ.setdefault("COLUMNS", "200")
    print(HEAD)
    bad = False
    if not options.no_values:
        here = Path(__file__).resolve().parent.parent / "configs"
        bad |= try_values(options.configs or sorted(here.glob("*_synthetic.py")), options.show)
    if options.commands:
        bad |= try_commands(options.commands, options.seed, options.show)
    if options.kills:
        bad |= try_kills(options.kills, 3, options.seed)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
