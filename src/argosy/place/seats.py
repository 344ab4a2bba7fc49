"""Seats: the counts of the value layer onto the nodes of each pool, and back what does not fit.

P2.6  An ask takes equal parts: the fewest that each fit on the largest node of its pool. A share of a device is one.
      A gang for one domain has all its parts in one domain (P2.5); the parts of any other gang go where they fit best,
      all of them or none.
P2.7  What runs keeps its seats. Newcomers are seated the largest first, then in the order of their classes.
P2.8  What finds no seat is taken out of that pool, as far as it did not fit, and the value layer decides again. After
      MOST_SOLVES times only what runs in a packed pool may stay in it, which always fits.
Pools without nodes, services that flow and objectives that give shares of time are not seated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import polars as pl

from argosy.errors import BadInput, Problem
from argosy.model.fleet import WHOLE_MILLI, Node, TraceAsk, frame
from argosy.model.placement import Seat
from argosy.model.snapshot import NodeState
from argosy.place.shape import Shape, shape
from argosy.place.world import Floats, World

if TYPE_CHECKING:
    from argosy.place.packing import Seat as Taken

MOST_SOLVES = 8
Parts = tuple[tuple[str, float], ...]
"""Node and accelerators of each part of one ask."""


@dataclass(slots=True)
class Seated:
    """Seats of every class in every packed pool, and what found none."""

    seats: dict[tuple[int, int], list[Parts]]
    words: dict[tuple[int, int], str]
    """(class, pool) to what was too small for it."""
    refused: dict[tuple[int, int], int] = field(default_factory=dict)
    """(class, pool) to how many found no seat this time."""
    solves: int = 1

    def deal(self) -> Dealer:
        """Hands out the seats to the asks of each class, in order."""
        return Dealer(self.seats)


@dataclass(slots=True)
class Dealer:
    """The seats of every class in every pool, and how many of them are given away."""

    seats: dict[tuple[int, int], list[Parts]]
    given: defaultdict[tuple[int, int], int] = field(default_factory=lambda: defaultdict(int))

    def take(self, c: int, p: int, count: int) -> tuple[Seat, ...]:
        """Seats of the next `count` asks of a class in a pool; nothing where the pool is not packed."""
        seats, begin = self.seats.get((c, p), []), self.given[c, p]
        given = seats[begin : begin + count]
        self.given[c, p] = begin + count
        return tuple(Seat(member=m, node=node, accelerators=much) for m, row in enumerate(given) for node, much in row)


class Pools:
    """The packed pools of a world; `seat` starts from what runs there every time."""

    def __init__(self, world: World) -> None:
        self.world = world
        nodes: dict[str, list[NodeState]] = defaultdict(list)
        for node in world.snapshot.nodes:
            nodes[node.pool].append(node)
        self.nodes = {p: nodes[pool.id] for p, pool in enumerate(world.snapshot.pools) if pool.id in nodes}
        self.flows = [world.ask(c).units_per_hour is not None for c in range(len(world.count))]

    def seat(self, counts: Floats) -> Seated:
        """Seats for counts (C, P) of each class in each pool."""
        made = Seated({}, {})
        for p, nodes in self.nodes.items():
            wanted = {c: round(float(counts[c, p])) for c in np.flatnonzero(counts[:, p] > 0.5).tolist()}
            wanted = {c: count for c, count in wanted.items() if not self.flows[c]}
            if wanted:
                _Pool(self.world, p, nodes, wanted).fill(made)
        return made

    def staying(self) -> Floats:
        """(C, P) room that leaves packed pools to what runs in them."""
        room = np.full(self.world.rate.shape, np.inf)
        for p in self.nodes:
            newcomers = (self.world.running != p) & ~np.array(self.flows, dtype=np.bool_)
            room[newcomers, p] = 0.0
        return room


class _Pool:
    def __init__(self, world: World, p: int, nodes: Sequence[NodeState], wanted: dict[int, int]) -> None:
        # The compiler behind the packing layer takes 75 MB and a second, which no server without nodes should pay.
        from argosy.place.packing import Packer  # noqa: PLC0415
        from argosy.place.packing_inputs import packing_inputs  # noqa: PLC0415

        self.world, self.p, self.nodes, self.wanted = world, p, nodes, wanted
        largest = max(node.accelerators for node in nodes)
        self.shapes = {c: shape(world.ask(c), largest) for c in wanted}
        self.at = {node.id: n for n, node in enumerate(nodes)}
        # One row for a part by itself and one for the gang, where all of it must be in one domain.
        rows = [(c, s, 1) for c, s in self.shapes.items()]
        rows += [(c, s, s.parts) for c, s in self.shapes.items() if s.one_domain]
        weight = [self.wanted[c] for c, _, _ in rows]
        inputs = packing_inputs(_node_frame(nodes, self.shapes), _ask_frame(rows), np.array(weight, dtype=float))
        self.single = {c: int(k) for (c, _, parts), k in zip(rows, inputs.class_of, strict=True) if parts == 1}
        self.gang = {c: int(k) for (c, _, parts), k in zip(rows, inputs.class_of, strict=True) if parts > 1}
        self.packer = Packer(inputs)

    def fill(self, made: Seated) -> None:
        """P2.7."""
        stay = [c for c in self.wanted if self.world.running[c] == self.p]
        come = sorted(set(self.wanted) - set(stay), key=lambda c: (-self.world.accelerators[c], c))
        for c in stay:
            made.seats[c, self.p] = self._kept(c)
        for c in come:
            seats: list[Parts] = []
            while len(seats) < self.wanted[c]:
                found = self._seat(c)
                if found is None:
                    made.refused[c, self.p] = self.wanted[c] - len(seats)
                    made.words[c, self.p] = self._too_small(c)
                    break
                seats.append(found)
            made.seats[c, self.p] = seats

    def _kept(self, c: int) -> list[Parts]:
        """Takes the seats where the asks of a class run; BadInput when they are not there."""
        out: list[Parts] = []
        shape_of = self.shapes[c]
        for _ in range(self.wanted[c]):
            ask = self.world.ask(c)
            on = [self.at.get(name) for name in ask.running_on]
            if len(on) != shape_of.parts or not all(
                n is not None and self.packer.put_on(self.single[c], n) is not None for n in on
            ):
                message = (
                    f"{ask.id} cannot run on {', '.join(ask.running_on)}: {shape_of.parts} parts of "
                    f"{shape_of.devices * shape_of.milli / WHOLE_MILLI:g} accelerators do not fit there"
                )
                raise BadInput([Problem("snapshot", 0, 0, "place.running_on", "running_on", message)])
            out.append(self._parts(c, [n for n in on if n is not None]))
        return out

    def _seat(self, c: int) -> Parts | None:
        """P2.6: one ask of a class, all of it or nothing."""
        if c in self.gang:
            taken = self.packer.put(self.gang[c])
            return None if taken is None else self._parts(c, taken.nodes)
        got: list[Taken] = []
        for _ in range(self.shapes[c].parts):
            part = self.packer.put(self.single[c])
            if part is None:
                for earlier in reversed(got):
                    self.packer.remove(self.single[c], earlier)
                return None
            got.append(part)
        return self._parts(c, [seat.nodes[0] for seat in got])

    def _parts(self, c: int, nodes: Sequence[int]) -> Parts:
        each = self.shapes[c].devices * self.shapes[c].milli / WHOLE_MILLI
        return tuple((self.nodes[n].id, each) for n in nodes)

    def _too_small(self, c: int) -> str:
        state, want = self.packer.inputs.nodes, self.shapes[c]
        whole = (state.free == WHOLE_MILLI).sum(axis=1)
        each = f"{want.devices * want.milli / WHOLE_MILLI:g}"
        if want.milli < WHOLE_MILLI:
            return f"largest free part of a device {state.free.max(initial=0) / WHOLE_MILLI:g}, asked {each}"
        if want.one_domain:
            largest = int(np.bincount(state.domain, weights=whole).max())
            return f"largest free domain {largest}, asked {want.parts * want.devices}"
        if want.parts > 1:
            there = int((whole // want.devices).sum())
            return f"{there} parts of {each} accelerators free on single nodes, asked {want.parts}"
        return f"largest free node {int(whole.max(initial=0))}, asked {each}; {int(whole.sum())} free in all"


def _node_frame(nodes: Sequence[NodeState], shapes: Mapping[int, Shape]) -> pl.DataFrame:
    # What does not bind is as large as the node could ever need.
    parts = max(node.accelerators for node in nodes) * WHOLE_MILLI // min(s.milli for s in shapes.values()) + 1
    cpu = max([parts * s.cpu for s in shapes.values()] + [node.cpu_milli or 0 for node in nodes])
    memory = max([parts * s.memory for s in shapes.values()] + [node.memory_mib or 0 for node in nodes])
    return frame(
        Node,
        {
            "id": [node.id for node in nodes],
            "silicon": ["chip" if node.accelerators else "" for node in nodes],
            "accelerators": [node.accelerators for node in nodes],
            "cpu_milli": [cpu if node.cpu_milli is None else node.cpu_milli for node in nodes],
            "memory_mib": [memory if node.memory_mib is None else node.memory_mib for node in nodes],
            # A node without a domain is one by itself; the mark keeps it apart from domains of the same name.
            "domain": [f"node {node.id}" if node.domain is None else f"domain {node.domain}" for node in nodes],
        },
    )


def _ask_frame(rows: Sequence[tuple[int, Shape, int]]) -> pl.DataFrame:
    return frame(
        TraceAsk,
        {
            "id": [f"{c}" for c, _, _ in rows],
            "accelerators": [s.devices for _, s, _ in rows],
            "share_milli": [s.milli for _, s, _ in rows],
            "cpu_milli": [s.cpu for _, s, _ in rows],
            "memory_mib": [s.memory for _, s, _ in rows],
            "silicon": [""] * len(rows),
            "members": [parts for _, _, parts in rows],
        },
    )
