"""Contracts: vendors, pools, dates and amounts that do not go together."""

from __future__ import annotations

from collections.abc import Iterator

from argosy.model.agreement import Agreement, Capacity, Committed, Sized
from argosy.model.consistency.known import SUM_TOLERANCE, World, beyond, repeated
from argosy.model.fault import Fault, Path
from argosy.model.open_supply import Open
from argosy.model.portfolio import Portfolio
from argosy.model.terms import Clauses
from argosy.units import Month

# Clauses that count in accelerators and mean nothing for a commitment in money.
CAPACITY_CLAUSES = ("shortfall", "expansion_option", "backstop", "right_of_first_refusal", "equity")


def contract_faults(world: World, path: Path, contract: Agreement) -> Iterator[Fault]:
    """One contract: whom it is with, where it is used, when, and how much of it there is."""
    unknown = world.unknown("vendor", contract.vendor, (*path, "vendor"))
    yield from unknown
    for where, pool in _pools_of(contract):
        missing = world.unknown("pool", pool, (*path, *where))
        yield from missing
        if not missing and not unknown:
            yield from _pool_fits(world, (*path, *where), contract, pool)
    right = contract.right_of_first_refusal
    if right is not None:
        at = (*path, "right_of_first_refusal")
        holder = world.unknown("vendor", right.holder, (*at, "holder"))
        pool_missing = world.unknown("pool", right.pool, (*at, "pool"))
        yield from [*holder, *pool_missing]
        owner = world.vendor_of_pool(right.pool)
        if owner is not None and not holder and owner != right.holder:
            message = f"pool {right.pool!r} is {owner}'s; {right.holder} would serve from its own"
            yield Fault((*at, "pool"), "reference.mismatch", message)
        if right.holder == contract.vendor:
            message = f"{right.holder} cannot match its own contract; the holder is another vendor"
            yield Fault((*at, "holder"), "reference.mismatch", message)
    site = getattr(contract, "site", None)
    if isinstance(site, str):
        yield from _site_fits(world, path, contract, site)
    yield from _idle_clauses(path, contract)
    if isinstance(contract, Sized):
        yield from _dates(world, path, contract)
        yield from _amounts(path, contract)
    elif isinstance(contract, Open) and contract.start is not None and contract.start >= world.portfolio.horizon.end:
        yield beyond(world, (*path, "start"), contract.start)


def _idle_clauses(path: Path, contract: Agreement) -> Iterator[Fault]:
    """A clause that the kind does not reduce to supply would be read and then forgotten."""
    for name in Clauses.model_fields:
        counted = isinstance(contract, Capacity) and name not in contract.idle_clauses
        idle = not counted and (not isinstance(contract, Sized) or name in CAPACITY_CLAUSES)
        if name != "source" and idle and getattr(contract, name) is not None:
            message = f"a contract of kind {contract.kind} has no use for {name}; remove it or choose another kind"
            yield Fault((*path, name), "clause.idle", message, at_key=True)


def _pools_of(contract: Agreement) -> Iterator[tuple[Path, str]]:
    """The pools that a contract draws from, each with the field that names it."""
    if isinstance(contract, Capacity):
        yield from ((("pools", i), pool) for i, pool in enumerate(contract.pools))
    elif isinstance(contract, Open):
        yield ("pool",), contract.pool
    else:
        yield from ((("prices", i, "pool"), pool) for i, pool in enumerate(contract.pool_ids()))


def _pool_fits(world: World, path: Path, contract: Agreement, pool_id: str) -> Iterator[Fault]:
    owner = world.vendor_of_pool(pool_id)
    if owner is not None and owner != contract.vendor:
        message = f"pool {pool_id!r} is {owner}'s and the contract is with {contract.vendor}"
        yield Fault(path, "reference.mismatch", message)
    tier = world.pools[pool_id].tier
    if (tier == "spot") != (contract.kind == "spot"):
        wanted = "a pool of tier spot" if contract.kind == "spot" else "a dedicated pool"
        yield Fault(path, "pool.tier", f"{contract.kind} needs {wanted}; {pool_id!r} is of tier {tier}")


def _site_fits(world: World, path: Path, contract: Agreement, site_id: str) -> Iterator[Fault]:
    missing = world.unknown("site", site_id, (*path, "site"))
    yield from missing
    if missing:
        return
    region = next(site.region for site in world.portfolio.sites if site.id == site_id)
    for where, pool in _pools_of(contract):
        stands = world.pools[pool].region if pool in world.pools else None
        if stands is not None and stands != region and {stands, region} <= world.ids["region"]:
            message = f"pool {pool!r} stands in {stands}, the site {site_id!r} in {region}"
            yield Fault((*path, *where), "reference.mismatch", message)


