"""Every clause of a contract in a world small enough to plan by hand: cost to the cent, cash, burn-down, prices."""

from __future__ import annotations

import pytest
from tests.support import worlds_plan as w

YEAR = w.YEAR


def usd(value: float) -> object:
    """Equal to half a cent."""
    return pytest.approx(value, rel=1e-9, abs=0.005)


# ---- size


def test_a_reservation_is_worth_it_for_the_hours_that_are_needed_all_year() -> None:
    """4 accelerators are needed all year, 6 more in the first half (4,344 of 8,760 hours).

    Reserved: 2 * 8,760 = 17,520 USD each. On demand: 3 * 4,344 = 13,032 for half a year, 26,280 for all of it.
    So 4 are reserved: 4 * 17,520 + 6 * 13,032 = 148,272.
    """
    plan = w.planned(w.world([w.sized(2.0), w.on_demand(3.0)], [w.work({"2026-01": 10.0, "2026-07": 4.0})]))
    assert plan.objective_usd == usd(148_272)
    assert plan.status == "optimal"
    deal = w.decision(plan)
    assert (deal.signed, deal.reason, deal.size, deal.unit) == (True, "chosen", pytest.approx(4), "accelerators")
    assert deal.committed_usd == usd(4 * 17_520)
    assert (str(deal.start), str(deal.end)) == ("2026-01", "2027-01")
    assert w.component(plan, "commitments") == usd(4 * 17_520)
    assert w.component(plan, "open") == usd(6 * 13_032)
    for month in range(1, 7):
        assert w.price(plan, f"2026-{month:02d}") == pytest.approx(3.0)
    # The reservation pays for itself exactly: what its hours are worth is what it costs.
    worth = sum(w.price(plan, f"2026-{m:02d}") * w.hours(m) for m in range(1, 13))
    assert worth == pytest.approx(17_520)


@pytest.mark.parametrize(("reserved", "size"), [(3.0 * 4344 / 8760 + 0.001, 4.0), (3.0 * 4344 / 8760 - 0.001, 10.0)])
def test_the_break_even_is_the_share_of_hours_used(reserved: float, size: float) -> None:
    """6 of 10 accelerators are needed in 4,344 of 8,760 hours: below 3 * 4,344 / 8,760 = 1.48767 reserving pays."""
    plan = w.planned(w.world([w.sized(reserved), w.on_demand(3.0)], [w.work({"2026-01": 10.0, "2026-07": 4.0})]))
    assert w.decision(plan).size == pytest.approx(size)


def test_a_minimum_size_is_taken_or_left_as_a_whole() -> None:
    """4 of 6 are needed. Taking 6 costs 6 * 17,520 = 105,120, as much as 4 on demand at 3: 4 * 26,280 = 105,120."""
    demand = [w.work(4.0)]
    taken = w.planned(w.world([w.sized(1.99, min_accelerators=6.0), w.on_demand(3.0)], demand))
    assert w.decision(taken).size == pytest.approx(6)
    assert taken.objective_usd == usd(6 * 1.99 * YEAR)
    left = w.planned(w.world([w.sized(2.01, min_accelerators=6.0), w.on_demand(3.0)], demand))
    assert not w.decision(left).signed
    assert left.objective_usd == usd(4 * 3 * YEAR)
    (excuse,) = left.excuses
    assert (excuse.subject, excuse.rule) == ("deal", "F4.A2")


TIERS = [{"from_accelerators": 50.0, "usd_per_accelerator_hour": 1.5}]


@pytest.mark.parametrize(("demand", "size", "cost"), [(36.0, 36.0, 36 * 2), (38.0, 50.0, 50 * 1.5), (60.0, 60.0, 90.0)])
def test_a_volume_tier_prices_every_accelerator_of_the_contract(demand: float, size: float, cost: float) -> None:
    """2 USD below 50 accelerators, 1.5 from 50: 50 * 1.5 = 75 = 37.5 * 2, so from 37.5 on it pays to sign 50."""
    plan = w.planned(w.world([w.sized(2.0, volume_tiers=TIERS), w.on_demand(9.0)], [w.work(demand)]))
    assert w.decision(plan).size == pytest.approx(size)
    assert plan.objective_usd == usd(cost * YEAR)
    assert len(plan.decisions) == 1
    assert w.decision(plan).max_size == 1000


def test_a_signed_size_below_the_first_volume_tier_pays_the_full_price() -> None:
    """30 accelerators signed, tier from 50: 30 * 2 * 8,760."""
    plan = w.planned(w.world([w.sized(2.0, 30.0, volume_tiers=TIERS)], [w.work(30.0)]))
    assert plan.objective_usd == usd(30 * 2 * YEAR)


