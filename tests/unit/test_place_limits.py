"""Rows that bind several pools or classes: power, concentration, floors, spread; each with its dual and its excuse."""

from __future__ import annotations

import pytest
from tests.unit.test_place_value import DE, ask, pool, where, world

from argosy.errors import BadInput
from argosy.model.snapshot import BurnDown, PowerLimit, SupplyState
from argosy.model.spread import Spread
from argosy.place import place
from argosy.place.check import check


def limit(placement, rule: str, name: str):
    return next(row for row in placement.limits if (row.rule, row.limit) == (rule, name))


def power(mw: float, **more) -> dict[str, object]:
    kw = {"facility_kw_per_accelerator": 2.0}
    pools = (pool("p", own_accelerators=32.0, **kw), pool("q", DE, own_accelerators=32.0, **kw))
    return {"pools": pools, "power_limits": (PowerLimit(id="hall", pools=("p",), max_mw=mw),), **more}


def test_P1_G_power_limits_what_runs_and_says_so() -> None:
    """16 kW for 8 accelerators: 0.04 MW are two asks; the third runs in the other pool, at a higher price."""
    mine = power(0.04)
    mine["pools"] = (mine["pools"][0], mine["pools"][1].model_copy(update={"usd_per_accelerator_hour": 3.0}))
    done = place(world(*(ask(f"j{i}") for i in range(3)), **mine))
    assert {row.pool: row.used_accelerators for row in done.pools} == {"p": 16.0, "q": 8.0}
    row = limit(done, "P1.G", "hall")
    assert (row.used, row.most, row.unit) == (pytest.approx(0.032), 0.04, "MW")
    # In the relaxation 20 accelerators run there; 0.002 MW more move one accelerator to where it is 1 USD cheaper.
    assert row.dual_usd_per_unit == pytest.approx(1 / 0.002)


def test_P1_G_excuse_names_the_limit_and_what_is_short() -> None:
    mine = power(0.01)
    done = place(world(ask("j"), pools=mine["pools"][:1], power_limits=mine["power_limits"]))
    excuse = done.unplaced[0].excuses[0]
    assert (excuse.rule, excuse.short, excuse.unit) == ("P1.G", pytest.approx(0.006), "MW")
    assert "hall has 0.01 of MW left and 0.016 are wanted" in excuse.limit


def test_a_power_limit_over_a_pool_of_unknown_power_is_an_error() -> None:
    with pytest.raises(BadInput, match="power limit hall needs the facility power of one accelerator of pool p"):
        place(world(ask("j"), pools=(pool("p"),), power_limits=(PowerLimit(id="hall", pools=("p",), max_mw=1.0),)))


def test_P1_V_excuse_names_the_vendor() -> None:
    done = place(world(ask("j"), pools=(pool("us"),), max_vendor_fraction=0.5))
    excuse = done.unplaced[0].excuses[0]
    assert (excuse.rule, excuse.short) == ("P1.V", pytest.approx(4.0))
    assert limit(done, "P1.V", "a").most == 0.0


def test_P1_C_counts_critical_work_only() -> None:
    """Half of the critical work at most with one vendor: one of the critical asks goes to the dear vendor."""
    pools = (pool("us", own_accelerators=32.0), pool("de", DE, own_accelerators=32.0, usd_per_accelerator_hour=3.0))
    mine = tuple(ask(f"j{i}", critical=i < 2) for i in range(4))
    done = place(world(*mine, pools=pools, max_critical_vendor_fraction=0.5))
    assert sorted(where(done).values()) == ["de", "us", "us", "us"]
    assert limit(done, "P1.C", "a").used == pytest.approx(8.0)


def floor(owed: float, price: float = 3.0, unmet: float = 2.0, **more) -> dict[str, object]:
    """A pool whose hours cost 3 USD, of which 2 are paid anyway until the floor is met."""
    pools = (pool("p", own_accelerators=0.0, usd_per_accelerator_hour=price),)
    burn = (BurnDown(supply="s", owed=owed, unmet_usd_per_unit=unmet),)
    supplies = (SupplyState(id="s", capacity=16.0, draw={"p": 1.0}),)
    return {"pools": pools, "supplies": supplies, "burn_downs": burn, **more}


