"""Fault schedules: replay one and tell what happened, or run many over processes and count.

python -m bench.faults --seed 7
python -m bench.faults --seeds 0 10000 --processes 2
"""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from argosy.simulate.faults import STEPS, run
from argosy.simulate.promises import Broken

BATCH = 25


def batch(seeds: Sequence[int], steps: int = STEPS) -> tuple[Counter[str], float, list[str]]:
    """What so many schedules did, their CPU seconds, and what was broken."""
    logging.disable(logging.ERROR)
    counts: Counter[str] = Counter()
    broken: list[str] = []
    begin = time.process_time()
    for seed in seeds:
        try:
            told = run(seed, steps=steps)
        except Broken as error:
            broken.append(str(error))
            continue
        except Exception as error:
            broken.append(f"seed {seed}: {type(error).__name__}: {error}\nreplay: python -m bench.faults --seed {seed}")
            continue
        counts.update(told.ended)
        counts.update(
            schedules=1, events=told.events, looks=told.looks, kills=told.kills, pauses=told.pauses, runs=told.runs
        )
    return counts, time.process_time() - begin, broken


def many(first: int, after: int, *, processes: int = 2) -> tuple[Counter[str], float, list[str]]:
    """The same over processes."""
    parts = [range(begin, min(begin + BATCH, after)) for begin in range(first, after, BATCH)]
    counts: Counter[str] = Counter()
    seconds, broken = 0.0, []
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for found, took, wrong in pool.map(batch, parts):
            counts += found
            seconds += took
            broken += wrong
    return counts, seconds, broken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="replay this schedule and tell every step")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 500), metavar=("FIRST", "AFTER"))
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    if given.seed is not None:
        logging.disable(logging.ERROR)
        try:
            told = run(given.seed, loud=True)
        except Broken as error:
            print(error)
            return 1
        print(*told.trace, told.ended, told.state_hash, sep="\n")
        return 0
    begin = time.monotonic()
    counts, seconds, broken = many(*given.seeds, processes=given.processes)
    print(*broken, sep="\n")
    print(", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
    print(
        f"{len(broken)} broken; {seconds:.1f} CPU s, {time.monotonic() - begin:.1f} s; "
        f"{counts['events'] / max(seconds, 1e-9):,.0f} events per CPU second"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
