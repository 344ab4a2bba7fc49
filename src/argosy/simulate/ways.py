"""Ways: the links that a simulation may need, checked before it begins.

M14  A dataset may be copied from its home, and a checkpoint carried between any two regions where the work may run. A
     way without a price or a median throughput is an error that names it: no transfer is free, none takes no time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from argosy.errors import BadInput, Problem
from argosy.model.load import Load
from argosy.model.portfolio import Portfolio
from argosy.model.reach import Reach
from argosy.model.routes import INTERNET, SAME_VENDOR, link_between


def check_ways(portfolio: Portfolio, pools: Sequence[str]) -> None:
    """M14, for work that arrives as asks and the pools that give anything. BadInput names one way of each kind."""
    reach = Reach(portfolio)
    problems: dict[tuple[str, str, str], Problem] = {}
    for workload in portfolio.workloads:
        if workload.pattern.flows:
            continue
        for start, end, what in _ways(reach, workload, frozenset(pools)):
            link = link_between(portfolio.links, reach.regions[start], reach.regions[end])
            if link is not None and link.p50_gbit_per_second is not None:
                continue
            one, other = reach.regions[start].vendor, reach.regions[end].vendor
            to = SAME_VENDOR if one == other else INTERNET
            code, lacks = ("link.missing", "no link has a price") if link is None else (
                "link.throughput",
                f"the link {link.start} to {link.end} does not say how fast it is",
            )  # fmt: skip
            remedy = f"write under links: {{start: {one}, end: {to}, usd_per_gib: ..., p50_gbit_per_second: ...}}"
            message = f"{what} of {workload.id} may go from {start} to {end}, and {lacks}; {remedy}"
            problems.setdefault((code, one, to), Problem(portfolio.name, 0, 0, code, "links", message))
    if problems:
        raise BadInput(list(problems.values()))


def _ways(reach: Reach, workload: Load, pools: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    """(start, end, what) that a simulation could ask for."""
    runs_on = set(workload.runs_on_families)
    regions = sorted(
        {
            pool.region
            for pool in reach.pools(workload)
            if pool.id in pools and reach.silicon[pool.silicon].family in runs_on
        }
    )
    data = next((d for d in reach.portfolio.datasets if d.id == workload.dataset), None)
    if data is not None:
        for region in regions:
            free = not data.jurisdictions or reach.regions[region].within(frozenset(data.jurisdictions))
            if region != data.home and free:
                yield data.home, region, f"dataset {data.id}"
    if workload.pattern.checkpoint_gib > 0:
        yield from ((a, b, "a checkpoint") for a in regions for b in regions if a != b)
