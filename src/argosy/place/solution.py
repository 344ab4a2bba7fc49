"""Solution: what the solver found, as the readers of a decision need it. No solver is called here."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from argosy.place.rows import Program
from argosy.place.world import Bools, Floats


@dataclass(frozen=True, slots=True)
class Proof:
    """P1.Z: prices at which no placement makes more progress than this one; see `check_fair`."""

    first: Bools
    """(C,) whether the class was placed first, before shares were given (P4.7)."""
    progress: Floats
    """(C,) price of one unit per hour of progress."""
    time: Floats
    """(C,) price of the time of one ask."""
    pool: Floats
    """(P,) price of one accelerator."""
    limit: Floats
    """(limits,) price of one unit of each limit."""


@dataclass(frozen=True, slots=True)
class Solution:
    """What the solver found."""

    program: Program
    columns: Floats
    objective_value: float
    gap: float
    scarcity: Floats
    """(P,) dual of P1.P for each accelerator-hour, USD (0 for fair objectives)."""
    duals: Floats
    """(limits,) dual of each limit for each unit and hour, USD; 0 for fair objectives and cost."""
    net: Floats
    """(C, P) gain per hour of one ask less the price of every limit it takes from and of copies that it would be the
    first to need; -inf where it may not run."""
    copy: Floats
    """(C, P) USD per hour of those copies; 0 where its data is or has been ordered."""
    proof: Proof | None = None
    """What shows that nothing fairer is possible; None for objectives that give no shares of time."""

    @property
    def share(self) -> Floats:
        """(C, P) asks of each class in each pool."""
        world = self.program.world
        share = np.zeros(world.rate.shape)
        share[self.program.cell] = np.maximum(0.0, self.columns[: len(self.program.cell[0])])
        return share

    @property
    def together(self) -> Floats:
        """(K,) time of each pair, in asks."""
        return np.maximum(0.0, self.columns[self.program.first_pair : self.program.t])

    @property
    def taps(self) -> Floats:
        """(Y,) accelerators drawn from supplies."""
        x = len(self.program.cell[0])
        return self.columns[x : x + len(self.program.tap[0])]

    @property
    def ordered(self) -> Floats:
        """(W,) ways that are ordered."""
        return self.columns[self.program.first_z : self.program.first_unmet]


def drawn(program: Program, columns: Floats) -> Floats:
    """The same with no more drawn from supplies than is used: the program does not mind, its readers do.

    What counts towards a floor stays as it is (P1.Y has kept it below what is used); of the rest the last goes first.
    """
    world, snapshot = program.world, program.world.snapshot
    x, columns = len(program.cell[0]), columns.copy()
    use = np.zeros(len(world.capacity))
    np.add.at(use, program.cell[1], world.accelerators[program.cell[0]] * columns[:x])
    pairs = program.pairs
    np.add.at(use, pairs.pool, world.accelerators[pairs.first] * columns[program.first_pair : program.t])
    owed = {floor.supply for floor in snapshot.burn_downs} if world.integral else set()
    need = np.maximum(0.0, use - world.capacity)
    lines, pools = program.tap
    for counts in (True, False):
        for j, (line, p) in enumerate(zip(lines.tolist(), pools.tolist(), strict=True)):
            if (snapshot.supplies[line].id in owed) == counts:
                columns[x + j] = columns[x + j] if counts else min(columns[x + j], need[p])
                need[p] = max(0.0, need[p] - columns[x + j])
    return columns


def plain(program: Program, columns: Floats, value: float) -> Solution:
    """A solution without prices."""
    world = program.world
    copy = copies(program, columns)
    net = np.where(world.rate > 0, world.gain / world.snapshot.window_hours - copy, -np.inf)
    scarcity, duals = np.zeros(len(world.capacity)), np.zeros(len(program.limits))
    return Solution(program, columns, value, 0.0, scarcity, duals, np.asarray(net), copy)


def copies(program: Program, columns: Floats) -> Floats:
    """(C, P) USD per hour of the copies that are not ordered and that one ask would need."""
    world = program.world
    ordered = columns[program.first_z : program.first_unmet] > 0.5
    copy = np.zeros(world.rate.shape)
    for c, row in enumerate(world.needs):
        for p, ways in enumerate(row):
            copy[c, p] = sum(world.ways[w].usd for w in ways if not ordered[w])
    return np.asarray(copy / world.snapshot.window_hours)
