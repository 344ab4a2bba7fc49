"""Result, contracts: what is decided about contracts, options, ports, copies and sites. Called by `result`."""

from __future__ import annotations

from argosy.model.decision import (
    ContractDecision,
    LaterDecision,
    PortDecision,
    Reason,
    ReplicaDecision,
    SiteDecision,
)
from argosy.model.supply import Supply
from argosy.plan import delivery
from argosy.plan.program import EXERCISE, EXIT
from argosy.plan.project_results import opened_ports
from argosy.plan.result_reader import SMALL, Reader, mean_later_sizes


def decisions(reader: Reader) -> tuple[ContractDecision, ...]:
    """One row per contract; the rows of volume tiers are one decision."""
    world, x = reader.world, reader.values.first
    contracts = {contract.id: contract for contract in world.portfolio.contracts}
    by_contract: dict[str, list[int]] = {}
    for k, row in enumerate(world.sized):
        by_contract.setdefault(row.contract, []).append(k)
    later_size = mean_later_sizes(reader)
    out = []
    for contract, rows in by_contract.items():
        chosen = max(rows, key=lambda k: x["size"][k] + later_size[k])
        row, unit = world.sized[chosen], world.size_unit(world.sized[chosen])
        size = float(x["size"][chosen]) * unit
        given = row.signed_size is not None
        signed = given or bool(x["sign"][chosen] > 0.5 and size > SMALL * unit)
        reason: Reason = "given" if given else "chosen" if signed else "not_chosen"
        if not signed and later_size[chosen] > SMALL:
            reason = "later"
        cash = delivery.profile(row.tranches, row.end_month, world.calendar.horizon.months)
        fees = delivery.Fees.of(row, world.calendar, reader.scale, reader.money)
        assert row.commitment is not None
        bill = float((cash * fees.amount).sum()) * row.commitment.take_or_pay_fraction * fees.committed * reader.money
        out.append(
            ContractDecision(
                contract=contract,
                name=contracts[contract].name,
                vendor=row.vendor,
                kind=contracts[contract].kind,
                pools=tuple(dict.fromkeys(use.pool for use in row.uses)),
                signed=signed,
                reason=reason,
                size=size,
                max_size=max(_size_limit(world.sized[k]) for k in rows),
                unit=row.unit,
                start=reader.month(_term_start(row)),
                end=reader.month(row.end_month),
                option_size=float(x["option"][chosen]) * unit,
                committed_usd=bill * float(x["size"][chosen]),
                committed_present_value_usd=float(
                    reader.program.committed_value[chosen] * x["size"][chosen] * reader.money
                ),
            )
        )
    return tuple(out)


def _size_limit(row: Supply) -> float:
    return row.max_size if row.signed_size is None else row.signed_size


def _term_start(row: Supply) -> int:
    return delivery.first_delivery(row)


def later(reader: Reader) -> tuple[LaterDecision, ...]:
    """Exercises, exits and later signings that happen in some cluster of futures."""
    out = []
    for e, x in enumerate(reader.inputs.later):
        row = reader.world.sized[x.row]
        size = float(reader.values.first["later"][e]) * reader.world.size_unit(row)
        if size <= SMALL * reader.world.size_unit(row):
            continue
        members = [scenario for scenario, inside in zip(reader.world.scenarios, x.member, strict=True) if inside]
        out.append(
            LaterDecision(
                contract=row.contract,
                action="exercise" if x.action == EXERCISE else "exit" if x.action == EXIT else "sign",
                month=reader.month(x.month),
                scenarios=tuple(scenario.id for scenario in members),
                probability=sum(scenario.probability for scenario in members),
                size=size,
                unit=row.unit,
            )
        )
    return tuple(out)


def ports(reader: Reader) -> tuple[PortDecision, ...]:
    """Every port that could be made."""
    opened = opened_ports(reader.program, reader.values)
    return tuple(
        PortDecision(
            workload=workload,
            family=family,
            ported=bool(reader.values.first["port"][o] > 0.5) or o in opened,
            cost_usd=float(reader.program.port_cash[o, 0]) * reader.money,
        )
        for o, (workload, family) in enumerate(reader.inputs.ports)
    )


def replicas(reader: Reader) -> tuple[ReplicaDecision, ...]:
    """Copies of data that are kept."""
    out = []
    for r, (dataset, region) in enumerate(reader.inputs.replicas):
        share = float(reader.values.first["replica"][r])
        if share > SMALL:
            facts = reader.world.datasets[dataset]
            gib = facts.size_gib * share
            out.append(
                ReplicaDecision(
                    dataset=dataset,
                    region=region,
                    fraction=share,
                    gib=gib,
                    usd_per_month=gib * facts.storage_usd_per_gib,
                )
            )
    return tuple(out)


def sites(reader: Reader) -> tuple[SiteDecision, ...]:
    """Every own site, built or not."""
    x = reader.values.first
    return tuple(
        SiteDecision(
            site=site.id,
            built=bool(x["build"][b] > 0.5),
            mw=float(x["power"][b]),
            capex_usd=float(site.fixed_usd * x["build"][b] + site.capex_usd_per_mw * x["power"][b]),
        )
        for b, site in enumerate(reader.world.sites)
    )