def test_a_signed_size_above_the_first_volume_tier_pays_the_lower_price() -> None:
    plan = w.planned(w.world([w.sized(2.0, 60.0, volume_tiers=TIERS)], [w.work(30.0)]))
    assert plan.objective_usd == usd(60 * 1.5 * YEAR)


def test_of_exclusive_alternatives_the_better_one_is_signed_and_named_to_the_other() -> None:
    """Demand 10. `deal` at 2.0; `rival` at 1.8 but at most 8, then 2 on demand at 4. 8*1.8+2*4 = 22.4 > 10*2 = 20."""
    rival = w.sized(1.8, id="rival", alternatives="one", max_accelerators=8.0)
    contracts = [w.sized(2.0, alternatives="one"), rival, w.on_demand(4.0)]
    plan = w.planned(w.world(contracts, [w.work(10.0)]))
    assert plan.objective_usd == usd(20 * YEAR)
    assert not w.decision(plan, "rival").signed
    (excuse,) = plan.excuses
    assert (excuse.subject, excuse.rule) == ("rival", "F4.EX")
    assert "deal" in excuse.limit


# ---- floors


def test_take_or_pay_below_the_floor_pays_the_floor_and_a_shortfall_fee() -> None:
    """10 signed, floor half: 5 * 2 * 8,760 = 87,600. 3 used: 2 short, at 0.1: 1,752."""
    deal = w.sized(2.0, 10.0, kind="take_or_pay", take_or_pay_fraction=0.5, shortfall={"usd_per_accelerator_hour": 0.1})
    plan = w.planned(w.world([deal], [w.work(3.0)]))
    assert w.component(plan, "commitments") == usd(87_600)
    assert w.component(plan, "shortfall") == usd(1_752)
    assert plan.objective_usd == usd(87_600 + 1_752)
    (row,) = plan.commitments
    assert (row.contract, row.unit) == ("deal", "accelerator_hours")
    assert row.committed == pytest.approx(5 * YEAR)
    assert row.used == pytest.approx(3 * YEAR)
    assert row.shortfall == pytest.approx(2 * YEAR)
    assert (row.over_take, row.made_up) == (0, 0)
    assert row.fee_usd == usd(87_600)


@pytest.mark.parametrize("over", [None, 1.5])
def test_take_or_pay_above_the_floor_pays_the_over_take(over: float | None) -> None:
    """8 used of a floor of 5: 3 * 8,760 more, at the committed 2 USD unless 1.5 is agreed."""
    deal = w.sized(2.0, 10.0, kind="take_or_pay", take_or_pay_fraction=0.5, over_take_usd_per_accelerator_hour=over)
    plan = w.planned(w.world([deal], [w.work(8.0)]))
    assert plan.objective_usd == usd(5 * 2 * YEAR + 3 * (over or 2.0) * YEAR)
    assert plan.commitments[0].over_take == pytest.approx(3 * YEAR)
    # One more hour is more over-take.
    assert w.price(plan, "2026-05") == pytest.approx(over or 2.0)


def test_the_floor_of_a_contract_year_is_met_by_any_of_its_months() -> None:
    """Floor 5 of 10. 8 used until June (4,344 h) and 2 after (4,416 h): 216 of 43,800 hours short, at no fee."""
    deal = w.sized(2.0, 10.0, kind="take_or_pay", take_or_pay_fraction=0.5)
    plan = w.planned(w.world([deal], [w.work({"2026-01": 8.0, "2026-07": 2.0})]))
    assert plan.objective_usd == usd(5 * 2 * YEAR)
    assert plan.commitments[0].shortfall == pytest.approx(216)


