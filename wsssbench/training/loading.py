"""Loading training images: the classifier's data set, and how the loading processes start and report errors."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsssbench.errors import UserError
from wsssbench.files.images import read_image

Transform = Callable[[np.ndarray, np.random.Generator], np.ndarray]


class ImageLabels(torch.utils.data.Dataset[dict[str, Tensor]]):
    """Images with their image-level labels, one random view per draw.

    A draw is ``(index, position)``: which image, and the place of this draw in the endless stream
    of all draws of the training. The view depends on the seed and the position alone, not on which
    worker makes it or when.

    Args:
        paths: n image files.
        labels: (n, K) in {0, 1}.
        transform: e.g. `transforms.TrainTransform`; gets the image (H, W, 3) uint8 and a generator.
        seed: of the run.
    """

    def __init__(
        self, paths: Sequence[Path], labels: np.ndarray, transform: Transform, seed: int
    ) -> None:
        if len(paths) != len(labels):
            raise ValueError(f"{len(paths)} images, but labels of {len(labels)}")
        self.paths = [str(path) for path in paths]
        self.labels = np.asarray(labels, dtype=np.float32)
        self.transform = transform
        self.seed = seed

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, draw: tuple[int, int]) -> dict[str, Tensor]:
        """``images`` (3, h, w) float32 and ``labels`` (K,) float32 of one draw."""
        index, position = draw
        rng = np.random.default_rng((self.seed, position))
        image = self.transform(read_image(self.paths[index]), rng)
        return {
            "images": torch.from_numpy(np.ascontiguousarray(image)),
            "labels": torch.from_numpy(self.labels[index].copy()),
        }


def start_method(workers: int) -> str | None:
    """How the data loader starts processes: by a fork where that is safe, since spawned ones import everything."""
    if workers == 0:
        return None
    return "fork" if sys.platform == "linux" else "spawn"


def start_worker(number: int) -> None:
    """In every loading process, first: parallelism is by process, also for OpenCV if it is used."""
    if "cv2" in sys.modules:
        sys.modules["cv2"].setNumThreads(0)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what torch makes of an error in a loading process back into one sentence."""
    try:
        yield
    except UserError as error:
        lines = "".join(map(str, error.args)).strip().splitlines()
        if len(lines) < 2:
            raise
        # torch puts the traceback before the message: "wsssbench.errors.UserError: <sentence>"
        raise UserError(lines[-1].partition("Error: ")[2] or lines[-1]) from error
    except (RuntimeError, ConnectionError, EOFError) as error:
        # "Caught RuntimeError in DataLoader worker process 0": raised by the data set. A process that is killed while
        # it hands over an image ends the connection, which shows before torch notices its death.
        own = isinstance(error, RuntimeError) and "DataLoader worker" not in str(error)
        if own or str(error).startswith("Caught "):
            raise
        raise UserError(
            "a process that loads images died (out of memory?): give the same command again with fewer workers, "
            "it continues from the last checkpoint"
        ) from error
