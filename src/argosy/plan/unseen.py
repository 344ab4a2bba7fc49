"""Unseen: what a plan's contracts cost in futures that it was not made with (F9).

`Scorer` holds the program of some futures and solves each of them exactly at given first-stage columns; `score` puts
the numbers of one plan into a record. Later decisions are those of the plan: an unseen future belongs to the cluster
that its history falls into. Called by `baselines`; it changes no plan.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from argosy.model.decision import BaselineScore
from argosy.model.scenario import Scenario
from argosy.plan import limit_arrays, project_arrays, supply_arrays, work_arrays
from argosy.plan.check import first_cost, period_cost
from argosy.plan.clusters import rule
from argosy.plan.inputs import Inputs
from argosy.plan.program import Floats, Program
from argosy.plan.recourse import Recourse
from argosy.plan.risk import measure, tail_weights
from argosy.plan.supply_arrays import Later
from argosy.plan.template import Template, build
from argosy.plan.values import Values
from argosy.plan.world import World

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One plan in every future of a program, scaled."""

    cost: Floats
    """(S,) F + Q_s."""
    parts: dict[str, Floats]
    """Component to (S,); they sum to `cost`."""
    unserved: Floats
    """(S,) share of the work that is not done."""


def program_of(told: Inputs, scenarios: tuple[Scenario, ...]) -> Program:
    """F9.1: the program of other futures with the first stage, and thus the columns, of the plan's own."""
    world = World.of(told.world.portfolio, scenarios)
    work = work_arrays.arrays(world, told.arcs)
    parts = {
        **supply_arrays.arrays(world, classified(told, world)),
        **work,
        **project_arrays.arrays(world, told.arcs, work),
        **limit_arrays.arrays(world, told.arcs),
    }
    tiers = parts.pop("open_names")
    names = {**told.program.names, "S": tuple(scenario.id for scenario in scenarios), "L": tiers}
    return replace(told.program, probability=world.probability, names=names, **parts)  # type: ignore[arg-type]


def classified(told: Inputs, world: World) -> tuple[Later, ...]:
    """F9.2: the plan's later columns with the futures of another world as members, by the plan's own cuts."""
    found = []
    for x in told.later:
        cut = rule(told.world, x.month)
        mine = cut.cluster(told.world)[x.member.index(True)]
        found.append(replace(x, member=tuple(bool(m) for m in cut.cluster(world) == mine)))
    return tuple(found)


class Scorer:
    """The futures of one program, each solved exactly at any first-stage columns."""

    def __init__(self, template: Template) -> None:
        self.template, self.program = template, template.program
        self.recourse = Recourse(template)
        self.order = np.argsort(self.program.demand.sum(axis=(1, 2)), kind="stable").tolist()
        """Neighbours in demand have neighbouring bases."""

    @classmethod
    def of(cls, told: Inputs, scenarios: tuple[Scenario, ...]) -> Scorer:
        """A scorer of other futures than the plan's own."""
        return cls(build(program_of(told, scenarios)))

    def outcome(self, first: Floats) -> Outcome:
        """F9.3: every future solved; its cost and the parts of it."""
        program = self.program
        second = np.empty((program.shape["S"], self.template.second.columns.size))
        self.recourse.solver.clearSolver()  # the same answer whatever was solved before
        for s in self.order:
            second[s] = self.recourse.solve(s, first, columns=True).columns
        values = Values.of(program, first, second)
        known = program.future_cost @ values.capacity_columns() - program.prepay_credit @ values.first["prepay"]
        parts = {
            "commitments": known,
            "one_off": np.full(len(known), first_cost(program, values)),
            **{name: value @ program.discount for name, value in period_cost(program, values).items()},
        }
        undone = np.einsum("sdt,t->s", values.second["unserved"], program.duration)
        wanted = np.einsum("sdt,t->s", program.demand, program.duration)
        share = np.divide(undone, wanted, out=np.zeros(len(undone)), where=wanted > 0)
        return Outcome(np.sum(list(parts.values()), axis=0), parts, share)

    def objective(self, first: Floats) -> float:
        """F5 of the futures at first-stage columns, scaled."""
        return measure(self.program, self.outcome(first).cost)


def quantile(probability: Floats, cost: Floats, share: float) -> float:
    """The least cost that at least this share of the futures does not exceed."""
    order = np.argsort(cost, kind="stable")
    reached = np.flatnonzero(np.cumsum(probability[order]) >= share - 1e-12)
    return float(cost[order[reached[0]]]) if len(reached) else float(cost[order[-1]])


def standard_error(probability: Floats, cost: Floats, given: int) -> float:
    """F9.4: of the mean. The given futures, which come first, are all there are of their kind and add nothing."""
    drawn = cost[given:]
    if len(drawn) < 2:
        return 0.0
    return float(probability[given:].sum() * drawn.std(ddof=1) / np.sqrt(len(drawn)))


def score(program: Program, outcome: Outcome, *, plan: str, rule: str, in_sample: float, given: int) -> BaselineScore:
    """The record of one plan; `in_sample` is its objective where it was made, scaled, `given` the futures not drawn."""
    p, cost, money = program.probability, outcome.cost, program.money_scale
    worst = int(cost.argmax())
    return BaselineScore(
        plan=plan,
        rule=rule,
        in_sample_usd=in_sample * money,
        objective_usd=measure(program, cost) * money,
        expected_usd=float(p @ cost) * money,
        standard_error_usd=standard_error(p, cost, given) * money,
        tail_usd=float(tail_weights(p, cost, program.tail) @ cost) * money,
        quantiles_usd={f"{q:g}": quantile(p, cost, q) * money for q in QUANTILES},
        components_usd={name: float(p @ value) * money for name, value in outcome.parts.items()},
        unserved_fraction=float(p @ outcome.unserved),
        worst_scenario=program.names["S"][worst],
        worst_usd=float(cost[worst]) * money,
        costs_usd=tuple((cost * money).tolist()),
    )
