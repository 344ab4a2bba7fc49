"""Work, data and capacity without a commitment in worlds small enough to plan by hand."""

from __future__ import annotations

import pytest
from tests.support import worlds_plan as w

YEAR = w.YEAR
RHEIN = {"start": "acme/west", "end": "birch/rhein", "usd_per_gib": 0.1}


def usd(value: float) -> object:
    """Equal to half a cent."""
    return pytest.approx(value, rel=1e-9, abs=0.005)


def with_pool(pool: str, **changes: object) -> dict[str, object]:
    return {"pools": [p | changes if p["id"] == pool else p for p in w.POOLS]}


# ---- where work may and can run


def test_work_that_nothing_serves_costs_its_penalty_by_the_month() -> None:
    """2 of 5 are there. The rest costs 4,000 USD per unit and standard month of 730 hours: 3 * 4,000 * 12."""
    plan = w.planned(w.world([w.on_demand(1.0, amount=2.0)], [w.work(5.0, unserved=4_000.0)]))
    assert plan.objective_usd == usd(2 * YEAR + 3 * 4_000 * 12)
    assert w.component(plan, "unserved") == usd(144_000)
    row = next(r for r in plan.work if str(r.month) == "2026-05")
    assert (row.demand_units, row.served_units, row.unserved_units) == pytest.approx((5, 2, 3))
    # One more hour would do 1/730 of a unit: 4,000 / 730 USD.
    assert w.price(plan, "2026-05") == pytest.approx(4_000 / 730)
    (excuse,) = plan.excuses
    assert (excuse.subject, excuse.rule) == ("job", "F4.D")
    assert excuse.short == pytest.approx(3 * 12)


def test_residency_keeps_work_where_it_must_stay() -> None:
    job = w.work(5.0, home="birch/rhein", residency={"allowed": ["EU"]})
    plan = w.planned(w.world([w.on_demand(1.0), w.on_demand(3.0, "b")], [job]))
    assert plan.objective_usd == usd(5 * 3 * YEAR)
    denied = w.work(5.0, residency={"denied": ["acme/west"]})
    plan = w.planned(w.world([w.on_demand(1.0), w.on_demand(2.0, "e")], [denied]))
    assert plan.objective_usd == usd(5 * 2 * YEAR)
    policy = {"residency": {"denied": ["acme"]}}
    plan = w.planned(w.world([w.on_demand(1.0), w.on_demand(2.5, "c")], [w.work(5.0)], policy=policy))
    assert plan.objective_usd == usd(5 * 2.5 * YEAR)


def test_faster_silicon_counts_by_what_it_does() -> None:
    """A chip twice as fast at 1.8 USD beats one at 1 USD: 5 units need 2.5 of them, 4.5 USD per hour instead of 5."""
    pools = [*w.POOLS, {"id": "quick", "region": "acme/west", "silicon": "fast"}]
    quick = w.on_demand(1.8) | {"id": "list-quick", "pool": "quick"}
    plan = w.planned(w.world([w.on_demand(1.0), quick], [w.work(5.0)], pools=pools))
    assert plan.objective_usd == usd(4.5 * YEAR)
    # An hour of the slow chip does half the work of the fast one, so it is worth half its price.
    assert w.price(plan, "2026-05") == pytest.approx(0.9)
    assert w.price(plan, "2026-05", "quick") == pytest.approx(1.8)
    slow = w.planned(w.world([w.on_demand(1.0), quick], [w.work(5.0, silicon=["h"])], pools=pools))
    assert slow.objective_usd == usd(5 * YEAR)
    own = w.planned(w.world([w.on_demand(1.0), quick], [w.work(5.0, units_per_accelerator={"fast": 1.5})], pools=pools))
    assert own.objective_usd == usd(5 * YEAR)


def test_silicon_is_not_there_before_it_ships() -> None:
    silicon = [w.chip("h", available_from="2026-04"), w.chip("fast"), w.chip("t")]
    plan = w.planned(w.world([w.on_demand(1.0)], [w.work(5.0, unserved=100.0)], silicon=silicon))
    assert plan.objective_usd == usd(5 * 100 * w.hours(1, 3) / 730 + 5 * 100 * w.hours(4, 12) / 730)
    plan = w.planned(w.world([w.on_demand(0.1)], [w.work(5.0, unserved=100.0)], silicon=silicon))
    assert plan.objective_usd == usd(5 * 100 * w.hours(1, 3) / 730 + 5 * 0.1 * w.hours(4, 12))


