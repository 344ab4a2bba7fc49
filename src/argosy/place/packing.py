"""The packing layer: which node and which devices each ask gets, one region at a time.

`Packer` holds the state of a fleet between asks; `pack` replays arrivals in order, as `simulate` does. It never moves
what runs and never looks at prices: those decisions are made above it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import polars as pl

from argosy.clock import Clock
from argosy.errors import CheckFailed
from argosy.place import packing_kernel as kernel
from argosy.place.packing_check import Place, recount
from argosy.place.packing_inputs import PackingInputs, packing_inputs
from argosy.place.packing_kernel import NOWHERE, Floats, Ints

POLICIES: Final[dict[str, int]] = {
    "random": kernel.RANDOM,
    "best_fit": kernel.BEST_FIT,
    "dot_product": kernel.DOT_PRODUCT,
    "clustering": kernel.CLUSTERING,
    "packing": kernel.PACKING,
    "fragmentation": kernel.FRAGMENTATION,
}
"""Name of each policy, as users write it."""


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one ask runs: a node and what it takes of its devices, for every member."""

    nodes: tuple[int, ...]
    """Position of the node of each member."""
    taken: Ints
    """(members, D) milli-accelerator of each device."""


@dataclass(frozen=True, slots=True)
class Packed:
    """A replay: where every arrival went."""

    node: Ints
    """(A,) node of the first member; NOWHERE when refused."""
    placed: int
    """Asks placed."""
    allocated_milli: Ints
    """(A,) milli-accelerators allocated after each arrival."""
    capacity_milli: int
    """All there are."""
    fragmentation_milli: float
    """Free milli-accelerators that the expected arrivals could not use at the end (P2.1)."""
    sampled_at: Ints
    """Arrivals after which fragmentation was looked at."""
    sampled_milli: Floats
    """The same (P2.1) after each of them."""
    seconds: float
    """Time in the mathematics."""

    @property
    def allocated_fraction(self) -> float:
        """Share of the accelerators allocated at the end."""
        return float(self.allocated_milli[-1] / self.capacity_milli) if len(self.allocated_milli) else 0.0


SAMPLES = 60
"""Times that fragmentation is looked at during a replay; the time for it does not count."""


class Packer:
    """A fleet with what runs on it. Not thread-safe: one per region."""

    def __init__(self, inputs: PackingInputs, policy: str = "fragmentation") -> None:
        self.inputs = inputs
        self.policy = POLICIES[policy]
        self.scores = inputs.scores()
        for n in range(len(inputs.nodes.cpu)):
            self._rescore(n)

    def put(self, c: int, chance: float = 0.0) -> Seat | None:
        """Place one ask of class `c`: all members or none. None when it fits nowhere; nothing has changed then."""
        inputs, depth = self.inputs, self.inputs.nodes.free.shape[1]
        members = int(inputs.classes.members[c])
        where, taken = np.full(members, NOWHERE), np.zeros((members, depth), dtype=np.int64)
        world = (inputs.nodes, inputs.classes, inputs.typical, self.scores)
        if members > 1:
            done = kernel.place_gang(self.policy, *world, c, where, taken)
        else:
            done = kernel.run(self.policy, *world, np.array([c]), np.array([chance]), where, taken) == 1
        return Seat(tuple(where.tolist()), taken) if done else None

    def put_on(self, c: int, n: int) -> Seat | None:
        """Place one member of class `c` on node `n`; None when it does not fit there."""
        if not np.isfinite(self.scores.value[c, n]):
            return None
        taken = np.zeros((1, self.inputs.nodes.free.shape[1]), dtype=np.int64)
        kernel.take(self.inputs.nodes, self.inputs.classes, c, n, self.scores.device[c, n], taken[0])
        self._rescore(n)
        return Seat((n,), taken)

    def remove(self, c: int, seat: Seat) -> None:
        """Give back what an ask of class `c` took."""
        for n, taken in zip(seat.nodes, seat.taken, strict=True):
            kernel.give_back(self.inputs.nodes, self.inputs.classes, c, n, taken)
            self._rescore(n)

    def fits(self, c: int) -> bool:
        """Whether one member of class `c` would fit somewhere now."""
        return bool(np.isfinite(self.scores.value[c]).any())

    def fragmentation_milli(self) -> float:
        """F of P2.1, over all nodes."""
        inputs = self.inputs
        return float(sum(kernel.fragmentation(inputs.nodes, inputs.typical, n) for n in range(len(inputs.nodes.cpu))))

    def _rescore(self, n: int) -> None:
        inputs = self.inputs
        kernel.rescore(self.policy, inputs.nodes, inputs.classes, inputs.typical, self.scores, n)


def pack(
    fleet: pl.DataFrame,
    asks: pl.DataFrame,
    order: Ints,
    *,
    policy: str,
    chance: Floats,
    clock: Clock,
) -> Packed:
    """Place `asks[order]` one after the other on an empty fleet; nothing leaves, what does not fit is refused.

    `chance` (A,) in [0, 1) is read by the random policy only. The recount without the kernel is made before the answer
    is given; CheckFailed when it does not agree.
    """
    inputs = packing_inputs(fleet, asks)
    arrivals = inputs.class_of[order]
    depth = inputs.nodes.free.shape[1]
    warm = np.zeros(0, dtype=np.int64)
    packer = Packer(inputs, policy)
    world = (inputs.nodes, inputs.classes, inputs.typical, packer.scores)
    # Compiles before the clock starts; changes nothing.
    kernel.run(packer.policy, *world, warm, np.zeros(0), warm.copy(), np.zeros((0, depth), dtype=np.int64))
    where = np.full(len(arrivals), NOWHERE, dtype=np.int64)
    taken = np.zeros((len(arrivals), depth), dtype=np.int64)
    single = bool((inputs.classes.members[arrivals] == 1).all())
    sampled_at = np.unique(np.linspace(0, len(arrivals), SAMPLES + 1).astype(np.int64))
    sampled, seats = [packer.fragmentation_milli()], []
    placed, seconds = 0, 0.0
    for start, end in pairwise(sampled_at.tolist()):
        part = slice(start, end)
        begun = clock.monotonic_seconds()
        if single:
            placed += kernel.run(packer.policy, *world, arrivals[part], chance[part], where[part], taken[part])
        else:
            seats += [packer.put(int(c), float(u)) for c, u in zip(arrivals[part], chance[part], strict=True)]
        seconds += clock.monotonic_seconds() - begun
        sampled.append(packer.fragmentation_milli())
    seats_of: list[Place]
    if single:
        seats_of = [(a, (int(n),), taken[a : a + 1]) for a, n in enumerate(where.tolist()) if n != NOWHERE]
    else:
        seats_of = [(a, seat.nodes, seat.taken) for a, seat in enumerate(seats) if seat is not None]
        placed = len(seats_of)
    wrong = recount(packing_inputs(fleet, asks), inputs.nodes, arrivals, seats_of)
    if wrong:
        raise CheckFailed(f"the packing does not survive the recount: {'; '.join(wrong[:5])}")
    gained = np.zeros(len(arrivals), dtype=np.int64)
    for a, nodes, devices in seats_of:
        gained[a] = devices.sum()
        where[a] = nodes[0]
    return Packed(
        node=where,
        placed=int(placed),
        allocated_milli=np.cumsum(gained),
        capacity_milli=int(fleet["accelerators"].sum()) * kernel.WHOLE,
        fragmentation_milli=sampled[-1],
        sampled_at=sampled_at,
        sampled_milli=np.array(sampled),
        seconds=seconds,
    )
