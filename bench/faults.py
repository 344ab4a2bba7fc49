"""Fault schedules: replay one and tell what happened, or run many over processes and count.

python -m bench.faults --seed 7
python -m bench.faults --seeds 0 10000 --processes 2
python -m bench.faults --seeds 0 500 --store sqlite

The stores do the same: `--both 10` runs every tenth schedule on both and compares what they did, log hash included.
"""

from __future__ import annotations

import argparse
import gc
import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import fields
from functools import partial
from multiprocessing import get_context
from typing import get_args

from argosy.simulate.faults import STEPS, Told, replay, run
from argosy.simulate.promises import Broken
from argosy.simulate.stores import Kind

BATCH = 25
TOLD_EACH = 1000
"""Seeds between two words about how far it is."""


def batch(
    seeds: Sequence[int], steps: int = STEPS, store: Kind = "memory", both: int = 0
) -> tuple[Counter[str], float, list[str]]:
    """What so many schedules did, their CPU seconds, and what was broken; every `both`-th runs on both stores."""
    logging.disable(logging.ERROR)
    counts: Counter[str] = Counter()
    broken: list[str] = []
    # What is imported stays: the collector need not look at it again and again.
    gc.collect()
    gc.freeze()
    begin = time.process_time()
    for seed in seeds:
        try:
            told = run(seed, steps=steps, store=store)
            counts.update(_counts(told))
            if both and seed % both == 0:
                other = run(seed, steps=steps, store="sqlite" if store == "memory" else "memory")
                counts.update(_counts(other), compared=1)
                broken += differences(told, other)
        except Broken as error:
            broken.append(str(error))
        except Exception as error:
            broken.append(f"seed {seed}: {type(error).__name__}: {error}\nreplay: {replay(seed, store)}")
    return counts, time.process_time() - begin, broken


def _counts(told: Told) -> dict[str, int]:
    return told.ended | {
        "schedules": 1,
        "events": told.events,
        "checks": told.checks,
        "looks": told.looks,
        "kills": told.kills,
        "pauses": told.pauses,
        "runs": told.runs,
        "resumed": told.resumed,
        "moves": told.moves,
        "copies": told.copies,
    }


def differences(one: Told, other: Told) -> list[str]:
    """How a schedule differs between two stores; nothing when they are as good as each other."""
    differ = [part.name for part in fields(one) if getattr(one, part.name) != getattr(other, part.name)]
    differ += ["log_hash"] if one.log_hash() != other.log_hash() else []
    if not differ:
        return []
    return [f"seed {one.seed}: the stores differ in {', '.join(differ)}\nreplay: {replay(one.seed, 'sqlite')}"]


def many(
    first: int,
    after: int,
    *,
    processes: int = 2,
    store: Kind = "memory",
    both: int = 0,
    tell: Callable[[str], None] = lambda _: None,
) -> tuple[Counter[str], float, list[str]]:
    """The same over processes; what is found stands in the order of the seeds, however many there are."""
    parts = [range(begin, min(begin + BATCH, after)) for begin in range(first, after, BATCH)]
    counts: Counter[str] = Counter()
    seconds, broken = 0.0, []
    one = partial(batch, store=store, both=both)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        for part, (found, took, wrong) in zip(parts, pool.map(one, parts), strict=True):
            counts += found
            seconds += took
            broken += wrong
            for words in wrong:
                tell(words)
            if part.stop % TOLD_EACH == 0:
                tell(f"up to seed {part.stop}: {len(broken)} broken, {seconds:.0f} CPU s")
    return counts, seconds, broken


def _say(words: str) -> None:
    print(words, flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, help="replay this schedule and tell every step")
    parser.add_argument("--seeds", type=int, nargs=2, default=(0, 500), metavar=("FIRST", "AFTER"))
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--store", choices=get_args(Kind), default="memory")
    parser.add_argument("--both", type=int, default=0, metavar="N", help="run every N-th schedule on both stores")
    given = parser.parse_args()
    if given.seed is not None:
        logging.disable(logging.ERROR)
        try:
            told = run(given.seed, loud=True, store=given.store)
        except Broken as error:
            print(error)
            return 1
        print(*told.trace, told.ended, told.state_hash, sep="\n")
        return 0
    begin = time.monotonic()
    counts, seconds, broken = many(
        *given.seeds, processes=given.processes, store=given.store, both=given.both, tell=_say
    )
    print(", ".join(f"{number} {name}" for name, number in sorted(counts.items())))
    print(
        f"store {given.store}: {len(broken)} broken; {seconds:.1f} CPU s, {time.monotonic() - begin:.1f} s; "
        f"{counts['events'] / max(seconds, 1e-9):,.0f} events per CPU second, "
        f"{(counts['events'] + counts['checks']) / max(seconds, 1e-9):,.0f} with the readings of the checks"
    )
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
