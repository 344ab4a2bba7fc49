"""Benchmark of queues on chips of different speed, on the streams and by the rules of Gavel's published figures.

    python -m bench.queues [--short]

Published: Gavel (OSDI'20), the notebooks of its repository (stanford-futuredata/gavel at 2d8e076, figures/evaluation,
continuous_jobs, continuous_jobs_multigpu and makespan), which print the means of seeds 0 to 2; and the paper's averages
of seed 0. The streams are the same, job by job (`gavel_stream`); so are the fleet (36 V100, 36 P100, 36 K80), rounds of
360 s, the jobs that count (4,000 to 4,999), and that shares stand for 1,920 s at least. The speeds lie beside the
repository in ../shared/data.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from argosy.files.traces._source import source
from argosy.simulate.queue import Queue, Queued
from bench.place import DATA

GAVEL = DATA / "gavel_throughputs"
FLEET = "gavel:36,36,36"
FIRST, LAST = 4_000, 5_000
BEHIND = 2_500
"""Jobs after the last that counts; enough that the queue stays as full until it has ended."""
HOLD_SECONDS = 1_920.0
SHARING = " with sharing"
# Stream: arguments, jobs per hour, and what is published for a policy as (seed 0, mean of seeds 0 to 2), hours.
STREAMS = {
    "single accelerator, 5.6/h": (
        "per_hour=5.6,gangs=no",
        {
            "agnostic": ("agnostic", 95.99, 91.29),
            "max_min": ("Gavel", 28.96, 26.42),
            "max_min with sharing": ("Gavel with sharing", 19.64, 19.08),
            "completion": ("AlloX", 25.32, 23.54),
            "completion with sharing": ("Gavel with sharing", 19.64, 19.08),
        },
    ),
    "multi accelerator, 2.6/h": (
        "per_hour=2.6,gangs=yes",
        {
            "agnostic": ("agnostic", 70.54, 72.43),
            "max_min": ("Gavel", 36.44, 32.52),
            "max_min with sharing": ("Gavel with sharing", 30.51, 25.54),
            "completion": ("Gavel", 36.44, 32.52),
            "completion with sharing": ("Gavel with sharing", 30.51, 25.54),
        },
    ),
}
SHORT = {
    "single accelerator, 5.6/h": ("max_min", "completion", "completion with sharing"),
    "multi accelerator, 2.6/h": ("completion",),
}
# Jobs, all there at the start: published means of seeds 0 to 2 for FIFO, Gandiva, Gavel, Gavel with sharing, hours.
MAKESPANS = {
    100: (182.32, 166.61, 161.16, 163.61),
    300: (295.56, 199.87, 161.16, 161.17),
    500: (426.58, 263.87, 169.42, 168.13),
    700: (619.52, 347.34, 244.23, 226.22),
}
STATIC = ("agnostic", "first_come", "makespan", "makespan with sharing")


def run(stream: str, policy: str, *, measured: slice | None = None) -> Queued:
    """One stream under one policy."""
    trace = source(f"gavel_stream:{GAVEL},{stream}")
    pairs = trace.shared_throughputs() if policy.endswith(SHARING) else None
    objective = policy.removesuffix(SHARING)
    queue = Queue(
        source(FLEET).counts(),
        trace.asks(),
        trace.throughputs(),
        objective=objective,
        shared=pairs,
        hold_seconds=HOLD_SECONDS,
    )
    return queue.run(measured=measured)


def completions(short: bool) -> None:
    """Average completion time of jobs 4,000 to 4,999 of a Poisson stream."""
    seeds = (0,) if short else (0, 1, 2)
    print(
        f"\nGavel's streams, seeds {seeds}, rounds of 360 s: mean hours to completion, jobs {FIRST:,} to {LAST - 1:,}\n"
    )
    print("| stream | policy | seeds | mean | beside | published, seed 0 | published, mean | CPU s a seed |")
    print("|" + "---|" * 8)
    for name, (stream, published) in STREAMS.items():
        for policy, (beside, of_zero, of_all) in published.items():
            if short and policy not in SHORT[name]:
                continue
            begun, hours = time.process_time(), []
            for seed in seeds:
                told = f"{stream},asks={LAST + BEHIND},seed={seed}"
                hours.append(run(told, policy, measured=slice(FIRST, LAST)).average_completion_hours)
            took = (time.process_time() - begun) / len(seeds)
            each = ", ".join(f"{h:.2f}" for h in hours)
            mean = "" if short else f"{np.mean(hours):.2f}"
            print(f"| {name} | {policy} | {each} | {mean} | {beside} | {of_zero} | {of_all} | {took:.0f} |", flush=True)


def makespans(short: bool) -> None:
    """When the last of a static set of jobs ends, beside what nothing could end before."""
    seeds = (0,) if short else (0, 1, 2)
    print(f"\nMakespan of Gavel's static multi accelerator jobs, hours, mean of seeds {seeds}; published: of 0 to 2\n")
    policies = ("first_come", "makespan", "makespan with sharing") if short else STATIC
    told = "FIFO | Gandiva | Gavel | Gavel with sharing"
    print(f"| jobs | {' | '.join(policies)} | bound | published: {told} | CPU s |\n|" + "---|" * (len(policies) + 7))
    for count in (100, 700) if short else MAKESPANS:
        begun, cells, bound = time.process_time(), [], 0.0
        for policy in policies:
            done = [run(f"per_hour=0,gangs=yes,asks={count},seed={seed}", policy) for seed in seeds]
            cells.append(f"{np.mean([one.makespan_hours for one in done]):.2f}")
            if done[0].least_makespan_hours is not None:
                bound = float(np.mean([one.least_makespan_hours for one in done]))
        published = " | ".join(f"{hours:.2f}" for hours in MAKESPANS[count])
        took = time.process_time() - begun
        print(f"| {count} | {' | '.join(cells)} | {bound:.2f} | {published} | {took:.0f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="seed 0 and fewer policies")
    short = parser.parse_args().short
    if not GAVEL.is_dir():
        print(f"skipped: {GAVEL.name} is not beside the repository")
        return
    completions(short)
    makespans(short)


if __name__ == "__main__":
    main()
