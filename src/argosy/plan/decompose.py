"""Decompose: many futures, solved one by one, with cuts that they share (F7).

A few futures first: their plan is where the search over all of them starts, and their duals bound all others. Then the
master proposes contracts in a box around the best ones known, all futures are solved exactly there, and the box grows
or shrinks with how well the cuts foretold the cost, until the cost and the bound of the master without a box meet.
Integers are proposed by branch and bound over the cuts, and each proposal is certified the same way.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from argosy.clock import Clock
from argosy.errors import SolverError
from argosy.plan.basis import Basis
from argosy.plan.benders_master import Master
from argosy.plan.branch import WHOLE, branch
from argosy.plan.crews import crew
from argosy.plan.exact import Exact
from argosy.plan.kept import Keeper
from argosy.plan.pool import SLIM, Pool
from argosy.plan.program import Floats, Ints, mean_program, some_program
from argosy.plan.recourse import Answer
from argosy.plan.risk import measure, quantile
from argosy.plan.solution import Progress, Solution
from argosy.plan.template import Template, build
from argosy.settings import Settings

GROUPS = 128
"""Most groups of futures with a theta of their own."""
STEPS = 400
"""Most steps of one phase; more means that something is wrong."""
FEW, SHARE = 8, 8
"""A search over more than `FEW` futures starts from the plan of one `SHARE`-th of them."""
SEARCHED = 16
"""Over more futures than this, the plan of fewer ones has whole integers too."""
KEPT_POINTS = 12
"""Most phases of a search over fewer futures whose duals are taken over."""
KEPT_ANSWERS = 32
"""Most answers kept of each of these phases."""
KEPT_NUMBERS = 3e7
"""About as many slopes of taken duals are held."""
RELAXED = 1e-3
"""Gap of the relaxation where integers are still free."""
ROUGH = 1e-3
"""Gap of the plans that only start another search."""
CHUNK = 64
"""Futures whose columns are held twice while a solution is written."""
POOL_STEPS = 20
"""Most steps that use the duals of a few futures only."""
PART = 0.5
"""How near to the bound of all integers the certified cost of some integers comes before others are looked at."""
RADIUS = 0.02
"""First half width of the box, as a share of the reach of each column."""


@dataclass(slots=True)
class _State:
    """Best contracts known and the bounds."""

    bound: float = -np.inf
    best: float = np.inf
    first: Floats | None = None


class Decomposition:
    """One program, its cuts and its best plan. Later questions start from what is kept here."""

    def __init__(
        self, template: Template, *, settings: Settings, clock: Clock, progress: Progress, helped: bool = True
    ) -> None:
        """With `helped` the settings' workers and kept cuts are used; searches that only start another go without."""
        self.template, self.settings, self.clock, self.progress = template, settings, clock, progress
        self.program = template.program
        self.helped = helped
        self.exact = Exact(template)
        self.keeper: Keeper | None = None
        self.pool = Pool(template)
        self.scenarios = self.program.shape["S"]
        self.master = Master(template, _groups(template))
        self.started = clock.monotonic_seconds()
        self.bound = -np.inf
        self.stop = threading.Event()
        self.passes = 0
        """Times that all futures were solved."""
        self.starts: dict[int, Basis] = {}
        """Bases of earlier solves, for the first pass."""
        self.last: tuple[Floats, list[Answer]]
        """Contracts of the last pass and its answers."""
        self.seen: list[tuple[Floats, list[Answer]]] = []
        """The last pass of each of the last phases, with some of its answers."""
        self.log: list[tuple[str, int, float, float]] = []

    def solve(self, gap: float, stop: threading.Event, start: Floats | None = None) -> Solution | None:
        """The best plan within the gap; None when the first stage is infeasible.

        With contracts to start from, and the duals found there in the pool, no plan for fewer futures is made.
        """
        self.stop = stop
        with self._help():
            start = self._resumed() if start is None or not len(self.pool) else self._from(start)
            if start is None:
                start = self._start(gap)
            if start is None:
                return None
            best = self._search(start, gap)
            return None if best is None else self.solution(self._tidied(best, gap), gap)

    @contextmanager
    def _help(self) -> Iterator[None]:
        """Workers and kept cuts, as the settings say, for as long as the search lasts."""
        helpers = crew(self.template, self.settings) if self.helped else None
        if helpers is not None:
            self.exact = Exact(self.template, helpers)
        if self.helped and self.settings.cuts_folder is not None:
            self.keeper = Keeper(Path(self.settings.cuts_folder), self.template)
        try:
            yield
        finally:
            if helpers is not None:
                helpers.close()
                self.exact = Exact(self.template)
            if self.keeper is not None:
                self.keeper.close()
                self.keeper = None

    def _resumed(self) -> Floats | None:
        """Cut the master with what earlier solves left; the best contracts known for this program, None without any."""
        passes = [] if self.keeper is None else self.keeper.latest()
        if self.keeper is None or not passes:
            return None
        self._tell("cuts kept from earlier", np.inf, -np.inf)
        for one in passes:
            self.master.add(self.pool.own(list(one.duals)), one.first, 0.0)
        if not self.master.solve():
            return None
        self.starts = dict(enumerate(passes[-1].bases))
        own = [one for one in passes if one.program == self.keeper.program]
        return min(own, key=lambda one: one.value).first if own else self.master.first.copy()

    def again(self, gap: float, first: Floats) -> tuple[Floats, float, float] | None:
        """Contracts, certified cost and bound after the master was changed (F7.7), from contracts that were good.

        None when the first stage is infeasible. All cuts are kept, so only what the change moves is solved again.
        """
        self.bound = -np.inf
        self.master.fix(None)
        if not self.master.solve():
            return None
        best = self._search(first, gap)
        return None if best is None or best.first is None else (best.first, best.best, self.bound)

    def _from(self, first: Floats) -> Floats | None:
        """Contracts near others that this first stage allows, with the master cut there by the pool."""
        if not self.master.solve():
            return None
        self.master.add(self.pool.chosen(self.pool.best(first)[1]), first, 0.0)
        self.master.solve()
        self._cut_from_pool(self.master.first)
        return first

    def kept(self, most: int) -> tuple[list[Floats], list[Basis]]:
        """Duals of the last pass and their bases, at most so many, spread over the futures."""
        answers = _some(self.last[1], most)
        return [answer.dual for answer in answers], [answer.basis for answer in answers]

    def _search(self, start: Floats, gap: float) -> _State | None:
        """The best plan within the gap from certified passes, from contracts nearby; None when there is none.

        With a wide gap and a start that has whole integers, these come first and branch and bound sees to the rest.
        """
        integers = self.master.integers
        free = (self.master.lower < self.master.upper)[integers].any()
        near: Floats | None = None
        if free and gap >= RELAXED and np.abs(start[integers] - start[integers].round()).max(initial=0.0) <= WHOLE:
            self.master.fix(np.clip(start[integers].round(), self.master.lower[integers], self.master.upper[integers]))
            near = self._kept_near(start)
        if near is not None:
            state = _State(first=near, best=self.certify(near))
            return self._integers(state, near, gap)
        self.master.fix(None)
        near = self._kept_near(start)
        if near is None:
            return None
        relaxed = _State(first=near)
        if not self._phase(relaxed, max(gap, RELAXED) if free else gap / 4, "relaxation"):
            return None
        assert relaxed.first is not None
        self.bound = relaxed.bound
        return self._integers(None, relaxed.first, gap)

    def _left(self) -> float:
        return self.settings.time_limit_seconds - (self.clock.monotonic_seconds() - self.started)

    def _over(self) -> bool:
        return self.stop.is_set() or self._left() <= 0

    def _start(self, gap: float) -> Floats | None:
        """First contracts: those of a plan for fewer futures, whose duals cut the master here too.

        One future starts from what the first stage alone would do.
        """
        if not self.master.solve():
            return None
        if self.scenarios == 1:
            return self.master.first.copy()
        fewer = self._fewer()
        fewer.stop = self.stop
        rough = max(ROUGH, gap / 5)
        start = fewer._start(rough)
        state = None
        if start is not None and self.scenarios > SEARCHED:
            state = fewer._search(start, rough)
        elif start is not None:
            state = _State(first=start)
            state = state if fewer._phase(state, rough, "relaxation of a few futures") else None
        if state is None or state.first is None:
            return None
        self._learn(fewer)
        self._cut_from_pool(state.first)
        return state.first

    def _learn(self, fewer: Decomposition) -> None:
        """Take over the duals of fewer futures, and cut the master with them where they were found."""
        seen = fewer.seen
        most = int(KEPT_NUMBERS / (self.scenarios * len(self.pool.columns) * max(1, len(seen))))
        for _, answers in seen:
            some = _some(answers, max(1, most))
            self.pool.extend([answer.dual for answer in some], [answer.basis for answer in some])
        for first, _ in seen:
            self.master.add(self.pool.chosen(self.pool.best(first)[1]), first, 0.0)
        self.master.solve()

    def _cut_from_pool(self, first: Floats) -> None:
        """Cut the master with what the pool knows, at these contracts and then at its own proposals."""
        for _ in range(POOL_STEPS):
            cost, which = self.pool.best(first)
            value = float(self.master.cost @ first) + measure(self.program, cost)
            added = self.master.add(self.pool.chosen(which), first, 1e-8 * abs(value))
            if not added or not self.master.solve() or value - self.master.objective <= ROUGH * abs(value):
                break
            first = self.master.first

    def _fewer(self) -> Decomposition:
        """The same program with few futures that stand for all."""
        if self.scenarios <= FEW:
            program = mean_program(self.program)
        else:
            order = np.argsort(self.program.demand.sum(axis=(1, 2)), kind="stable")
            parts = np.array_split(order, max(FEW, -(-self.scenarios // SHARE)))
            chosen = np.array([part[len(part) // 2] for part in parts])
            weight = np.array([self.program.probability[part].sum() for part in parts])
            program = some_program(self.program, chosen, weight)
        return Decomposition(
            build(program), settings=self.settings, clock=self.clock, progress=self.progress, helped=False
        )

    def _phase(self, state: _State, gap: float, step: str, cutoff: float = np.inf) -> bool:
        """F7.5: move a box over the contracts until cost and bound meet, or until the bound reaches the cutoff.

        Where the bound of all integers is known already, a part of the way to it is enough. False when the master is
        infeasible.
        """
        radius = RADIUS
        assert state.first is not None
        if not np.isfinite(state.best):
            state.best = self.certify(state.first)
        for _ in range(STEPS):
            self.master.near(None, 1.0)
            if not self.master.solve():
                return False
            state.bound = max(state.bound, self.master.objective)
            self._tell(step, state.best, state.bound)
            enough = gap * abs(state.best)
            if np.isfinite(self.bound):
                enough = max(enough, PART * (state.best - self.bound))
            if state.best - state.bound <= enough or state.bound >= cutoff or self._over():
                self.seen = [*self.seen, (self.last[0], _some(self.last[1], KEPT_ANSWERS))][-KEPT_POINTS:]
                return True
            radius = self._step(state, radius, gap)
        raise SolverError(f"the {step} did not converge in {STEPS} steps")

    def _step(self, state: _State, radius: float, gap: float) -> float:
        """Solve all futures at the best point of the box by the cuts; the radius of the next box."""
        assert state.first is not None
        while True:
            self.master.near(state.first, radius)
            solved = self.master.solve()
            foretold = state.best - self.master.objective if solved else 0.0
            if radius >= 1.0 or foretold > gap / 4 * abs(state.best):
                break
            radius = min(1.0, 4 * radius)  # nothing to gain nearby, and more to gain further away
        proposal = self.master.first.copy()
        value = self.certify(proposal)
        gained = state.best - value
        if gained > 0.1 * foretold:
            state.best, state.first = value, proposal
            return min(1.0, 2 * radius) if gained > 0.5 * foretold else radius
        if gained < 0:
            return radius * (0.5 if gained > -foretold else 0.25)
        return radius

    def certify(self, first: Floats) -> float:
        """Solve every future exactly at these contracts; the objective, proven from above. Its cuts join the master."""
        answers = self._all(first)
        self.last = (first, answers)
        if self.scenarios > SLIM:
            self.pool.forget()
        cost = np.array([answer.value for answer in answers]) + self.pool.known(first)
        duals = [answer.dual for answer in answers]
        self.master.add(self.pool.own(duals), first, 0.0)
        value = float(self.master.cost @ first) + measure(self.program, cost)
        if self.keeper is not None:
            self.keeper.add(first, value, duals, [answer.basis for answer in answers])
        return value

    def _all(self, first: Floats) -> list[Answer]:
        self.passes += 1
        if self.starts:
            starts, self.starts = self.starts, {}
            return self.exact.these(range(self.scenarios), first, starts)
        return self.exact.some(np.arange(self.scenarios), first, self.pool)

    def _integers(self, best: _State | None, near: Floats, gap: float) -> _State | None:
        """F7.6: propose integers by the cuts, certify, and propose again until none can be better.

        None when no integers keep the limits of the first stage.
        """
        tried: dict[bytes, _State] = {}
        if best is not None and best.first is not None:
            tried[best.first[self.master.integers].round().tobytes()] = best
        for _ in range(STEPS):
            cutoff = np.inf if best is None else best.best
            choice, bound = branch(self.master, gap=gap / 4, cutoff=cutoff, over=self._over)
            self.bound = max(self.bound, bound)
            if choice is None or (best is not None and (self._within(best, gap) or self._over())):
                break
            self.master.fix(choice)
            state = tried.setdefault(choice.tobytes(), _State())
            if state.first is None:
                state.first = self._kept_near(near if best is None or best.first is None else best.first)
                assert state.first is not None, "the proposal of branch and bound keeps all limits"
            self._phase(state, gap / 4, "integers", cutoff * (1 - gap / 4))
            if best is None or state.best < best.best:
                best = state
        if best is None and self._over():
            raise SolverError("stopped before a first plan was found; allow more time, or ask for fewer scenarios")
        return best

    def _kept_near(self, first: Floats) -> Floats | None:
        """The best contracts by the cuts, near others, that keep the first stage and what is fixed; None if none do."""
        radius = RADIUS
        self.master.near(first, radius)
        while not self.master.solve():
            if radius >= 1.0:
                return None
            radius = min(1.0, 4 * radius)
            self.master.near(first, radius)
        return self.master.first.copy()

    def _tidied(self, best: _State, gap: float) -> Floats:
        """Certified contracts: a corner of the master signs fewer of them than a mix of corners does."""
        assert best.first is not None
        self.master.fix(best.first[self.master.integers].round())
        self.master.solve()
        corner = self.master.first.copy()
        tidy = self.certify(corner)
        better = tidy <= best.best + gap / 10 * abs(best.best) and self._within(_State(best=tidy), gap)
        return corner if better else best.first

    def _within(self, state: _State, gap: float) -> bool:
        return state.best - self.bound <= gap * abs(state.best)

    def solution(self, first: Floats, gap: float) -> Solution:
        """Everything about certified contracts, with the duals of every future."""
        first = first.copy()
        integers = self.master.integers
        first[integers] = first[integers].round()
        second = np.empty((self.scenarios, self.template.second.columns.size))
        value = np.empty(self.scenarios)
        for batch in np.array_split(np.arange(self.scenarios), -(-self.scenarios // CHUNK)):
            for s, answer in zip(batch.tolist(), self.exact.some(batch, first, self.pool, columns=True), strict=True):
                assert answer.columns is not None
                second[s], value[s] = answer.columns, answer.value
        cost = value + self.pool.known(first)
        objective = float(self.master.cost @ first) + measure(self.program, cost)
        first[self.template.first.columns.part("eta")] = quantile(self.program, cost)
        second_dual, weight = self.master.second_dual()
        found = Solution(
            status="optimal",
            objective=objective,
            bound=min(self.bound, objective),
            first=first,
            second=second,
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


def _some(answers: list[Answer], most: int) -> list[Answer]:
    """At most so many answers, spread over the futures."""
    if len(answers) <= most:
        return answers
    return [answers[i] for i in np.round(np.linspace(0, len(answers) - 1, most)).astype(int).tolist()]


def _groups(template: Template) -> Ints:
    """Group of each future: its own where they are few, else neighbours in demand together."""
    scenarios = template.program.shape["S"]
    if scenarios <= GROUPS:
        return np.arange(scenarios)
    order = np.argsort(template.program.demand.sum(axis=(1, 2)), kind="stable")
    group = np.empty(scenarios, dtype=np.int64)
    group[order] = np.arange(scenarios) * GROUPS // scenarios
    return group
