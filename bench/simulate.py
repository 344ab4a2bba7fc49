"""Benchmark of simulation: portfolios, faults, queues on chips of different speed, deadlines on spot.

    python -m bench.simulate [--short]

Published numbers: Gavel (OSDI'20; `bench.queues`) and "Can't Be Late" (NSDI'24; `bench.spot`). The data lie beside the
repository in ../shared/data.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

from argosy.files.load import load as load_portfolio
from argosy.market.catalogue import bundled
from argosy.model.portfolio import Portfolio
from argosy.settings import Settings
from argosy.simulate.outcome import outcome
from argosy.simulate.run import FIRST_FIT, Setup, Simulation
from bench import spot
from bench.queues import GAVEL, completions, makespans

ROOT = Path(__file__).resolve().parents[1]


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
    completions(short)
    makespans(short)


if __name__ == "__main__":
    main()
