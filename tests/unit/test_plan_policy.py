"""Limits and attitudes in worlds small enough to plan by hand, and records that a reader can recompute."""

from __future__ import annotations

import pytest
from tests.support import worlds_plan as w

YEAR = w.YEAR


def usd(value: float) -> object:
    """Equal to half a cent."""
    return pytest.approx(value, rel=1e-9, abs=0.005)


# ---- money


def test_a_cash_limit_holds_back_what_would_pay_and_borrowing_helps_at_its_price() -> None:
    """Reserving saves 1 USD per hour, 8,760 a year for 17,520 of cash. 100,000 there, 20,000 to borrow at 10 %.

    All is borrowed, since 17,520 cost 1,752 more and save 8,760. Reserved: 120,000 / 17,520 = 6.849.
    """
    cash = {"usd_per_year": [100_000.0], "borrowing_usd_per_year": 20_000.0, "borrowing_rate_fraction": 0.1}
    plan = w.planned(w.world([w.sized(2.0), w.on_demand(3.0)], [w.work(10.0)], policy={"cash": cash}))
    size = 120_000 / 17_520
    assert w.decision(plan).size == pytest.approx(size)
    assert plan.objective_usd == usd(120_000 + (10 - size) * 3 * YEAR + 2_000)
    (row,) = plan.cash
    assert (row.minimum_bill_usd, row.borrowed_usd, row.limit_usd) == (usd(120_000), usd(20_000), usd(100_000))
    assert w.spent(plan) == usd(100_000)
    dear = cash | {"borrowing_rate_fraction": 0.6}
    plan = w.planned(w.world([w.sized(2.0), w.on_demand(3.0)], [w.work(10.0)], policy={"cash": dear}))
    assert plan.cash[0].borrowed_usd == usd(0)
    assert w.decision(plan).size == pytest.approx(100_000 / 17_520)


def test_cash_limits_hold_by_fiscal_year_and_the_last_holds_on() -> None:
    """Two years of 2 USD; 60,000 in the first year allow 3.42, 87,600 in the second would allow 5."""
    cash = {"usd_per_year": [60_000.0, 87_600.0]}
    plan = w.planned(
        w.world([w.sized(2.0, term_months=24), w.on_demand(3.0)], [w.work(10.0)], months=24, policy={"cash": cash})
    )
    assert w.decision(plan).size == pytest.approx(60_000 / 17_520)
    assert [row.limit_usd for row in plan.cash] == [usd(60_000), usd(87_600)]
    assert w.spent(plan, 2026) == usd(60_000)


def test_concentration_is_a_share_of_all_commitments() -> None:
    """At most 60 % with one vendor, by money. Acme at 2, Birch at 2.5, on demand 9: 10 are reserved.

    2 a = 0.6 (2 a + 2.5 b) and a + b = 10 give b = 10 / 2.875.
    """
    rival = w.sized(2.5, pool="b", id="rival")
    policy = {"concentration": {"max_committed_fraction": 0.6}}
    plan = w.planned(w.world([w.sized(2.0), rival, w.on_demand(9.0)], [w.work(10.0)], policy=policy))
    b = 10 / 2.875
    assert w.decision(plan, "rival").size == pytest.approx(b)
    assert plan.objective_usd == usd((2 * (10 - b) + 2.5 * b) * YEAR)
    shares = {row.vendor: row for row in plan.vendor_shares}
    assert shares["acme"].fraction == pytest.approx(0.6)
    assert shares["acme"].limit_fraction == 0.6
    assert shares["birch"].committed_present_value_usd == usd(2.5 * b * YEAR)


