"""From a portfolio to a snapshot: what is owed, which power there is, which share is critical."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support import worlds_plan as w

from argosy.errors import BadInput
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.portfolio import Portfolio
from argosy.model.snapshot import NodeState
from argosy.place import place
from argosy.place.check import check
from argosy.place.inputs import PlanRecord, snapshot
from argosy.settings import Settings
from argosy.simulate.run import FIRST_FIT, Setup, Simulation
from argosy.units import Month

MAY = Month.parse("2026-05")


def test_P1_B_a_reservation_owes_all_of_its_size_at_no_further_cost() -> None:
    """8 reserved at 2 USD beside a list price of 1.5: what is paid anyway is used first."""
    portfolio = w.world([w.sized(2.0, 8.0), w.on_demand(1.5, "e")], [w.work(8.0)])
    seen = snapshot(portfolio, MAY)
    (floor,) = seen.burn_downs
    assert (floor.supply, floor.owed, floor.unmet_usd_per_unit) == ("deal", 8.0, pytest.approx(2.0))
    assert {row.pool: row.used_accelerators for row in place(seen).pools} == {"a": pytest.approx(8.0), "e": 0.0}


def test_P1_B_what_is_left_to_use_comes_from_the_caller() -> None:
    """Half of the floor is met by other means: only 4 are owed, the other 4 run where they are cheaper."""
    portfolio = w.world([w.sized(2.0, 8.0), w.on_demand(1.5, "e")], [w.work(8.0)])
    seen = snapshot(portfolio, MAY, owed={"deal": 4.0})
    assert seen.burn_downs[0].owed == 4.0
    assert {row.pool: row.used_accelerators for row in place(seen).pools} == {
        "a": pytest.approx(4.0),
        "e": pytest.approx(4.0),
    }
    assert not snapshot(portfolio, MAY, owed={"deal": 0.0}).burn_downs
    with pytest.raises(BadInput, match="'other' is no contract with capacity in 2026-05"):
        snapshot(portfolio, MAY, owed={"other": 1.0})


def test_P1_B_take_or_pay_owes_its_share_only() -> None:
    contract = w.sized(2.0, 10.0, kind="take_or_pay", take_or_pay_fraction=0.6)
    (floor,) = snapshot(w.world([contract], [w.work(8.0)]), MAY).burn_downs
    assert floor.owed == pytest.approx(6.0)


def test_P1_G_the_policy_and_each_site_limit_power() -> None:
    site = {"id": "home", "region": "self/home", "max_mw": 0.02, "energised": "2026-04", "ramp_months": 4}
    build = {
        "id": "deal", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "home", "start": "2026-04",
        "term_months": 24, "status": "signed", "accelerators": 40.0, "capex_usd_per_accelerator": 10_000.0,
        "residual_fraction": 0.3, "kw_per_accelerator": 1.0, "running_usd_per_accelerator_hour": 0.1,
        "usd_per_mwh": 100.0,
    }  # fmt: skip
    policy = {"power": {"max_mw": {"2026-01": 0.5, "2026-05": 0.03}}}
    portfolio = w.world([build, w.on_demand(4.0)], [w.work(100.0)], sites=[site], policy=policy)
    seen = snapshot(portfolio, MAY)
    assert [(limit.id, limit.max_mw) for limit in seen.power_limits] == [("all", 0.03), ("home", pytest.approx(0.01))]
    done = place(seen)
    assert {row.pool: row.used_accelerators for row in done.pools} == {
        "a": pytest.approx(20.0),
        "own": pytest.approx(10.0),
    }
    assert all(row.dual_usd_per_unit > 0 for row in done.limits if row.rule == "P1.G")


def test_P1_C_the_share_of_critical_work_is_the_policys() -> None:
    policy = {"concentration": {"max_critical_service_fraction": 0.6}}
    contracts = [w.on_demand(1.0), w.on_demand(2.0, "b")]
    portfolio = w.world(contracts, [w.work(10.0, critical=True)], policy=policy)
    done = place(snapshot(portfolio, MAY))
    assert {row.pool: row.used_accelerators for row in done.pools} == {"a": pytest.approx(6.0), "b": pytest.approx(4.0)}


def test_nodes_of_a_pool_without_capacity_are_bad_input() -> None:
    portfolio = w.world([w.on_demand(1.0)], [w.work(1.0)])
    with pytest.raises(BadInput, match="pool 'nowhere' has no capacity in 2026-05; known: a"):
        snapshot(portfolio, MAY, nodes=(NodeState(id="n", pool="nowhere", accelerators=8),))


def test_p1j_dearer_capacity_of_a_pool_is_charged_what_it_costs() -> None:
    """8 at 1.5 USD, 8 more at 6: who makes 4 USD an hour runs on the first and waits rather than use the others."""
    tiers = [{"accelerators": 8, "usd_per_accelerator_hour": usd} for usd in (1.5, 6.0)]
    portfolio = w.world([{**w.on_demand(1.5), "tiers": tiers}], [w.work(16.0)])
    seen = snapshot(portfolio, MAY)
    assert [dict(row.above_usd_per_accelerator_hour) for row in seen.supplies] == [{}, {"a": pytest.approx(4.5)}]
    ask = seen.asks[0].model_copy(update={"units_per_hour": None, "accelerators": 8.0})
    for value, runs in ((4.0, 1), (7.0, 2)):
        asks = tuple(ask.model_copy(update={"id": f"j{i}", "usd_per_unit": value}) for i in range(2))
        done = place(seen.model_copy(update={"asks": asks}))
        assert len(done.assignments) == runs
        paid = 8 * 1.5 + (8 * 6.0 if runs == 2 else 0.0)
        assert done.objective_value == pytest.approx(24 * (runs * 8 * value * next(iter(ask.speed.values())) - paid))
        if runs == 1:
            excuse = done.unplaced[0].excuses[0]
            assert (excuse.rule, excuse.limit) == ("price", "a: what is left there costs 6.00 USD per accelerator-hour")
    priced = PlanRecord(
        {
            "format": "argosy.plan/1",
            "status": "optimal",
            "prices": [{"pool": "a", "month": "2026-05", "usd_per_accelerator_hour": 2.0}],
            "decisions": [],
        },
        "plan.json",
    )
    assert all(not row.above_usd_per_accelerator_hour for row in snapshot(portfolio, MAY, plan=priced).supplies)


def test_p1j_and_p1b_what_is_paid_anyway_costs_its_usage_only() -> None:
    """A reservation dearer than the list price is used first all the same, and no dearer than it is."""
    portfolio = w.world([w.sized(2.0, 8.0), w.on_demand(1.5)], [w.work(8.0)])
    seen = snapshot(portfolio, MAY)
    assert seen.pools[0].usd_per_accelerator_hour == 1.5
    done = place(seen)
    assert {row.supply: row.accelerators for row in done.draws} == {"deal": pytest.approx(8.0)}
    units = 8.0 * next(iter(seen.asks[0].speed.values()))
    assert done.objective_value == pytest.approx(24 * (units * seen.asks[0].usd_per_unit - 8.0 * 2.0))


BUSY = Path(__file__).resolve().parents[2] / "examples" / "busy-month" / "portfolio.yaml"


def bound(tmp_path: Path, old: str, new: str) -> Portfolio:
    """The busy month with other words."""
    text = BUSY.read_text()
    assert old in text
    path = tmp_path / "portfolio.yaml"
    path.write_text(text.replace(old, new))
    catalogue = bundled()
    return load(path, Settings(), catalogue=catalogue).with_catalogue(catalogue)


def test_data_that_is_read_by_the_unit_keeps_its_jurisdiction_and_leaves_from_where_it_lies(tmp_path: Path) -> None:
    """P1.2, P1.4: as the plan has it. Evaluations, at home in Virginia, read data of Frankfurt that stays in the EU."""
    spot = "    spot_goodput_fraction: 0.8\n"
    portfolio = bound(tmp_path, spot, f"{spot}    dataset: corpus\n")
    seen = snapshot(portfolio, portfolio.horizon.start)
    done = place(seen)
    rows = [row for row in done.assignments if row.ask.startswith("evaluation")]
    assert rows
    assert "virginia-h100" not in {row.pool for row in rows}
    crowded = seen.model_copy(
        update={
            "asks": tuple(
                ask.model_copy(update={"units_per_hour": 1000.0})
                for ask in seen.asks
                if ask.id.startswith("evaluation")
            )
        }
    )
    full = place(crowded)
    excuses = {e.rule: e.limit for e in full.unplaced[0].excuses}
    assert excuses["residency"] == "virginia-h100: the data that it reads may come to EU only"
    wrong = full.model_copy(
        update={"assignments": tuple(row.model_copy(update={"pool": "virginia-h100"}) for row in full.assignments)}
    )
    assert check(crowded, wrong)["residency"] == 1.0
    price = {"frankfurt": 0.0, "finland": 0.0537}
    of = {ask.id: ask for ask in seen.asks}[rows[0].ask]
    assert (of.home, of.data_home) == ("aws/us-east-1", "aws/eu-central-1")
    only = seen.model_copy(update={"asks": (of.model_copy(update={"allowed_pools": ("finland-h200",)}),)})
    here = seen.model_copy(update={"asks": (of.model_copy(update={"allowed_pools": ("frankfurt-h100",)}),)})
    for world, name in ((only, "finland"), (here, "frankfurt")):
        answer = place(world)
        pool = next(p for p in world.pools if p.id == answer.assignments[0].pool)
        units = of.speed[pool.silicon] * answer.assignments[0].count
        per_hour = units * (of.usd_per_unit - price[name] * of.data_gib_per_unit)
        per_hour -= answer.assignments[0].accelerators * pool.usd_per_accelerator_hour
        floors = sum(f.unmet_usd_per_unit * max(0.0, f.owed) for f in world.burn_downs)
        met = sum(
            row.accelerators * f.unmet_usd_per_unit
            for row in answer.draws
            for f in world.burn_downs
            if f.supply == row.supply
        )
        assert answer.objective_value == pytest.approx((per_hour - floors + met) * 24, rel=1e-6)


@pytest.mark.parametrize("objective", ["value", FIRST_FIT])
def test_w5_what_flows_keeps_the_jurisdiction_of_what_it_reads(tmp_path: Path, objective: str) -> None:
    """The assistant may run anywhere, the data that it reads may not; noticed where the rule is forgotten."""
    bind = "    residency: {allowed: [EU]}\n    data_gib_per_unit: 40\n"
    portfolio = bound(tmp_path, bind, "    dataset: corpus\n    data_gib_per_unit: 40\n")
    setup = Setup(portfolio, days=0.3, seed=2, objective=objective, load=3.0, faults=True)
    made = Simulation(setup)
    free = Simulation(setup)
    for flow in free.work.flows:
        for ask in flow.asks:
            object.__setattr__(ask, "data_jurisdictions", ())
    for simulation, kept in ((made, True), (free, False)):
        simulation.last_hours = 10
        watch = simulation.run().watch
        assert watch is not None
        assert any("W5: a part of assistant" in words for words in watch.violations) is not kept
