"""Decompose: many futures, solved one by one, with cuts that they share (F7).

Relaxation first: a master proposes contracts, a batch of futures is solved exactly between the proposal and the best
contracts known, their duals bound all futures, and the master is solved again until the bounds meet. Then all futures
are solved exactly; only that pass certifies. Integers are rounded, fixed and certified the same way; where the gap is
still open, branch and bound on the master closes it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import highspy
import numpy as np

from argosy.clock import Clock
from argosy.errors import SolverError
from argosy.plan.benders_master import Master
from argosy.plan.exact import Exact
from argosy.plan.extensive import hand_over, tile
from argosy.plan.pool import Pool
from argosy.plan.program import Floats, Ints, mean_program
from argosy.plan.recourse import Answer
from argosy.plan.risk import measure, quantile
from argosy.plan.solution import Progress, Solution
from argosy.plan.template import Template, build
from argosy.settings import Settings

BATCH = 32
"""Futures solved exactly in one step of the relaxation."""
GROUPS = 128
"""Most groups of futures with a theta of their own."""
STEPS = 400
"""Most steps of one phase; more means that something is wrong."""


@dataclass(slots=True)
class _State:
    """Best contracts known and the bounds."""

    bound: float = -np.inf
    best: float = np.inf
    first: Floats | None = None
    integral: bool = False


class Decomposition:
    """One program, its cuts and its best plan. Later questions start from what is kept here."""

    def __init__(self, template: Template, *, settings: Settings, clock: Clock, progress: Progress) -> None:
        self.template, self.settings, self.clock, self.progress = template, settings, clock, progress
        self.program = template.program
        self.exact = Exact(template)
        self.pool = Pool(template)
        self.scenarios = self.program.shape["S"]
        self.master = Master(template, _groups(template))
        self.started = clock.monotonic_seconds()
        self.bound = -np.inf
        self.log: list[tuple[str, int, float, float]] = []

    def solve(self, gap: float, stop: threading.Event) -> Solution | None:
        """The best plan within the gap; None when the first stage is infeasible."""
        self.stop = stop
        start = self._start()
        if start is None:
            return None
        relaxed = self._phase(start, gap / 4, "relaxation")
        if relaxed is None:
            return None
        self.bound = relaxed.bound
        return self._integers(relaxed, gap)

    def _left(self) -> float:
        return self.settings.time_limit_seconds - (self.clock.monotonic_seconds() - self.started)

    def _over(self) -> bool:
        return self.stop.is_set() or self._left() <= 0

    def _start(self) -> Floats | None:
        """First contracts: those of the mean future, whose program is small."""
        matrix = tile(build(mean_program(self.program)))
        solver = hand_over(matrix)
        count = np.flatnonzero(matrix.integer).astype(np.int32)
        if len(count):
            solver.changeColsIntegrality(len(count), count, np.zeros(len(count), dtype=np.uint8))
        solver.run()
        if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return np.array(solver.getSolution().col_value)[: matrix.first_columns]

    def _phase(self, centre: Floats, gap: float, step: str) -> _State | None:
        """Cut between the proposal and the best contracts until the certified gap holds.

        Where a step solves all futures its value is proven; where it solves a batch it is an estimate, and a full
        pass follows once estimate and bound agree.
        """
        state = _State()
        estimate = self._cut_exactly(centre, self._batch(centre))
        if self.scenarios <= BATCH:
            state.best, state.first = estimate, centre
        for _ in range(STEPS):
            if not self.master.solve():
                return None
            self._cut_from_pool()
            proposal, state.bound = self.master.first.copy(), max(state.bound, self.master.objective)
            middle = 0.5 * proposal + 0.5 * centre
            value = self._cut_exactly(middle, self._batch(middle))
            if value < estimate:
                centre, estimate = middle, value
            if self.scenarios <= BATCH and value < state.best:
                state.best, state.first = value, middle
            self._tell(step, estimate, state.bound)
            if estimate - state.bound > gap * abs(estimate) and not self._over():
                continue
            if self.scenarios > BATCH:
                estimate = self.certify(centre)
                if estimate < state.best:
                    state.best, state.first = estimate, centre
                self._tell(step + ", all futures", state.best, state.bound)
            if state.best - state.bound <= gap * abs(state.best) or self._over():
                return state
        raise SolverError(f"the {step} did not converge in {STEPS} steps")

    def _batch(self, first: Floats) -> Ints:
        """Futures to solve: all when few, else spread over their estimated cost with the costliest included."""
        if self.scenarios <= BATCH:
            return np.arange(self.scenarios)
        if not len(self.pool):
            return _spread(self.program.demand.sum(axis=(1, 2)), BATCH)
        estimate, _ = self.pool.best(first)
        return _spread(estimate, BATCH)

    def _cut_exactly(self, first: Floats, batch: Ints) -> float:
        """Solve a batch at a point, keep the duals, cut the master there; the estimated objective at the point."""
        for answer in self.exact.some(batch, first, self.pool):
            self.pool.add(answer.dual, answer.basis)
        cost, which = self.pool.best(first)
        self.master.add(self.pool.chosen(which), first, 0.0)
        return float(self.master.cost @ first) + measure(self.program, cost)

    def _cut_from_pool(self) -> float:
        """Cut the master at its own proposal with what the pool knows; the estimated objective there."""
        value = np.inf
        for _ in range(20):
            first = self.master.first
            cost, which = self.pool.best(first)
            value = float(self.master.cost @ first) + measure(self.program, cost)
            if value - self.master.objective <= 1e-6 * abs(value):
                break
            if not self.master.add(self.pool.chosen(which), first, 1e-8 * abs(value)) or not self.master.solve():
                break
        return value

    def certify(self, first: Floats) -> float:
        """Solve every future exactly at these contracts; the objective, proven from above. Its cuts join the master."""
        answers = self._all(first)
        cost = np.array([answer.value for answer in answers]) + self.template.future_cost @ first
        self.master.add(self.pool.own([answer.dual for answer in answers]), first, 0.0)
        return float(self.master.cost @ first) + measure(self.program, cost)

    def _all(self, first: Floats) -> list[Answer]:
        return self.exact.some(np.arange(self.scenarios), first, self.pool)

    def _integers(self, relaxed: _State, gap: float) -> Solution | None:
        """Round, fix, certify; branch on the master where that is not enough."""
        assert relaxed.first is not None
        integers = self.master.integers
        lower, upper = self.master.lower[integers], self.master.upper[integers]
        value = relaxed.first[integers]
        best: _State | None = None
        for choice in (np.clip(np.ceil(value - 1e-6), lower, upper), np.clip(np.round(value), lower, upper), lower):
            self.master.fix(choice)
            best = self._fixed(gap / 2, "rounding")
            if best is not None:
                break
        free = int((lower < upper).sum())
        rounds = 0
        while free and (best is None or not self._within(best, gap)) and not self._over() and rounds < 20:
            rounds += 1
            self.master.fix(None)
            branched = self.master.branch(gap / 4, max(1.0, self._left()))
            if branched is None:
                break
            choice, bound = branched
            self.bound = max(self.bound, bound)
            if best is not None and self._within(best, gap):
                break
            self.master.fix(choice)
            other = self._fixed(gap / 4, "branch and bound")
            if other is not None and (best is None or other.best < best.best):
                best = other
        if best is None and self._over():
            raise SolverError("stopped before a first plan was found; allow more time, or ask for fewer scenarios")
        if best is None or best.first is None:
            return None
        self.master.fix(best.first[integers].round())
        self.master.solve()
        corner = self.master.first.copy()
        tidy = self.certify(corner)  # a corner of the master signs fewer contracts than a mix of corners does
        if tidy <= best.best + gap / 10 * abs(best.best) and self._within(_State(best=tidy), gap):
            best.first = corner
        return self.solution(best.first, gap)

    def _fixed(self, gap: float, step: str) -> _State | None:
        """A phase with the integers of the master fixed, from its own best contracts, which keep them."""
        return self._phase(self.master.first.copy(), gap, step) if self.master.solve() else None

    def _within(self, state: _State, gap: float) -> bool:
        return state.best - self.bound <= gap * abs(state.best)

    def solution(self, first: Floats, gap: float) -> Solution:
        """Everything about certified contracts, with the duals of every future."""
        first = first.copy()
        integers = self.master.integers
        first[integers] = first[integers].round()
        answers = self._all(first)
        cost = np.array([answer.value for answer in answers]) + self.template.future_cost @ first
        objective = float(self.master.cost @ first) + measure(self.program, cost)
        first[self.template.first.columns.part("eta")] = quantile(self.program, cost)
        second_dual, weight = self.master.second_dual()
        found = Solution(
            status="optimal",
            objective=objective,
            bound=min(self.bound, objective),
            first=first,
            second=np.array([answer.columns for answer in answers]),
            first_dual=self.master.first_dual(),
            second_dual=second_dual,
            weight=weight,
            reduced=self.master.reduced(),
        )
        return found.judged(gap)

    def _tell(self, step: str, best: float, bound: float) -> None:
        money = self.program.money_scale
        self.log.append((step, self.master.cuts, best, bound))
        self.progress(step, best * money if np.isfinite(best) else None, bound * money if np.isfinite(bound) else None)


def _spread(values: Floats, count: int) -> Ints:
    """Positions of `count` futures spread evenly over their order, the largest and the smallest included."""
    order = np.argsort(values, kind="stable")
    return np.unique(order[np.round(np.linspace(0, len(order) - 1, count)).astype(int)])


def _groups(template: Template) -> Ints:
    """Group of each future: its own where they are few, else neighbours in demand together."""
    scenarios = template.program.shape["S"]
    if scenarios <= GROUPS:
        return np.arange(scenarios)
    order = np.argsort(template.program.demand.sum(axis=(1, 2)), kind="stable")
    group = np.empty(scenarios, dtype=np.int64)
    group[order] = np.arange(scenarios) * GROUPS // scenarios
    return group
