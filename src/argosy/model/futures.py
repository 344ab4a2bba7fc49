"""Futures: the scenarios that a portfolio is planned and scored on, given and drawn.

`cli` and tests call `futures` and hand the result to `plan`, once for planning and once, with another stream name, for
scoring on futures that the plan has not seen. It decides nothing and knows no kind of contract or uncertainty.
"""

from __future__ import annotations

import math
from collections import Counter

from argosy.errors import BadInput, Problem
from argosy.model import effects
from argosy.model.chance import Effects, Streams, Subjects, combine
from argosy.model.horizon import Horizon
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario

OURSELVES = "self"
EXPECTED = "expected"
# Weights that miss 1 by less than this are a matter of how they were written (a third as 0.333333333).
TOLERANCE = 1e-6


def futures(
    portfolio: Portfolio, *, seed: int | None = None, count: int | None = None, stream: str = "plan"
) -> tuple[Scenario, ...]:
    """S0: the given scenarios with their probabilities, then drawn ones that share the rest of the weight equally.

    `seed` and `count` are the portfolio's unless given here. What nobody takes, because nothing is drawn, belongs to
    one scenario `expected` in which everything goes as written; it has probability 1 when there is no other. Scenario k
    of a stream depends on the seed, the stream's name and k, and neither on `count` nor on the machine.
    BadInput: probabilities above 1, no weight left for scenarios to be drawn, two scenarios with one id.
    """
    seed = portfolio.scenarios.seed if seed is None else seed
    count = portfolio.scenarios.count if count is None else count
    given = portfolio.scenarios.given
    taken = math.fsum(scenario.probability for scenario in given)
    if taken > 1 + TOLERANCE:
        raise _bad("scenarios.given", f"the probabilities of the given scenarios sum to {taken:g}, more than 1")
    rest = 1 - taken
    if abs(rest) <= TOLERANCE:
        if count and portfolio.uncertainties:
            message = (
                f"the given scenarios have all the weight, so {count} drawn ones would have none; "
                "lower their probabilities or set count to 0"
            )
            raise _bad("scenarios.count", message)
        rest = 0.0
        given = tuple(s.model_copy(update={"probability": s.probability / taken}) for s in given)
    drawn: tuple[Scenario, ...] = ()
    if rest and count and portfolio.uncertainties:
        known, worth = subjects(portfolio), _worth(portfolio)
        drawn = tuple(
            named(
                combine(
                    f"{stream}-{k:04d}",
                    rest / count,
                    _draw(portfolio, known, Streams(seed, ("futures", stream, str(k)))),
                ),
                portfolio.horizon,
                worth,
            )
            for k in range(count)
        )
    elif rest:
        drawn = (Scenario(id=EXPECTED, probability=rest, name="Everything goes as written"),)
    twice = [name for name, times in Counter(s.id for s in given + drawn).items() if times > 1]
    if twice:
        raise _bad("scenarios.given", f"two scenarios are called {', '.join(twice)}; ids are unique")
    return given + drawn


def _worth(portfolio: Portfolio) -> dict[str, float]:
    """What each workload's demand of the last year would cost undone: its weight in the name of a future."""
    worth: dict[str, float] = {}
    for workload in portfolio.workloads:
        asks = workload.asks(portfolio.horizon)
        worth[workload.id] = math.fsum(sum(ask.demand_units[-12:]) * ask.unserved_usd_per_unit for ask in asks)
    return worth


def named(scenario: Scenario, horizon: Horizon, worth: dict[str, float]) -> Scenario:
    """The scenario with a name that says what sets it apart: demand in the last year, defaults, the longest delay."""
    words = []
    if total := math.fsum(worth.values()):
        changed = (
            weight * float(effects.demand_factors(scenario, workload, horizon)[-12:].mean())
            for workload, weight in worth.items()
        )
        words.append(f"demand x{math.fsum(changed) / total:.2f}")
    words += [f"{vendor} fails in {month}" for vendor, month in sorted(scenario.default_month.items())]
    delays = {**scenario.delivery_delay_months, **scenario.energisation_delay_months}
    if any(delays.values()):
        latest = min(delays, key=lambda subject: (-delays[subject], subject))
        late = f"{delays[latest]} months late" if delays[latest] < horizon.months else "never delivered"
        words.append(f"{latest} {late}")
    return scenario.model_copy(update={"name": ", ".join(words)[:200] or None})


def subjects(portfolio: Portfolio) -> Subjects:
    """What uncertainties can hit, sorted, so that the order in the file does not matter.

    The portfolio must hold the regions of its pools (`Portfolio.with_catalogue`). A contract is `sized` here when a
    tranche of its accelerators lies ahead; money commitments have no delivery that could be late.
    """
    horizon = portfolio.horizon
    sized: dict[str, str] = {}
    open_: dict[str, str] = {}
    backstops: dict[str, float] = {}
    first_refusals: dict[str, float] = {}
    for contract in sorted(portfolio.contracts, key=lambda c: c.id):
        for row in contract.supply(horizon):
            if row.open_accelerators is not None:
                open_[contract.id] = contract.vendor
            elif row.unit == "accelerators" and any(t.month >= 0 for t in row.tranches):
                sized[contract.id] = contract.vendor
            if row.backstop is not None:
                backstops[contract.id] = row.backstop.expected_unsold_fraction
            if row.first_refusal is not None:
                first_refusals[contract.id] = row.first_refusal.match_fraction
    used = {pool.region for pool in portfolio.pools}
    vendor_of_region = {r.id: r.vendor for r in sorted(portfolio.regions, key=lambda r: r.id) if r.id in used}
    return Subjects(
        horizon=horizon,
        workloads=tuple(sorted(workload.id for workload in portfolio.workloads)),
        vendors=tuple(sorted({*vendor_of_region.values(), *(c.vendor for c in portfolio.contracts)} - {OURSELVES})),
        vendor_of_region=vendor_of_region,
        regions=tuple(sorted(used)),
        pools=tuple(sorted(pool.id for pool in portfolio.pools)),
        sized=sized,
        open=open_,
        backstops=backstops,
        first_refusals=first_refusals,
        sites=tuple(sorted(site.id for site in portfolio.sites)),
    )


def _draw(portfolio: Portfolio, known: Subjects, streams: Streams) -> list[Effects]:
    """What happens in one future. Each uncertainty draws below its kind, its name and its place among namesakes."""
    namesakes: Counter[tuple[str, str]] = Counter()
    parts: list[Effects] = []
    for uncertainty in portfolio.uncertainties:
        name = (uncertainty.kind, uncertainty.name or "")
        parts.append(uncertainty.draw(streams.under(*name, str(namesakes[name])), known))
        namesakes[name] += 1
    return parts


def _bad(field: str, message: str) -> BadInput:
    return BadInput([Problem("portfolio", 0, 0, "scenarios.bad", field, message)])
