"""Rounds: who runs on what until the next round, when shares of time must become whole accelerators.

P4.1  Of a class's target share x[j, p] an ask has got received[j, p] of the rounds since; the pair with the
      highest x / received runs first, while its chip has room; a gang runs whole or not at all (Gavel's mechanism).
P4.2  For the lowest average completion time the pair with the highest worth less the price of its chip runs first; the
      prices are those at which every chip is wanted as often as it is there. Worth is speed relative to the fastest
      chip, over accelerators and over the remaining hours to the power of HASTE: 1 would be shortest first, which is
      right where many wait; 0 looks at speed alone, which is right where all run.
P4.3  Two asks may share an accelerator where that is worth more than both have by themselves.
Arrays only.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

NOWHERE = -1
PRICE_STEPS = 80
HASTE = 0.25


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def fill(order: Ints, width: int, size: Ints, capacity: Ints) -> Ints:
    """(J,) chip of each ask or NOWHERE: pairs j * width + p in the given order, each ask once, while there is room."""
    chosen = np.full(len(size), NOWHERE)
    left = capacity.copy()
    for k in range(len(order)):
        j, p = order[k] // width, order[k] % width
        if chosen[j] == NOWHERE and size[j] <= left[p]:
            chosen[j] = p
            left[p] -= size[j]
    return chosen


def by_share(share: Floats, received: Floats, size: Ints, capacity: Ints) -> Ints:
    """P4.1. share and received (J, P) as fractions of time; a pair without a share does not run."""
    with np.errstate(divide="ignore", invalid="ignore"):
        priority = np.where(share > 1e-9, share / np.maximum(received, 1e-9), 0.0)
    wanted = np.flatnonzero(priority.ravel() > 0)
    order = wanted[np.argsort(-priority.ravel()[wanted], kind="stable")]
    return np.asarray(fill(order, share.shape[1], size, capacity))


def completion_worth(hours: Floats, size: Ints) -> Floats:
    """(J, P) worth of P4.2 for one accelerator; hours (J, P) to completion, 0 where they are infinite."""
    fastest = hours.min(axis=1, keepdims=True)
    return np.asarray(fastest ** (1.0 - HASTE) / hours / size[:, None])


def by_completion(hours: Floats, size: Ints, capacity: Ints, price: Floats) -> Ints:
    """P4.2. hours (J, P) to completion, inf where it cannot run; `price` (P,) is the start and is changed in place."""
    worth = completion_worth(hours, size)
    possible = np.isfinite(hours)
    for step in range(PRICE_STEPS):
        net = np.where(possible, worth - price, -np.inf)
        best = net.argmax(axis=1)
        takes = net[np.arange(len(best)), best] > 0
        demand = np.bincount(best[takes], weights=size[takes].astype(float), minlength=len(capacity))
        over = demand / np.maximum(capacity, 1) - 1.0
        if (over <= 0).all() and (np.abs(over * price) < 1e-12).all():
            break
        change = 1.0 + np.clip(over, -0.5, 1.0) * 0.5 / (1.0 + step / 10)
        rising = (over > 0) & (price <= 0)
        price[rising] = worth[possible].min() if possible.any() else 1.0
        price *= change
    net = np.where(possible, worth - price, -np.inf).ravel()
    order = np.argsort(-net, kind="stable")
    order = order[np.isfinite(net[order])]
    return np.asarray(fill(order, hours.shape[1], size, capacity))


def pair_up(chosen: Ints, alone: Floats, together: Floats, size: Ints) -> tuple[Ints, Ints]:
    """P4.3: guests for accelerators that are worth more with two asks on them. Returns chip and host of each ask.

    `alone` (J, P) is the worth of each ask by itself, `together` (J, J, P) the worth of the first beside the second, 0
    where the pair was never measured. Only asks of one accelerator share. A guest leaves its own accelerator; pairs are
    made while they gain, the largest gain first.
    """
    singles = np.flatnonzero(size == 1)
    at = chosen[singles]
    count = len(singles)
    host = np.full(len(chosen), NOWHERE)
    chosen = chosen.copy()
    runs = np.flatnonzero(at != NOWHERE)
    if not len(runs) or count < 2:
        return chosen, host
    now = np.where(at != NOWHERE, alone[singles, np.maximum(at, 0)], 0.0)
    # (hosts, guests): worth of both on the host's chip less what they are worth now.
    hosts, chips = singles[runs], at[runs]
    first = together[hosts[:, None], singles[None, :], chips[:, None]]
    second = together[singles[None, :], hosts[:, None], chips[:, None]]
    gain = np.where((first > 0) & (second > 0), first + second - now[runs][:, None] - now[None, :], -1.0)
    gain[np.arange(len(runs)), runs] = -1.0
    order = np.argsort(-gain, axis=None, kind="stable")
    order = order[gain.ravel()[order] > 0]
    taken = np.zeros(count, dtype=np.bool_)
    for k in order.tolist():
        h, g = divmod(k, count)
        if not taken[runs[h]] and not taken[g]:
            taken[runs[h]] = taken[g] = True
            chosen[singles[g]] = chips[h]
            host[singles[g]] = hosts[h]
    return chosen, host
