"""Turns: what the active asks of a queue are owed and have got since their shares were decided.

`simulate.queue` keeps one and tells it who joined, ran and ended; rows are aligned with the active asks. It knows no
speeds and decides no shares.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from argosy.place.rounds import NOWHERE, Floats, Ints, by_class
from argosy.simulate.shares import ClassShares

ALL_TIME: Final = 0.999
OWED_SEATS: Final = 2.0
"""More seats than this are not owed to one share: what could not be given for long is forgotten."""


class Turns:
    """The account. `share` and `received` (J, P) are of P4.1, `member`, `last` (J,) and `owed` (I,) of P4.4.

    `whole` (I,) says of which shares a class needs all the time of its asks.
    """

    def __init__(self, chips: int) -> None:
        self.share = self.received = np.zeros((0, chips))
        self.age = np.zeros(0)
        self.shares: ClassShares | None = None
        self.member = np.zeros(0, dtype=np.int64)
        self.last = np.zeros(0)
        self.owed = np.zeros(0)
        self.whole = np.zeros(0, dtype=np.bool_)
        self.round = 0.0

    def join(self, number: int) -> None:
        """New asks: without a share until the next decision."""
        none = np.zeros((number, self.share.shape[1]))
        self.share, self.received = np.concatenate([self.share, none]), np.concatenate([self.received, none])
        self.age = np.concatenate([self.age, np.zeros(number)])
        self.member = np.concatenate([self.member, np.full(number, NOWHERE)])
        self.last = np.concatenate([self.last, np.full(number, -1.0)])

    def keep(self, mask: npt.NDArray[np.bool_]) -> None:
        """Leave out what has ended."""
        self.share, self.received, self.age = self.share[mask], self.received[mask], self.age[mask]
        self.member, self.last = self.member[mask], self.last[mask]

    def begin(self, shares: ClassShares) -> None:
        """New shares of classes; what a share that is still there was owed stays owed."""
        before = {} if self.shares is None else dict(zip(self.shares.key, self.owed.tolist(), strict=True))
        self.owed = np.array([before.get(key, 0.0) for key in shares.key])
        self.shares, self.member = shares, shares.class_of
        (one, other), time = shares.item[:, :2].T, np.zeros(len(shares.size))
        np.add.at(time, one, shares.target)
        np.add.at(time, other[other != NOWHERE], shares.target[other != NOWHERE])
        full = time >= ALL_TIME * np.bincount(shares.class_of, minlength=len(shares.size))
        self.whole = full[one] | (full[other] & (other != NOWHERE))

    def seats(self, capacity: Ints, left: Floats | None = None) -> tuple[Ints, Ints]:
        """P4.4: chip and host of each ask for this round; in a class it is the turn of who has not run for longest.

        With `left` (J,) it is the turn of who has most left, which is what P6.7 divides a class by, and classes that
        need all of their time come first: no later round could give them what they lose in this one.
        """
        assert self.shares is not None
        within = np.flatnonzero(self.member != NOWHERE)
        chosen, host = np.full(len(self.member), NOWHERE), np.full(len(self.member), NOWHERE)
        self.owed = np.minimum(self.owed + self.shares.target, OWED_SEATS + self.shares.target)
        first = self.last[within]
        order = np.argsort(first, kind="stable") if left is None else np.lexsort((first, -left[within]))
        where, beside, given = by_class(
            self.shares.item,
            self.owed,
            self.member[within],
            order,
            self.shares.size,
            capacity,
            self.whole & (left is not None),
        )
        self.owed -= given
        chosen[within] = where
        host[within] = np.where(beside == NOWHERE, NOWHERE, within[beside])
        return chosen, host

    def ran(self, runs: Ints, chip: Ints) -> None:
        """A round is over."""
        self.received[runs, chip] += 1
        self.age += 1
        self.round += 1
        self.last[runs] = self.round