def test_goodput_of_spot_vendor_and_pool_multiply() -> None:
    """8 units at 0.8 * 0.5 * 0.5 need 40 spot accelerators at 0.1 USD: 4 USD an hour instead of 8 * 1."""
    job = w.work(8.0, spot_goodput_fraction=0.8, vendor_goodput_fraction={"acme": 0.5})
    spot = w.on_demand(0.1, "a-spot", id="spot", kind="spot")
    world = w.world([spot, w.on_demand(1.0, "c")], [job], **with_pool("a-spot", vendor_goodput_fraction=0.5))
    plan = w.planned(world)
    assert plan.objective_usd == usd(4 * YEAR)
    assert w.price(plan, "2026-05", "a-spot") == pytest.approx(0.1)
    assert w.price(plan, "2026-05", "c") == pytest.approx(0.1 / 0.2)


def test_work_that_forbids_spot_does_not_run_there() -> None:
    spot = w.on_demand(0.1, "a-spot", id="spot", kind="spot")
    plan = w.planned(w.world([spot, w.on_demand(1.0)], [w.work(8.0)]))
    assert plan.objective_usd == usd(8 * YEAR)


@pytest.mark.parametrize(("cost", "ported"), [(5_000.0, True), (60_000.0, False)])
def test_porting_costs_once_and_starts_after_its_lag(cost: float, ported: bool) -> None:
    """2 at 5 USD, or at 1 USD on the other family from April: saves 2 * 4 * 6,600 h = 52,800."""
    job = w.work(2.0, porting=[{"family": "tpu", "cost_usd": cost, "lag_months": 3}])
    plan = w.planned(w.world([w.on_demand(5.0), w.on_demand(1.0, "tpu")], [job]))
    assert plan.ports[0].ported is ported
    assert plan.objective_usd == usd(cost + 10 * w.hours(1, 3) + 2 * w.hours(4, 12) if ported else 10 * YEAR)
    assert plan.cash[0].one_off_usd == usd(cost if ported else 0)
    assert plan.ports[0].cost_usd == usd(cost)


def test_porting_is_paid_once_for_a_workload_with_two_homes() -> None:
    job = w.work(2.0, porting=[{"family": "tpu", "cost_usd": 5_000.0}])
    job["homes"] = {"acme/west": 0.5, "acme/east": 0.5}
    plan = w.planned(w.world([w.on_demand(5.0), w.on_demand(1.0, "tpu")], [job]))
    assert plan.objective_usd == usd(5_000 + 2 * YEAR)


def test_a_gang_runs_only_where_all_of_it_fits() -> None:
    """64 that run together do not fit into the 8 that are cheap, although 8 are all that is needed on average."""
    offers = [w.on_demand(1.0, amount=8.0), w.on_demand(5.0, "e", amount=100.0)]
    plan = w.planned(w.world(offers, [w.work(8.0, kind="training", gang_accelerators=64)]))
    assert plan.objective_usd == usd(8 * 5 * YEAR)


# ---- data


def test_egress_is_paid_for_work_away_from_its_data() -> None:
    """100 GiB per unit at 0.1 USD: 10 USD per unit and standard month, 120 a year for one unit."""
    job = w.work(1.0, data_gib_per_unit=100.0)
    plan = w.planned(w.world([w.on_demand(3.0), w.on_demand(1.0, "b")], [job], links=[RHEIN]))
    assert plan.objective_usd == usd(YEAR + 120)
    assert w.component(plan, "egress") == usd(120)


def test_egress_can_outweigh_a_price() -> None:
    """At 20,000 GiB per unit it costs 2,000 USD a month: more than 2 USD per hour saved (1,460)."""
    job = w.work(1.0, data_gib_per_unit=20_000.0)
    plan = w.planned(w.world([w.on_demand(3.0), w.on_demand(1.0, "b")], [job], links=[RHEIN]))
    assert plan.objective_usd == usd(3 * YEAR)


@pytest.mark.parametrize(("gib", "cost", "kept"), [(100.0, 120.0, 0.0), (1_000.0, 340.0, 1.0)])
def test_a_replica_is_kept_where_it_is_cheaper_than_moving(gib: float, cost: float, kept: float) -> None:
    """A copy: 1,000 GiB at 0.1 to bring it there and 0.02 a month to keep it, 100 + 240 = 340 USD."""
    data = {"id": "corpus", "home": "acme/west", "size_gib": 1_000.0}
    job = w.work(1.0, data_gib_per_unit=gib, dataset="corpus")
    plan = w.planned(w.world([w.on_demand(3.0), w.on_demand(1.0, "b")], [job], links=[RHEIN], datasets=[data]))
    assert plan.objective_usd == usd(YEAR + cost)
    assert sum(r.fraction for r in plan.replicas) == pytest.approx(kept)
    assert plan.cash[0].one_off_usd == usd(340 * kept)


