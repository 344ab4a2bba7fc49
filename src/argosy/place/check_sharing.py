"""Recount of shares of time without the solver: time of the asks, room on the chips, progress of every class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


def worst(  # noqa: PLR0917  arrays as they are
    t: float,
    count: Floats,
    weight: Floats,
    size: Ints,
    rate: Floats,
    beside: Floats,
    capacity: Ints,
    alone: Floats,
    pair: Ints,
    together: Floats,
) -> float:
    """Largest violation of P6.3, relative to the scale of what is violated.

    Arrays over classes C and chips P as in `sharing`: rate (C, P), beside (C, C, P), alone (C, P); pair (K, 3).
    """
    time, done, used = alone.sum(axis=1), (alone * rate).sum(axis=1), (alone * size[:, None]).sum(axis=0)
    for (a, b, p), amount in zip(pair.tolist(), together.tolist(), strict=True):
        time[a] += amount
        time[b] += amount
        done[a] += amount * beside[a, b, p]
        done[b] += amount * beside[b, a, p]
        used[p] += amount * size[a]
        if size[a] != size[b] or min(beside[a, b, p], beside[b, a, p]) <= 0 or (a == b and count[a] < 2):
            return float("inf")
    open_to = np.where((rate > 0) & (size[:, None] <= capacity[None, :]), capacity[None, :], 0.0)
    total = open_to.sum(axis=1)
    equal = np.divide((rate * open_to).sum(axis=1), total, out=np.zeros(len(rate)), where=total > 0)
    least = t * count * weight * equal
    behind = np.divide(least - done, least, out=np.zeros(len(least)), where=least > 0)
    nowhere = alone[(open_to == 0) & (alone > 0)]
    return float(
        max(
            (time / count).max(initial=0.0) - 1.0,
            np.divide(used, capacity, out=used.astype(float), where=capacity > 0).max(initial=0.0) - 1.0,
            behind.max(initial=0.0),
            nowhere.max(initial=0.0),
            -min(alone.min(initial=0.0), together.min(initial=0.0)),
            0.0,
        )
    )