SPEND = {
    "id": "money", "kind": "spend_commitment", "vendor": "acme", "status": "signed", "usd_per_month": 10_000.0,
    "start": "2026-01", "term_months": 12,
    "prices": [{"pool": "a", "usd_per_accelerator_hour": 2.0}, {"pool": "e", "usd_per_accelerator_hour": 1.5}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("west", "east", "cost"),
    [
        # 3 * 2 + 4 * 1.5 = 12 USD per hour, 105,120 a year: less than the 120,000 committed.
        (3.0, 4.0, 120_000.0),
        # 5 * 2 + 4 * 1.5 = 16 USD per hour, 140,160 a year: 20,160 above.
        (5.0, 4.0, 140_160.0),
    ],
)
def test_a_spend_commitment_is_used_up_in_two_pools(west: float, east: float, cost: float) -> None:
    jobs = [
        w.work(west, residency={"allowed": ["acme/west"]}),
        w.work(east, id="other", residency={"allowed": ["acme/east"]}),
    ]
    plan = w.planned(w.world([SPEND], jobs))
    assert plan.objective_usd == usd(cost)
    (row,) = plan.commitments
    used = (west * 2 + east * 1.5) * YEAR
    assert row.unit == "usd"
    assert (row.committed, row.used) == (usd(120_000), usd(used))
    assert (row.shortfall, row.over_take) == (usd(max(0.0, 120_000 - used)), usd(max(0.0, used - 120_000)))
    assert w.decision(plan, "money").unit == "usd_per_month"
    assert w.decision(plan, "money").size == usd(10_000)
    assert plan.cash[0].minimum_bill_usd == usd(120_000)


def test_a_spend_commitment_is_signed_for_what_will_be_used() -> None:
    """3 at 2 USD instead of 4 on demand; the price of the other pool is of no use to work bound to the west."""
    money = {k: v for k, v in SPEND.items() if k not in ("status", "usd_per_month")}
    money |= {"max_usd_per_month": 100_000.0}
    plan = w.planned(w.world([money, w.on_demand(4.0)], [w.work(3.0, residency={"allowed": ["acme/west"]})]))
    assert plan.objective_usd == usd(3 * 2 * YEAR)
    assert w.decision(plan, "money").signed


def test_a_limit_on_one_pool_of_a_spend_commitment_binds_there() -> None:
    """At most 3 in `a` under the commitment; 2 more on demand at 5 USD."""
    money = SPEND | {"prices": [{"pool": "a", "usd_per_accelerator_hour": 2.0, "max_accelerators": 3.0}]}
    plan = w.planned(w.world([money, w.on_demand(5.0)], [w.work(5.0)]))
    assert plan.objective_usd == usd(120_000 + 2 * 5 * YEAR)


def two_years(first: float, second: float, third: float | None = None) -> list[w.Json]:
    points = {"2026-01": first, "2027-01": second}
    return [w.work(points if third is None else points | {"2028-01": third})]


def floor_deal(years: int, **more: object) -> w.Json:
    return w.sized(2.0, 10.0, kind="take_or_pay", take_or_pay_fraction=0.5, term_months=12 * years, **more)


def test_make_up_gives_back_a_share_of_what_was_paid_and_not_taken() -> None:
    """Floor 5. Year 1: 3 used, 17,520 hours short, half of them (8,760) banked.

    Year 2: 8 used, 26,280 above the floor, 8,760 of them free, 17,520 at 2 USD.
    """
    plan = w.planned(w.world([floor_deal(2, make_up={"fraction": 0.5})], two_years(3, 8), months=24))
    assert plan.objective_usd == usd(2 * 5 * 2 * YEAR + 17_520 * 2)
    first, second = plan.commitments
    assert (first.shortfall, second.made_up, second.over_take) == pytest.approx((17_520, 8_760, 17_520))


@pytest.mark.parametrize(("validity", "free"), [(2, 8_760.0), (3, 8_760.0)])
def test_make_up_lasts(validity: int, free: float) -> None:
    """As before with a year at the floor in between: hours banked for two years are still there. 2028 has 8,784 h.

    Expiry after one year is not tested: a linear rule cannot forbid to renew hours by taking and missing them in one
    year (ARCHITECTURE.md names it).
    """
    deal = floor_deal(3, make_up={"fraction": 0.5, "validity_years": validity})
    plan = w.planned(w.world([deal], two_years(3, 5, 8), months=36))
    floor = 5 * 2 * (YEAR + YEAR + 8784)
    assert plan.objective_usd == usd(floor + (3 * 8784 - free) * 2)


def test_carry_forward_counts_use_above_the_floor_against_the_next_one() -> None:
    """Floor 5. Year 1: 8 used, 3 above. Year 2: 3 used, 2 below the floor, which is met from the 3 carried forward.

    Year 1: 8 * 2 * 8,760. Year 2: 3 * 2 * 8,760.
    """
    # Below the floor costs 0.5 USD more, which the credit saves as well.
    clauses = {"carry_forward": {"fraction": 1.0}, "shortfall": {"usd_per_accelerator_hour": 0.5}}
    plan = w.planned(w.world([floor_deal(2, **clauses)], two_years(8, 3), months=24))
    assert plan.objective_usd == usd(11 * 2 * YEAR)


def test_carry_forward_cannot_be_made_of_use_that_never_was() -> None:
    """Over-take at 0.5 that is credited at 2 would pay for itself without any use; such terms are refused."""
    clauses = {"carry_forward": {"fraction": 1.0}, "over_take_usd_per_accelerator_hour": 0.5}
    with pytest.raises(ValueError, match="carry_forward"):
        w.planned(w.world([floor_deal(2, **clauses)], two_years(3, 3), months=24))


# ---- delivery


def test_a_ramp_is_paid_as_it_is_delivered() -> None:
    """12 over 3 months: 4, 8, 12. The other 8 and 4 come on demand at 5 USD."""
    plan = w.planned(w.world([w.sized(2.0, 12.0, ramp_months=3), w.on_demand(5.0)], [w.work(12.0)]))
    jan, feb, rest = w.hours(1), w.hours(2), w.hours(3, 12)
    assert w.component(plan, "commitments") == usd(2 * (4 * jan + 8 * feb + 12 * rest))
    assert w.component(plan, "open") == usd(5 * (8 * jan + 4 * feb))
    there = {str(row.month): row.committed_accelerators for row in plan.capacity if row.pool == "a"}
    assert [there[f"2026-{m:02d}"] for m in (1, 2, 3, 4)] == pytest.approx([4, 8, 12, 12])


def test_tranches_are_delivered_on_their_dates() -> None:
    """A quarter from January, the rest from July."""
    parts = [{"start": "2026-01", "fraction": 0.25}, {"start": "2026-07", "fraction": 0.75}]
    plan = w.planned(w.world([w.sized(2.0, 12.0, tranches=parts), w.on_demand(5.0)], [w.work(12.0)]))
    assert plan.objective_usd == usd(2 * (3 * w.hours(1, 6) + 12 * w.hours(7, 12)) + 5 * 9 * w.hours(1, 6))


def test_a_contract_that_began_before_the_plan_is_there_with_its_ramp_half_done() -> None:
    """Began in October 2025 with a ramp of 6 months: 4/6 in January, 5/6 in February; ends with September 2026."""
    deal = w.sized(2.0, 12.0, start="2025-10", ramp_months=6)
    plan = w.planned(w.world([deal, w.on_demand(5.0)], [w.work(12.0)]))
    commitment = 2 * (8 * w.hours(1) + 10 * w.hours(2) + 12 * w.hours(3, 9))
    bought = 5 * (4 * w.hours(1) + 2 * w.hours(2) + 12 * w.hours(10, 12))
    assert w.component(plan, "commitments") == usd(commitment)
    assert plan.objective_usd == usd(commitment + bought)


@pytest.mark.parametrize("follows", [True, False])
def test_late_delivery_moves_the_bill_only_where_the_contract_says_so(follows: bool) -> None:
    """Two months late: 10 on demand in January and February. The bill runs from March, or from January."""
    deal = w.sized(2.0, 10.0, obligation_follows_delivery=follows, delay_credit_usd_per_accelerator_hour=0.5)
    scenarios = w.given({"delivery_delay_months": {"deal": 2}})
    plan = w.planned(w.world([deal, w.on_demand(5.0)], [w.work(10.0)], scenarios=scenarios))
    late, on_time = w.hours(1, 2), w.hours(3, 12)
    bill = 10 * 2 * (on_time if follows else YEAR)
    assert w.component(plan, "commitments") == usd(bill - 10 * 0.5 * late)
    assert plan.objective_usd == usd(bill - 10 * 0.5 * late + 10 * 5 * late)
    # Cash is as written, without delays.
    assert plan.cash[0].minimum_bill_usd == usd(10 * 2 * YEAR)
    assert plan.commitments[0].committed == pytest.approx(10 * (on_time if follows else YEAR))


# ---- prepayment and default


def present(month: int, rate: float = 0.1) -> float:
    """What a dollar in the middle of a month (1 is January 2026) is worth at the start."""
    return float((1 + rate) ** (-(month - 0.5) / 12))


def test_a_prepayment_costs_the_time_value_of_its_money() -> None:
    """10 at 2 USD; a quarter of 175,200 = 43,800 paid in January, credited over 5 months, at 10 % a year."""
    deal = w.sized(2.0, 10.0, prepayment={"fraction": 0.25, "credit_months": 5})
    plan = w.planned(w.world([deal], [w.work(10.0)], policy={"discount_rate_fraction": 0.1}))
    bills = sum(20 * w.hours(m) * present(m) for m in range(1, 13))
    financing = 43_800 * (present(1) - sum(present(m) for m in range(1, 6)) / 5)
    assert plan.objective_usd == usd(bills + financing)
    (cash,) = plan.cash
    assert (cash.prepayment_usd, cash.credit_usd, cash.minimum_bill_usd) == (usd(43_800), usd(43_800), usd(175_200))
    assert w.component(plan, "one_off") == usd(43_800 * present(1))


def test_optional_prepayment_earns_its_discount() -> None:
    """Up to half of 175,200 may be prepaid for a discount of 5 %: 87,600 buy credits of 87,600 / 0.95."""
    clause = {"fraction": 0.0, "credit_months": 12, "optional_fraction": 0.5, "discount_fraction": 0.05}
    deal = w.sized(2.0, 10.0, prepayment=clause)
    plan = w.planned(w.world([deal], [w.work(10.0)]))
    assert plan.objective_usd == usd(175_200 - 87_600 * (1 / 0.95 - 1))
    (cash,) = plan.cash
    assert (cash.prepayment_usd, cash.credit_usd, cash.minimum_bill_usd) == (
        usd(87_600), usd(87_600 / 0.95), usd(175_200),
    )  # fmt: skip
    # At 20 % a year, the money bound for 5.5 months on average is dearer than 5 %: nothing is prepaid.
    dear = w.planned(w.world([deal], [w.work(10.0)], policy={"discount_rate_fraction": 0.2}))
    assert dear.cash[0].prepayment_usd == usd(0)


@pytest.mark.parametrize(("refundable", "lost"), [(False, 21_900.0), (True, 0.0)])
def test_default_ends_the_bills_and_loses_what_was_prepaid(refundable: bool, lost: float) -> None:
    """Default from July: bills of 10 * 2 * 4,344 until June, then on demand at 5. Half of 43,800 was not credited."""
    clause = {"fraction": 0.25, "credit_months": 12, "refundable_on_late_delivery": refundable}
    deal = w.sized(2.0, 10.0, "c", prepayment=clause)
    scenarios = w.given({"default_month": {"cedar": "2026-07"}})
    plan = w.planned(w.world([deal, w.on_demand(5.0)], [w.work(10.0)], scenarios=scenarios))
    assert plan.objective_usd == usd(20 * w.hours(1, 6) + 50 * w.hours(7, 12) + lost)


@pytest.mark.parametrize(("refundable", "lost"), [(False, 43_800.0), (True, 0.0)])
def test_what_is_never_delivered_is_never_credited(refundable: bool, lost: float) -> None:
    """The contract slips past its end and its bill with it: the prepayment of 43,800 comes back only if refundable."""
    clause = {"fraction": 0.25, "credit_months": 12, "refundable_on_late_delivery": refundable}
    deal = w.sized(2.0, 10.0, prepayment=clause)
    scenarios = w.given({"delivery_delay_months": {"deal": 24}})
    plan = w.planned(w.world([deal, w.on_demand(5.0)], [w.work(10.0)], scenarios=scenarios))
    assert plan.objective_usd == usd(50 * YEAR + lost)


# ---- rights


def grown(month: str, factor: float) -> w.Json:
    return {"demand_factor": {"all": {month: factor}}}


def test_an_option_is_exercised_in_the_futures_that_need_it() -> None:
    """10 firm, 10 more as an option. Demand rises to 11 in June and 20 from July, or stays at 10.

    Firm: 175,200. Premium: 10 * 100. In the high future: strike 10 * 200, bills 10 * 2 * 4,416 h, and in June one
    accelerator on demand at 6 USD for 720 h.
    """
    option = {
        "max_fraction": 1.0, "premium_usd_per_accelerator": 100.0, "strike_usd_per_accelerator": 200.0,
        "first_exercise": "2026-07",
    }  # fmt: skip
    deal = w.sized(2.0, min_accelerators=10.0, max_accelerators=10.0, expansion_option=option)
    high = {"demand_factor": {"all": {"2026-06": 1.1, "2026-07": 2.0}}}
    plan = w.planned(w.world([deal, w.on_demand(6.0)], [w.work(10.0)], scenarios=w.given(high, {})))
    in_high = 10 * 200 + 10 * 2 * w.hours(7, 12) + 6 * w.hours(6)
    assert plan.objective_usd == usd(175_200 + 1_000 + 0.5 * in_high)
    (later,) = plan.later
    assert (later.contract, later.action, str(later.month), later.scenarios) == ("deal", "exercise", "2026-07", ("s0",))
    assert later.size == pytest.approx(10)
    assert w.decision(plan).option_size == pytest.approx(10)
    assert plan.cash[0].one_off_usd == usd(1_000)
    # Mean over futures of the firm bill, the strike and the exercised bill.
    assert plan.cash[0].minimum_bill_usd == usd(175_200 + 0.5 * (2_000 + 20 * w.hours(7, 12)))


def test_an_option_cannot_tell_futures_apart_that_look_alike_so_far() -> None:
    """The same without the sign in June: 10 are exercised in both futures or in none.

    Exercising costs 2,000 + 88,320 in both, on demand 10 * 6 * 4,416 = 264,960 in one: half of it is more.
    """
    option = {"max_fraction": 1.0, "strike_usd_per_accelerator": 200.0, "first_exercise": "2026-07"}
    deal = w.sized(2.0, min_accelerators=10.0, max_accelerators=10.0, expansion_option=option)
    plan = w.planned(w.world([deal, w.on_demand(6.0)], [w.work(10.0)], scenarios=w.given(grown("2026-07", 2.0), {})))
    assert plan.objective_usd == usd(175_200 + 2_000 + 88_320)
    assert [set(row.scenarios) for row in plan.later] == [{"s0", "s1"}]


def test_an_exit_needs_notice_and_costs_its_fee() -> None:
    """10 over two years; all work ends with September 2026. Notice in July ends capacity and bills with September.

    Left: October 2026 to December 2027 = 10,968 hours, 219,360 USD; a fifth of it is the fee.
    """
    deal = w.sized(2.0, 10.0, term_months=24, exit={"earliest": "2026-07", "notice_months": 3, "fee_fraction": 0.2})
    plan = w.planned(w.world([deal], [w.work({"2026-01": 10.0, "2026-10": 0.0})], months=24))
    left = w.hours(10, 24)
    assert left == 10_968
    assert plan.objective_usd == usd(20 * w.hours(1, 9) + 0.2 * 20 * left)
    (later,) = plan.later
    assert (later.action, str(later.month), later.size) == ("exit", "2026-07", pytest.approx(10))
    first, second = plan.cash
    assert first.minimum_bill_usd == usd(20 * w.hours(1, 9) + 0.2 * 20 * left)
    assert second.minimum_bill_usd == usd(0)


def test_part_of_a_contract_can_be_left() -> None:
    """4 are still needed after September: 6 leave."""
    deal = w.sized(2.0, 10.0, term_months=24, exit={"earliest": "2026-07", "notice_months": 3, "fee_fraction": 0.2})
    plan = w.planned(w.world([deal, w.on_demand(9.0)], [w.work({"2026-01": 10.0, "2026-10": 4.0})], months=24))
    assert plan.later[0].size == pytest.approx(6)
    assert plan.objective_usd == usd(20 * w.hours(1, 9) + (8 + 0.2 * 12) * w.hours(10, 24))


def test_a_later_signing_waits_for_what_is_known_then() -> None:
    """Half a year from July, to be signed in June. Demand from March is 10 or 0: it is signed where it is 10."""
    deal = w.sized(2.0, start="2026-07", signing="2026-06", term_months=6)
    job = w.work({"2026-03": 10.0})
    plan = w.planned(w.world([deal, w.on_demand(6.0)], [job], scenarios=w.given({}, grown("2026-03", 0.0))))
    assert plan.objective_usd == usd(0.5 * (60 * w.hours(3, 6) + 20 * w.hours(7, 12)))
    (later,) = plan.later
    assert (later.action, str(later.month), later.scenarios, later.size) == (
        "sign", "2026-06", ("s0",), pytest.approx(10),
    )  # fmt: skip
    assert (w.decision(plan).signed, w.decision(plan).reason) == (False, "later")
    assert plan.excuses == ()


def test_a_contract_with_volume_tiers_that_is_signed_later_is_signed() -> None:
    """60 from July at the tier's 1.5 USD; the rows of tiers are one decision."""
    deal = w.sized(2.0, start="2026-07", signing="2026-06", term_months=6, volume_tiers=TIERS)
    plan = w.planned(w.world([deal, w.on_demand(6.0)], [w.work({"2026-07": 60.0})]))
    assert plan.objective_usd == usd(60 * 1.5 * w.hours(7, 12))
    assert (w.decision(plan).signed, w.decision(plan).reason) == (False, "later")
    assert plan.excuses == ()


def test_a_backstop_adds_capacity_and_its_bill() -> None:
    """10 signed, up to half more when unsold, 40 % of that unsold: 12 are there and paid, 2 of them idle."""
    deal = w.sized(2.0, 10.0, backstop={"max_fraction": 0.5})
    plan = w.planned(w.world([deal], [w.work(10.0)], scenarios=w.given({"unsold_fraction": {"deal": 0.4}})))
    assert plan.objective_usd == usd(12 * 2 * YEAR)
    assert plan.capacity[0].committed_accelerators == pytest.approx(12)
    assert w.price(plan, "2026-05") == 0


@pytest.mark.parametrize("matched", [0.0, 0.25, 1.0])
def test_a_matched_contract_is_served_from_the_holder_s_pool(matched: float) -> None:
    """Birch may match Acme's 10: its part stands in Germany, where work bound to the US cannot run (3 do, unbound)."""
    deal = w.sized(2.0, 10.0, right_of_first_refusal={"holder": "birch", "pool": "b"})
    jobs = [
        w.work(10.0, residency={"allowed": ["US"]}),
        w.work(3.0, id="free", home="birch/rhein", residency={"allowed": ["EU"]}),
    ]
    scenarios = w.given({"matched_fraction": {"deal": matched}})
    plan = w.planned(w.world([deal, w.on_demand(5.0), w.on_demand(4.0, "b")], jobs, scenarios=scenarios))
    here, there = 10 * (1 - matched), 10 * matched
    assert plan.objective_usd == usd(YEAR * (10 * 2 + 5 * (10 - here) + 4 * max(0.0, 3 - there)))
    committed = {row.pool: row.committed_accelerators for row in plan.capacity if str(row.month) == "2026-05"}
    assert (committed["a"], committed["b"]) == pytest.approx((here, there))


def test_a_right_of_first_refusal_that_lapsed_before_the_start_binds_nobody() -> None:
    right = {"holder": "birch", "pool": "b", "match_fraction": 1.0, "lapses": "2026-01"}
    plan = w.planned(w.world([w.sized(2.0, 10.0, right_of_first_refusal=right)], [w.work(10.0)]))
    assert plan.objective_usd == usd(20 * YEAR)


def test_a_right_of_first_refusal_that_we_hold_gives_what_others_bid_for() -> None:
    """In half of the futures somebody bids 1.5 USD for 4 accelerators, which we may take at that price."""
    right = w.on_demand(1.5, amount=4.0, id="right", kind="first_refusal")
    scenarios = w.given({}, {"capacity_factor": {"right": {"2026-01": 0.0}}})
    plan = w.planned(w.world([right, w.on_demand(5.0)], [w.work(10.0)], scenarios=scenarios))
    assert plan.objective_usd == usd(YEAR * (0.5 * (4 * 1.5 + 6 * 5) + 0.5 * 50))
    assert w.price(plan, "2026-05") == pytest.approx(5)


@pytest.mark.parametrize(("cap", "value"), [(None, 500.0), (600.0, 300.0)])
def test_equity_received_counts_as_a_cautious_reader_would(cap: float | None, value: float) -> None:
    """10 at 100 USD, half of it realised: 500; capped at 600, half of it realised: 300."""
    plan = w.planned(
        w.world([w.sized(2.0, 10.0, equity={"usd_per_accelerator": 100.0, "max_usd": cap})], [w.work(10.0)])
    )
    assert plan.objective_usd == usd(20 * YEAR - value)
    assert w.component(plan, "one_off") == usd(-value)
    assert plan.cash[0].minimum_bill_usd == usd(20 * YEAR)


@pytest.mark.parametrize(("cap", "value"), [(None, 500.0), (600.0, 300.0)])
def test_equity_given_costs_what_vests(cap: float | None, value: float) -> None:
    deal = w.sized(2.0, 10.0, equity={"usd_per_accelerator": -100.0, "max_usd": cap})
    assert w.planned(w.world([deal], [w.work(10.0)])).objective_usd == usd(20 * YEAR + value)


def test_equity_that_vested_before_the_plan_is_no_part_of_it() -> None:
    """4 of 10 were there before; the other 6 come in July."""
    parts = [{"start": "2025-07", "fraction": 0.4}, {"start": "2026-07", "fraction": 0.6}]
    deal = w.sized(2.0, 10.0, start="2025-07", term_months=24, tranches=parts, equity={"usd_per_accelerator": 100.0})
    plan = w.planned(w.world([deal, w.on_demand(3.0)], [w.work(10.0)]))
    assert w.component(plan, "one_off") == usd(-0.5 * 100 * 6)


# ---- lease and own build


def test_a_lease_passes_electricity_through_on_what_is_used() -> None:
    """Rent 10 * 2; 6 used at 1.5 kW and 80 USD per MWh: 0.12 USD per hour."""
    power = {"kw_per_accelerator": 1.5, "usd_per_mwh": 80.0}
    plan = w.planned(w.world([w.sized(2.0, 10.0, kind="lease", power_pass_through=power)], [w.work(6.0)]))
    assert w.component(plan, "commitments") == usd(20 * YEAR)
    assert w.component(plan, "use") == usd(6 * 0.12 * YEAR)


SITE = {
    "id": "home", "region": "self/home", "max_mw": 5.0, "min_mw": 0.002, "capex_usd_per_mw": 100_000.0,
    "fixed_usd": 1_000.0, "energised": "2026-04",
}  # fmt: skip
BUILD = {
    "id": "deal", "kind": "own_build", "vendor": "self", "pools": ["own"], "site": "home", "start": "2026-04",
    "term_months": 24, "max_accelerators": 1000.0, "capex_usd_per_accelerator": 10_000.0, "residual_fraction": 0.3,
    "kw_per_accelerator": 1.0, "running_usd_per_accelerator_hour": 0.1, "usd_per_mwh": 100.0,
}  # fmt: skip


@pytest.mark.parametrize("late", [0, 2])
def test_an_own_build_pays_capital_and_waits_for_power(late: int) -> None:
    """10 of 1 kW need 0.01 MW: 1,000 + 1,000 for the site, 7,000 each after residual value, 0.1 running, 0.1 power.

    Until power is there, 10 come from the list at 4 USD.
    """
    scenarios = w.given({"energisation_delay_months": {"home": late}})
    world = w.world([BUILD, w.on_demand(4.0)], [w.work(10.0)], sites=[SITE], scenarios=scenarios)
    plan = w.planned(world)
    site = 1_000 + 100_000 * 0.01
    running = 10 * 0.1 * w.hours(4, 12)
    used = 10 * 0.1 * w.hours(4 + late, 12)
    listed = 10 * 4 * w.hours(1, 3 + late)
    assert plan.objective_usd == usd(site + 10 * 7_000 + running + used + listed)
    assert w.component(plan, "one_off") == usd(site + 70_000)
    (place,) = plan.sites
    assert (place.built, place.mw, place.capex_usd) == (True, pytest.approx(0.01), usd(site))
    assert plan.cash[0].capex_usd == usd(site + 100_000)
    assert plan.cash[0].minimum_bill_usd == usd(running)


def test_a_site_is_built_at_least_at_its_smallest_power() -> None:
    """With a smallest site of 0.5 MW the site costs 51,000; it is not worth opening for one accelerator."""
    world = w.world([BUILD, w.on_demand(4.0)], [w.work(1.0)], sites=[SITE | {"min_mw": 0.5}])
    plan = w.planned(world)
    assert not plan.sites[0].built
    assert plan.objective_usd == usd(4 * YEAR)
    committed = w.planned(w.world([w.on_demand(4.0)], [w.work(1.0)], sites=[SITE | {"min_mw": 0.5, "committed": True}]))
    assert committed.objective_usd == usd(4 * YEAR + 1_000 + 50_000)
    assert committed.sites[0].mw == pytest.approx(0.5)


# ---- what a contract is worth at the margin


def test_a_contract_between_its_bounds_is_worth_what_it_costs() -> None:
    """F8.4. 4 of at most 10 are reserved, since 4 are needed all year: one more or less would not pay."""
    plan = w.planned(w.world([w.sized(2.0), w.on_demand(3.0)], [w.work({"2026-01": 10.0, "2026-07": 4.0})]))
    (margin,) = plan.fee_margins
    assert margin.fee_usd_per_accelerator_hour == 2.0
    assert 0 <= margin.worth_usd_per_accelerator_hour <= 3.0


def test_a_contract_at_its_largest_size_is_worth_the_price_it_replaces() -> None:
    """4 accelerators at most, 10 needed all year, 3 USD on demand: one more reserved hour replaces one at 3 USD."""
    plan = w.planned(w.world([w.sized(2.0, 4.0), w.on_demand(3.0)], [w.work(10.0)]))
    (margin,) = plan.fee_margins
    assert margin.worth_usd_per_accelerator_hour == pytest.approx(3.0)


def test_a_contract_that_is_too_dear_is_worth_what_it_would_replace() -> None:
    """10 needed all year at 3 USD on demand: a reservation at 3.5 USD would have to cost 3."""
    plan = w.planned(w.world([w.sized(3.5), w.on_demand(3.0)], [w.work(10.0)]))
    (margin,) = plan.fee_margins
    assert (margin.fee_usd_per_accelerator_hour, margin.worth_usd_per_accelerator_hour) == pytest.approx((3.5, 3.0))
