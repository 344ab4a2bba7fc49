"""Result: a checked solution as a `Plan`. With its parts, the only place where positions become ids again."""

from __future__ import annotations

from argosy.model.decision import Certificate, Plan
from argosy.plan import result_contracts, result_money, result_use
from argosy.plan.check import tail_mean
from argosy.plan.excuses import excuses, fee_margins
from argosy.plan.prices import price_terms, prices
from argosy.plan.project_results import project_fields
from argosy.plan.result_reader import Reader

__all__ = ["Reader", "plan"]


def plan(reader: Reader, certificate: Certificate, seed: int) -> Plan:
    """All records of a plan."""
    world, program, recount = reader.world, reader.program, reader.recount
    portfolio = world.portfolio
    solution = reader.solution
    worst = tail_mean(program.probability, recount.scenario_cost, program.tail)
    terms = price_terms(reader.inputs, reader.values, solution, reader.template.second)
    return Plan(
        status=solution.status,
        portfolio=portfolio.name,
        title=portfolio.title or portfolio.name,
        start=portfolio.horizon.start,
        months=portfolio.horizon.months,
        step_months=portfolio.horizon.step_months,
        objective_usd=certificate.upper_usd,
        bound_usd=certificate.lower_usd,
        gap_fraction=certificate.gap_fraction,
        certificate=certificate,
        risk_aversion_fraction=program.risk_aversion,
        tail_fraction=program.tail,
        discount_rate_fraction=portfolio.policy.discount_rate_fraction,
        expected_usd=(recount.first_cost + float(program.probability @ recount.scenario_cost)) * reader.money,
        tail_usd=(recount.first_cost + worst) * reader.money,
        seed=seed,
        scenarios=result_money.scenarios(reader),
        decisions=result_contracts.decisions(reader),
        later=result_contracts.later(reader),
        ports=result_contracts.ports(reader),
        replicas=result_contracts.replicas(reader),
        sites=result_contracts.sites(reader),
        capacity=result_use.capacity(reader),
        work=result_use.work(reader),
        dispatch=result_use.dispatch(reader),
        prices=prices(world, terms),
        price_terms=terms,
        cash=result_money.cash(reader),
        commitments=result_money.commitments(reader),
        vendor_shares=result_money.vendor_shares(reader),
        adequacy=result_use.adequacy(reader),
        footprint=result_use.footprint(reader),
        **project_fields(reader.inputs, reader.values),
        fee_margins=fee_margins(reader.inputs, reader.values, solution, reader.template),
        excuses=excuses(reader.inputs, reader.values, solution, reader.template),
    )