def test_concentration_counts_later_signings_with_their_probability() -> None:
    """Acme is signed now for 10 (half a year), Birch in June in one of two futures for 20 (half a year) at 2: both are

    half of all commitments, 10 * 4,344 h against 0.5 * 20 * 4,416 h: the limit of half leaves Acme where it is.
    """
    first = w.sized(2.0, term_months=6)
    second = w.sized(2.0, pool="b", id="second", start="2026-07", signing="2026-06", term_months=6)
    jobs = [w.work({"2026-01": 10.0, "2026-06": 20.0, "2026-07": 20.0})]
    scenarios = w.given({}, {"demand_factor": {"all": {"2026-05": 0.0}}})
    policy = {"concentration": {"max_committed_fraction": 0.51}}
    plan = w.planned(w.world([first, second, w.on_demand(9.0)], jobs, scenarios=scenarios, policy=policy))
    shares = {row.vendor: row for row in plan.vendor_shares}
    a, b = shares["acme"].committed_present_value_usd, shares["birch"].committed_present_value_usd
    assert b == usd(0.5 * 20 * 2 * w.hours(7, 12))
    assert a / (a + b) <= 0.51 + 1e-9
    assert shares["acme"].fraction == pytest.approx(a / (a + b))


@pytest.mark.parametrize("signing", [None, "2026-06"])
def test_nothing_is_signed_with_an_excluded_vendor(signing: str | None) -> None:
    deal = w.sized(2.0, start="2026-07", term_months=6, signing=signing)
    world = w.world([deal, w.on_demand(3.0)], [w.work(10.0)], policy={"excluded_vendors": ["acme"]})
    plan = w.planned(world)
    assert not w.decision(plan).signed
    assert plan.later == ()
    assert plan.objective_usd == usd(30 * YEAR), "what is had without a signature is not excluded"
    (excuse,) = plan.excuses
    assert "excludes the vendor acme" in excuse.limit


# ---- footprint


@pytest.mark.parametrize(("price", "shifted"), [(1_000.0, 0.0), (6_000.0, 1.0)])
def test_a_carbon_cap_is_paid_for_or_kept(price: float, shifted: float) -> None:
    """10 of 1 kW at 0.4 kg/kWh emit 35.04 t a year; 20 are free. Shifting costs 2 USD per hour for 0.4 kg: 5,000 USD/t.

    At 1,000 USD per tonne 15.04 t are paid for. At 6,000 they are shifted: 15.04 t / 0.0004 t/h = 37,600 hours at 2.
    """
    policy = {"carbon": {"tonnes_per_year": 20.0, "excess_usd_per_tonne": price}}
    plan = w.planned(w.world([w.on_demand(1.0), w.on_demand(3.0, "c")], [w.work(10.0)], policy=policy))
    assert plan.objective_usd == usd(10 * YEAR + (37_600 * 2 if shifted else 15_040))
    assert w.component(plan, "carbon") == usd(0 if shifted else 15_040)
    (row,) = plan.footprint
    assert row.carbon_tonnes == pytest.approx(20.0 if shifted else 35.04)
    assert row.carbon_limit_tonnes == 20


def test_a_power_cap_leaves_work_undone() -> None:
    """5 kW from July carry 5 of 10; the rest is worth 4,000 USD per unit and month."""
    policy = {"power": {"max_mw": {"2026-07": 0.005}}}
    plan = w.planned(w.world([w.on_demand(1.0)], [w.work(10.0, unserved=4_000.0)], policy=policy))
    half = w.hours(7, 12)
    assert plan.objective_usd == usd(10 * w.hours(1, 6) + 5 * half + 5 * 4_000 * half / 730)
    assert plan.footprint[0].peak_mw == pytest.approx(0.01)
    assert w.price(plan, "2026-08") == pytest.approx(1.0), "an hour more has no power; it replaces one from the list"


def test_a_pool_that_nothing_supplies_needs_no_power_figure() -> None:
    """Pool `b` has no contract and its chip no facility_kw: the limits on power and carbon are about the others."""
    dark = [*w.SILICON, w.chip("dark")]
    del dark[-1]["facility_kw"]
    pools = [p | ({"silicon": "dark"} if p["id"] == "b" else {}) for p in w.POOLS]
    policy = {
        "power": {"max_mw": {"2026-01": 1.0}},
        "carbon": {"tonnes_per_year": 1e6, "excess_usd_per_tonne": 1.0},
    }
    world = w.world([w.on_demand(1.0)], [w.work(10.0)], policy=policy, pools=pools, silicon=dark)
    assert w.planned(world).objective_usd == usd(10 * YEAR)


# ---- what must survive


