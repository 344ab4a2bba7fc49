"""Solve: the extensive form with integers, a proven gap, progress and an early stop that keeps what was found.

Three steps: the relaxation gives a bound; rounding it gives a first plan; branch and bound closes the gap where it is
still open. The integers are then fixed and the linear program is solved once more for exact costs and prices.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import highspy
import numpy as np

from argosy.clock import Clock
from argosy.errors import SolverError
from argosy.plan.extensive import Matrix, hand_over, tile
from argosy.plan.program import Floats
from argosy.plan.solution import Progress, Solution
from argosy.plan.template import Template
from argosy.settings import Settings


def solve(
    template: Template, *, gap: float, settings: Settings, clock: Clock, progress: Progress, stop: threading.Event
) -> Solution | None:
    """The best plan within the gap, or the best one found until `stop` is set or time is up; None when infeasible."""
    return _Run(template, tile(template), gap=gap, settings=settings, clock=clock, progress=progress, stop=stop).solve()


class _Run:
    """One solve; keeps the incumbent and the bound between its steps."""

    def __init__(
        self,
        template: Template,
        matrix: Matrix,
        *,
        gap: float,
        settings: Settings,
        clock: Clock,
        progress: Progress,
        stop: threading.Event,
    ) -> None:
        self.template, self.matrix, self.gap, self.settings = template, matrix, gap, settings
        self.clock, self.progress, self.stop = clock, progress, stop
        self.started = clock.monotonic_seconds()
        self.bound = -np.inf
        self.resident: highspy.Highs | None = None
        self.proven_empty = False
        self.integers = np.flatnonzero(matrix.integer)

    def solve(self) -> Solution | None:
        free = self.integers[self.matrix.column_lower[self.integers] < self.matrix.column_upper[self.integers]]
        relaxed = self._linear(None, "relaxation")
        if relaxed is None:
            return None
        self.bound = relaxed.getInfo().objective_function_value
        rounded = self._rounded(relaxed)
        best: Solution | None = None
        for choice in rounded:
            best = self._fixed(choice, "rounding")
            if best is not None:
                break
        if len(free) == 0 or (best is not None and best.gap <= self.gap):
            return best
        if self.stop.is_set() or self._left() <= 0:
            return self._found(best)
        better = self._branch(best)
        if better is None:
            return best if self.proven_empty else self._found(best)
        polished = self._fixed(better, "prices")
        if polished is None or (best is not None and best.objective <= polished.objective):
            polished = best
        return None if polished is None else self._with_bound(polished)

    def _found(self, best: Solution | None) -> Solution:
        """The best plan of a search that was stopped. Without one nothing is known, least of all that there is none."""
        if best is None:
            raise SolverError("stopped before a first plan was found; allow more time, or ask for fewer scenarios")
        return best

    def _left(self) -> float:
        return self.settings.time_limit_seconds - (self.clock.monotonic_seconds() - self.started)

    def _rounded(self, relaxed: highspy.Highs) -> list[Floats]:
        """Integers to try first: all that the relaxation touches, those it touches by half, and none."""
        lower, upper = self.matrix.column_lower[self.integers], self.matrix.column_upper[self.integers]
        value = np.array(relaxed.getSolution().col_value)[self.integers]
        return [np.clip(np.ceil(value - 1e-6), lower, upper), np.clip(np.round(value), lower, upper), lower]

    def _linear(self, fixed: Floats | None, step: str) -> highspy.Highs | None:
        """The linear program with integers relaxed (None) or fixed; None when it is infeasible.

        One solver stays resident, so that each run starts from the basis of the last.
        """
        self.progress(step, None, None if np.isinf(self.bound) else self.bound * self._money)
        count, columns = len(self.integers), self.integers.astype(np.int32)
        if self.resident is None:
            self.resident = hand_over(self.matrix)
            if count:
                self.resident.changeColsIntegrality(count, columns, np.zeros(count, dtype=np.uint8))
        solver = self.resident
        if count and fixed is not None:
            solver.changeColsBounds(count, columns, fixed, fixed)
        self._configure(solver, hurry=fixed is None)
        self._run(solver, hear_stop=fixed is None)
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            return solver
        if status in (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible):
            return None
        if status in (highspy.HighsModelStatus.kInterrupt, highspy.HighsModelStatus.kTimeLimit):
            raise SolverError("stopped before the first bound was known; allow more time, or ask for fewer scenarios")
        raise SolverError(f"the solver stopped with {solver.modelStatusToString(status)!r} at the step {step!r}")

    def _fixed(self, choice: Floats, step: str) -> Solution | None:
        """The plan with these integers; None when they cannot hold together.

        Neither `stop` nor the time limit ends it: a plan needs its exact costs even when the search for a better one
        is over, and from the last basis they come fast.
        """
        solver = self._linear(choice, step)
        return None if solver is None else self._solution(solver)

    def _branch(self, best: Solution | None) -> Floats | None:
        """Branch and bound from the best plan so far; the integers of its best plan."""
        solver = hand_over(self.matrix)
        self._configure(solver, hurry=True)
        solver.setOptionValue("mip_rel_gap", self.gap)
        if best is not None:
            start = highspy.HighsSolution()
            start.col_value = self._whole(best).tolist()
            start.value_valid = True
            solver.setSolution(start)

        def tell(event: highspy.HighsCallbackEvent) -> None:
            out = event.data_out
            self.bound = max(self.bound, out.mip_dual_bound) if np.isfinite(out.mip_dual_bound) else self.bound
            cost = out.mip_primal_bound
            self.progress(
                "branch and bound",
                cost * self._money if np.isfinite(cost) and abs(cost) < 1e29 else None,
                self.bound * self._money,
            )

        solver.cbMipLogging.subscribe(tell)
        self._run(solver, hear_stop=True)
        info, status = solver.getInfo(), solver.getModelStatus()
        if np.isfinite(info.mip_dual_bound):
            self.bound = max(self.bound, info.mip_dual_bound)
        if status == highspy.HighsModelStatus.kInfeasible:
            self.proven_empty = True
            return None
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None
        return np.round(np.array(solver.getSolution().col_value)[self.integers])

    def _configure(self, solver: highspy.Highs, *, hurry: bool) -> None:
        solver.setOptionValue("threads", self.settings.solver_threads)
        solver.setOptionValue("time_limit", max(1.0, self._left()) if hurry else highspy.kHighsInf)

    def _run(self, solver: highspy.Highs, *, hear_stop: bool) -> None:
        """Run in a thread so that `stop` is heard; the solver then ends by itself."""
        solver.HandleUserInterrupt = True
        thread = solver.startSolve()
        cancelled = False
        while thread.is_alive():
            thread.join(0.05)
            if hear_stop and self.stop.is_set() and not cancelled:
                solver.cancelSolve()
                cancelled = True

    @property
    def _money(self) -> float:
        return self.template.program.money_scale

    def _whole(self, solution: Solution) -> Floats:
        """All columns of the extensive form, tails included."""
        matrix, risky = self.matrix, self.matrix.risky
        if not risky:
            return np.concatenate([solution.first, solution.second.ravel()])
        cost = solution.second @ self.template.second.cost + self.template.future_cost @ solution.first
        tail = np.maximum(0.0, cost - solution.first[-1])
        assert matrix.columns_per_scenario == solution.second.shape[1] + 1
        return np.concatenate([solution.first, np.column_stack([solution.second, tail]).ravel()])

    def _with_bound(self, solution: Solution) -> Solution:
        return replace(solution, bound=min(self.bound, solution.objective)).judged(self.gap)

    def _solution(self, solver: highspy.Highs) -> Solution:
        matrix, program = self.matrix, self.template.program
        answer = solver.getSolution()
        value, dual = np.array(answer.col_value), np.array(answer.row_dual)
        scenarios = program.shape["S"]
        second = np.array([value[matrix.scenario_columns(s)] for s in range(scenarios)])
        second_dual = np.array([dual[matrix.scenario_rows(s)] for s in range(scenarios)])
        weight = (1 - program.risk_aversion) * program.probability
        if matrix.risky:
            weight = weight + np.array([dual[matrix.tail_row(s)] for s in range(scenarios)])
        solution = Solution(
            "optimal",
            solver.getInfo().objective_function_value,
            self.bound,
            value[: matrix.first_columns],
            second,
            dual[: matrix.first_rows],
            second_dual,
            weight,
            self._reduced(dual),
        )
        return self._with_bound(solution)

    def _reduced(self, dual: Floats) -> Floats:
        """Cost of one more unit of each first-stage column at the duals, as if it were free of its sign."""
        matrix, rows = self.matrix.matrix, self.template.first.rows
        price = dual.copy()
        for rule in ("F4.A1", "F4.A2", "F4.A3"):
            price[rows.part(rule)] = 0.0
        columns = self.matrix.first_columns
        end = matrix.start[columns]
        column = np.repeat(np.arange(columns), np.diff(matrix.start[: columns + 1]))
        used = np.bincount(column, weights=matrix.value[:end] * price[matrix.index[:end]], minlength=columns)
        return np.asarray(self.matrix.cost[:columns] - used)
