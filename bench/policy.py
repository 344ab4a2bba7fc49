"""Benchmark of deciding: run time of max-min fairness with space sharing, cost of a tick, memory, data transfer.

    python -m bench.policy [--short]

Published (Gavel OSDI'20, POP SOSP'21): max-min fairness with space sharing for 2,048 asks takes 285.6 s exact and
12.6 s in eight parts at a loss of 0.17 %. The speeds are Gavel's measurements, from ../shared/data, not part of
the repository; the rest needs no data.
"""

from __future__ import annotations

import argparse
import datetime
import platform
import resource
import time
from collections.abc import Callable

import numpy as np

from argosy.files.traces._source import source
from argosy.model.region import Region
from argosy.model.snapshot import NodeState, PlaceAsk, PoolState, Snapshot
from argosy.place import place
from argosy.place.sharing import Floats, Ints, Sharing, fair_sharing
from argosy.place.solve import solve
from argosy.place.world import reduce
from argosy.settings import Settings
from bench.place import DATA

GAVEL = DATA / "gavel_throughputs"
CHIPS = ("v100", "p100", "k80")
HERE = Region(id="here/here", vendor="here", jurisdiction="US")


def measured() -> tuple[list[str], Floats, Floats]:
    """Kinds of work on one accelerator, (N, P) speed alone, (N, N, P) speed of the first beside the second."""
    trace = source(f"gavel:{GAVEL / 'msr_0e4a51_seed0.csv.gz'}")
    alone = [r for r in trace.throughputs().iter_rows(named=True) if r["accelerators"] == 1 and r["silicon"] in CHIPS]
    works = sorted({r["work"] for r in alone})
    rate, beside = np.zeros((len(works), len(CHIPS))), np.zeros((len(works), len(works), len(CHIPS)))
    for r in alone:
        rate[works.index(r["work"]), CHIPS.index(r["silicon"])] = r["steps_per_second"]
    for r in trace.shared_throughputs().iter_rows(named=True):
        if r["silicon"] in CHIPS and r["accelerators"] == 1 and r["work"] in works and r["beside"] in works:
            at = works.index(r["work"]), works.index(r["beside"]), CHIPS.index(r["silicon"])
            beside[at] = r["steps_per_second"]
    return works, rate, beside


def _least(times: int, run: Callable[[], Sharing]) -> tuple[float, float, Sharing]:
    """Least wall clock and CPU seconds of several runs, and the last answer."""
    wall = cpu = float("inf")
    for _ in range(times):
        begun, used = time.perf_counter(), time.process_time()
        done = run()
        done.per_ask()
        wall, cpu = min(wall, time.perf_counter() - begun), min(cpu, time.process_time() - used)
    return wall, cpu, done


