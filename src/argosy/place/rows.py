"""Rows: a linear or integer program as arrays, with labels that say which rule each row is.

Columns: x (one per allowed class and pool), y (one per supply and pool it may serve), z (one per way), `unmet` (one per
floor), the yes-or-no columns of P1.H, t (one). `program` and `limits` fill it, `solver` hands it over, `result` reads.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import highspy
import numpy as np

from argosy.place.world import NONE, Bools, Floats, Ints, World

INF = highspy.kHighsInf
WHOLE = 1e-9
"""How far from whole a column of the relaxation may be to count as whole."""

__all__ = ["INF", "Bools", "Floats", "Ints", "Limit", "Pairs", "Program", "Rows", "World"]


@dataclass(frozen=True, slots=True)
class Limit:
    """A row that is kept by name: used @ columns <= constant + growth @ columns (>= for a floor)."""

    rule: str
    name: str
    unit: str
    row: int
    columns: Ints
    used: Floats
    growth: Floats
    """How much of the limit each column brings with it, for shares of what runs."""
    constant: float

    def amounts(self, solution: Floats) -> tuple[float, float]:
        """How much is used, and how much there is."""
        at = solution[self.columns]
        return float(self.used @ at), float(self.constant + self.growth @ at)


class Rows:
    """Collects rows one by one and keeps their labels."""

    def __init__(self) -> None:
        self.label: list[tuple[str, int]] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.start: list[int] = [0]
        self.index: list[Ints] = []
        self.value: list[Floats] = []

    def add(self, label: tuple[str, int], columns: Ints, values: Floats, low: float, high: float) -> None:
        """low <= values @ columns <= high."""
        self.label.append(label)
        self.low.append(low)
        self.high.append(high)
        assert len(values) == len(columns), "one value for each column"
        self.index.append(np.asarray(columns, dtype=np.int64))
        self.value.append(np.asarray(values, dtype=float))
        self.start.append(self.start[-1] + len(self.index[-1]))


@dataclass(frozen=True, slots=True)
class Pairs:
    """Columns of pairs, K of them."""

    first: Ints
    """(K,) class."""
    second: Ints
    """(K,) class; may be the first again."""
    pool: Ints
    speed: tuple[Floats, Floats]
    """(K,) speeds as shares of the speeds alone, of both."""

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def none(cls) -> Pairs:
        """No pairs."""
        nothing = np.zeros(0, dtype=np.int64)
        return cls(nothing, nothing, nothing, (np.zeros(0), np.zeros(0)))


@dataclass(slots=True)
class Program:
    """Columns, rows and objective (maximised)."""

    world: World
    cell: tuple[Ints, Ints]
    """(X,) class and (X,) pool of each x."""
    tap: tuple[Ints, Ints]
    """(Y,) supply and (Y,) pool of each y."""
    cost: Floats
    upper: Floats
    lower: Floats
    integer: Bools
    rows: Rows
    fair: Ints
    """Classes that the fair rows speak of."""
    apart: dict[int, tuple[str, ...]]
    """Class whose replicas must run in several failure domains to those domains; each has columns of P1.H."""
    limits: list[Limit]
    """Rows that bind several pools or classes together."""
    forced: bool = False
    """Whether P1.E and P1.S may be broken at a price; then there is one more column for each pool."""
    pairs: Pairs = field(default_factory=Pairs.none)
    """Pairs that may share accelerators; each has a column."""
    penalty: Floats | None = None
    """That price, which is part of `cost` and not of what a placement is worth."""

    @property
    def first_z(self) -> int:
        """Position of the first z."""
        return len(self.cell[0]) + len(self.tap[0])

    @property
    def first_unmet(self) -> int:
        """Position of the first column `unmet` of P1.B."""
        return self.first_z + len(self.world.ways)

    @property
    def first_apart(self) -> int:
        """Position of the first column of P1.H."""
        return self.first_unmet + (len(self.world.snapshot.burn_downs) if self.world.integral else 0)

    @property
    def first_forced(self) -> int:
        """Position of the first column of what is stopped by force; one for each pool."""
        return self.first_apart + sum(1 + len(names) for names in self.apart.values())

    @property
    def first_pair(self) -> int:
        """Position of the first column of a pair."""
        return self.t - len(self.pairs)

    @property
    def t(self) -> int:
        """Position of t."""
        return len(self.cost) - 1

    def is_whole(self, columns: Floats) -> bool:
        """Whether all columns that must be whole are."""
        must = columns[self.integer]
        return bool(np.all(np.abs(must - np.round(must)) <= WHOLE))

    def pool_rows(self) -> Ints:
        """(P,) position of the row P1.P of each pool."""
        found = np.full(len(self.world.capacity), NONE, dtype=np.int64)
        for r, (rule, p) in enumerate(self.rows.label):
            if rule == "P1.P":
                found[p] = r
        return found