@pytest.mark.parametrize(("penalty", "gap"), [(100.0, 5.0), (1_000.0, 0.0)])
def test_adequacy_after_the_loss_of_a_vendor_is_bought_or_its_gap_is_paid(penalty: float, gap: float) -> None:
    """Half of 10 must remain without Acme. 5 with Birch cost 1 USD per hour more, 8,760 a year each.

    The gap costs its penalty per unit and standard month: 1,200 or 12,000 a year.
    """
    policy = {"adequacy": {"critical_fraction": 0.5, "gap_usd_per_unit": penalty}}
    rival = w.sized(3.0, pool="b", id="rival")
    plan = w.planned(w.world([w.sized(2.0), rival], [w.work(10.0, critical=True)], policy=policy))
    assert plan.objective_usd == usd(20 * YEAR + (5 * 1_200 if gap else 5 * YEAR))
    assert [row.gap_units for row in plan.adequacy] == pytest.approx([gap] * 12)
    if gap:
        assert {row.lost for row in plan.adequacy} == {"acme"}
    assert [row.required_units for row in plan.adequacy] == pytest.approx([5] * 12)


def test_guaranteed_capacity_without_a_commitment_counts_for_adequacy() -> None:
    policy = {"adequacy": {"critical_fraction": 0.5, "gap_usd_per_unit": 1_000.0, "loss_of": ["vendor", "region"]}}
    for guaranteed, cost in ((True, 0.0), (False, 5 * 12_000.0)):
        offers = [w.sized(2.0), w.on_demand(9.0, "b", guaranteed=guaranteed)]
        plan = w.planned(w.world(offers, [w.work(10.0, critical=True)], policy=policy))
        # Each of the two losses, the vendor and its region, has a gap of its own.
        assert plan.objective_usd == usd(20 * YEAR + 2 * cost)


def test_one_vendor_serves_at_most_its_share_of_critical_work() -> None:
    """6 at 1 USD, 4 at 2; work that is not critical runs where it is cheap."""
    policy = {"concentration": {"max_critical_service_fraction": 0.6}}
    jobs = [w.work(10.0, critical=True), w.work(3.0, id="other")]
    plan = w.planned(w.world([w.on_demand(1.0), w.on_demand(2.0, "b")], jobs, policy=policy))
    assert plan.objective_usd == usd((6 + 8 + 3) * YEAR)


# ---- risk


@pytest.mark.parametrize(
    ("aversion", "reserved", "objective"),
    [
        # Demand of 10 or 0, evenly. Reserving costs 17,520; without, the bad future costs 26,280 per accelerator.
        # Its weight is (1 - lambda) / 2 + lambda: 0.5, 0.65, 0.75, 1. It pays from 2/3 on.
        (0.0, 0.0, 0.5 * 262_800),
        (0.3, 0.0, 0.65 * 262_800),
        (0.5, 10.0, 175_200.0),
        (1.0, 10.0, 175_200.0),
    ],
)
def test_the_tail_counts_as_much_as_it_is_feared(aversion: float, reserved: float, objective: float) -> None:
    scenarios = w.given({}, {"demand_factor": {"all": {"2026-01": 0.0}}})
    policy = {"risk": {"aversion_fraction": aversion, "tail_fraction": 0.5}}
    world = w.world([w.sized(2.0), w.on_demand(3.0)], [w.work(10.0)], scenarios=scenarios, policy=policy)
    plan = w.planned(world)
    assert w.decision(plan).size == pytest.approx(reserved)
    assert plan.objective_usd == usd(objective)
    assert plan.tail_usd == usd(175_200 if reserved else 262_800)
    if not reserved:
        assert plan.scenarios[0].weight_fraction == pytest.approx((1 - aversion) / 2 + aversion)


def test_a_tail_smaller_than_one_future_is_that_future() -> None:
    """Beta 0.9 with three equally likely futures: the mean of the costliest tenth is the costliest."""
    scenarios = w.given({}, {"demand_factor": {"all": {"2026-01": 2.0}}}, {"demand_factor": {"all": {"2026-01": 0.5}}})
    policy = {"risk": {"aversion_fraction": 0.4, "tail_fraction": 0.9}}
    plan = w.planned(w.world([w.on_demand(1.0)], [w.work(10.0)], scenarios=scenarios, policy=policy))
    assert plan.tail_usd == usd(20 * YEAR)
    assert plan.expected_usd == usd(35 / 3 * YEAR)
    assert plan.objective_usd == usd((0.6 * 35 / 3 + 0.4 * 20) * YEAR)


