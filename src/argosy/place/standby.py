"""Services on spot: where each replica runs next, when spot comes and goes in several zones.

P5.10  Spread: a new replica on spot goes to the zone with room that has the fewest; of several to the one whose spot
       has been there longest (P5.6: it will stay longest), then to the first. Nothing that runs is moved for spread.
P5.11  On spot as many are kept as are wanted, and `extra` more, as far as zones have room.
P5.12  Fallback: on demand as many are kept as are wanted and not ready on spot. Those on demand end only when spot is
       ready in their place, what is still starting first. So what is missing at any time was lost within one start.
P5.13  Trust: a replica on spot counts as ready for P5.12 once its zone has had spot for `trust` hours, because new
       spells end soonest (P5.6). It serves meanwhile.
Called by `simulate.standby`. Counts and hours only; nothing looks ahead.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.float64]


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def starts(room: Counts, have: Counts, age: Numbers, wanted: int) -> Counts:
    """P5.10 and P5.11: how many replicas to start in each zone, so that `wanted` are on spot.

    `room` is how many a zone can hold, `have` how many it holds, `age` for how many hours it has had any.
    """
    new = np.zeros_like(have)
    short = wanted - have.sum()
    while short > 0:
        best = -1
        for z in range(len(have)):
            if have[z] + new[z] >= room[z]:
                continue
            fewer = best < 0 or have[z] + new[z] < have[best] + new[best]
            if fewer or (have[z] + new[z] == have[best] + new[best] and age[z] > age[best]):
                best = z
        if best < 0:
            break
        new[best] += 1
        short -= 1
    return new


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fallback(ready_on_spot: int, wanted: int) -> int:
    """P5.12: how many replicas to keep on demand, those that are starting included."""
    return max(0, wanted - ready_on_spot)
