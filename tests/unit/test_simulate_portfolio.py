"""A portfolio under a virtual clock: sums that must hold, small worlds counted by hand, the command from outside."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from argosy.cli.simulate import simulate
from argosy.control.turns import FAIR
from argosy.errors import BadInput
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.portfolio import Portfolio
from argosy.settings import Settings
from argosy.simulate.arrivals import _mean_hours, _weekday
from argosy.simulate.capacity import Span
from argosy.simulate.meter import Meter
from argosy.simulate.outcome import Outcome, document, outcome
from argosy.simulate.run import Setup, Simulation
from argosy.units import Month

ROOT = Path(__file__).resolve().parents[2]
BUSY = ROOT / "examples" / "busy-month"
HALLS = ROOT / "tests" / "fixtures" / "two-halls"


def world(path: Path) -> Portfolio:
    catalogue = bundled()
    return load(path, Settings(), catalogue=catalogue).with_catalogue(catalogue)


@cache
def busy(**changes: Any) -> Outcome:
    return outcome(Simulation(Setup(world(BUSY), **{"days": 2.0, "seed": 5, **changes})).run())


def philly(tmp_path: Path, rows: list[str]) -> str:
    path = tmp_path / "jobs.csv"
    path.write_text("\n".join(["timestamp,duration,num_gpus,gpu_time,cluster", *rows]) + "\n")
    return f"philly:{path}"


def run(*words: str) -> Any:
    app = typer.Typer()
    app.command()(simulate)
    return CliRunner().invoke(app, list(words))


# Laws


def test_the_same_seed_gives_the_same_document() -> None:
    def told(seed: int) -> str:
        return json.dumps(document(outcome(Simulation(Setup(world(BUSY), days=0.5, seed=seed)).run()), "x"))

    assert told(2) == told(2) != told(3)


def test_nothing_is_used_that_is_not_there_and_all_sums_agree() -> None:
    found = busy()
    meter = found.simulation.meter
    used = meter.used_accelerator_hours[:, : found.hours]
    # An hour in which spot was taken away holds what stood before: capacity changes on the hour, so it never does here.
    assert (used <= found.capacity_accelerators + 1e-6).all()
    assert sum(row.used_accelerators for row in found.pools) == pytest.approx(used.sum() / found.hours)
    told = document(found, "x")
    assert sum(found.cost_usd.values()) == pytest.approx(told["cost_usd"]["total"])
    days = told["by_day"]
    assert sum(d["committed_usd"] + d["on_demand_usd"] + d["egress_usd"] for d in days) == pytest.approx(
        told["cost_usd"]["total"]
    )
    for name in ("migrations", "evictions", "preemptions", "copies"):
        assert sum(d[name] for d in days) == told[name]
    assert sum(d["arrived"] for d in days) == sum(w["arrived"] or 0 for w in told["workloads"])
    assert sum(d["ended"] for d in days) == sum(w["ended"] or 0 for w in told["workloads"])
    assert told["wait_hours"]["started"] + told["wait_hours"]["never_started"] == sum(d["arrived"] for d in days)
    for row in found.works:
        assert row.done_units + row.unserved_units == pytest.approx(row.wanted_units)
        assert -1e-9 <= row.done_units <= row.wanted_units * (1 + 1e-9)
    assert told["worst_residual"] < 1e-6
    assert told["unexplained_accelerator_hours"] == pytest.approx(0, abs=1e-6)


def test_billed_time_is_the_time_that_runs_were_there() -> None:
    made = busy().simulation
    running = sum(
        run.order.lease.accelerators * (made.clock.hours - run.began_hours)
        for vendor in made.vendors.values()
        for run in vendor.runs.values()
    )
    whole = made.counts.billed_accelerator_hours + running + made.ground.flow_accelerator_hours
    assert made.meter.used_accelerator_hours.sum() == pytest.approx(whole)


def test_residency_holds_in_every_run() -> None:
    made = busy().simulation
    assert made.meter.used_accelerator_hours[made.meter.pools["virginia-h100"]].sum() >= 0
    for vendor in made.vendors.values():
        for run in vendor.runs.values():
            if made.work.workload_of[run.order.ask.id] == "model":
                assert run.region in {"aws/eu-central-1", "nebius/eu-north1"}


def test_more_demand_costs_more_and_waits_longer() -> None:
    light, heavy = busy(load=0.5, days=1.0), busy(load=2.5, days=1.0)
    assert sum(heavy.cost_usd.values()) > sum(light.cost_usd.values())
    assert heavy.waits_hours.mean() > light.waits_hours.mean()


def test_first_fit_is_another_way_to_decide_in_the_same_world() -> None:
    """M13: the same arrivals and capacity, nothing moved or stopped for others."""
    ours, plain = busy(days=1.0), busy(days=1.0, objective="first_fit")
    assert [w.ask.id for w in ours.simulation.work.wants] == [w.ask.id for w in plain.simulation.work.wants]
    assert (ours.capacity_accelerators == plain.capacity_accelerators).all()
    assert sum(day.migrations for day in plain.days) == 0
    assert sum(day.migrations for day in ours.days) > 0


@pytest.mark.parametrize("objective", FAIR)
def test_a_fair_objective_keeps_its_shares_and_tells_how_well(objective: str) -> None:
    """M15 and M16, counted again from what the simulation did: ends, arrivals, speeds, and the accounts."""
    found = busy(days=0.5, load=3.0, objective=objective)
    made, told = found.simulation, document(found, "x")["fairness"]
    paces = []
    for want in made.work.wants:
        end = made.counts.done_hours.get(want.ask.id)
        there = (made.clock.hours if end is None else end) - want.arrived_hours
        if there <= 0 or (end is None and there < 4):
            continue
        done = want.ask.remaining_units if end is not None else made.progress_units(want.ask.id)
        # Everything in this world may run on H200, which is the fastest.
        best = want.ask.speed["h200"] * want.ask.accelerators
        best *= made.ground.pools["finland-h200"].goodput_fraction
        best *= want.ask.vendor_goodput_fraction.get("nebius", 1.0)
        assert done is not None
        paces.append(done / best / there)
    every = told["all"]
    assert every["asks"] == len(paces) == sum(row["asks"] for row in told["workloads"])
    assert every["jain_index"] == pytest.approx(sum(paces) ** 2 / len(paces) / sum(p * p for p in paces))
    assert every["least_pace_fraction"] == pytest.approx(min(paces))
    assert every["pace_fraction"] == pytest.approx(every["alone_hours"] / every["there_hours"])
    accounts = made.turns[0].accounts
    assert every["fair_units"] == pytest.approx(sum(a.fair_units for a in accounts.values()))
    assert every["most_owed_hours"] == max(row["most_owed_hours"] for row in told["workloads"]) < 4
    # What was done is at most a turn of each ask behind what the shares gave.
    assert every["attained_units"] > every["fair_units"] * 0.8
    assert told["objective_fallbacks"] == 0
    assert document(found, "x")["worst_residual"] < 1e-6


def test_fair_shares_are_fairer_than_value_in_the_same_world() -> None:
    """M15 asks nothing of the objective, so that objectives compare."""
    fair, most = (busy(days=1.0, load=2.0, objective=word).fairness for word in ("max_min", "value"))
    assert fair.every.jain_index is not None
    assert most.every.jain_index is not None
    assert fair.every.jain_index > most.every.jain_index + 0.03
    assert most.every.fair_units is None
    assert most.instead is None


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.floats(0, 30), st.integers(0, 9)), min_size=1, max_size=12),
    st.lists(st.floats(0, 5), min_size=24, max_size=24),
)
def test_the_meter_agrees_with_a_sum_over_small_steps(changes: list[tuple[float, int]], wanted: list[float]) -> None:
    """M6, against adding up every thousandth of an hour."""
    steps = 200
    meter = Meter(["p"], {"f": np.array(wanted)}, 24)
    level = 0
    told = sorted((round(at * steps) / steps, count) for at, count in changes)
    fine = np.zeros(24 * steps)
    for at, count in told:
        meter.use("p", count - level, at)
        meter.serve("f", float(count), 0.0, at)
        fine[round(at * steps) :] = count
        level = count
    meter.close(24.0)
    by_hour = fine.reshape(24, steps)
    assert meter.used_accelerator_hours[0] == pytest.approx(by_hour.mean(axis=1), abs=1e-9)
    served = np.minimum(by_hour, np.array(wanted)[:, None]).mean(axis=1)
    assert meter.served_units[0] == pytest.approx(served, abs=1e-9)


# By hand


def test_two_gangs_on_one_hall_wait_for_each_other(tmp_path: Path) -> None:
    """Eight accelerators where the data lies; restart takes a quarter of an hour, so the second starts after 2.25 h."""
    trace = philly(tmp_path, [f"2026-03-01 00:00:0{i},7200,8,0,x" for i in (0, 0, 0)])
    done = run(str(HALLS), "--trace", trace, "--as", "gangs", "--days", "1", "--objective", "first_fit", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    gangs = next(row for row in told["workloads"] if row["workload"] == "gangs")
    assert (gangs["arrived"], gangs["ended"], gangs["wanted_units"]) == (3, 3, pytest.approx(48))
    # first fit never copies data, so only alder-eu, where the corpus lies: 0.25, 2.5, 4.75 hours.
    assert gangs["mean_wait_hours"] == pytest.approx((0.25 + 2.5 + 4.75) / 3, abs=1e-3)
    alder = next(row for row in told["pools"] if row["pool"] == "alder-eu")
    assert alder["used_accelerators"] * 24 == pytest.approx(3 * 8 * 2.25)


def test_a_copy_is_ordered_once_and_takes_its_time(tmp_path: Path) -> None:
    """512 GiB at 10 Gbit/s take 0.122 hours in the median; both gangs in Finland wait for the one copy."""
    trace = philly(tmp_path, [f"2026-03-01 00:00:00,36000,{n},0,x" for n in (8, 4, 4)])
    found = run(str(HALLS), "--trace", trace, "--as", "gangs", "--days", "1", "--json")
    told = json.loads(found.output)
    assert told["copies"] == 1
    assert told["by_day"][0]["egress_usd"] == pytest.approx(512 * 0.02, abs=0.5)
    gangs = next(row for row in told["workloads"] if row["workload"] == "gangs")
    assert gangs["ended"] == 3
    assert 0.25 <= gangs["mean_wait_hours"] <= 0.6


def test_a_minimum_bill_is_owed_whether_used_or_not() -> None:
    found = busy(load=0.01, days=1.0)
    rows = {row.supply: row for row in found.bill.contracts}
    assert rows["frankfurt-one-year"].committed_usd == pytest.approx(96 * 24 * 3.6)
    hall = found.simulation.scenario.delivery_delay_months
    assert hall == {} or "finland-hall" in hall
    assert rows["finland-hall"].owed == pytest.approx(64 * 0.8 * 24)


def test_late_delivery_is_seen_and_not_owed() -> None:
    """The second half of the Finnish hall is written for April; in a future where it slips it is not there in May."""
    written = Simulation(Setup(world(BUSY), days=1.0, month=Month(2026, 5), future="expected"))
    assert written.capacity.most(0.0)["finland-h200"] == 128
    portfolio = world(BUSY)
    late = portfolio.scenarios.model_copy(update={"given": tuple(_late(portfolio)), "count": 0})
    slipped = Simulation(
        Setup(portfolio.model_copy(update={"scenarios": late}), days=1.0, month=Month(2026, 5), future="slip")
    )
    assert slipped.capacity.most(0.0)["finland-h200"] == 64
    hall = next(line for line in slipped.capacity.lines if line.row.id == "finland-hall")
    assert hall.owed[0] == 64


def _late(portfolio: Portfolio) -> Any:
    scenario = Simulation(Setup(portfolio, days=0.1, future="expected")).scenario
    yield scenario.model_copy(update={"id": "slip", "delivery_delay_months": {"finland-hall": 6}})


def test_invented_work_amounts_to_what_is_written() -> None:
    """M4: mean over seeds of what arrives, against the accelerators written for the month."""
    portfolio = world(HALLS)
    amounts = []
    for seed in range(30):
        made = Simulation(Setup(portfolio, days=7.0, seed=seed))
        amounts.append(
            sum(w.ask.remaining_units or 0 for w in made.work.wants if made.work.workload_of[w.ask.id] == "night") / 168
        )
    assert np.mean(amounts) == pytest.approx(6.0, rel=0.1)


def test_calendar_and_mean_length() -> None:
    assert [_weekday(2026, 3), _weekday(2024, 2), _weekday(2025, 1)] == [6, 3, 2]
    span = Span.of(Month(2026, 2), 24 * 40, 12)
    assert span.hours == 960
    assert [span.index(h) for h in (0.0, 671.9, 672.0, 5000.0)] == [0, 0, 1, 1]
    assert Span.of(Month(2026, 2), 24 * 90, 1).hours == 28 * 24
    pattern = world(HALLS).workloads[1].pattern
    draws = np.random.default_rng(0).lognormal(np.log(pattern.median_hours), pattern.spread_fraction, 200_000)
    assert _mean_hours(pattern) == pytest.approx(np.minimum(draws, pattern.longest_hours).mean(), rel=0.01)


# Traces


def test_a_trace_arrives_faster_under_load_and_is_cut_to_the_days(tmp_path: Path) -> None:
    trace = philly(tmp_path, [f"2026-03-0{d} 00:00:00,3600,1,0,x" for d in (1, 2, 3)])
    arrived = []
    for load_factor in ("1", "3"):
        done = run(str(HALLS), "--trace", trace, "--days", "1", "--load", load_factor, "--as", "gangs", "--json")
        told = json.loads(done.output)
        arrived.append(next(row for row in told["workloads"] if row["workload"] == "gangs")["arrived"])
    assert arrived == [1, 3]


def test_recorded_rates_and_spot_replace_the_invented_ones(tmp_path: Path) -> None:
    rates = tmp_path / "rates.csv"
    rows = "\n".join(f"c,{600 * i},{1.0 if i < 72 else 0.0}" for i in range(144))
    rates.write_text(f"client,t_s,rate_rps\n{rows}\n")
    spot = tmp_path / "spot.csv"
    spot.write_text(
        "kind,nodes,campaign,zone,accelerator,t_s,value\n" + "\n".join(f"a,1,c,z,v,{3600 * i},0" for i in range(48))
    )
    done = run(str(BUSY), "--trace", f"servegen:{rates}", "--trace", f"skypilot_spot:{spot}", "--days", "1", "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    pools = {row["pool"]: row["capacity_accelerators"] for row in told["pools"]}
    assert pools["frankfurt-spot"] == pools["finland-spot"] == 0
    wanted = next(row for row in told["workloads"] if row["workload"] == "assistant")["wanted_units"]
    assert wanted == pytest.approx(60 * 1.1 * 12, rel=0.15)


# The command


def test_the_example_from_outside(tmp_path: Path) -> None:
    page = tmp_path / "out.html"
    words = [str(BUSY), "--days", "1", "--seed", "4", "--json", "--report", str(page)]
    done = run(*words)
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    assert told["format"] == "argosy.simulate/1"
    assert told["simulation"] == "portfolio"
    assert len(told["by_day"]) == 1
    text = page.read_text()
    assert text.count('role="img"') >= 8
    # Six small pictures of pools may go over pages in print, or the first page would end below the headline.
    assert '<figure class="many">' in text
    assert "figure.many { break-inside: auto; }" in text
    assert text.count("<title id=") == text.count("<desc id=")
    for heading in (
        "Use by pool over time",
        "Waiting",
        "Cost",
        "Migrations and stops",
        "Why work waited",
        "Day by day",
    ):
        assert f">{heading}</h2>" in text
    assert "http://" not in text.replace("http://www.w3.org", "")
    table = run(*words[:5])
    assert table.exit_code == 0
    assert "Pools" in table.output
    assert "assistant" in table.output


def test_a_plan_gives_sizes_and_prices(tmp_path: Path) -> None:
    text = (BUSY / "portfolio.yaml").read_text()
    candidate = text.replace("    accelerators: 96", "    max_accelerators: 200").replace("    status: signed\n", "", 1)
    candidate = candidate.replace("start: 2026-01", "start: 2026-03", 1)
    portfolio = tmp_path / "portfolio.yaml"
    portfolio.write_text(candidate)
    pools = [pool.id for pool in world(portfolio).pools]
    plan = {
        "format": "argosy.plan/1",
        "status": "optimal",
        "prices": [{"pool": pool, "month": "2026-03", "usd_per_accelerator_hour": 0.0} for pool in pools],
        "decisions": [{"contract": "frankfurt-one-year", "signed": True, "size": 40.0}],
    }
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(plan))
    told = json.loads(run(str(portfolio), "--days", "1", "--plan", str(path), "--json").output)
    assert told["price_source"] == "plan"
    row = next(row for row in told["contracts"] if row["supply"] == "frankfurt-one-year")
    assert row["owed"] == pytest.approx(40 * 24)
    assert row["committed_usd"] == pytest.approx(40 * 24 * 3.6)
    unsigned = json.loads(run(str(portfolio), "--days", "0.5", "--json").output)
    assert "frankfurt-one-year" not in {row["supply"] for row in unsigned["contracts"]}


def test_a_way_that_nobody_measured_is_an_error_that_names_it_and_the_remedy() -> None:
    """M14. A vendor that measures nothing, and one without any link, both on the startup's list."""
    done = run(str(ROOT / "examples" / "startup"), "--days", "1")
    told = done.stderr
    assert done.exit_code == 2
    assert "the link lambda to internet does not say how fast it is" in told
    assert "{start: lambda, end: internet, usd_per_gib: ..., p50_gbit_per_second: ...}" in told
    assert "link.missing" in told
    assert "start: nebius" in told
    assert told.count("link.") == 3


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--objective", "fairest"], "is none of value, cost, max_min"),
        (["--month", "2031-01"], "outside the horizon"),
        (["--month", "March"], "YYYY-MM"),
        (["--future", "nobody"], "none of expected"),
        (["--trace", "philly:/nowhere.csv"], "no such file"),
        (["--trace", "nothing:x"], "KIND:PATH"),
        (["--fleet", "gavel:1,1,1"], "a portfolio has its own pools"),
        (["--as", "assistant", "--trace", "JOBS"], "no workload that arrives as asks"),
        (["--trace", "JOBS", "--trace", "JOBS"], "two traces give asks"),
        (["--trace", f"openb:{ROOT}/examples/small-fleet/asks.csv"], "says nothing about arrival_seconds"),
    ],
)
def test_wrong_arguments_are_one_error_each(words: list[str], message: str, tmp_path: Path) -> None:
    jobs = philly(tmp_path, ["2026-03-01 00:00:00,3600,1,0,x"])
    done = run(str(BUSY), "--days", "0.2", *(jobs if word == "JOBS" else word for word in words))
    assert done.exit_code == 2, done.output
    assert message in done.output + done.stderr


def test_without_anything_the_command_says_what_it_needs() -> None:
    done = run()
    assert done.exit_code == 2
    assert "give a portfolio" in done.output + done.stderr


def test_a_portfolio_without_work_or_capacity_is_simulated_as_nothing() -> None:
    portfolio = world(HALLS)
    empty = outcome(Simulation(Setup(portfolio.model_copy(update={"workloads": ()}), days=1.0)).run())
    assert sum(empty.cost_usd.values()) == 0
    assert empty.works == ()
    bare = portfolio.model_copy(update={"pools": ()})
    nowhere = outcome(Simulation(Setup(bare, days=1.0)).run())
    assert nowhere.never_started == sum(day.arrived for day in nowhere.days) > 0
    with pytest.raises(BadInput, match="outside the horizon"):
        Simulation(Setup(portfolio, month=Month(2030, 1)))
