"""Records: ids that are written twice, and references of places, workloads and the policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from argosy.model.consistency.known import World, near, repeated
from argosy.model.fault import Fault, Path
from argosy.model.load import Residency
from argosy.model.portfolio import Portfolio
from argosy.model.routes import INTERNET, SAME_VENDOR


def duplicates(portfolio: Portfolio) -> Iterator[Fault]:
    """Ids that are written twice in one section, or that mean something else."""
    sections = (
        "vendors",
        "regions",
        "silicon",
        "pools",
        "sites",
        "datasets",
        "contracts",
        "workloads",
        "teams",
        "projects",
    )
    for section in sections:
        yield from repeated((section,), [record.id for record in getattr(portfolio, section)], "id")
    yield from repeated(("scenarios", "given"), [s.id for s in portfolio.scenarios.given], "id")
    for i, workload in enumerate(portfolio.workloads):
        if workload.id == "all":
            yield Fault(
                ("workloads", i, "id"), "id.reserved", "`all` means every workload in scenarios; use another id"
            )


def places(world: World) -> Iterator[Fault]:
    """Regions, links, pools, sites and datasets."""
    p = world.portfolio
    for i, region in enumerate(p.regions):
        yield from world.unknown("vendor", region.vendor, ("regions", i, "vendor"))
    for i, link in enumerate(p.links):
        yield from world.unknown_of(("region", "vendor"), link.start, ("links", i, "start"), also=(INTERNET,))
        yield from world.unknown_of(("region", "vendor"), link.end, ("links", i, "end"), also=(INTERNET, SAME_VENDOR))
    for i, pool in enumerate(p.pools):
        yield from world.unknown("region", pool.region, ("pools", i, "region"))
        yield from world.unknown("silicon", pool.silicon, ("pools", i, "silicon"))
    for i, site in enumerate(p.sites):
        yield from world.unknown("region", site.region, ("sites", i, "region"))
        if site.min_mw > site.max_mw:
            message = f"min_mw ({site.min_mw:g}) is above max_mw ({site.max_mw:g})"
            yield Fault(("sites", i, "min_mw"), "field.value", message)
    regions = {r.id: r for r in p.regions}
    for i, dataset in enumerate(p.datasets):
        yield from world.unknown("region", dataset.home, ("datasets", i, "home"))
        home, bound = regions.get(dataset.home), frozenset(dataset.jurisdictions)
        if bound:
            yield from known_places(world, dataset.jurisdictions, ("datasets", i, "jurisdictions"))
        if home and bound and not home.within(bound):
            message = (
                f"the home {home.id} ({home.jurisdiction}) lies outside the jurisdictions {', '.join(sorted(bound))}"
            )
            yield Fault(("datasets", i, "home"), "residency.unsatisfiable", message)


def workload_faults(world: World, i: int) -> Iterator[Fault]:
    """Names in one workload."""
    workload, path = world.portfolio.workloads[i], ("workloads", i)
    for home in workload.homes:
        yield from world.unknown("region", home, (*path, "homes", home), at_key=True)
    for j, region in enumerate(() if workload.latency is None else workload.latency.users):
        yield from world.unknown("region", region, (*path, "latency", "users", j))
    for vendor in workload.vendor_goodput_fraction:
        yield from world.unknown("vendor", vendor, (*path, "vendor_goodput_fraction", vendor), at_key=True)
    for chip in workload.units_per_accelerator:
        yield from world.unknown("silicon", chip, (*path, "units_per_accelerator", chip), at_key=True)
    for j, chip in enumerate(workload.silicon):
        yield from world.unknown("silicon", chip, (*path, "silicon", j))
    if workload.dataset is not None:
        yield from world.unknown("dataset", workload.dataset, (*path, "dataset"))
    yield from _families(world, path, workload.runs_on_families, workload.porting, given=workload.model_fields_set)
    yield from _residency(world, workload.residency, (*path, "residency"))


def _families(
    world: World, path: Path, runs_on: Sequence[str], porting: Sequence[Any], *, given: Iterable[str]
) -> Iterator[Fault]:
    known = {chip.family for chip in world.portfolio.silicon}
    written: list[tuple[Path, str]]
    written = [(("runs_on_families", i), family) for i, family in enumerate(runs_on) if "runs_on_families" in given]
    written += [(("porting", i, "family"), port.family) for i, port in enumerate(porting)]
    for where, family in written:
        if family not in known:
            message = f"no silicon is of family {family!r}{near(family, known)}"
            yield Fault((*path, *where), "reference.unknown", message)
    for i, port in enumerate(porting):
        if port.family in runs_on:
            message = f"it runs on {port.family} already (runs_on_families); porting would cost nothing and is ignored"
            yield Fault((*path, "porting", i, "family"), "reference.duplicate", message)
    yield from repeated((*path, "porting"), [port.family for port in porting], "family")


def _residency(world: World, residency: Residency, path: Path) -> Iterator[Fault]:
    yield from known_places(world, residency.allowed, (*path, "allowed"))
    yield from known_places(world, residency.denied, (*path, "denied"))
    for i, word in enumerate(residency.denied):
        if word in residency.allowed:
            yield Fault((*path, "denied", i), "residency.unsatisfiable", f"{word!r} is both allowed and denied")


def known_places(world: World, words: Sequence[str], path: Path) -> Iterator[Fault]:
    """A place that matches no region would silently allow or deny nothing. Country codes may be of no region here."""
    p = world.portfolio
    known = {*world.ids["region"], *world.ids["vendor"]}
    known |= {place for region in p.regions for place in (region.jurisdiction, *region.zones)}
    for i, word in enumerate(words):
        country = len(word) == 2 and word.isalpha() and word.isupper() and word != "UK"
        if word not in known and not country:
            hint = "; did you mean 'GB'?" if word == "UK" else near(word, known) or "; countries are codes such as DE"
            message = f"no region has the country, zone, vendor or id {word!r}{hint}"
            yield Fault((*path, i), "reference.unknown", message)


def policy_faults(world: World) -> Iterator[Fault]:
    """Names in the policy, and limits without a content."""
    policy = world.portfolio.policy
    yield from _residency(world, policy.residency, ("policy", "residency"))
    for i, vendor in enumerate(policy.excluded_vendors):
        yield from world.unknown("vendor", vendor, ("policy", "excluded_vendors", i))
    if policy.cash is not None and not policy.cash.usd_per_year:
        yield Fault(("policy", "cash", "usd_per_year"), "field.length", "a cash limit needs at least one year")
    if policy.adequacy is not None and not policy.adequacy.loss_of:
        yield Fault(("policy", "adequacy", "loss_of"), "field.length", "name what may be lost: vendor, region or both")
