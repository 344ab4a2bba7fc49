"""Shares of time for a queue: what each ask, or each class of asks, should get on each chip from now on.

`simulate.queue` asks at every decision. `max_min` and `makespan` are `place.sharing` over arrays, alone or with pairs;
`least_attained_service` and `finish_time_fairness` are `place.solve` over records, the code that runs live; `agnostic`
is the baseline that knows no speeds. Nothing here decides who runs in a round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from argosy.model.region import Region
from argosy.model.snapshot import OBJECTIVES, Objective, PlaceAsk, PoolState, Snapshot
from argosy.place.longest import Bools, longest_sharing
from argosy.place.rounds import NOWHERE, Floats, Ints
from argosy.place.sharing import Sharing, equal_speed, fair_sharing
from argosy.place.solve import solve
from argosy.place.world import reduce
from argosy.settings import Settings

FAIR: Final = tuple(name for name in OBJECTIVES if name not in ("value", "cost"))
AGNOSTIC: Final = "agnostic"
BY_CLASS: Final = ("max_min", "makespan", AGNOSTIC)
TINY = 1e-9
_REGION = Region(id="here/here", vendor="here", jurisdiction="US")

Key = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ClassShares:
    """What classes of asks should get. C classes, I shares, J asks."""

    class_of: Ints
    """(J,) class of each ask."""
    size: Ints
    """(C,) accelerators of one ask of the class."""
    item: Ints
    """(I, 3) class, second class or NOWHERE, and chip."""
    target: Floats
    """(I,) asks, or pairs, that run at a time on average."""
    key: tuple[Key, ...]
    """(I,) the same in names that outlive a decision: kinds, or asks where each is a class of its own."""


def fair_shares(  # noqa: PLR0917  arrays as they are
    kind: Ints, ask: Ints, rate: Floats, beside: Floats | None, size: Ints, capacity: Ints, left: Floats | None
) -> ClassShares:
    """Max-min over speeds, or with the work `left` (J,) of each ask the time until the last one ends.

    kind and ask (J,), rate (N, P), beside (N, N, P), size (N,). Max-min counts accelerators: a gang of n is owed an
    n-th of the time of a single ask, as Gavel has it.
    """
    # For the makespan progress is counted over the work left: weight x equal = left.
    weight = 1.0 / size[kind] if left is None else left / equal_speed(rate, size, capacity)[kind]
    pairs = np.zeros((len(rate), *rate.shape)) if beside is None else beside
    found = fair_sharing(kind, rate, pairs, size, capacity, weight=weight, rest=True)
    return _of_classes(found, kind if left is None else ask, size[kind])


def longest_shares(  # noqa: PLR0917  arrays as they are
    kind: Ints, ask: Ints, rate: Floats, beside: Floats, size: Ints, capacity: Ints, left: Floats, apart: Bools
) -> ClassShares:
    """The time until the last one ends when two may share: kinds are classes, and asks at `apart` by themselves (P6.7).

    Arrays as in `fair_shares`; `apart` (J,) is changed in place.
    """
    found = longest_sharing(kind, left, rate, beside, size, capacity, apart)
    return _of_classes(found, np.where(apart, len(rate) + ask, kind), size[kind])


def _of_classes(found: Sharing, names: Ints, size: Ints) -> ClassShares:
    """Shares as the rounds read them; names and size (J,) of the asks, of which the asks of a class have the same."""
    first = np.full(len(found.count), NOWHERE)
    first[found.class_of[::-1]] = np.arange(len(names))[::-1]
    name = names[first]
    one, chip = np.nonzero(found.alone > TINY)
    both = found.pair
    item = np.concatenate([np.stack([one, np.full(len(one), NOWHERE), chip], axis=1), both])
    target = np.concatenate([found.alone[one, chip], found.together])
    key = tuple((int(name[a]), NOWHERE if b == NOWHERE else int(name[b]), int(p)) for a, b, p in item.tolist())
    return ClassShares(found.class_of, size[first], item, target, key)


def agnostic_shares(kind: Ints, rate: Floats, size: Ints, capacity: Ints) -> ClassShares:
    """As many accelerators for every ask, at most its own, spread over the chips by how many of each there are."""
    kinds, class_of, count = np.unique(kind, return_inverse=True, return_counts=True)
    sizes = size[kinds].astype(float)
    low, high = 0.0, float(sizes.max())
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (count * np.minimum(sizes, middle)).sum() > capacity.sum() else (middle, high)
    open_to = np.where(rate[kinds] > 0, capacity[None, :], 0.0)
    spread = open_to / open_to.sum(axis=1, keepdims=True)
    wanted = (count * np.minimum(1.0, high / sizes))[:, None] * spread
    one, chip = np.nonzero(wanted > TINY)
    item = np.stack([one, np.full(len(one), NOWHERE), chip], axis=1)
    key = tuple((int(kinds[c]), NOWHERE, int(p)) for c, p in zip(one.tolist(), chip.tolist(), strict=True))
    return ClassShares(class_of.astype(np.int64), size[kinds], item, wanted[one, chip], key)


def by_records(  # noqa: PLR0917  facts as they are
    objective: str,
    kind: Ints,
    kinds: list[tuple[str, int]],
    rate: Floats,
    chips: tuple[str, ...],
    capacity: Ints,
    steps: Floats,
    left: Floats,
    attained: Floats,
    elapsed_hours: Floats,
    settings: Settings,
) -> Floats:
    """(J, P) shares of single asks, from the same placement that runs live. The whole work of an ask is one unit."""
    named: Objective = next(name for name in OBJECTIVES if name == objective)
    served = named == "least_attained_service"
    asks = []
    for j, k in enumerate(kind.tolist()):
        size = kinds[k][1]
        speed = {chip: float(rate[k, p] / steps[j] / size) for p, chip in enumerate(chips) if rate[k, p] > 0}
        asks.append(
            PlaceAsk(
                id=f"a{j}",
                count=1.0,
                accelerators=float(size),
                speed=speed,
                families=("any",),
                usd_per_unit=1.0,
                remaining_units=float(left[j] / steps[j]),
                attained_units=0.0 if served else float(1 - left[j] / steps[j]),
                elapsed_hours=max(0.0, float(elapsed_hours[j])),
                weight=1.0 / (1.0 + float(attained[j])) if served else 1.0,
            )
        )
    pools = tuple(
        PoolState(
            id=chip,
            region=_REGION.id,
            silicon=chip,
            family="any",
            own_accelerators=float(capacity[p]),
            usd_per_accelerator_hour=0.0,
        )
        for p, chip in enumerate(chips)
    )
    world = reduce(Snapshot(price_source="contracts", regions=(_REGION,), pools=pools, asks=tuple(asks)), named)
    share = solve(world, settings, 0.0).share
    out = np.zeros((len(asks), len(chips)))
    for c, members in enumerate(world.members):
        out[list(members)] = share[c] * np.array([asks[i].count for i in members])[:, None] / world.count[c]
    return out
