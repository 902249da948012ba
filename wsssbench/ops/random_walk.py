"""The random walk over pixel affinities (PSA: Ahn & Kwak, CVPR 2018), exact and sparse.

PSA squares the dense N x N transition matrix; here the scores are multiplied by the sparse one as
often as that power says: the same result, and a 1024 x 1024 image at stride 4 (N = 65,536) needs 54
MB instead of 17 GB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from wsssbench.ops.affinity import Offset, pair_ends


def transition(affinities: np.ndarray, offsets: Sequence[Offset], beta: float) -> sparse.csr_matrix:
    """The transition matrix T_ij = a_ij^beta / sum_i a_ij^beta, with a_ii = 1.

    Args:
        affinities: a, (P, h, w) float in [0, 1]: [p, y, x] belongs to the places (y, x) and (y, x)
            + offsets[p]; what lies off the grid is not read.
        offsets: P offsets (dy, dx) of one half plane, dy >= 0; the opposite ones are filled in.
        beta: exponent; the larger, the fewer pairs count.

    Returns:
        T, (N, N) float64 with N = h * w in row-major order; its columns sum to 1.
    """
    count, height, width = affinities.shape
    if count != len(offsets):
        raise ValueError(f"{count} planes of affinities for {len(offsets)} offsets")
    places = np.arange(height * width, dtype=np.int32).reshape(height, width)
    first, second, values = [places.ravel()], [places.ravel()], [np.ones(places.size)]
    ends = pair_ends(offsets, (height, width))
    for plane, (here, there) in zip(affinities, ends, strict=True):
        i, j = places[here].ravel(), places[there].ravel()
        value = plane[here].ravel().astype(np.float64) ** beta
        first += [i, j]
        second += [j, i]
        values += [value, value]
    indices = (np.concatenate(first), np.concatenate(second))
    matrix = sparse.csr_matrix((np.concatenate(values), indices), (places.size,) * 2)
    totals = np.asarray(matrix.sum(axis=0)).ravel()  # >= 1, by the diagonal
    matrix.data /= totals[matrix.indices]
    return matrix


def random_walk(scores: np.ndarray, transition: sparse.csr_matrix, steps: int) -> np.ndarray:
    """`steps` steps of the walk: new_j = sum_i T_ij s_i, for every class.

    Args:
        scores: s, (C, h, w) float.
        transition: T, (h * w, h * w), columns sum to 1.
        steps: number of products; PSA's 8 squarings are 256 steps.

    Returns:
        (C, h, w) float32.
    """
    count, height, width = scores.shape
    if transition.shape != (height * width,) * 2:
        raise ValueError(f"scores of {height} x {width} do not fit a transition {transition.shape}")
    step = transition.T.tocsr()
    walked = np.ascontiguousarray(scores.reshape(count, -1).T, dtype=np.float64)  # (N, C)
    for _ in range(steps):
        walked = step @ walked
    return np.ascontiguousarray(walked.T, dtype=np.float32).reshape(scores.shape)