def test_a_dataset_bound_to_a_place_keeps_its_readers_there() -> None:
    data = {"id": "corpus", "home": "acme/west", "size_gib": 1_000.0, "jurisdictions": ["US"]}
    job = w.work(1.0, data_gib_per_unit=1.0, dataset="corpus")
    plan = w.planned(w.world([w.on_demand(3.0), w.on_demand(1.0, "b")], [job], links=[RHEIN], datasets=[data]))
    assert plan.objective_usd == usd(3 * YEAR)


@pytest.mark.parametrize("step", [1, 3])
def test_a_limited_link_moves_what_it_can(step: int) -> None:
    """50 GiB a month carry half a unit-month (365 hours) to the cheap pool: 4,380 hours of 8,760, and 60 USD egress."""
    job = w.work(1.0, data_gib_per_unit=100.0)
    world = w.world(
        [w.on_demand(3.0), w.on_demand(1.0, "b")], [job], links=[RHEIN | {"max_gib_per_month": 50.0}], step=step
    )
    plan = w.planned(world)
    assert plan.objective_usd == usd(4_380 * 1 + 4_380 * 3 + 60)


# ---- time


def test_batch_work_waits_as_long_as_it_may() -> None:
    """12 in January only, 2 accelerators there for nothing. At most 6 months of the mean demand of 1 may wait.

    January has 744 / 730 standard months: 12 wanted, 2 done, 6 wait, the rest is not done at 1,000 USD.
    """
    january = 744 / 730
    left = 12 * january - 2 * january - 6
    job = w.work({"2026-01": 12.0, "2026-02": 0.0}, kind="batch", unserved=1_000.0, max_backlog_months=6.0)
    plan = w.planned(w.world([], [job], **with_pool("a", existing_accelerators={"2026-01": 2.0})))
    assert plan.objective_usd == usd(1_000 * left)
    waiting = {str(row.month): row.backlog_units for row in plan.work}
    assert waiting["2026-01"] == pytest.approx(6)
    assert waiting["2026-12"] == pytest.approx(0)
    assert sum(row.served_units * w.hours(row.month.month) / 730 for row in plan.work) == pytest.approx(2 * january + 6)


def test_waiting_work_prices_the_months_in_which_it_runs_alike() -> None:
    """Work that waits runs in the cheap months: one price holds for all months that it may run in."""
    job = w.work({"2026-01": 1.0, "2026-04": 0.0}, kind="batch", max_backlog_months=12.0)
    offers = [w.on_demand(3.0), w.on_demand(1.0, "e", start="2026-03", amount=1.0)]
    plan = w.planned(w.world(offers, [job]))
    assert plan.objective_usd == usd(1.0 * w.hours(1, 3))
    for month in ("2026-03", "2026-08", "2026-12"):
        assert w.price(plan, month, "e") == pytest.approx(1.0)
        assert w.price(plan, month, "a") == pytest.approx(1.0), "an hour there would save one in the other pool"


def test_a_reserve_is_more_demand() -> None:
    plan = w.planned(w.world([w.on_demand(2.0)], [w.work(8.0, reserve_fraction=0.25)]))
    assert plan.objective_usd == usd(10 * 2 * YEAR)
    assert plan.work[0].demand_units == pytest.approx(10)


def test_months_are_discounted_from_their_middle() -> None:
    plan = w.planned(w.world([w.on_demand(2.0)], [w.work(1.0)], policy={"discount_rate_fraction": 0.21}))
    assert plan.objective_usd == usd(sum(2 * w.hours(m) * 1.21 ** (-(m - 0.5) / 12) for m in range(1, 13)))
    assert w.price(plan, "2026-12") == pytest.approx(2.0), "a price is in money of its month"


def test_quarters_and_months_agree_where_nothing_changes_within_a_quarter() -> None:
    """A floor, a ramp in whole quarters, spend, on demand; no discount, since money is discounted from a middle."""
    parts = [{"start": "2026-01", "fraction": 0.5}, {"start": "2026-04", "fraction": 0.5}]
    offers = [
        w.sized(2.0, kind="take_or_pay", take_or_pay_fraction=0.6, tranches=parts, term_months=24),
        w.sized(1.5, 4.0, "e", id="other", term_months=24, exit={"earliest": "2027-01", "notice_months": 3}),
        w.on_demand(4.0),
    ]
    jobs = [w.work({"2026-01": 5.0, "2026-07": 12.0, "2027-04": 7.0}), w.work(2.0, id="two", kind="batch")]
    scenarios = w.given({}, {"delivery_delay_months": {"deal": 3}}, {"demand_factor": {"all": {"2026-10": 0.25}}})
    plans = [w.planned(w.world(offers, jobs, months=24, step=step, scenarios=scenarios)) for step in (1, 3)]
    assert plans[0].objective_usd == pytest.approx(plans[1].objective_usd, rel=1e-9)
    assert [c.minimum_bill_usd for c in plans[0].cash] == pytest.approx([c.minimum_bill_usd for c in plans[1].cash])
    assert [d.committed_usd for d in plans[0].decisions] == pytest.approx([d.committed_usd for d in plans[1].decisions])


