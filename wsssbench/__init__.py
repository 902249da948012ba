"""wsssbench: weakly supervised semantic segmentation from image-level labels; methods are plugins.

    import wsssbench

    run = wsssbench.run("configs/aeft_synthetic.py", until="cam")
    run.ladder()                       # a list of dicts, as pandas.DataFrame takes it
    wsssbench.evaluate("predictions", "SegmentationClass")

See `wsssbench.api`. Importing wsssbench alone is fast: torch is imported when it is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wsssbench.api import Run, compare, evaluate, open_run, run

__version__ = "0.1.0"
__all__ = ["Run", "compare", "evaluate", "open_run", "run"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'wsssbench' has no attribute '{name}'")
    from wsssbench import api

    return getattr(api, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
