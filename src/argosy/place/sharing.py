"""Max-min fairness when two asks may share an accelerator: whose time, on which chip, beside whom.

P6.1  Asks of one kind, size and weight are one class; the program is symmetric in them, so this is exact. Two asks of
      one class may share, where there are two.
P6.2  Columns: time of a class alone on a chip, and time of two classes together on one. A pair whose speeds, each as a
      share of the speed alone, sum to 1 or less is left out: taking turns does as well with less of both asks' time.
P6.3  t is the most with  sum of speeds x time >= t x count x weight x equal  for every class; `equal` is the speed
      with a proportional share of every chip; nobody has more than all of the time, no chip more than it has.
P6.4  Above FULL_CLASSES classes pairs join the program when their price says that they could raise t (column
      generation). The bound is the value of the last program plus, for each chip, its accelerators times the largest
      price of a pair on it that was left out; it ends when the gap to the bound is small enough.
P6.6  With `rest`, what is left when t is held goes to whoever makes the most of it: the largest sum over the asks of
      speed over the speed alone on the fastest chip.
Arrays in, arrays out; nothing here knows an ask by name.
"""

from __future__ import annotations

from dataclasses import dataclass

import highspy
import numpy as np
import numpy.typing as npt

from argosy.errors import CheckFailed, SolverError
from argosy.place.check_sharing import worst

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

INF = highspy.kHighsInf
FULL_CLASSES = 250
ROUNDS = 200
SMALL = 1e-9
TOLERANCE = 1e-6
HOLD = 1e-7
"""How much of t, relative to it, may be given up for the rest: less is numerically out of reach."""
TOGETHER = 1e-6
"""What a pair must do better than taking turns to be looked at."""


@dataclass(frozen=True, slots=True)
class Sharing:
    """Shares of time. C classes, P chips, K columns of pairs."""

    t: float
    """Progress of the worst off, over what a proportional share of all chips would give it."""
    gap: float
    """How far above t, as a share of it, the best could be."""
    class_of: Ints
    """(J,) class of each ask."""
    count: Floats
    """(C,) asks in the class."""
    alone: Floats
    """(C, P) time of the whole class alone on the chip, in asks."""
    pair: Ints
    """(K, 3) class, class and chip of each pair that shares."""
    together: Floats
    """(K,) time that they share, in accelerators of the first (a pair of one class takes two of its asks)."""
    columns: int
    """Columns in the last program."""

    def per_ask(self) -> Floats:
        """(J, P) share of its time that each ask runs on each chip, alone or beside another."""
        time = self.alone.copy()
        np.add.at(time, (self.pair[:, 0], self.pair[:, 2]), self.together)
        np.add.at(time, (self.pair[:, 1], self.pair[:, 2]), self.together)
        return np.asarray((time / self.count[:, None])[self.class_of])


def fair_sharing(
    kind: Ints,
    rate: Floats,
    beside: Floats,
    size: Ints,
    capacity: Ints,
    *,
    weight: Floats | None = None,
    gap: float = 1e-6,
    rest: bool = False,
) -> Sharing:
    """The shares that keep the worst off highest.

    kind (J,) of each ask; rate (N, P) speed of a kind alone on `size` (N,) accelerators, 0 where it cannot run; beside
    (N, N, P) speed of the first kind beside the second, 0 where it was never measured; capacity (P,); weight (J,), 1
    where absent; `rest` is P6.6. Only kinds of equal size share. SolverError when the solver finds no optimum,
    CheckFailed when the recount without it does not agree; no ask is an AssertionError.
    """
    assert len(kind) > 0, "there is nobody to share"
    if weight is None:
        number = np.bincount(kind, minlength=len(rate))
        kinds = np.flatnonzero(number)
        place = np.zeros(len(rate), dtype=np.int64)
        place[kinds] = np.arange(len(kinds))
        class_of, count, heavy = place[kind], number[kinds].astype(float), np.ones(len(kinds))
    else:
        rows, first, class_of, numbers = np.unique(
            np.stack([kind.astype(float), weight]), axis=1, return_index=True, return_inverse=True, return_counts=True
        )
        kinds, count, heavy, class_of = kind[first], numbers.astype(float), rows[1], class_of.ravel()
    solver = _Master(rate[kinds], size[kinds], count, heavy, capacity)
    pairs = _Pairs(beside, rate, kinds, size[kinds], count)
    columns, t, reached = _solve(solver, pairs, gap)
    values = solver.fill(t) if rest else solver.values()
    singles, both = solver.first_pair, values[solver.first_pair :]
    alone = np.zeros((len(kinds), len(capacity)))
    alone[solver.cell] = values[1:singles]
    used = both > SMALL
    near = beside[np.ix_(kinds, kinds)]
    off = worst(t, count, heavy, size[kinds], rate[kinds], near, capacity, alone, columns[used], both[used])
    if off > TOLERANCE:
        raise CheckFailed(f"the shares do not survive the recount: a rule of P6.3 is violated by {off:.3g}")
    return Sharing(t, reached, class_of, count, alone, columns[used], both[used], len(values))