# ---- capacity without a commitment


def test_existing_accelerators_come_first_and_cost_what_using_them_costs() -> None:
    free = w.planned(
        w.world([w.on_demand(2.0)], [w.work(8.0)], **with_pool("a", existing_accelerators={"2026-01": 5.0}))
    )
    assert free.objective_usd == usd(3 * 2 * YEAR)
    powered = with_pool("a", existing_accelerators={"2026-01": 5.0}, existing_usd_per_accelerator_hour=0.5)
    assert w.planned(w.world([w.on_demand(2.0)], [w.work(8.0)], **powered)).objective_usd == usd(8.5 * YEAR)


def test_a_random_price_is_paid_where_it_holds() -> None:
    """2 USD, doubled in one of two equally likely futures from July: 0.5 * 2 + 0.5 * (2 until June, 4 after)."""
    scenarios = w.given({}, {"price_factor": {"list-a": {"2026-07": 2.0}}})
    plan = w.planned(w.world([w.on_demand(2.0)], [w.work(1.0)], scenarios=scenarios))
    assert plan.objective_usd == usd(2 * w.hours(1, 6) + 3 * w.hours(7, 12))
    assert w.price(plan, "2026-08") == pytest.approx(3.0)
    by_future = {
        t.scenario: t.usd_per_accelerator_hour for t in plan.price_terms if (t.pool, str(t.month)) == ("a", "2026-08")
    }
    assert by_future == {"s0": pytest.approx(2.0), "s1": pytest.approx(4.0)}


def test_tiers_of_a_list_are_taken_from_the_cheapest() -> None:
    tiers = [
        {"accelerators": 3.0, "usd_per_accelerator_hour": 2.0},
        {"accelerators": 9.0, "usd_per_accelerator_hour": 1.0},
    ]
    plan = w.planned(w.world([w.on_demand(0.0, tiers=tiers)], [w.work(10.0)]))
    assert plan.objective_usd == usd((9 * 1 + 1 * 2) * YEAR)
    grows = w.planned(w.world([w.on_demand(1.0, amount=4.0, growth_per_year_ratio=4.0), w.on_demand(3.0, "e")],
                              [w.work({"2026-07": 10.0})]))  # fmt: skip
    cheap = {m: min(10.0, 4 * 4 ** ((m - 1) / 12)) for m in range(7, 13)}
    assert grows.objective_usd == usd(sum(w.hours(m) * (cheap[m] + 3 * (10 - cheap[m])) for m in cheap))


def test_an_outage_takes_capacity_and_leaves_the_bill() -> None:
    """40 % of 10 are left in February and March."""
    outage = {"place": "acme/west", "start": "2026-02", "months": 2, "available_fraction": 0.4}
    world = w.world(
        [w.sized(2.0, 10.0), w.on_demand(5.0, "c")], [w.work(10.0)], scenarios=w.given({"outages": [outage]})
    )
    assert w.planned(world).objective_usd == usd(20 * YEAR + 6 * 5 * w.hours(2, 3))


@pytest.mark.parametrize("step", [1, 3])
def test_an_outage_of_one_pool_of_a_contract_binds_there_also_in_a_longer_period(step: int) -> None:
    """The contract may be used in both pools, the work only in the one that is out in February."""
    deal = w.sized(2.0, 10.0, pools=["a", "e"])
    outage = {"place": "a", "start": "2026-02", "months": 1, "available_fraction": 0.0}
    job = w.work(10.0, residency={"denied": ["acme/east"]})
    world = w.world([deal, w.on_demand(5.0, "c")], [job], step=step, scenarios=w.given({"outages": [outage]}))
    assert w.planned(world).objective_usd == usd(20 * YEAR + 50 * w.hours(2))


def test_an_outage_of_one_pool_of_a_contract_leaves_its_option_alone_in_the_other() -> None:
    """10 and an option of 10 more; a tenth of one pool is out all year: 18 of 20 can still be used there."""
    option = {"max_fraction": 1.0, "first_exercise": "2026-02"}
    deal = w.sized(2.0, pools=["a", "e"], min_accelerators=10.0, max_accelerators=10.0, expansion_option=option)
    outage = {"place": "a", "start": "2026-01", "months": 12, "available_fraction": 0.9}
    job = w.work({"2026-03": 18.0}, residency={"denied": ["acme/east"]})
    world = w.world([deal, w.on_demand(9.0, "c")], [job], scenarios=w.given({"outages": [outage]}))
    plan = w.planned(world)
    open_ = {str(row.month): row.open_accelerators for row in plan.capacity if row.pool == "c"}
    assert open_["2026-05"] == pytest.approx(0)
