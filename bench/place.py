"""Benchmark of placement: ours beside the published numbers, in one run on one machine.

    python -m bench.place [--short]

openb: GPU allocation at 130 % arrivals, mean of ten seeds, against the results in the simulator's own repository (FGD,
ATC'23). The data lie beside the repository in ../shared/data and are not part of it.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import time
from pathlib import Path

import numpy as np
import polars as pl

from argosy.clock import SystemClock
from argosy.files.traces._source import source
from argosy.place.packing import POLICIES
from argosy.simulate.packing import fill

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
OPENB = DATA / "cluster_openb_2023"
PUBLISHED = {
    "01-Random": "random",
    "02-DotProd": "dot_product",
    "03-GpuClustering": "clustering",
    "04-GpuPacking": "packing",
    "05-BestFit": "best_fit",
    "06-FGD": "fragmentation",
}

SHORT_SEEDS = {"random": 2, "best_fit": 2, "fragmentation": 10}
"""Policies of the short form, and how many of the ten seeds each of them is run with."""


def published() -> pl.DataFrame:
    """Mean allocation in percent by workload and policy, with the load of the runs."""
    table = pl.read_csv(OPENB / "fgd_expected_allocation.csv.gz")
    load = float(table["tune"].unique().item())
    at = f"arrived_{round(load * 100)}pct"
    return (
        table.with_columns(pl.col("sc_policy").replace_strict(PUBLISHED).alias("policy"))
        .group_by("workload", "policy")
        .agg(pl.col(at).mean().alias("published"), pl.lit(load).alias("load"), pl.col("seed").sort().alias("seeds"))
        .sort("workload", "policy")
    )


def openb(short: bool) -> bool:
    """Print the table; True when the fragmentation policy is at or above the published mean on every trace."""
    fleet = source(f"openb:{OPENB / 'openb_node_list_gpu_node.csv.gz'}").nodes()
    rows, rates = [], []
    policies = tuple(SHORT_SEEDS) if short else tuple(POLICIES)
    table = published()
    for workload in table["workload"].unique().sort():
        asks = source(f"openb:{OPENB / f'{workload}.csv.gz'}").asks()
        for policy in policies:
            known = table.filter(workload=workload, policy=policy).row(0, named=True)
            # The short form is to end in five minutes, with all that comes after it.
            seeds = known["seeds"][: SHORT_SEEDS[policy]] if short else known["seeds"]
            runs = [
                fill(fleet, asks, policy=policy, load=known["load"], seed=seed, clock=SystemClock()) for seed in seeds
            ]
            ours = [100 * run.packed.allocated_fraction for run in runs]
            rate = float(np.median([run.placements_per_second for run in runs]))
            rows.append(
                (workload, policy, known["published"], float(np.mean(ours)), float(np.std(ours)), len(runs), rate)
            )
            if policy == "fragmentation":
                rates.append(rate)
    print("\nopenb, accelerators allocated at 130 % arrivals, percent; published: means of ten runs by FGD (ATC'23)")
    print("Method of both: asks in random order, then drawn with replacement; nothing leaves. The draws are ours.\n")
    print("| trace | policy | published | ours | spread | seeds | placements/s |\n|---|---|---|---|---|---|---|")
    for workload, policy, theirs, mean, spread, seeds, rate in rows:
        name = workload.removeprefix("openb_pod_list_")
        print(f"| {name} | {policy} | {theirs:.2f} | {mean:.2f} | {spread:.2f} | {seeds} | {rate:,.0f} |")
    ours_only = [(theirs, mean) for _, policy, theirs, mean, *_ in rows if policy == "fragmentation"]
    gain = np.mean([mean - theirs for theirs, mean in ours_only])
    least = min(mean - theirs for theirs, mean in ours_only)
    print(f"\nfragmentation: mean gain {gain:+.2f} points, least {least:+.2f}; median rate {np.median(rates):,.0f}/s")
    return bool(least >= 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="three policies, fewer seeds")
    short = parser.parse_args().short
    print(f"machine {platform.machine()}, {datetime.date.today()}, Python {platform.python_version()}")
    if not OPENB.is_dir():
        print(f"skipped: {OPENB.name} is not beside the repository")
        return
    begun = time.perf_counter()
    held = openb(short)
    word, seconds = "held" if held else "MISSED", time.perf_counter() - begun
    print(f"\n{word}: at least the published FGD mean on every trace; {seconds:.0f} s")


if __name__ == "__main__":
    main()