def sharing(short: bool) -> None:
    """From the arrays of asks to the share of time of each ask; four asks for every three accelerators."""
    _, rate, beside = measured()
    one = np.ones(len(rate), dtype=np.int64)
    print("\nMax-min fairness with space sharing, arrays in, arrays out; published 285.6 s exact for 2,048 asks\n")
    print("| asks | classes | columns | wall clock, s | CPU, s | gap | t, with and without sharing |\n|" + "---|" * 7)
    for count in (128, 2_048, 32_768, 1_000_000):
        kind: Ints = np.random.default_rng(0).integers(0, len(rate), count)
        room = np.full(len(CHIPS), count // 4)

        def run(kind: Ints = kind, room: Ints = room) -> Sharing:
            return fair_sharing(kind, rate, beside, one, room)

        wall, cpu, done = _least(5, run)
        without = fair_sharing(kind, rate, np.zeros_like(beside), one, room).t
        told = f"{done.t:.4f}, {without:.4f}"
        print(f"| {count:,} | {len(done.count)} | {done.columns:,} | {wall:.4f} | {cpu:.4f} | 0 | {told} |", flush=True)
    print("\nEvery ask of a kind of its own (speeds scaled at random): column generation\n")
    print("| asks = classes | columns, of all | wall clock, s | gap |\n|---|---|---|---|")
    for count in (300,) if short else (300, 600, 1_000, 2_048):
        draw = np.random.default_rng(1)
        scale, base = np.exp(draw.normal(0, 0.2, (count, 1))), draw.integers(0, len(rate), count)
        own, pairs = rate[base] * scale, beside[np.ix_(base, base)] * scale[:, None, :]
        begun = time.perf_counter()
        room = np.full(len(CHIPS), count // 4)
        done = fair_sharing(np.arange(count), own, pairs, np.ones(count, dtype=np.int64), room)
        took, every = time.perf_counter() - begun, len(CHIPS) * count * (count + 3) // 2
        print(f"| {count:,} | {done.columns:,} of {every:,} | {took:.2f} | {done.gap:.1e} |", flush=True)


def records() -> None:
    """The same objective without sharing from the records of a snapshot."""
    works, rate, _ = measured()
    print("\nMax-min fairness without sharing, from records of asks\n")
    print("| asks | classes | reduce, s | solve, s |\n|---|---|---|---|")
    for count in (128, 2_048, 32_768):
        pools = tuple(
            PoolState(
                id=chip,
                region=HERE.id,
                silicon=chip,
                family="any",
                own_accelerators=count / 4,
                usd_per_accelerator_hour=0.0,
            )
            for chip in CHIPS
        )
        speed = [{chip: float(rate[k, p]) for p, chip in enumerate(CHIPS) if rate[k, p]} for k in range(len(works))]
        asks = tuple(
            PlaceAsk(id=f"a{i}", accelerators=1.0, speed=speed[i % len(works)], families=("any",), usd_per_unit=1.0)
            for i in range(count)
        )
        snapshot = Snapshot(price_source="contracts", regions=(HERE,), pools=pools, asks=asks)
        begun = time.perf_counter()
        world = reduce(snapshot, "max_min")
        middle = time.perf_counter()
        solve(world, Settings(), 0.0)
        took = time.perf_counter() - middle
        print(f"| {count:,} | {len(world.count)} | {middle - begun:.3f} | {took:.3f} |", flush=True)


def fleet(asks: int, classes: int, accelerators: int, *, nodes: bool, pools: int = 20) -> Snapshot:
    """A fleet in pools of servers of 8, and asks of so many different values."""
    draw = np.random.default_rng(0)
    regions = tuple(Region(id=f"v{i % 5}/r{i}", vendor=f"v{i % 5}", jurisdiction="US") for i in range(pools))
    states = tuple(
        PoolState(
            id=f"p{i}",
            region=regions[i].id,
            silicon="h100",
            family="cuda",
            own_accelerators=accelerators / pools,
            usd_per_accelerator_hour=1.0 + 0.1 * i,
        )
        for i in range(pools)
    )
    servers = tuple(
        NodeState(id=f"p{i}n{k}", pool=f"p{i}", accelerators=8)
        for i in range(pools)
        for k in range(accelerators // pools // 8)
    )
    sizes = draw.choice([0.5, 1.0, 2.0, 4.0, 8.0], size=classes, p=[0.2, 0.4, 0.15, 0.1, 0.15])
    rows = tuple(
        PlaceAsk(
            id=f"a{i}",
            accelerators=float(sizes[i % classes]),
            speed={"h100": 1.0},
            families=("cuda",),
            usd_per_unit=2.0 + 0.001 * (i % classes),
        )
        for i in range(asks)
    )
    return Snapshot(price_source="contracts", regions=regions, pools=states, asks=rows, nodes=servers if nodes else ())


def by_class(snapshot: Snapshot) -> Snapshot:
    """The same world with one row for all asks that are alike, as the control loop asks."""
    rows: dict[str, list[PlaceAsk]] = {}
    for ask in snapshot.asks:
        rows.setdefault(ask.model_copy(update={"id": ""}).model_dump_json(), []).append(ask)
    asks = tuple(alike[0].model_copy(update={"count": float(len(alike))}) for alike in rows.values())
    return snapshot.model_copy(update={"asks": asks})


def ticks(short: bool) -> None:
    """The whole verb, recount and reasons included: with more asks of the same classes, and with more classes."""
    print("\nOne tick, from snapshot to checked placement: 20 pools, 100,000 accelerators, CPU seconds\n")
    heads = "asks | classes | nodes | reduce and solve | whole | whole, one row a class | placed | memory at most, MB"
    print(f"| {heads} |\n|" + "---|" * 8)
    cases = [(1_000, 50, False), (10_000, 50, False), (50_000, 50, False), (50_000, 200, False), (50_000, 500, False)]
    cases = [*(cases[:3] if short else cases), (50_000, 50, True)]
    for count, classes, nodes in cases:
        snapshot = fleet(count, classes, 100_000, nodes=nodes)
        begun = time.process_time()
        solve(reduce(snapshot, "value"), Settings(), 1e-3)
        middle = time.process_time()
        done = place(snapshot, gap=1e-3)
        whole = time.process_time() - middle
        alike = by_class(snapshot)
        start = time.process_time()
        place(alike, gap=1e-3)
        rows = time.process_time() - start
        placed = sum(row.count for row in done.assignments)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        cells = f"{'12,500' if nodes else '-'} | {middle - begun:.2f} | {whole:.2f} | {rows:.2f}"
        cells += f" | {placed:,.0f} | {memory:,.0f}"
        print(f"| {count:,} | {classes} | {cells} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer sizes")
    short = parser.parse_args().short
    print(f"machine {platform.machine()}, {datetime.date.today()}, Python {platform.python_version()}")
    if GAVEL.is_dir():
        sharing(short)
        records()
    else:
        print(f"skipped: {GAVEL.name} is not beside the repository")
    ticks(short)


if __name__ == "__main__":
    main()
