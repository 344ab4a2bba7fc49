"""A fleet of nodes under more asks than it can hold: how much of it does each policy fill?

The method is that of the paper on fragmentation gradient descent (ATC'23): the asks of the trace arrive in a random
order, followed by asks drawn from them with replacement, until what was requested reaches `load` times the capacity;
nothing leaves; an ask that does not fit is refused. Repeatable bit for bit by seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from argosy.clock import Clock, rng
from argosy.errors import BadInput, Problem
from argosy.model.fleet import WHOLE_MILLI
from argosy.place.packing import Packed, pack
from argosy.place.packing_kernel import Ints


@dataclass(frozen=True, slots=True)
class Filling:
    """The outcome."""

    policy: str
    load: float
    seed: int
    arrived: int
    """Asks that arrived."""
    requested_milli: Ints
    """(A,) milli-accelerators requested up to and with each arrival."""
    packed: Packed
    fleet: pl.DataFrame
    asks: pl.DataFrame
    order: Ints

    @property
    def refused(self) -> int:
        """Asks that did not fit."""
        return self.arrived - self.packed.placed

    @property
    def placements_per_second(self) -> float:
        """Asks placed for each second in the mathematics."""
        return self.packed.placed / max(self.packed.seconds, 1e-9)


def arrivals(asks: pl.DataFrame, capacity_milli: int, load: float, seed: int) -> Ints:
    """Positions of the asks in order of arrival, until `load` times the capacity has been requested.

    All asks once, in random order; then more of them with replacement. A trace that requests more than `load` by itself
    loses random asks until it does not. BadInput when the trace requests no accelerator at all.
    """
    each = _request(asks)
    if each.sum() <= 0:
        raise BadInput([Problem("", 0, 0, "trace.no_accelerators", "", "no ask of the trace wants an accelerator")])
    draw = rng(seed, "simulate", "arrivals")
    once = draw.permutation(len(asks))
    target = round(load * capacity_milli)
    total = int(each.sum())
    if total > target:
        gone = draw.permutation(len(asks))
        drop = int(np.searchsorted(np.cumsum(each[gone]), total - target)) + 1
        dropped = np.zeros(len(asks), dtype=np.bool_)
        dropped[gone[:drop]] = True
        if dropped.all():
            message = f"{load:g} times the capacity is less than each ask wants"
            raise BadInput([Problem("--load", 0, 0, "option.range", "", message)])
        return once[~dropped[once]]
    parts = [once]
    while total < target:
        more = draw.integers(0, len(asks), size=max(1024, len(asks)))
        reached = total + np.cumsum(each[more])
        within = int(np.searchsorted(reached, target, side="right"))
        parts.append(more[:within])
        if within < len(more):
            break
        total = int(reached[-1])
    return np.concatenate(parts)


def fill(fleet: pl.DataFrame, asks: pl.DataFrame, *, policy: str, load: float, seed: int, clock: Clock) -> Filling:
    """Replay the trace against the fleet."""
    capacity = int(fleet["accelerators"].sum()) * WHOLE_MILLI
    order = arrivals(asks, capacity, load, seed)
    chance = rng(seed, "simulate", "policy").random(len(order))
    packed = pack(fleet, asks, order, policy=policy, chance=chance, clock=clock)
    return Filling(policy, load, seed, len(order), np.cumsum(_request(asks)[order]), packed, fleet, asks, order)


def _request(asks: pl.DataFrame) -> Ints:
    wanted = asks.select(pl.col("accelerators") * pl.col("share_milli") * pl.col("members")).to_series()
    return wanted.to_numpy().astype(np.int64)
