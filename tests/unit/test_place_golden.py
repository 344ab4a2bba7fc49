"""Golden decisions: written snapshots and what `place` answers to them, whole.

ARGOSY_WRITE_GOLDEN=1 writes the answers anew; read the difference before you keep it.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.unit.test_place_value import DE, LINK, ask, pool, world

from argosy.model.dataset import Dataset
from argosy.model.load import Residency
from argosy.model.snapshot import OBJECTIVES, BurnDown, NodeState, PowerLimit, Snapshot, SupplyState
from argosy.model.spread import Spread
from argosy.place import place
from argosy.place.explain import explanation

GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "place"
DIGITS = 9


def mixed() -> Snapshot:
    """Training, a service, spot, data to be moved, a move that pays, one that is stopped and one that is too dear."""
    pools = (
        pool("us", own_accelerators=32.0, usd_per_accelerator_hour=2.0),
        pool("us-spot", tier="spot", own_accelerators=24.0, usd_per_accelerator_hour=0.7),
        pool("de", DE, own_accelerators=32.0, usd_per_accelerator_hour=2.4),
    )
    work = {"remaining_units": 400.0}
    return world(
        ask("pretrain", accelerators=16.0, usd_per_unit=5.0, running_in="us", checkpoint_gib=100.0, **work),
        ask("eval", accelerators=4.0, count=3, usd_per_unit=3.0, spot_goodput_fraction=0.8, **work),
        ask(
            "tune",
            accelerators=8.0,
            usd_per_unit=4.0,
            datasets=("corpus",),
            residency=Residency(allowed=("EU",)),
            **work,
        ),
        ask("idle", accelerators=16.0, usd_per_unit=2.2, running_in="us", **work),
        ask("dear", accelerators=8.0, usd_per_unit=0.4, spot_goodput_fraction=0.5, **work),
        ask("urgent", accelerators=16.0, usd_per_unit=9.0, deadline_hours=30.0, **work),
        ask("chat", accelerators=1.0, units_per_hour=20.0, usd_per_unit=6.0, spread=Spread(max_fraction=0.6)),
        pools=pools,
        datasets=(Dataset(id="corpus", home="a/us", size_gib=500.0),),
        links=(LINK,),
    )


def limited() -> Snapshot:
    """Power, a floor, a shared supply, a critical share, spread and firm capacity at once."""
    kw = {"facility_kw_per_accelerator": 1.6}
    pools = (
        pool("p", own_accelerators=0.0, usd_per_accelerator_hour=2.5, **kw),
        pool("q", own_accelerators=16.0, **kw),
        pool("r", DE, own_accelerators=24.0, usd_per_accelerator_hour=2.2, **kw),
        pool("s", DE, own_accelerators=24.0, usd_per_accelerator_hour=0.9, tier="spot", **kw),
    )
    service = {"count": 8, "accelerators": 2.0, "spot_goodput_fraction": 0.9, "firm_fraction": 0.5}
    return world(
        ask("web", spread=Spread(over="vendor", min_domains=2, max_fraction=0.75), critical=True, **service),
        ask("batch", count=6, accelerators=4.0, usd_per_unit=2.3, owner="red"),
        ask("train", accelerators=16.0, usd_per_unit=6.0, critical=True),
        pools=pools,
        supplies=(SupplyState(id="floor", capacity=24.0, draw={"p": 1.0, "q": 1.25}),),
        burn_downs=(BurnDown(supply="floor", owed=16.0, unmet_usd_per_unit=1.5),),
        power_limits=(PowerLimit(id="all", pools=("p", "q", "r", "s"), max_mw=0.08),),
        max_critical_vendor_fraction=0.7,
        owner_shares={"red": 0.25},
    )


def racks() -> Snapshot:
    """Two racks of four servers of four; running work in the way, gangs for one domain, shares of a device."""
    nodes = tuple(NodeState(id=f"n{i}", pool="p", accelerators=4, domain=f"rack-{i // 4}") for i in range(8))
    return world(
        ask("old", accelerators=4.0, running_in="p", running_on=("n1",)),
        ask("gang", accelerators=16.0, one_domain=True, usd_per_unit=7.0),
        ask("second", accelerators=16.0, one_domain=True, usd_per_unit=6.0),
        ask("loose", accelerators=8.0, usd_per_unit=5.0),
        ask("share", count=3, accelerators=0.5),
        pools=(pool("p", own_accelerators=32.0),),
        nodes=nodes,
    )


def fair() -> Snapshot:
    """Two chips of different speed, three kinds of work with ends, for the objectives that give shares of time."""
    pools = (pool("h", own_accelerators=8.0), pool("a", DE, silicon="a100", own_accelerators=16.0))
    more = {"accelerators": 4.0, "remaining_units": 90.0}
    return world(
        ask("x", count=3, speed={"h100": 1.0, "a100": 0.4}, **more),
        ask("y", count=2, speed={"h100": 1.0, "a100": 0.8}, weight=2.0, attained_units=40.0, **more),
        ask("z", speed={"a100": 0.5}, elapsed_hours=12.0, **more),
        pools=pools,
    )


CASES = {
    **{f"mixed-{objective}": (mixed, objective) for objective in ("value", "cost")},
    "limited-value": (limited, "value"),
    "racks-value": (racks, "value"),
    **{f"fair-{objective}": (fair, objective) for objective in OBJECTIVES if objective not in ("value", "cost")},
}


def rounded(value: Any) -> Any:
    """Numbers to nine digits: the rest is the solver's."""
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if abs(value) > 1e-9 else 0.0
    if isinstance(value, dict):
        return {key: rounded(part) for key, part in value.items()}
    if isinstance(value, list):
        return [rounded(part) for part in value]
    return value


@pytest.mark.parametrize("name", CASES)
def test_golden_decision(name: str) -> None:
    make, objective = CASES[name]
    snapshot = make()
    done = place(snapshot, objective=objective)
    made = rounded(done.model_dump(mode="json", exclude={"solver", "worst_residual", "inputs_hash"}))
    made["explained"] = [line for row in snapshot.asks for line in explanation(done, row.id)]
    path = GOLDEN / f"{name}.json"
    if os.environ.get("ARGOSY_WRITE_GOLDEN"):
        path.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n")
    assert made == json.loads(path.read_text()), "run once with ARGOSY_WRITE_GOLDEN=1 if this is meant"


def test_every_golden_file_has_its_snapshot() -> None:
    assert sorted(path.stem for path in GOLDEN.glob("*.json")) == sorted(CASES)
