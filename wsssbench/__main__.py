"""``python -m wsssbench``, which is also what torchrun starts: ``torchrun --nproc_per_node=4 -m wsssbench run ...``."""

from __future__ import annotations

import sys

from wsssbench.cli import main

if __name__ == "__main__":
    sys.exit(main())