# ---- the smallest worlds, and odd ones


def test_a_plan_of_one_month() -> None:
    plan = w.planned(w.world([w.on_demand(2.0)], [w.work(3.0)], months=1))
    assert plan.objective_usd == usd(6 * 744)
    assert len(plan.prices) == len(w.POOLS)


def test_no_contracts_leave_everything_undone() -> None:
    plan = w.planned(w.world([], [w.work(3.0, unserved=100.0)], consistent=False))
    assert plan.objective_usd == usd(3 * 100 * 12)
    assert plan.decisions == ()
    # Each pool would be worth what is lost there.
    assert w.price(plan, "2026-05") == pytest.approx(100 / 730)


def test_no_workloads_cost_what_is_signed() -> None:
    plan = w.planned(w.world([w.sized(2.0, 10.0), w.sized(1.0, id="other"), w.on_demand(3.0)], []))
    assert plan.objective_usd == usd(20 * YEAR)
    assert not w.decision(plan, "other").signed
    assert {p.usd_per_accelerator_hour for p in plan.prices} == {0.0}


def test_nothing_at_all_costs_nothing() -> None:
    plan = w.planned(w.world([], [], consistent=False))
    assert (plan.objective_usd, plan.status, plan.gap_fraction) == (0.0, "optimal", 0.0)


def test_zero_demand_costs_nothing_and_signs_nothing() -> None:
    plan = w.planned(w.world([w.sized(2.0), w.on_demand(3.0)], [w.work(0.0)], consistent=False))
    assert plan.objective_usd == usd(0)
    assert not w.decision(plan).signed


@pytest.mark.parametrize("demand", [1e-3, 1e3, 1e6, 1e9, 1e12])
def test_size_does_not_matter(demand: float) -> None:
    """The break-even world at any scale: 40 % reserved, the rest on demand for half a year."""
    deal = w.sized(2.0, max_accelerators=1e12)
    world = w.world([deal, w.on_demand(3.0, amount=1e12)], [w.work({"2026-01": demand, "2026-07": 0.4 * demand})])
    plan = w.planned(world)
    assert plan.objective_usd == pytest.approx(demand / 10 * 148_272, rel=1e-9)
    assert w.decision(plan).size == pytest.approx(0.4 * demand)


def test_a_huge_offer_beside_a_small_demand_is_no_trouble() -> None:
    """1e12 may be had or signed; 10 are needed."""
    world = w.world(
        [w.sized(2.0, max_accelerators=1e12), w.on_demand(3.0, amount=1e12)],
        [w.work({"2026-01": 10.0, "2026-07": 4.0})],
    )
    assert w.planned(world).objective_usd == usd(148_272)


# ---- excuses


@pytest.mark.parametrize("case", ["plain", "late", "default", "prepaid", "averse", "cash"])
def test_a_fee_cut_is_what_it_takes_to_enter(case: str) -> None:
    """Slightly more than the cut and the contract is signed; slightly less and nothing changes."""
    terms, more, policy = {}, {}, {}
    if case == "late":
        more = {"scenarios": w.given({"delivery_delay_months": {"deal": 3}}, {})}
    elif case == "default":
        more = {"scenarios": w.given({"default_month": {"acme": "2026-09"}}, {})}
    elif case == "prepaid":
        terms = {"prepayment": {"fraction": 0.5}}
        policy = {"discount_rate_fraction": 0.2}
    elif case == "averse":
        more = {"scenarios": w.given({}, {"demand_factor": {"all": {"2026-01": 2.0}}})}
        policy = {"risk": {"aversion_fraction": 0.4, "tail_fraction": 0.5}}
    elif case == "cash":
        more = {}
        policy = {"cash": {"usd_per_year": [50_000.0]}}

    def at(fee: float) -> tuple[bool, object]:
        offers = [
            w.sized(fee, **terms),
            w.on_demand(2.0, "c"),
            w.sized(1.0, pool="b", id="given", max_accelerators=2.0),
        ]
        job = w.work({"2026-01": 10.0, "2026-09": 4.0})
        plan = w.planned(w.world(offers, [job], policy=policy, **more))
        return w.decision(plan).signed, plan

    signed, plan = at(2.5)
    assert not signed
    excuse = next(e for e in plan.excuses if e.subject == "deal")
    assert (excuse.rule, excuse.unit) == ("F8.3", "usd_per_accelerator_hour")
    assert excuse.short is not None
    assert not at(2.5 - excuse.short + 1e-4)[0]
    assert at(2.5 - excuse.short - 1e-4)[0]


