"""Benchmark of spot capacity: deadlines and services on the shared traces.

    python -m bench.spot [--short]

Settings of "Can't Be Late" (NSDI'24): 48 h of work, 300 random starts for each series, job fractions (work over
deadline) from 0.6 up, changeover 0.2 h, its "2-week" campaign (8 series) and "2-month" campaign (9 series), one
instance; then 16 instances at once (3 series). The price is that of its V100: 0.92 of 3.06 USD. What the paper calls
omniscient is P5.9. The law of spells was set on every second series of both campaigns, in order of their names; the
other half is also printed by itself. Then the lengths, deadlines, changeovers and prices of its three real workloads.
Last, uniform progress as `place` decides it (P5.15), asked at every step of some of the same starts.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from argosy.clock import rng
from argosy.files.traces._source import source
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place import place
from argosy.place.deadlines import NO_ADVICE, UNIFORM, next_place, run
from argosy.place.outlook import IDLE, ON_DEMAND
from argosy.place.outlook import SPOT as SPOT_PLACE
from argosy.simulate.spot import POLICIES, SpotOutcome, gap_closed_fraction, replay
from argosy.simulate.standby import serve, zones
from bench.place import DATA

SPOT = DATA / "spot_traces" / "skypilot_spot.parquet"
WEEKS, MONTHS, SIXTEEN = (
    "availability/1-node/aws-10-26-2022",
    "availability/1-node/aws-02-15-2023",
    "availability/16-node/aws-08-27-2023",
)
PRICE = 0.92 / 3.06
START_HOURS = 0.2
ML_TRACE = "preemption/1-node/aws-04-22-2023/us-west-2b/v100_1"
# Name, work and deadline in hours, changeover in hours, price of spot beside on demand, published saving.
WORKLOADS = (
    ("ML training", 72.0, 84.0, 0.3, 0.33, "41 %"),
    ("ML training", 72.0, 100.0, 0.3, 0.33, "48 %"),
    ("bioinformatics", 22.5, 24.0, 0.2, 0.09, "63 %"),
    ("bioinformatics", 22.5, 28.0, 0.2, 0.09, "84 %"),
    ("data analytics", 27.0, 30.0, 0.2, 0.45, "27 %"),
    ("data analytics", 27.0, 36.0, 0.2, 0.45, "32 %"),
)


def deadlines(short: bool) -> None:
    """Savings, and how much of the gap between greedy and the optimum each policy closes."""
    rows = _rows()
    if rows is None:
        return
    begun = time.process_time()
    fractions = (0.7, 0.8, 0.9) if short else (0.6, 0.7, 0.8, 0.9, 0.95)
    starts = 20 if short else 300
    one = rows.filter(pl.col("series").str.starts_with(WEEKS) | pl.col("series").str.starts_with(MONTHS))
    kept = set(sorted(one["series"].unique().to_list())[1::2])
    print(f"\nDeadlines on spot: 48 h of work, changeover 0.2 h, spot at {PRICE:.2f} of on demand, {starts} starts\n")
    print("| series | work / deadline | " + " | ".join(f"{p}, saved" for p in POLICIES) + " | optimum, saved |", end="")
    print(" gap closed: uniform progress | gap closed: expected cost | missed |\n|---|" + "---|" * (len(POLICIES) + 5))
    for fraction in fractions:
        found = _replay(one, fraction, starts)
        _row("2 weeks, 8 series", fraction, [row for row in found if row.series.startswith(WEEKS)])
        _row("2 months, 9 series", fraction, [row for row in found if row.series.startswith(MONTHS)])
        _row("both", fraction, found)
        _row("those not used for the law, 8", fraction, [row for row in found if row.series in kept])
        if fraction == 0.8:
            weeks = [row for row in found if row.series.startswith(WEEKS)]
    many = rows.filter(pl.col("series").str.starts_with(SIXTEEN))
    for fraction in (0.8,) if short else (0.6, 0.8, 0.9):
        _row("16 at once, 3 series", fraction, _replay(many, fraction, starts, need=16.0))
    hours = ", ".join(
        f"{policy} {np.mean([row.spot_hours[policy] for row in weeks]):.1f} h on spot" for policy in POLICIES
    )
    print(f"\nat 0.8 on the 8 series: {hours}; published: greedy 17.2 h, uniform progress 22.9 h, omniscient 27.4 h")
    print("published: uniform progress reduces the gap to omniscient by about half, and saves 27 to 84 % on three real")
    print(f"workloads with other prices; CPU seconds of this part: {time.process_time() - begun:.0f}")


def workloads(short: bool) -> None:
    """The three real workloads of the paper: its settings and prices; its traces where we have them."""
    rows = _rows()
    if rows is None:
        return
    mean = rows.group_by("series").agg(pl.col("accelerators").mean(), pl.col("accelerators").max().alias("most"))
    usual = mean.filter(pl.col("accelerators").is_between(0.7, 0.9), pl.col("most") == 1)["series"].to_list()
    own = [name for name in usual if name == ML_TRACE]
    print("\nReal workloads of the paper, saved beside on demand\n")
    print(
        "| workload | work, due, h | spot price | on | greedy | uniform progress | expected cost | optimum |"
        " published, uniform progress |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for name, work, due, changeover, price, published in WORKLOADS:
        chosen = own if name == "ML training" else usual
        found = replay(
            rows.filter(pl.col("series").is_in(chosen)),
            work_hours=work,
            deadline_hours=due,
            changeover_hours=changeover,
            spot_price_ratio=price,
            starts=20 if short else 100,
            seed=0,
        )
        saved = [np.mean([row.saving_fraction(policy) for row in found]) for policy in POLICIES]
        best = 1 - np.mean([np.nan if row.optimum_fraction is None else row.optimum_fraction for row in found])
        cells = " | ".join("–" if np.isnan(value) else f"{100 * value:.0f} %" for value in (*saved, best))
        on = "its own trace" if chosen is own else f"{len(usual)} series with 70 to 90 % spot"
        print(f"| {name} | {work:g}, {due:g} | {price:.2f} | {on} | {cells} | {published} |", flush=True)


def through_place(short: bool) -> None:
    """Uniform progress in `place` itself beside P5.4, on the same starts: saving, and decisions that differ.

    What `place` keeps in reserve is given to it once (nothing is lost between two steps of a replay), and once not.
    """
    rows = _rows()
    if rows is None:
        return
    begun = time.process_time()
    one = rows.filter(pl.col("series").str.starts_with(WEEKS) | pl.col("series").str.starts_with(MONTHS))
    names = sorted(one["series"].unique().to_list())[:: 4 if short else 1]
    one, starts = one.filter(pl.col("series").is_in(names)), 1 if short else 3
    print(f"\nUniform progress through `place`: 48 h of work, {starts} starts in each of {len(names)} series\n")
    print(
        "| work / deadline | P5.4, saved | place, saved | decisions | that differ | place with its reserve, saved |",
        end="",
    )
    print(" missed |\n|---|---|---|---|---|---|---|")
    for fraction in (0.8,) if short else (0.6, 0.8, 0.9):
        found: list[tuple[float, Driven, Driven]] = []
        for (name,), mine in one.group_by("series", maintain_order=True):
            at, up = mine["at_seconds"].to_numpy() / 3600, mine["accelerators"].to_numpy() >= 1
            step = float(np.median(np.diff(at)))
            steps = int(np.floor(48.0 / fraction / step + 1e-9))
            first = np.flatnonzero(at[steps:] - at[:-steps] <= (steps + 0.5) * step)
            if not len(first):
                continue
            drawn = rng(0, "simulate", "spot", str(name)).integers(0, len(first), size=starts)
            for b in first[drawn].tolist():
                spot = up[b : b + steps]
                twin = run(UNIFORM, spot, step, 48.0, 48.0 / fraction, START_HOURS, PRICE)
                reserve = max(START_HOURS, step)
                found.append((twin.cost, drive(spot, step, 48.0, reserve), drive(spot, step, 48.0, 0.0)))
        saved = [1 - np.mean(costs) / 48.0 for costs in zip(*((c, a.cost, b.cost) for c, a, b in found), strict=True)]
        print(
            f"| {fraction} | {100 * saved[0]:.1f} % | {100 * saved[1]:.1f} % | "
            f"{sum(a.decisions for _, a, _ in found):,} | {sum(a.other for _, a, _ in found)} | "
            f"{100 * saved[2]:.1f} % | "
            f"{sum(not a.met for _, a, _ in found) + sum(not b.met for _, _, b in found)} |",
            flush=True,
        )
    print(f"\nCPU seconds of this part: {time.process_time() - begun:.0f}")


@dataclass(frozen=True, slots=True)
class Driven:
    """Work that `place` was asked about at every step; cost in hours on demand."""

    cost: float
    met: bool
    decisions: int
    other: int
    """Decisions that are not those of P5.4."""


def drive(spot: npt.NDArray[np.bool_], step: float, work: float, reserve: float) -> Driven:
    """One start. The deadline is the last step plus `reserve` hours that `place` may keep."""
    places = {None: IDLE, "spot": SPOT_PLACE, "firm": ON_DEMAND}
    due, running, pending, done, cost, decisions, other = len(spot) * step, None, 0.0, 0.0, 0.0, 0, 0
    region = Region(id="r", vendor="v", jurisdiction="US")
    chip = {"region": "r", "silicon": "v100", "family": "cuda"}
    for i, there in enumerate(spot.tolist()):
        if done >= work - 1e-9:
            break
        if running == "spot" and not there:
            running, pending = None, 0.0
        ask = PlaceAsk(
            id="j", accelerators=1.0, speed={"v100": 1.0}, families=("cuda",), usd_per_unit=60.0,
            spot_goodput_fraction=1.0, remaining_units=work - done, attained_units=done, elapsed_hours=i * step,
            deadline_hours=due - i * step + reserve, restart_hours=START_HOURS, starting_hours=pending,
            running_in=running,
        )  # fmt: skip
        pools = (
            PoolState(
                id="spot", tier="spot", own_accelerators=float(there), usd_per_accelerator_hour=3.06 * PRICE, **chip
            ),
            PoolState(id="firm", own_accelerators=1.0, as_used_fraction=1.0, usd_per_accelerator_hour=3.06, **chip),
        )
        seen = Snapshot(price_source="contracts", regions=(region,), pools=pools, asks=(ask,), look_hours=step)
        made = place(seen)
        then = made.assignments[0].pool if made.assignments else None
        twin = next_place(
            UNIFORM, places[running], there, i * step, done, work, due, START_HOURS, pending, step, NO_ADVICE
        )
        decisions, other = decisions + 1, other + (places[then] != twin)
        if then != running:
            pending = 0.0 if then is None else START_HOURS
        running = then
        if then is not None:
            useful = min(max(0.0, step - pending), work - done)
            ran = pending + work - done if done + step - pending >= work and pending < step else step
            pending, done = max(0.0, pending - step), done + useful
            cost += ran * (PRICE if then == "spot" else 1.0)
    return Driven(cost, done >= work - 1e-9, decisions, other)


def services() -> None:
    """Replicas on spot of several zones with on demand behind them."""
    rows = _rows()
    if rows is None:
        return
    begun = time.process_time()
    print(f"\nServices on spot: a start takes {START_HOURS} h, spot at {PRICE:.2f}; cost beside as many on demand\n")
    print("| zones | replicas | run as | cost | ready, share of replicas | all ready, share of time | lost |")
    print("|---|---|---|---|---|---|---|")
    for campaign, name, wanted in ((MONTHS, "9 zones, 1 each", 4), (SIXTEEN, "3 zones, up to 16 each", 12)):
        names = sorted(rows.filter(pl.col("series").str.starts_with(campaign))["series"].unique().to_list())
        room, step = zones(rows, names)
        # A zone of one instance is taken to have room for all where only one zone may be used.
        alone = [room[:, [z]] * (wanted if room.max() == 1 else 1) for z in range(len(names))]
        ways = (
            ("one zone, nothing behind it, mean", alone, {"on_demand": False}),
            ("one zone and on demand, mean", alone, {}),
            ("spread, nothing behind it", [room], {"on_demand": False}),
            ("spread and on demand", [room], {}),
            ("the same and one more on spot", [room], {"extra": 1}),
            ("the same, spells trusted after 2 h", [room], {"extra": 1, "trust_hours": 2.0}),
        )
        for way, rooms, options in ways:
            found = [
                serve(each, step_hours=step, start_hours=START_HOURS, spot_price_ratio=PRICE, wanted=wanted, **options)  # type: ignore[arg-type]
                for each in rooms
            ]
            print(
                f"| {name} | {wanted} | {way} | {100 * np.mean([f.cost_fraction for f in found]):.1f} % | "
                f"{100 * np.mean([f.available_fraction for f in found]):.2f} % | "
                f"{100 * np.mean([f.whole_fraction for f in found]):.2f} % | "
                f"{np.mean([f.lost.sum() for f in found]):,.0f} |"
            )
    print(f"\nCPU seconds of this part: {time.process_time() - begun:.0f}")


def _rows() -> pl.DataFrame | None:
    if not SPOT.is_file():
        print("\nskipped: spot_traces is not beside the repository")
        return None
    return source(f"skypilot_spot:{SPOT}").availability()


def _replay(rows: pl.DataFrame, fraction: float, starts: int, need: float = 1.0) -> list[SpotOutcome]:
    return replay(
        rows,
        work_hours=48.0,
        deadline_hours=48.0 / fraction,
        changeover_hours=START_HOURS,
        spot_price_ratio=PRICE,
        starts=starts,
        seed=0,
        need=need,
    )


def _row(name: str, fraction: float, found: Sequence[SpotOutcome]) -> None:
    saved = [np.mean([row.saving_fraction(policy) for row in found]) for policy in POLICIES]
    best = 1 - np.mean([np.nan if row.optimum_fraction is None else row.optimum_fraction for row in found])
    closed = [gap_closed_fraction(found, policy) for policy in ("uniform_progress", "expected_cost")]
    cells = " | ".join(f"{100 * value:.1f} %" for value in (*saved, best))
    gaps = " | ".join("–" if value is None else f"{100 * value:.0f} %" for value in closed)
    print(f"| {name} | {fraction} | {cells} | {gaps} | {sum(sum(row.missed.values()) for row in found)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer deadlines and starts")
    short = parser.parse_args().short
    print(f"machine {platform.machine()}, {datetime.date.today()}, Python {platform.python_version()}")
    deadlines(short)
    workloads(short)
    services()
    through_place(short)


if __name__ == "__main__":
    main()
