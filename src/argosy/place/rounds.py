"""Rounds: who runs on what until the next round, when shares of time must become whole accelerators.

P4.1  Of a class's target share x[j, p] an ask has got received[j, p] of the rounds since; the pair with the
      highest x / received runs first, while its chip has room; a gang runs whole or not at all (Gavel's mechanism).
P4.4  Where classes have shares (alone, or in pairs on one accelerator), each share of each class is owed its time times
      the rounds since; seats go one by one to what is owed most, and in a class to the ask that has done least.
P4.5  Accelerators that no share wants run the asks that wait, each where it is fastest for its kind.
P4.2  For the lowest average completion time the pair with the highest worth less the price of its chip runs first; the
      prices are those at which every chip is wanted as often as it is there. Worth, for one accelerator, is speed
      relative to the fastest chip over the remaining accelerator-hours to the power of HASTE: 1 would be least work
      first, which is right where work is scarce; 0 looks at speed alone, and never runs what is never fastest.
P4.3  Two asks of as many accelerators may share them where that is worth more than both have by themselves.
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
SEAT = 0.5
"""A share is given a seat when it is owed more than this part of one."""
HASTE = 0.1


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


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def by_class(  # noqa: PLR0917  arrays as they are
    item: Ints, owed: Floats, class_of: Ints, order: Ints, size: Ints, capacity: Ints, whole: npt.NDArray[np.bool_]
) -> tuple[Ints, Ints, Ints]:
    """P4.4. Chip and host (J,) of each ask, and the seats (I,) that each share got.

    item (I, 3) class, second class or NOWHERE, chip; owed (I,) seats; order (J,) asks, in each class who comes first;
    size (C,) of a class, that of a pair is one; whole (I,) says which shares are seated before all others.
    """
    asks, classes = len(class_of), len(size)
    chosen, host = np.full(asks, NOWHERE), np.full(asks, NOWHERE)
    seats = np.zeros(len(item), dtype=np.int64)
    # The asks of a class one after another, and how many of them have a seat.
    first = np.zeros(classes + 1, dtype=np.int64)
    for j in range(asks):
        first[class_of[j] + 1] += 1
    for c in range(classes):
        first[c + 1] += first[c]
    row, at = np.zeros(asks, dtype=np.int64), first[:-1].copy()
    for j in order:
        row[at[class_of[j]]] = j
        at[class_of[j]] += 1
    at[:] = first[:-1]
    left, due = capacity.copy(), owed.copy()
    while True:
        best = -1
        for i in range(len(item)):
            if due[i] > SEAT:
                first_come = best < 0 or (whole[i] and not whole[best])
                if first_come or (whole[i] == whole[best] and due[i] > due[best]):
                    best = i
        if best < 0:
            return chosen, host, seats
        a, b, p = item[best]
        enough = at[a] < first[a + 1] and size[a] <= left[p]
        if enough and b != NOWHERE:
            enough = at[a] + 1 < first[a + 1] if a == b else at[b] < first[b + 1]
        if not enough:
            due[best] = 0.0
            continue
        due[best] -= 1.0
        seats[best] += 1
        left[p] -= size[a]
        j = row[at[a]]
        at[a] += 1
        chosen[j] = p
        if b != NOWHERE:
            guest = row[at[b]]
            at[b] += 1
            chosen[guest], host[guest] = p, j


def run_the_rest(chosen: Ints, host: Ints, rate: Floats, size: Ints, capacity: Ints) -> Ints:
    """P4.5. rate (J, P), 0 where an ask cannot run; what runs stays where it is."""
    waiting = np.flatnonzero((chosen == NOWHERE) & (rate > 0).any(axis=1))
    own = (chosen != NOWHERE) & (host == NOWHERE)
    spare = capacity - np.bincount(chosen[own], weights=size[own], minlength=len(capacity)).astype(np.int64)
    if not len(waiting) or not (spare > 0).any():
        return chosen
    relative = (rate[waiting] / rate[waiting].max(axis=1, keepdims=True)).ravel()
    order = np.argsort(-relative, kind="stable")
    chosen = chosen.copy()
    chosen[waiting] = fill(order[relative[order] > 0], len(capacity), size[waiting], spare)
    return chosen


def completion_worth(hours: Floats, size: Ints) -> Floats:
    """(J, P) worth of P4.2 for one accelerator; hours (J, P) to completion, 0 where they are infinite."""
    fastest = hours.min(axis=1, keepdims=True)
    return np.asarray(fastest / hours / (fastest * size[:, None]) ** HASTE)


def by_completion(hours: Floats, size: Ints, capacity: Ints, price: Floats) -> Ints:
    """P4.2. hours (J, P) to completion, inf where it cannot run; `price` (P,) is the start and is changed in place."""
    worth = completion_worth(hours, size)
    possible = np.isfinite(hours)
    _balance(worth, possible, size, capacity, price)
    net = np.where(possible, worth - price, -np.inf).ravel()
    order = np.argsort(-net, kind="stable")
    order = order[np.isfinite(net[order])]
    return np.asarray(fill(order, hours.shape[1], size, capacity))


@numba.njit(cache=True)  # type: ignore[untyped-decorator, unused-ignore]
def _balance(worth: Floats, possible: npt.NDArray[np.bool_], size: Ints, capacity: Ints, price: Floats) -> None:
    """Change `price` until every chip is wanted as often as it is there, or PRICE_STEPS times."""
    asks, chips = worth.shape
    least = np.inf
    for j in range(asks):
        for p in range(chips):
            if possible[j, p] and worth[j, p] < least:
                least = worth[j, p]
    start = 1.0 if least == np.inf else least
    for step in range(PRICE_STEPS):
        demand = np.zeros(chips)
        for j in range(asks):
            best, most = NOWHERE, 0.0
            for p in range(chips):
                if possible[j, p] and worth[j, p] - price[p] > most:
                    best, most = p, worth[j, p] - price[p]
            if best != NOWHERE:
                demand[best] += size[j]
        over = demand / np.maximum(capacity, 1) - 1.0
        still = True
        for p in range(chips):
            still = still and over[p] <= 0 and abs(over[p] * price[p]) < 1e-12
        if still:
            return
        for p in range(chips):
            if over[p] > 0 and price[p] <= 0:
                price[p] = start
            price[p] *= 1.0 + min(max(over[p], -0.5), 1.0) * 0.5 / (1.0 + step / 10)


def pair_up(chosen: Ints, alone: Floats, together: Floats, size: Ints) -> tuple[Ints, Ints]:
    """P4.3: guests for accelerators that are worth more with two asks on them. Returns chip and host of each ask.

    `alone` (J, P) is the worth of each ask by itself, `together` (J, J, P) the worth of the first beside the second, 0
    where the pair was never measured. Only asks of one size share. A guest leaves its own accelerators; pairs are made
    while they gain, the largest gain first.
    """
    host = np.full(len(chosen), NOWHERE)
    chosen = chosen.copy()
    for number in np.unique(size):
        same = np.flatnonzero(size == number)
        runs = np.flatnonzero(chosen[same] != NOWHERE)
        if len(runs) and len(same) > 1:
            _pair_same(chosen, host, same, runs, alone, together)
    return chosen, host


def _pair_same(  # noqa: PLR0917  arrays as they are
    chosen: Ints, host: Ints, same: Ints, runs: Ints, alone: Floats, together: Floats
) -> None:
    """Pairs among the asks `same`, of which those at `runs` run; chosen and host are changed."""
    count, at = len(same), chosen[same]
    now = np.where(at != NOWHERE, alone[same, np.maximum(at, 0)], 0.0)
    # (hosts, guests): worth of both on the host's chip less what they are worth now.
    hosts, chips = same[runs], at[runs]
    first = together[hosts[:, None], same[None, :], chips[:, None]]
    second = together[same[None, :], hosts[:, None], chips[:, None]]
    gain = np.where((first > 0) & (second > 0), first + second - now[runs][:, None] - now[None, :], -1.0)
    gain[np.arange(len(runs)), runs] = -1.0
    worthy = np.flatnonzero(gain.ravel() > 0)
    order = worthy[np.argsort(-gain.ravel()[worthy], kind="stable")]
    taken = np.zeros(count, dtype=np.bool_)
    for k in order.tolist():
        h, g = divmod(k, count)
        if not taken[runs[h]] and not taken[g]:
            taken[runs[h]] = taken[g] = True
            chosen[same[g]] = chips[h]
            host[same[g]] = hosts[h]
