"""The whole verb: portfolio and futures in, Plan or Infeasible out."""

from __future__ import annotations

import hashlib
import threading
from importlib.metadata import version

import numpy as np

from argosy.clock import Clock, SystemClock
from argosy.errors import CheckFailed
from argosy.model.decision import Certificate, Infeasible, Plan
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.plan import infeasible, result
from argosy.plan.baselines import Comparison, compare
from argosy.plan.check import check
from argosy.plan.decompose import Decomposition
from argosy.plan.inputs import inputs
from argosy.plan.project_prices import priced
from argosy.plan.solution import Progress, Solution
from argosy.plan.solve import solve as solve_extensive
from argosy.plan.template import Template, build
from argosy.plan.values import Values
from argosy.settings import Settings

RESIDUAL_TOLERANCE = 1e-6
COST_TOLERANCE = 1e-6
EXTENSIVE_COLUMNS = 60_000
"""Programs up to this size are solved whole; larger ones future by future."""
LEAST_SECONDS = 10.0
"""Time that each baseline may take where the plan has used up its own."""


def quiet(step: str, best_usd: float | None, bound_usd: float | None) -> None:
    """Progress that nobody watches."""


def solve(
    portfolio: Portfolio,
    scenarios: tuple[Scenario, ...],
    *,
    gap: float = 1e-3,
    seed: int = 0,
    unseen: int = 0,
    settings: Settings | None = None,
    clock: Clock | None = None,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
) -> Plan | Infeasible:
    """Decide the contracts of a consistent portfolio over its futures.

    `gap` is the share of the cost by which the plan may be off; `stop` ends the search and keeps the best plan so far.
    With `unseen` futures to draw, the plan and simpler plans are scored on them (F9); 0 leaves that out.
    CheckFailed when the recount does not agree with the solver; SolverError when the solver gives up.
    """
    told = inputs(portfolio, scenarios)
    template = build(told.program)
    _finite(template.first.matrix.value, template.second.matrix.value)
    settings, clock, stop = settings or Settings(), clock or SystemClock(), stop or threading.Event()
    started = clock.monotonic_seconds()
    found = _solved(template, gap=gap, settings=settings, clock=clock, progress=progress, stop=stop)
    digest = data_hash(portfolio, scenarios)
    if found is None:
        return Infeasible(portfolio=portfolio.name, data_hash=digest, excuses=infeasible.explain(told, template))
    recount = check(told.program, Values.of(told.program, found.first, found.second))
    if recount.worst > RESIDUAL_TOLERANCE or abs(recount.objective - found.objective) > COST_TOLERANCE * max(
        1.0, abs(found.objective)
    ):
        rule = max(recount.residual, key=lambda name: recount.residual[name])
        raise CheckFailed(
            f"the recount does not agree with the solver: worst residual {recount.worst:.3g} at {rule}, "
            f"cost {recount.objective:.9g} against {found.objective:.9g}"
        )
    money = told.program.money_scale
    certificate = Certificate(
        lower_usd=found.bound * money,
        upper_usd=found.objective * money,
        gap_fraction=found.gap,
        worst_residual=recount.worst,
        recounted_usd=recount.objective * money,
        data_hash=digest,
        versions={name: version(name) for name in ("argosy", "highspy", "numpy")},
    )
    plan = result.plan(result.Reader(told, template, found, recount), certificate, seed)

    left = settings.time_limit_seconds - (clock.monotonic_seconds() - started)
    hurry = settings.model_copy(update={"time_limit_seconds": max(LEAST_SECONDS, left)})

    def again(other: Template) -> Solution | None:
        return _solved(other, gap=gap, settings=hurry, clock=clock, progress=quiet, stop=stop)

    plan = plan.model_copy(update=priced(told, plan, found, template, again))
    if not unseen or stop.is_set():
        return plan
    run = Comparison(
        again,
        hurry, clock, progress, stop, gap,
    )  # fmt: skip
    return plan.model_copy(update=compare(told, template, found, run, count=unseen, seed=seed))


def _solved(
    template: Template, *, gap: float, settings: Settings, clock: Clock, progress: Progress, stop: threading.Event
) -> Solution | None:
    """The best plan within the gap, whole or future by future; None when the first stage is infeasible."""
    if template.second.columns.size * template.program.shape["S"] > EXTENSIVE_COLUMNS:
        return Decomposition(template, settings=settings, clock=clock, progress=progress).solve(gap, stop)
    return solve_extensive(template, gap=gap, settings=settings, clock=clock, progress=progress, stop=stop)


def data_hash(portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> str:
    """SHA-256 of everything that the plan depends on."""
    digest = hashlib.sha256(portfolio.model_dump_json().encode())
    for scenario in scenarios:
        digest.update(scenario.model_dump_json().encode())
    return digest.hexdigest()


def _finite(*values: np.typing.NDArray[np.float64]) -> None:
    assert all(np.isfinite(value).all() for value in values), "a number of the program is not finite"