def test_P1_B_owed_hours_are_cheap_until_the_floor_is_met() -> None:
    """Work worth 2 USD runs on hours that cost 3, of which 2 are paid anyway; the second ask does not."""
    done = place(world(ask("j", usd_per_unit=2.0), ask("k", usd_per_unit=1.9), **floor(9.0)))
    assert list(where(done)) == ["j"]
    row = limit(done, "P1.B", "s")
    assert (row.used, row.most) == (pytest.approx(8.0), 9.0)
    assert done.objective_value == pytest.approx(24 * (8 * (2.0 - 3.0) - 2.0))
    # In the relaxation a part of k runs on the ninth: it would need hours 1.1 USD cheaper.
    assert row.dual_usd_per_unit == pytest.approx(1.1)
    assert done.unplaced[0].excuses[0].rule == "price"


def test_P1_B_a_floor_that_is_not_met_costs_what_is_paid_for_nothing() -> None:
    done = place(world(ask("j", accelerators=4.0, usd_per_unit=5.0), **floor(8.0)))
    assert done.objective_value == pytest.approx(24 * (4 * (5 - 3) - 4 * 2))
    assert limit(done, "P1.B", "s").dual_usd_per_unit == pytest.approx(2.0)
    # Nothing is drawn that is not used (P1.Y).
    assert sum(row.accelerators for row in done.draws) == pytest.approx(4.0)


def test_P1_B_burn_down_comes_before_capacity_that_is_not_owed() -> None:
    more = floor(8.0)
    more["pools"] = (*more["pools"], pool("cheap", usd_per_accelerator_hour=2.5))
    assert where(place(world(ask("j"), **more))) == {"j": "p"}
    more["burn_downs"] = ()
    assert where(place(world(ask("j"), **more))) == {"j": "cheap"}


PAIR = (pool("us", own_accelerators=64.0), pool("de", DE, own_accelerators=64.0, usd_per_accelerator_hour=3.0))


@pytest.mark.parametrize("over", ["pool", "region", "vendor"])
def test_P1_H_replicas_are_spread_over_failure_domains(over: str) -> None:
    service = ask("s", count=6, accelerators=4.0, spread=Spread(over=over, max_fraction=0.5))
    done = place(world(service, pools=PAIR))
    assert {row.pool: row.count for row in done.assignments} == {"us": 3.0, "de": 3.0}


def test_P1_H_least_number_of_domains() -> None:
    service = ask("s", count=6, accelerators=4.0, spread=Spread(min_domains=2))
    assert {row.pool: row.count for row in place(world(service, pools=PAIR)).assignments} == {"us": 5.0, "de": 1.0}
    alone = place(world(service, pools=PAIR[:1]))
    assert not alone.assignments
    assert alone.unplaced[0].excuses[0].rule == "P1.H"


def test_P1_H_two_services_are_spread_each_by_itself() -> None:
    """Alike but for their name: one here and the other there would not do."""
    two = tuple(ask(f"s{i}", count=2, accelerators=4.0, spread=Spread(max_fraction=0.5)) for i in range(2))
    done = place(world(*two, pools=PAIR))
    assert sorted((row.ask, row.pool, row.count) for row in done.assignments) == [
        ("s0", "de", 1.0),
        ("s0", "us", 1.0),
        ("s1", "de", 1.0),
        ("s1", "us", 1.0),
    ]


def test_P1_H_flowing_demand_is_spread_by_work() -> None:
    service = ask("s", accelerators=1.0, units_per_hour=40.0, spread=Spread(max_fraction=0.75))
    done = place(world(service, pools=PAIR))
    assert {row.pool: pytest.approx(row.count) for row in done.assignments} == {"us": 30.0, "de": 10.0}


def test_P1_Q_part_of_a_service_stays_off_spot() -> None:
    pools = (pool("spot", tier="spot", own_accelerators=64.0, usd_per_accelerator_hour=0.5), *PAIR[:1])
    service = ask("s", count=8, accelerators=4.0, spot_goodput_fraction=0.9, firm_fraction=0.25)
    done = place(world(service, pools=pools))
    assert {row.pool: row.count for row in done.assignments} == {"spot": 6.0, "us": 2.0}