def _dates(world: World, path: Path, contract: Sized) -> Iterator[Fault]:
    horizon = world.portfolio.horizon
    start, end = contract.start, contract.start.plus(contract.term_months)
    if end <= horizon.start:
        message = f"the term ends in {end.plus(-1)}, before the plan begins in {horizon.start}; remove the contract"
        yield Fault((*path, "start"), "date.past", message)
    elif contract.status == "candidate" and start < horizon.start:
        message = f"a candidate cannot start before the plan does, in {horizon.start}; is it signed?"
        yield Fault((*path, "start"), "date.past", message)
    if start >= horizon.end:
        yield beyond(world, (*path, "start"), start)
    if contract.signing is not None:
        if contract.signing > start:
            message = f"signing in {contract.signing} comes after the start in {start}"
            yield Fault((*path, "signing"), "date.order", message)
        if contract.status == "candidate" and contract.signing < horizon.start:
            message = f"a candidate cannot be signed before the plan begins in {horizon.start}"
            yield Fault((*path, "signing"), "date.past", message)
    for i, tranche in enumerate(contract.tranches):
        if tranche.start < start:
            message = f"the tranche of {tranche.start} comes before the start in {start}"
            yield Fault((*path, "tranches", i, "start"), "date.order", message)
    yield from _right_dates(path, contract, start, end)
    yield from _silicon_dates(world, path, contract)


def _right_dates(path: Path, contract: Sized, start: Month, end: Month) -> Iterator[Fault]:
    """Dates of the expansion option and of the exit lie in the term."""
    term = f"the term from {start} to {end.plus(-1)}"
    if contract.exit is not None:
        at = (*path, "exit", "earliest")
        if contract.exit.earliest < start:
            yield Fault(at, "date.order", f"notice in {contract.exit.earliest} would come before {term}")
        elif contract.exit.earliest.plus(contract.exit.notice_months) >= end:
            notice = f"notice in {contract.exit.earliest} with {contract.exit.notice_months} months"
            yield Fault(at, "date.order", f"{notice} does not end before {term} does")
    option = contract.expansion_option
    if option is not None:
        for name in ("first_exercise", "last_exercise"):
            month: Month | None = getattr(option, name)
            if month is not None and not start <= month < end:
                yield Fault((*path, "expansion_option", name), "date.order", f"{month} lies outside {term}")
        if option.last_exercise is not None and option.last_exercise < option.first_exercise:
            message = f"last_exercise {option.last_exercise} comes before first_exercise {option.first_exercise}"
            yield Fault((*path, "expansion_option", "last_exercise"), "date.order", message)
        if option.last_exercise is None and option.exercise_dates > 1:
            message = f"{option.exercise_dates} dates need a last_exercise"
            yield Fault((*path, "expansion_option", "exercise_dates"), "date.order", message)


def _silicon_dates(world: World, path: Path, contract: Sized) -> Iterator[Fault]:
    """A chip that ships only after the term ends is never delivered."""
    end = contract.start.plus(contract.term_months)
    for where, pool in _pools_of(contract):
        chip = world.chip_of_pool(pool)
        if chip is not None and chip.available_from is not None and chip.available_from >= end:
            message = f"{chip.id} ships from {chip.available_from}, after the term ends in {end.plus(-1)}"
            yield Fault((*path, *where), "date.order", message)


def _amounts(path: Path, contract: Sized) -> Iterator[Fault]:
    paid = contract.prepayment
    if paid is not None:
        if paid.fraction + paid.optional_fraction > 1 + SUM_TOLERANCE:
            total = paid.fraction + paid.optional_fraction
            message = f"fraction and optional_fraction sum to {total:g}; no more than all fees can be prepaid"
            yield Fault((*path, "prepayment", "fraction"), "field.value", message)
        if paid.credit_months > contract.term_months:
            message = f"credited over {paid.credit_months} months, but the term has {contract.term_months}"
            yield Fault((*path, "prepayment", "credit_months"), "field.value", message)
    low, high = getattr(contract, "min_usd_per_month", None), getattr(contract, "max_usd_per_month", None)
    if low is not None and high is not None and low > high:
        message = f"min_usd_per_month ({low:g}) is above max_usd_per_month ({high:g})"
        yield Fault((*path, "min_usd_per_month"), "field.value", message)
    if isinstance(contract, Capacity):
        yield from repeated((*path, "pools"), contract.pools)
    else:
        yield from repeated((*path, "prices"), contract.pool_ids(), "pool")
    if isinstance(contract, Committed):
        top = contract.max_accelerators if contract.accelerators is None else contract.accelerators
        seen = set()
        for i, tier in enumerate(contract.volume_tiers):
            at = (*path, "volume_tiers", i, "from_accelerators")
            if top is not None and contract.status == "candidate" and tier.from_accelerators > top:
                message = f"from {tier.from_accelerators:g} accelerators is above max_accelerators ({top:g})"
                yield Fault(at, "field.value", message)
            if tier.from_accelerators in seen:
                yield Fault(at, "field.value", f"two prices hold from {tier.from_accelerators:g} accelerators")
            seen.add(tier.from_accelerators)


def exclusive(portfolio: Portfolio) -> Iterator[Fault]:
    """Of contracts that exclude each other at most one is signed."""
    signed: dict[str, str] = {}
    for i, contract in enumerate(portfolio.contracts):
        if isinstance(contract, Sized) and contract.alternatives and contract.status == "signed":
            other = signed.setdefault(contract.alternatives, contract.id)
            if other != contract.id:
                message = f"{contract.id!r} and {other!r} are both signed but exclude each other"
                yield Fault(("contracts", i, "alternatives"), "contract.exclusive", message)
