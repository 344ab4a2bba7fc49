"""Futures: probabilities, and what uncertainties and scenarios say they hit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from argosy.model.agreement import Agreement, Sized
from argosy.model.consistency.known import SUM_TOLERANCE, World, beyond
from argosy.model.fault import Fault, Path
from argosy.model.open_supply import Open
from argosy.record import Record

# Fields that hold ids, in whatever record of an uncertainty they stand: the name says of what.
ID_FIELDS = {
    "vendor": "vendor", "vendors": "vendor",
    "region": "region", "regions": "region",
    "pool": "pool", "pools": "pool",
    "site": "site", "sites": "site",
    "contract": "contract", "contracts": "contract",
    "workload": "workload", "workloads": "workload",
    "silicon": "silicon",
}  # fmt: skip


def uncertainty_faults(world: World) -> Iterator[Fault]:
    """Names in the uncertainties, of whatever kind."""
    for i, uncertainty in enumerate(world.portfolio.uncertainties):
        yield from _ids_in(world, uncertainty, ("uncertainties", i))


def _ids_in(world: World, record: Record, path: Path) -> Iterator[Fault]:
    """Kinds of uncertainty are many and know no other records; their field names say what they refer to."""
    for name in type(record).model_fields:
        value, noun = getattr(record, name), ID_FIELDS.get(name)
        if isinstance(value, Record):
            yield from _ids_in(world, value, (*path, name))
        elif noun and isinstance(value, str):
            yield from world.unknown(noun, value, (*path, name))
        elif noun and isinstance(value, Mapping):
            for word in value:
                yield from world.unknown(noun, str(word), (*path, name, str(word)), at_key=True)
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                if isinstance(item, Record):
                    yield from _ids_in(world, item, (*path, name, i))
                elif noun and isinstance(item, str):
                    yield from world.unknown(noun, item, (*path, name, i))


def scenario_faults(world: World) -> Iterator[Fault]:
    """Probabilities, and what the given scenarios hit and when."""
    scenarios, horizon = world.portfolio.scenarios, world.portfolio.horizon
    total = sum(s.probability for s in scenarios.given)
    if total > 1 + SUM_TOLERANCE:
        yield _probability(f"the probabilities sum to {total:g}; together they are at most 1")
    elif scenarios.given and not scenarios.count and total < 1 - SUM_TOLERANCE:
        yield _probability(f"the probabilities sum to {total:g}, not 1, and count draws no further scenarios")
    elif scenarios.given and scenarios.count and total > 1 - SUM_TOLERANCE:
        yield _probability(f"the probabilities sum to {total:g}; nothing is left for the {scenarios.count} drawn ones")
    if scenarios.count and not world.portfolio.uncertainties:
        message = f"{scenarios.count} scenarios are to be drawn, but no uncertainties are written"
        yield Fault(("scenarios", "count"), "scenario.nothing_to_draw", message)
    for i, scenario in enumerate(scenarios.given):
        path = ("scenarios", "given", i)
        yield from _effects(world, scenario, path)
        for j, outage in enumerate(scenario.outages):
            at = (*path, "outages", j)
            yield from world.unknown_of(("vendor", "region", "pool"), outage.place, (*at, "place"))
            if outage.start >= horizon.end:
                yield beyond(world, (*at, "start"), outage.start)
            elif outage.start.plus(outage.months) <= horizon.start:
                message = f"the outage ends before the plan begins in {horizon.start}"
                yield Fault((*at, "start"), "date.past", message)
        for vendor, month in scenario.default_month.items():
            if month >= horizon.end:
                yield beyond(world, (*path, "default_month", vendor), month)


def _probability(message: str) -> Fault:
    return Fault(("scenarios", "given"), "scenario.probability", message)


def _effects(world: World, scenario: Any, path: Path) -> Iterator[Fault]:
    """Every subject of an effect exists and is of a sort that the effect can hit."""
    contracts = {c.id: c for c in reversed(world.portfolio.contracts)}
    rules: dict[str, tuple[tuple[str, ...], tuple[str, ...], Callable[[Agreement], bool], str]] = {
        "demand_factor": (("workload",), ("all",), _any, ""),
        "delivery_delay_months": (("contract", "vendor"), (), _sized, "has no delivery that could be late"),
        "default_month": (("vendor",), (), _any, ""),
        "price_factor": (("contract", "vendor"), (), _open, "has a contracted price"),
        "capacity_factor": (("contract", "vendor"), (), _open, "has a contracted size"),
        "energisation_delay_months": (("site",), (), _any, ""),
        "matched_fraction": (("contract",), (), _matched, "has no right_of_first_refusal"),
        "unsold_fraction": (("contract",), (), _backstopped, "has no backstop"),
    }
    for name, (nouns, also, fits, why) in rules.items():
        for word in getattr(scenario, name):
            at = (*path, name, word)
            yield from world.unknown_of(nouns, word, at, at_key=True, also=also)
            contract = contracts.get(word) if "contract" in nouns else None
            if contract is not None and not fits(contract):
                yield Fault(at, "reference.mismatch", f"{contract.kind} contract {word!r} {why}", at_key=True)
            if contract is not None and "vendor" in nouns and word in world.ids["vendor"]:
                message = f"{word!r} is both a contract and a vendor; rename the contract"
                yield Fault(at, "reference.ambiguous", message, at_key=True)


def _any(_: Agreement) -> bool:
    return True


def _sized(contract: Agreement) -> bool:
    return isinstance(contract, Sized)


def _open(contract: Agreement) -> bool:
    return isinstance(contract, Open)


def _matched(contract: Agreement) -> bool:
    return contract.right_of_first_refusal is not None


def _backstopped(contract: Agreement) -> bool:
    return contract.backstop is not None