def test_spot_replicas_are_spread_over_zones_and_fall_back_when_one_is_lost() -> None:
    """Three spot pools and a dear firm one: tick by tick the service keeps its eight replicas at the lowest price."""
    zones = tuple(
        pool(f"zone-{i}", tier="spot", own_accelerators=16.0, usd_per_accelerator_hour=0.5 + 0.1 * i) for i in range(3)
    )
    firm = pool("firm", own_accelerators=64.0, usd_per_accelerator_hour=2.0)
    spread = Spread(over="pool", max_fraction=0.25, spot_only=True)
    service = ask(
        "s", count=8, accelerators=4.0, spot_goodput_fraction=0.95, firm_fraction=0.125, spread=spread, usd_per_unit=9.0
    )

    def counts(*pools):
        return {row.pool: row.count for row in place(world(service, pools=(*pools, firm))).assignments}

    assert counts(*zones) == {"zone-0": 2.0, "zone-1": 2.0, "zone-2": 2.0, "firm": 2.0}
    lost = zones[1].model_copy(update={"own_accelerators": 0.0})
    assert counts(zones[0], lost, zones[2]) == {"zone-0": 2.0, "zone-2": 2.0, "firm": 4.0}
    none = tuple(zone.model_copy(update={"own_accelerators": 0.0}) for zone in zones)
    assert counts(*none) == {"firm": 8.0}


def test_the_recount_sees_every_limit_that_is_broken() -> None:
    """A decision made without the limits does not survive the recount with them."""
    service = ask("s", count=6, accelerators=4.0, critical=True, owner="red", spot_goodput_fraction=1.0)
    kw = {"facility_kw_per_accelerator": 2.0}
    pools = (pool("spot", tier="spot", own_accelerators=64.0, **kw), pool("de", DE, usd_per_accelerator_hour=9.0, **kw))
    free = place(world(service, pools=pools))
    strict = world(
        service.model_copy(update={"spread": Spread(max_fraction=0.5, min_domains=2), "firm_fraction": 0.5}),
        pools=pools,
        max_vendor_fraction=0.5,
        max_critical_vendor_fraction=0.5,
        owner_shares={"red": 0.1},
        power_limits=(PowerLimit(id="hall", pools=("spot",), max_mw=0.01),),
    )
    broken = {rule for rule, residual in check(strict, free).items() if residual > 1e-6}
    assert {"P1.V", "P1.C", "P1.O", "P1.G", "P1.H", "P1.Q"} <= broken
    dear = free.model_copy(update={"objective_value": free.objective_value * 1.01})
    assert check(world(service, pools=pools), dear)["money"] > 1e-6


def test_P1_L_nothing_is_drawn_that_is_not_used() -> None:
    pools = (pool("p", own_accelerators=4.0), pool("q", own_accelerators=0.0))
    supplies = tuple(SupplyState(id=name, capacity=64.0, draw={"p": 1.0, "q": 1.0}) for name in ("s", "t"))
    done = place(world(ask("j", accelerators=8.0), pools=pools, supplies=supplies))
    used = sum(row.used_accelerators for row in done.pools if row.pool == "q")
    assert sum(row.accelerators for row in done.draws) == pytest.approx(used or 4.0)
    assert sum(limit(done, "P1.L", name).used for name in ("s", "t")) == pytest.approx(used or 4.0)


def test_what_runs_is_stopped_when_a_limit_falls_below_it() -> None:
    """P1.E asks for a newcomer for every stop; a brown-out is a reason of its own, and what is fixed goes last."""
    mine = power(0.02)
    running = tuple(ask(f"r{i}", running_in="p", usd_per_unit=4.0 + i, preemptible=i != 0) for i in range(3))
    done = place(world(*running, pools=mine["pools"][:1], power_limits=mine["power_limits"]))
    assert done.forced
    assert where(done) == {"r0": "p"}
    assert {row.reason for row in done.evictions} == {"a limit has fallen below what runs"}
    none = place(world(*running, pools=mine["pools"][:1], power_limits=power(0.01)["power_limits"]))
    assert not none.assignments
    free = place(world(*running, pools=mine["pools"][:1]))
    assert (free.forced, len(free.assignments)) == (False, 3)
    lie = none.model_copy(update={"objective_value": 0.0})
    assert check(world(*running, pools=mine["pools"][:1]), lie)["forced"] == 1.0


def test_a_running_service_whose_rule_is_new_moves_or_shrinks() -> None:
    """P1.H: four replicas in one region; the other has room for one."""
    service = ask("s", count=4, accelerators=4.0, running_in="us", spread=Spread(max_fraction=0.5))
    pools = (pool("us", own_accelerators=16.0), pool("de", DE, own_accelerators=4.0))
    done = place(world(service, pools=pools))
    assert done.forced
    assert sorted((row.pool, row.count, row.change) for row in done.assignments) == [
        ("de", 1.0, "migrate"),
        ("us", 1.0, "stay"),
    ]
    assert done.evictions[0].count == 2.0
