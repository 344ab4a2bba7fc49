"""`argosy check`: is a portfolio in order, and what is in it?"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from argosy.cli.problems import print_json, reported
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.agreement import Committed
from argosy.model.catalogue import Catalogue
from argosy.model.open_supply import Open
from argosy.model.portfolio import Portfolio
from argosy.model.reach import Reach
from argosy.settings import Settings

# Public prices of one chip differ by a factor of three between vendors; an instance has eight accelerators.
FAR_ABOVE = 3.0
SECTIONS = ("pools", "sites", "datasets", "contracts", "workloads", "uncertainties", "teams", "projects")


def check(
    portfolio: Annotated[Path, typer.Argument(help="A YAML file, or a folder of them.", metavar="PORTFOLIO")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False,
) -> None:
    """Check a portfolio: every problem with its line, or a short summary when all is well."""
    with reported(as_json):
        catalogue = bundled()
        answer = summary(load(portfolio, Settings(), catalogue=catalogue), catalogue)
        if as_json:
            print_json({"status": "ok", **answer})
        else:
            typer.echo("\n".join(_lines(answer)))


def summary(portfolio: Portfolio, catalogue: Catalogue) -> dict[str, Any]:
    """Counts, the horizon, the pools each workload can use, and what is in order but perhaps not meant.

    The keys are those of `--json` and stay as they are.
    """
    portfolio = portfolio.with_catalogue(catalogue)
    reach, horizon = Reach(portfolio), portfolio.horizon
    return {
        "name": portfolio.name,
        "title": portfolio.title,
        "horizon": {
            "start": str(horizon.start),
            "last": str(horizon.end.plus(-1)),
            "months": horizon.months,
            "step_months": horizon.step_months,
        },
        "counts": {section: len(getattr(portfolio, section)) for section in SECTIONS}
        | {"scenarios_given": len(portfolio.scenarios.given), "scenarios_drawn": portfolio.scenarios.count},
        "contracts_by_kind": dict(sorted(Counter(c.kind for c in portfolio.contracts).items())),
        "workloads": [
            {"id": w.id, "kind": w.kind, "pools": [pool.id for pool in reach.pools(w)]} for w in portfolio.workloads
        ],
        "notes": [*_notes(portfolio, reach), *_price_notes(portfolio, catalogue)],
    }


def _notes(portfolio: Portfolio, reach: Reach) -> list[str]:
    """What is no mistake and yet worth a look."""
    notes = []
    used = {pool.id for workload in portfolio.workloads for pool in reach.pools(workload)}
    idle = [pool.id for pool in portfolio.pools if pool.id not in reach.supplied]
    if idle:
        notes.append(f"no contract names the pools {', '.join(idle)}, and they have no existing accelerators")
    unwanted = [pool.id for pool in portfolio.pools if pool.id in reach.supplied and pool.id not in used]
    if unwanted:
        notes.append(f"no workload can use the pools {', '.join(unwanted)}")
    if portfolio.policy.adequacy and not any(w.critical for w in portfolio.workloads):
        notes.append("policy.adequacy protects critical workloads, but none is marked critical")
    if portfolio.uncertainties and not portfolio.scenarios.count:
        notes.append("uncertainties are written, but scenarios.count is 0: nothing is drawn from them")
    read = {w.dataset for w in portfolio.workloads}
    unread = [d.id for d in portfolio.datasets if d.id not in read]
    if unread:
        notes.append(f"no workload reads the datasets {', '.join(unread)}")
    return notes


def _price_notes(portfolio: Portfolio, catalogue: Catalogue) -> list[str]:
    """Prices far above every public one for the chip: per instance, perhaps, and not per accelerator."""
    highest: dict[str, float] = {}
    for offer in catalogue.offers:
        highest[offer.silicon] = max(offer.usd_per_accelerator_hour, highest.get(offer.silicon, 0.0))
    chips = {pool.id: pool.silicon for pool in portfolio.pools}
    notes = []
    for contract in portfolio.contracts:
        if isinstance(contract, Committed):
            price = contract.usd_per_accelerator_hour
        elif isinstance(contract, Open):
            price = min(tier.usd_per_accelerator_hour for tier in contract.tiers)
        else:
            continue
        public = max(highest.get(chips[pool], math.inf) for pool in contract.pool_ids())
        if price > FAR_ABOVE * public:
            asks = f"contract {contract.id} asks {price:g} USD per accelerator-hour"
            notes.append(f"{asks}; the highest public price is {public:g}: is it a price per instance?")
    return notes


def _lines(answer: dict[str, Any]) -> list[str]:
    horizon, counts = answer["horizon"], answer["counts"]
    months = f"{horizon['months']} months in steps of {horizon['step_months']}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in answer["contracts_by_kind"].items())
    lines = [
        f"{answer['name']}: in order",
        f"  horizon    {horizon['start']} to {horizon['last']}, {months}",
        f"  contracts  {counts['contracts']}" + (f" ({kinds})" if kinds else ""),
        f"  pools      {counts['pools']}, sites {counts['sites']}, datasets {counts['datasets']}",
        f"  scenarios  {counts['scenarios_given']} given, {counts['scenarios_drawn']} drawn"
        f" from {counts['uncertainties']} uncertainties",
        *([f"  projects   {counts['projects']}, teams {counts['teams']}"] if counts["projects"] else []),
        f"  workloads  {counts['workloads']}",
    ]
    width = max((len(w["id"]) for w in answer["workloads"]), default=0)
    total = counts["pools"]
    lines += [f"    {w['id']:<{width}}  {w['kind']}, {len(w['pools'])} of {total} pools" for w in answer["workloads"]]
    return lines + [f"note: {note}" for note in answer["notes"]]
