"""The time until the last ask ends, when two may share an accelerator: as few classes as are exact.

P6.7  Asks of one kind begin as one class that wants the work left of all of them. An ask that the mix of its class
      could not serve in time (it would need more than all of its own time, or more than half of the class's where the
      class shares with itself) becomes a class of its own, and the program is solved again. With asks merged the
      program is a relaxation of the one with each ask alone; once every class can be divided it is that one's optimum.
Arrays in, arrays out. Called by `simulate.shares`; `sharing` solves and recounts each program.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from argosy.place.sharing import Floats, Ints, Sharing, equal_speed, fair_sharing

Bools = npt.NDArray[np.bool_]
SLACK = 1e-6
"""More than all of its time by less than this is rounding."""


def longest_sharing(  # noqa: PLR0917  arrays as they are
    kind: Ints, left: Floats, rate: Floats, beside: Floats, size: Ints, capacity: Ints, apart: Bools
) -> Sharing:
    """P6.7: the shares with which the last ask ends first; classes in the order of kinds, then of single asks.

    kind and left (J,) of each ask, rate (N, P), beside (N, N, P), size (N,), capacity (P,): `fair_sharing`. `apart`
    (J,) says which asks are classes of their own from the start and is changed in place: any choice is exact, and the
    last decision's is nearly right for the next.
    """
    equal = equal_speed(rate, size, capacity)
    assert (equal[kind] > 0).all(), "work that can run nowhere has no end"
    while True:
        group = np.where(apart, len(rate) + np.arange(len(kind)), kind)
        _, first, group = np.unique(group, return_index=True, return_inverse=True)
        kinds = kind[first]
        mean = np.bincount(group, weights=left) / np.bincount(group)
        weight = (mean / equal[kinds])[group]
        runs = rate[kinds] > 0
        near = np.where(runs[:, None] & runs[None, :], beside[np.ix_(kinds, kinds)], 0.0)
        found = fair_sharing(group, rate[kinds], near, size[kinds], capacity, weight=weight, rest=True)
        late = undivided(found, left, rate[kinds], near)
        if not late.any():
            return found
        apart |= late


def undivided(found: Sharing, left: Floats, rate: Floats, beside: Floats) -> Bools:
    """(J,) asks that their class's shares do not bring to the common end, however the class is divided; P6.7.

    rate (C, P) and beside (C, C, P) of the classes. Single asks are never among them.
    """
    time, done = found.alone.sum(axis=1), (found.alone * rate).sum(axis=1)
    most = np.ones(len(time))
    with_itself = found.pair[:, 0] == found.pair[:, 1]
    for column, other in ((0, 1), (1, 0)):
        np.add.at(time, found.pair[:, column], found.together)
        speed = beside[found.pair[:, column], found.pair[:, other], found.pair[:, 2]]
        np.add.at(done, found.pair[:, column], found.together * speed)
    alike = found.pair[with_itself, 0]
    most[alike] = np.minimum(1.0, time[alike] / 2)
    needs = found.t * left * np.divide(time, done, out=np.zeros(len(time)), where=done > 0)[found.class_of]
    return np.asarray((needs > most[found.class_of] * (1 + SLACK)) & (found.count[found.class_of] > 1))