def equal_speed(rate: Floats, size: Ints, capacity: Ints) -> Floats:
    """P6.3: (N,) speed with a proportional share of every chip that can run the kind; 0 where none can."""
    open_to = np.where((rate > 0) & (size[:, None] <= capacity[None, :]), capacity[None, :].astype(float), 0.0)
    total = open_to.sum(axis=1)
    return np.asarray(np.divide((rate * open_to).sum(axis=1), total, out=np.zeros(len(rate)), where=total > 0))


class _Pairs:
    """All pairs that may be worth while, as positions (K,) and speeds (K,) of both."""

    def __init__(self, beside: Floats, rate: Floats, kinds: Ints, size: Ints, count: Floats) -> None:
        first, second = np.triu_indices(len(kinds))
        fits = (size[first] == size[second]) & ((first != second) | (count[first] >= 2))
        first, second = first[fits], second[fits]
        a, b = kinds[first], kinds[second]
        mine, other = beside[a, b], beside[b, a]
        with np.errstate(divide="ignore", invalid="ignore"):
            worth = (mine > 0) & (other > 0) & (mine / rate[a] + other / rate[b] > 1 + TOGETHER)
        row, chip = np.nonzero(worth)
        self.key = np.stack([first[row], second[row], chip], axis=1)
        self.speed = mine[row, chip], other[row, chip]
        self.size = size[first[row]].astype(float)

    def __len__(self) -> int:
        return len(self.key)


def _solve(master: _Master, pairs: _Pairs, gap: float) -> tuple[Ints, float, float]:
    """Pairs in the program (in its order), t, and the gap."""
    everything = np.arange(len(pairs))
    if len(master.count) <= FULL_CLASSES:
        master.add(pairs, everything)
        return pairs.key, master.run(), 0.0
    taken = np.zeros(len(pairs), dtype=np.bool_)
    order: list[Ints] = []
    chips = int(pairs.key[:, 2].max(initial=0)) + 1
    per_round = 4 * len(master.count)
    for _ in range(ROUNDS):
        t = master.run()
        price = np.where(taken, -np.inf, master.price(pairs))
        best = np.zeros(chips)
        np.maximum.at(best, pairs.key[:, 2], price / pairs.size)
        reached = float(best @ master.capacity[:chips]) / max(t, SMALL)
        new = np.flatnonzero(price > SMALL)
        if reached <= gap or not len(new):
            return np.concatenate([np.zeros((0, 3), dtype=np.int64), *order]), t, reached if len(new) else 0.0
        new = new[np.argsort(-price[new], kind="stable")[:per_round]]
        taken[new] = True
        order.append(pairs.key[new])
        master.add(pairs, new)
    raise SolverError(f"pairs were still worth adding after {ROUNDS} rounds")


