"""Benchmark of simulation: portfolios, faults, queues on chips of different speed, deadlines on spot.

    python -m bench.simulate [--short]

Published numbers: Gavel (OSDI'20); for spot see `bench.spot`. The streams of asks are drawn by Gavel's method with
our own generator, so single seeds differ from theirs: the objective max_min, which is Gavel's policy, is run on the
same streams for comparison. The data lie beside the repository in ../shared/data.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

import numpy as np

from argosy.files.load import load as load_portfolio
from argosy.files.traces._source import source
from argosy.market.catalogue import bundled
from argosy.model.portfolio import Portfolio
from argosy.settings import Settings
from argosy.simulate.invented import MULTIPLE, SINGLE, poisson_asks
from argosy.simulate.outcome import outcome
from argosy.simulate.queue import Queue
from argosy.simulate.run import FIRST_FIT, Setup, Simulation
from bench import spot
from bench.place import DATA

ROOT = Path(__file__).resolve().parents[1]
GAVEL = DATA / "gavel_throughputs"
# (name, sizes, asks per hour, published by policy, average completion in hours)
STREAMS = (
    ("single accelerator, 5.6/h", SINGLE, 5.6, "AlloX 25.32, Gavel 28.96, with sharing 19.64"),
    ("multi accelerator, 2.6/h", MULTIPLE, 2.6, "Gavel 36.44, with sharing 30.51"),
)


def queues(short: bool) -> None:
    trace = source(f"gavel:{GAVEL / 'msr_0e4a51_seed0.csv.gz'}")
    speeds, shared = trace.throughputs(), trace.shared_throughputs()
    counts = source("gavel:36,36,36").counts()
    first, last = (500, 800) if short else (4000, 5000)
    seeds = (0,) if short else (0, 1, 2)
    objectives = ("max_min", "completion") if not short else ("completion",)
    print(f"\nGavel, asks {first} to {last} of a Poisson stream, rounds of 360 s, seeds {seeds}\n")
    print("| stream | objective | average completion, h | by seed | published, h | run time, s |")
    print("|---|---|---|---|---|---|")
    for name, sizes, per_hour, published in STREAMS[:1] if short else STREAMS:
        for objective in (*objectives, "completion with sharing"):
            begun, hours = time.perf_counter(), []
            for seed in seeds:
                asks = poisson_asks(
                    speeds, reference="v100", count=last + 2000, per_hour=per_hour, sizes=sizes, seed=seed
                )
                pairs = shared if "sharing" in objective else None
                queue = Queue(counts, asks, speeds, objective=objective.split(" ")[0], shared=pairs)
                hours.append(queue.run(measured=slice(first, last)).average_completion_hours)
            spread = ", ".join(f"{h:.2f}" for h in hours)
            took = time.perf_counter() - begun
            print(f"| {name} | {objective} | {np.mean(hours):.2f} | {spread} | {published} | {took:.0f} |", flush=True)


def portfolios(short: bool) -> None:
    """The bundled example, decided by `place` and by first fit, at rising demand; CPU seconds, nothing published."""
    world = portfolio(ROOT / "examples" / "busy-month")
    days = 5.0 if short else 30.0
    print(f"\nexamples/busy-month, {days:g} days, seed 0: place by value beside first fit\n")
    print("| demand | decided by | events | rounds | work done | USD | moves | preempted | CPU s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for load in (1.0,) if short else (1.0, 2.0, 3.0):
        for objective in ("value", FIRST_FIT):
            begun = time.process_time()
            found = outcome(Simulation(Setup(world, days=days, load=load, objective=objective)).run())
            took = time.process_time() - begun
            done = sum(row.done_units for row in found.works) / sum(row.wanted_units for row in found.works)
            record = found.simulation.record
            moves, usd = sum(day.migrations for day in found.days), sum(found.cost_usd.values())
            print(
                f"| {load:g} | {objective} | {record.events:,} | {record.rounds:,} | {100 * done:.2f} % | {usd:,.0f} | "
                f"{moves:,} | {found.simulation.counts.preempted:,} | {took:.1f} |",
                flush=True,
            )


def faults(short: bool) -> None:
    """Schedules with faults on the tiny world, decided by first fit: what a CPU second processes, checks included."""
    world = portfolio(ROOT / "tests" / "fixtures" / "two-halls")
    seeds = 30 if short else 200
    begun, events, violations = time.process_time(), 0, 0
    for seed in range(seeds):
        made = Simulation(Setup(world, days=1.5, seed=seed, objective=FIRST_FIT, faults=True)).run()
        events += made.record.events + made.counts.messages
        violations += len(made.watch.violations) if made.watch else 0
    took = time.process_time() - begun
    print(
        f"\nfaults: {seeds} schedules, {events:,} events and messages in {took:.1f} CPU s, {events / took:,.0f}/s; "
        f"{violations} violations"
    )


def portfolio(path: Path) -> Portfolio:
    """A portfolio with the catalogue filled in."""
    catalogue = bundled()
    return load_portfolio(path, Settings(), catalogue=catalogue).with_catalogue(catalogue)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="shorter streams, fewer deadlines")
    short = parser.parse_args().short
    print(f"machine {platform.machine()}, {datetime.date.today()}, Python {platform.python_version()}")
    portfolios(short)
    faults(short)
    if not GAVEL.is_dir():
        print(f"skipped: {GAVEL.name} is not beside the repository")
        return
    spot.deadlines(short)
    spot.workloads(short)
    spot.services()
    queues(short)


if __name__ == "__main__":
    main()
