"""The whole verb: portfolio and futures in, Plan or Infeasible out."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from argosy.clock import Clock, SystemClock
from argosy.errors import CheckFailed
from argosy.model.decision import Certificate, Infeasible, Plan
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.plan import infeasible, result
from argosy.plan.ask import Asker
from argosy.plan.baselines import Change, Comparison, compare, unchanged
from argosy.plan.check import check
from argosy.plan.decompose import Decomposition
from argosy.plan.front import fronts
from argosy.plan.inputs import inputs
from argosy.plan.known_plans import Dual
from argosy.plan.near_optimal import Alternative, alternatives, ranges
from argosy.plan.project_prices import priced
from argosy.plan.quick_values import contracts_of, values
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


Valued = Literal["none", "chosen", "all"]


@dataclass(frozen=True, slots=True)
class Questions:
    """What is asked of a plan once it is certified. What is not asked for is absent, and `not_computed` says so."""

    fronts: bool = False
    """Q10: expected cost against tail risk, carbon and the largest vendor."""
    ranges: bool = False
    """Q11: near-optimal sizes; two near-optimal plans join the baselines."""
    values: Valued = "none"
    """Q12: what contracts are worth: candidates, or signed ones too."""

    @property
    def any(self) -> bool:
        """Whether anything is asked."""
        return self.fronts or self.ranges or self.values != "none"


class Until(threading.Event):
    """Set when another event is, or when the time is over: questions stop then as they do when somebody stops them."""

    def __init__(self, stop: threading.Event, clock: Clock, seconds: float) -> None:
        """`seconds` from now."""
        super().__init__()
        self.stop, self.clock, self.end_seconds = stop, clock, clock.monotonic_seconds() + seconds

    @property
    def why(self) -> str:
        """What `not_computed` says of what was not reached."""
        return STOPPED if self.stop.is_set() else OUT_OF_TIME

    def is_set(self) -> bool:
        """Whether to stop."""
        return super().is_set() or self.stop.is_set() or self.clock.monotonic_seconds() >= self.end_seconds


NOTHING_ASKED = Questions()
NOT_ASKED = {
    "front": "`--fronts` of `argosy plan` computes it",
    "near_optimal": "`--ranges` of `argosy plan` computes it",
    "values": "`--values chosen` or `--values all` of `argosy plan` computes it",
    "values.signed": "`--values all` of `argosy plan` values what is signed already too",
    "values.walk_away": "`--walk-away` of `argosy plan`, or `argosy price PORTFOLIO --contract ID` for one contract",
}
STOPPED = "the search was stopped before it"
OUT_OF_TIME = "the time limit was reached before it; `--time-limit` of `argosy plan` allows more"
WHOLE = "`--{}` had no effect: the program is small and was solved whole"


def quiet(step: str, best_usd: float | None, bound_usd: float | None) -> None:
    """Progress that nobody watches."""


def solve(
    portfolio: Portfolio,
    scenarios: tuple[Scenario, ...],
    *,
    gap: float = 1e-3,
    seed: int = 0,
    unseen: int = 0,
    change: Change = unchanged,
    questions: Questions = NOTHING_ASKED,
    settings: Settings | None = None,
    clock: Clock | None = None,
    progress: Progress = quiet,
    stop: threading.Event | None = None,
) -> Plan | Infeasible:
    """Decide the contracts of a consistent portfolio over its futures.

    `gap` is the share of the cost by which the plan may be off; `stop` ends the search and keeps the best plan so far.
    With `unseen` futures to draw, the plan and simpler plans are scored on them (F9); 0 leaves that out. `change` is
    done to them first: where `scenarios` are stressed, it stresses them too. `questions` are answered from the plan.
    CheckFailed when the recount does not agree with the solver; SolverError when the solver gives up.
    """
    told = inputs(portfolio, scenarios)
    template = build(told.program)
    _finite(template.first.matrix.value, template.second.matrix.value)
    settings, clock, stop = settings or Settings(), clock or SystemClock(), stop or threading.Event()
    started = clock.monotonic_seconds()
    duals: list[Dual] = []
    found = _solved(template, gap=gap, settings=settings, clock=clock, progress=progress, stop=stop, duals=duals)
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

    unused = _unused(settings) if _small(template) else {}
    fields: dict[str, Any] = {"not_computed": unused | _not_asked(questions)}
    fields |= priced(told, plan, found, template, again)
    others: tuple[Alternative, ...] = ()
    if questions.any and not stop.is_set():
        until = Until(stop, clock, hurry.time_limit_seconds)
        asker = Asker.of(told, template, found, duals, gap=gap, progress=progress, stop=until)
        asked, others, missed = _answers(asker, questions)
        fields |= asked
        kept = {k: why for k, why in fields["not_computed"].items() if k.partition(".")[0] not in missed}
        fields["not_computed"] = kept | dict.fromkeys(missed, until.why)
    if unseen and not stop.is_set():
        run = Comparison(again, hurry, clock, progress, stop, gap, others, change)
        fields |= compare(told, template, found, run, count=unseen, seed=seed)
    return plan.model_copy(update=fields)


def _answers(asker: Asker, questions: Questions) -> tuple[dict[str, Any], tuple[Alternative, ...], list[str]]:
    """The fields of `Plan` that further questions fill, the near-optimal plans that join the baselines, and the names
    of the questions that were not reached: an answer that was cut off is none."""
    fields: dict[str, Any] = {}
    others: list[Alternative] = []
    missed: list[str] = []

    def answered(name: str, answer: Callable[[], Any]) -> None:
        if not asker.stop.is_set():
            fields[name] = answer()
        if asker.stop.is_set():
            fields.pop(name, None)
            missed.append(name)

    def near_optimal() -> Any:
        asker.progress("near-optimal plans", None, None)
        others.extend(alternatives(asker))
        return ranges(asker)

    if questions.ranges:
        answered("near_optimal", near_optimal)
    if questions.values != "none":
        contracts = contracts_of(asker, questions.values)
        answered("values", lambda: values(asker, contracts))
    if questions.fronts:
        answered("front", lambda: fronts(asker))
    return fields, tuple(others), missed


def _unused(settings: Settings) -> dict[str, str]:
    """Options that were given and that a program which is solved whole has no use for, with the reason."""
    given = {
        "keep": settings.cuts_folder is not None,
        "workers": settings.plan_workers > 1,
        "ray": settings.ray_address is not None,
    }
    return {name: WHOLE.format(name) for name, was in given.items() if was}


def _small(template: Template) -> bool:
    """Whether the program is solved whole."""
    return template.second.columns.size * template.program.shape["S"] <= EXTENSIVE_COLUMNS


def _not_asked(questions: Questions) -> dict[str, str]:
    left = []
    if not questions.fronts:
        left.append("front")
    if not questions.ranges:
        left.append("near_optimal")
    left += {"none": ["values"], "chosen": ["values.signed", "values.walk_away"], "all": ["values.walk_away"]}[
        questions.values
    ]
    return {name: NOT_ASKED[name] for name in left}


def _solved(
    template: Template, *, gap: float, settings: Settings, clock: Clock, progress: Progress, stop: threading.Event,
    duals: list[Dual] | None = None,
) -> Solution | None:  # fmt: skip
    """The best plan within the gap, whole or future by future; None when the first stage is infeasible.

    The duals that it leaves are added to `duals`.
    """
    if _small(template):
        return solve_extensive(template, gap=gap, settings=settings, clock=clock, progress=progress, stop=stop)
    run = Decomposition(template, settings=settings, clock=clock, progress=progress)
    found = run.solve(gap, stop)
    if duals is not None:
        duals.extend(zip(run.pool.duals, run.pool.bases, strict=True))
    return found


def data_hash(portfolio: Portfolio, scenarios: tuple[Scenario, ...]) -> str:
    """SHA-256 of everything that the plan depends on."""
    digest = hashlib.sha256(portfolio.model_dump_json().encode())
    for scenario in scenarios:
        digest.update(scenario.model_dump_json().encode())
    return digest.hexdigest()


def _finite(*values: np.typing.NDArray[np.float64]) -> None:
    assert all(np.isfinite(value).all() for value in values), "a number of the program is not finite"