class _Master:
    """HiGHS with t, the columns of classes alone, and the pairs added so far."""

    def __init__(self, rate: Floats, size: Ints, count: Floats, weight: Floats, capacity: Ints) -> None:
        self.count, self.capacity = count, capacity.astype(float)
        classes, chips = rate.shape
        fits = (rate > 0) & (size[:, None] <= capacity[None, :])
        equal = equal_speed(rate, size, capacity)
        # A row of progress in units of what a proportional share gives: all rows have one scale.
        self.unit = np.divide(1.0, count * weight * equal, out=np.zeros(classes), where=equal > 0)
        self.chips, self.classes = chips, classes
        self.cell = np.nonzero(fits)
        of, chip = self.cell
        # What a unit of time adds to the speeds over the fastest alone: P6.6.
        best = np.where(fits, rate, 0.0).max(axis=1)
        self.over_best = np.divide(1.0, best, out=np.zeros(classes), where=best > 0)
        self.merit = [np.zeros(1), (rate * self.over_best[:, None])[of, chip]]
        self.first_pair = 1 + len(of)
        able = np.flatnonzero(equal > 0)
        # Columns by rows: time of each class, room of each chip, progress of each class.
        start = np.concatenate([[0], len(able) + 3 * np.arange(len(of) + 1)])
        index = np.stack([of, classes + chip, classes + chips + of], axis=1).ravel()
        value = np.stack(
            [np.ones(len(of)), size[of].astype(float), (rate * self.unit[:, None])[of, chip]], axis=1
        ).ravel()
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.first_pair, 2 * classes + chips
        lp.sense_ = highspy.ObjSense.kMaximize
        lp.col_cost_ = np.concatenate([[1.0], np.zeros(len(of))])
        lp.col_lower_ = np.zeros(self.first_pair)
        lp.col_upper_ = np.concatenate([[INF if len(able) else 0.0], np.full(len(of), INF)])
        lp.row_lower_ = np.concatenate([np.full(classes + chips, -INF), np.zeros(classes)])
        lp.row_upper_ = np.concatenate([count, self.capacity, np.full(classes, INF)])
        lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        lp.a_matrix_.num_col_, lp.a_matrix_.num_row_ = lp.num_col_, lp.num_row_
        lp.a_matrix_.start_ = start.astype(np.int32)
        lp.a_matrix_.index_ = np.concatenate([classes + chips + able, index]).astype(np.int32)
        lp.a_matrix_.value_ = np.concatenate([np.full(len(able), -1.0), value])
        self.highs = highspy.Highs()
        for name, setting in (("output_flag", False), ("threads", 1), ("parallel", "off"), ("random_seed", 0)):
            self.highs.setOptionValue(name, setting)
        if self.highs.passModel(lp) == highspy.HighsStatus.kError:
            raise SolverError("the program was refused")

    def add(self, pairs: _Pairs, which: Ints) -> None:
        """Pairs join the program."""
        number = len(which)
        if not number:
            return
        first, second, chip = pairs.key[which].T
        progress = self.classes + self.chips
        same = first == second
        # A pair of one class takes twice its time and moves it twice: one entry each, so that no row has two.
        mine, other = pairs.speed[0][which] * self.unit[first], pairs.speed[1][which] * self.unit[second]
        self.merit.append(
            pairs.speed[0][which] * self.over_best[first] + pairs.speed[1][which] * self.over_best[second]
        )
        index = np.stack([first, second, self.classes + chip, progress + first, progress + second], axis=1)
        value = np.stack([np.where(same, 2.0, 1.0), np.ones(number), pairs.size[which], mine, other], axis=1)
        value[same, 3] += other[same]
        keep = np.ones((number, 5), dtype=np.bool_)
        keep[same, 1] = keep[same, 4] = False
        start = np.concatenate([[0], np.cumsum(keep.sum(axis=1))[:-1]])
        status = self.highs.addCols(
            number,
            np.zeros(number),
            np.zeros(number),
            np.full(number, INF),
            int(keep.sum()),
            start.astype(np.int32),
            index[keep].astype(np.int32),
            value[keep],
        )
        if status == highspy.HighsStatus.kError:
            raise SolverError("pairs were refused")

    def run(self) -> float:
        """t of the program as it is."""
        self.highs.run()
        status = self.highs.getModelStatus()
        if status != highspy.HighsModelStatus.kOptimal:
            raise SolverError(f"sharing stopped with {self.highs.modelStatusToString(status)!r}")
        return float(self.highs.getInfo().objective_function_value)

    def fill(self, t: float) -> Floats:
        """All columns when t is held and the rest does the most (P6.6); those of `run` where that cannot be found."""
        held = self.values()
        self.highs.changeColBounds(0, t * (1.0 - HOLD), t)
        merit = np.concatenate(self.merit)
        self.highs.changeColsCost(len(merit), np.arange(len(merit), dtype=np.int32), merit)
        self.highs.run()
        if self.highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return held
        return self.values()

    def price(self, pairs: _Pairs) -> Floats:
        """(K,) what one unit of each pair would add to t at the prices of the last program."""
        dual = np.array(self.highs.getSolution().row_dual)
        time, room, progress = np.split(dual, [self.classes, self.classes + self.chips])
        first, second, chip = pairs.key.T
        gain = (
            -progress[first] * self.unit[first] * pairs.speed[0] - progress[second] * self.unit[second] * pairs.speed[1]
        )
        return np.asarray(gain - time[first] - time[second] - room[chip] * pairs.size)

    def values(self) -> Floats:
        """All columns."""
        return np.array(self.highs.getSolution().col_value)
