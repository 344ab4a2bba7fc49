"""`argosy simulate` on recorded spot capacity: work with a deadline, or with `--replicas` a service."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console

from argosy.errors import BadInput, Problem
from argosy.files.traces._source import Source
from argosy.simulate.service import WAYS, Services, replay_services
from argosy.simulate.service_page import service_page
from argosy.simulate.spot import POLICIES as SPOT_POLICIES
from argosy.simulate.spot import SpotOutcome, gap_closed_fraction, replay
from argosy.simulate.spot_page import spot_page

FORMAT = "argosy.simulate/1"
CHANGEOVER_HOURS, SPOT_PRICE_RATIO, STARTS = 0.2, 0.3, 50


def spot(trace: Source, work: float, deadline: float, seed: int) -> tuple[dict[str, Any], str]:
    """Deadlines on spot (P5): what `--json` prints, and the page."""
    if deadline < work + CHANGEOVER_HOURS - 1e-9:
        message = f"the deadline must lie {CHANGEOVER_HOURS:g} h after the work or later: on demand has to start too"
        raise BadInput([Problem("--deadline", 0, 0, "option.range", "", message)])
    with Console(stderr=True).status("replaying") as status:
        found = replay(
            trace.availability(),
            work_hours=work,
            deadline_hours=deadline,
            changeover_hours=CHANGEOVER_HOURS,
            spot_price_ratio=SPOT_PRICE_RATIO,
            starts=STARTS,
            seed=seed,
            progress=lambda name: status.update(f"replaying {name}"),
        )
    return spot_document(found, work, deadline, seed), spot_page(found, work, deadline, seed)


def spot_document(found: list[SpotOutcome], work: float, deadline: float, seed: int) -> dict[str, Any]:
    """What `--json` prints for spot capacity."""
    mean = {p: sum(row.cost_fraction[p] for row in found) / len(found) for p in SPOT_POLICIES}
    least = [row.optimum_fraction for row in found if row.optimum_fraction is not None]
    return {
        "format": FORMAT,
        "simulation": "spot",
        "seed": seed,
        "work_hours": work,
        "deadline_hours": deadline,
        "changeover_hours": CHANGEOVER_HOURS,
        "spot_price_ratio": SPOT_PRICE_RATIO,
        "series": len(found),
        "starts": STARTS,
        "saving_fraction": {policy: 1 - cost for policy, cost in mean.items()},
        "optimum_saving_fraction": 1 - sum(least) / len(least) if len(least) == len(found) else None,
        "gap_closed_fraction": {p: gap_closed_fraction(found, p) for p in SPOT_POLICIES if p != "greedy"},
        "bound_saving_fraction": 1 - sum(row.bound_fraction for row in found) / len(found),
        "missed_deadlines": {p: sum(row.missed[p] for row in found) for p in SPOT_POLICIES},
    }


def services(trace: Source, replicas: int, extra: int, trust: float) -> tuple[dict[str, Any], str]:
    """Services on spot (P5.10 to P5.13): what `--json` prints, and the page."""
    found = replay_services(
        trace.availability(),
        wanted=replicas,
        extra=extra,
        trust_hours=trust,
        start_hours=CHANGEOVER_HOURS,
        spot_price_ratio=SPOT_PRICE_RATIO,
    )
    return services_document(found, replicas, extra, trust), service_page(found, replicas, extra, trust)


def services_document(found: Services, replicas: int, extra: int, trust: float) -> dict[str, Any]:
    """What `--json` prints for a service on spot capacity."""
    fields = ("cost_fraction", "available_fraction", "whole_fraction")
    return {
        "format": FORMAT,
        "simulation": "service",
        "replicas": replicas,
        "extra": extra,
        "trust_hours": trust,
        "start_hours": CHANGEOVER_HOURS,
        "spot_price_ratio": SPOT_PRICE_RATIO,
        **{field: {way: found.mean(way, field) for way in WAYS} for field in fields},
        "worlds": [
            {
                "together": world.together,
                "zones": list(world.zones),
                "days": world.days,
                "ways": {way: asdict(world.ways[way]) for way in WAYS},
            }
            for world in found.worlds
        ],
        "left_out": found.left_out,
    }
