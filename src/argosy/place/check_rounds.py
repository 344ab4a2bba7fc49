"""What no schedule could do better than, counted from the asks alone: no solver, no shares, no rounds."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STEPS = 400


def least_makespan(arrival_hours: Floats, hours: Floats, size: Ints, capacity: Ints) -> float:
    """When the last ask ends at the earliest (P4.6), hours.

    hours (J, P) of each ask on each chip, inf where it cannot run; size (J,) accelerators; capacity (P,). The larger of
    two: every ask from its arrival on its fastest chip; and for any prices of chips that sum to 1 over the fleet, the
    first arrival plus what the work costs where it is cheapest. Any prices give a bound, so that the search for good
    ones needs no proof.
    """
    alone = float((arrival_hours + hours.min(axis=1)).max())
    work = hours * size[:, None]
    price = 1.0 / np.maximum(capacity, 1) / len(capacity)
    best = 0.0
    row = np.arange(len(work))
    for step in range(STEPS):
        cheapest = np.where(np.isfinite(work), work * price, np.inf).argmin(axis=1)
        used = np.bincount(cheapest, weights=work[row, cheapest], minlength=len(capacity))
        best = max(best, float(price @ used))
        full = used / np.maximum(capacity, 1)
        # Where more is done than elsewhere the price rises; the sum over the fleet stays 1.
        price = price * np.exp((full / max(full.max(), 1e-300) - 1.0) / (1.0 + step / 20))
        price /= price @ capacity
    return max(alone, float(arrival_hours.min()) + best)