def test_the_discount_asked_of_a_spend_commitment_is_what_it_takes() -> None:
    """3 USD contracted against 2.4 on demand: a fifth."""
    money = {
        "id": "money", "kind": "spend_commitment", "vendor": "acme", "max_usd_per_month": 100_000.0,
        "start": "2026-01", "term_months": 12, "max_over_take_fraction": 0.0,
        "prices": [{"pool": "a", "usd_per_accelerator_hour": 3.0}],
    }  # fmt: skip
    plan = w.planned(w.world([money, w.on_demand(2.4)], [w.work(10.0)]))
    (excuse,) = plan.excuses
    assert excuse.unit == "fraction"
    assert excuse.short is not None
    for factor, signed in ((1e-4, True), (-1e-4, False)):
        price = 3.0 * (1 - excuse.short - factor)
        cheaper = money | {"prices": [{"pool": "a", "usd_per_accelerator_hour": price}]}
        plan = w.planned(w.world([cheaper, w.on_demand(2.4)], [w.work(10.0)]))
        assert w.decision(plan, "money").signed is signed


# ---- the record adds up


def test_cash_of_a_mixed_plan_is_the_left_side_of_the_limit() -> None:
    """All parts of F4.Y by hand: prepayment, capital, minimum bill, credits, premium, porting, replica."""
    option = {"max_fraction": 0.5, "premium_usd_per_accelerator": 100.0, "first_exercise": "2026-07"}
    deal = w.sized(
        2.0, min_accelerators=10.0, max_accelerators=10.0, expansion_option=option,
        prepayment={"fraction": 0.25, "credit_months": 3},
    )  # fmt: skip
    signed = w.sized(1.0, 4.0, "b", id="old", kind="take_or_pay", take_or_pay_fraction=0.5)
    build = {
        "id": "build", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "home", "start": "2026-01",
        "term_months": 12, "status": "signed", "accelerators": 2.0, "capex_usd_per_accelerator": 10_000.0,
        "kw_per_accelerator": 1.0, "running_usd_per_accelerator_hour": 0.1,
    }  # fmt: skip
    site = {
        "id": "home", "region": "self/home", "max_mw": 1.0, "capex_usd_per_mw": 1e5, "fixed_usd": 500.0,
        "energised": "2026-01",
    }  # fmt: skip
    jobs = [
        w.work({"2026-01": 16.0, "2026-07": 18.0}),
        w.work(1.0, id="port", silicon=["t"], porting=[{"family": "tpu", "cost_usd": 700.0}]),
    ]
    offers = [deal, signed, build, w.on_demand(50.0), w.on_demand(1.0, "tpu")]
    plan = w.planned(w.world(offers, jobs, sites=[site], policy={"cash": {"usd_per_year": [1e9]}}))
    (row,) = plan.cash
    assert row.prepayment_usd == usd(0.25 * 20 * YEAR)
    assert row.credit_usd == usd(0.25 * 20 * YEAR)
    assert row.capex_usd == usd(2 * 10_000 + 500 + 1e5 * 0.002)
    exercised = plan.later[0].size
    assert exercised == pytest.approx(2)
    assert row.minimum_bill_usd == usd((20 + 2 + 0.2) * YEAR + exercised * 2 * w.hours(7, 12))
    assert row.one_off_usd == usd(exercised * 100 + 700)
