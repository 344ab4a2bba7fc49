"""Benchmark of data transfer: copies that `place` orders once, beside every ask reading its data across the link.

    python -m bench.transfer

One dataset of 2 TiB lies in aws:us-east-1, where little capacity is free; other measured regions of three vendors have
more, at lower prices. Prices of egress and throughputs are the measurements in ../shared/data, not part of the
repository. No published system reports these figures for the same question, so there is nothing to compare with but the
same decision without copies.
"""

from __future__ import annotations

import datetime
import platform
import time

import polars as pl

from argosy.model.dataset import Dataset
from argosy.model.link import Link
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.place import place
from argosy.units import GIB_PER_GB
from bench.place import DATA

NETWORK = DATA / "interregion_network"
HOME = "aws:us-east-1"
PRICES = {HOME: 3.0, "aws:us-west-2": 2.4, "gcp:us-central1-a": 2.2, "azure:westus2": 2.0, "aws:eu-central-1": 1.8}
SIZE_GIB = 2048.0


def links() -> tuple[Link, ...]:
    """From the home of the data to each region that was measured: price, 10th and 50th percentile of throughput."""
    speed = pl.read_csv(NETWORK / "throughput_2022-01.csv.gz").filter(pl.col("src_region") == HOME)
    speed = speed.group_by("dst_region").agg(
        pl.col("throughput_sent").quantile(0.1).alias("slow"), pl.col("throughput_sent").median().alias("usual")
    )
    price = pl.read_csv(NETWORK / "egress_usd_per_gb_2022.csv.gz").filter(pl.col("src") == HOME)
    rows = speed.join(price.group_by("dest").agg(pl.col("cost").min()), left_on="dst_region", right_on="dest")
    return tuple(
        Link(
            start=_id(HOME),
            end=_id(row["dst_region"]),
            usd_per_gib=row["cost"] / GIB_PER_GB,
            p10_gbit_per_second=row["slow"] / 1e9,
            p50_gbit_per_second=row["usual"] / 1e9,
        )
        for row in rows.sort("dst_region").iter_rows(named=True)
        if row["dst_region"] in PRICES and row["dst_region"] != HOME
    )


def _id(region: str) -> str:
    return region.replace(":", "/")


def world(readers: int, ways: tuple[Link, ...], *, copies: bool) -> Snapshot:
    """So many asks of 8 accelerators that read the whole dataset in a day; 8 accelerators are free where it lies."""
    there = [HOME, *(link.end.replace("/", ":") for link in ways)]
    pools = tuple(
        PoolState(
            id=_id(name),
            region=_id(name),
            silicon="h100",
            family="cuda",
            own_accelerators=8.0 if name == HOME else 8.0 * 32,
            usd_per_accelerator_hour=PRICES[name],
        )
        for name in there
    )
    work = 24.0 * 8
    data = {"datasets": ("corpus",)} if copies else {"data_gib_per_unit": SIZE_GIB / work}
    asks = tuple(
        PlaceAsk.model_validate(
            {
                "id": f"a{i}",
                "accelerators": 8.0,
                "speed": {"h100": 1.0},
                "families": ("cuda",),
                "usd_per_unit": 3.5,
                "remaining_units": work,
                "home": _id(HOME),
                **data,
            }
        )
        for i in range(readers)
    )
    regions = tuple(Region(id=_id(n), vendor=n.split(":")[0], jurisdiction="US") for n in there)
    return Snapshot(
        window_hours=36.0,
        price_source="contracts",
        regions=regions,
        pools=pools,
        asks=asks,
        links=ways,
        datasets=(Dataset(id="corpus", home=_id(HOME), size_gib=SIZE_GIB),),
    )


def main() -> None:
    print(f"machine {platform.machine()}, {datetime.date.today()}, Python {platform.python_version()}")
    if not NETWORK.is_dir():
        print(f"skipped: {NETWORK.name} is not beside the repository")
        return
    ways = links()
    price = {link.end: link.usd_per_gib for link in ways}
    print("\n2 TiB in aws:us-east-1, asks of 8 accelerators that read all of it; a window of 36 hours")
    print(
        "Nothing is published for this; beside it the same decision where every ask reads across the link by itself.\n"
    )
    print(
        "| readers | copies ordered | egress, USD | longest copy, h | value, USD | direct: egress | direct: value | s |"
    )
    print("|" + "---|" * 8)
    for readers in (1, 2, 4, 8, 16, 32, 64, 128):
        begun = time.process_time()
        ordered = place(world(readers, ways, copies=True))
        took = time.process_time() - begun
        direct = place(world(readers, ways, copies=False))
        paid = sum(t.usd for t in ordered.transfers)
        longest = max((t.hours for t in ordered.transfers), default=0.0)
        moved = sum(row.count * SIZE_GIB * price.get(row.pool, 0.0) for row in direct.assignments)
        print(
            f"| {readers} | {len(ordered.transfers)} | {paid:,.0f} | {longest:.1f} | {ordered.objective_value:,.0f} | "
            f"{moved:,.0f} | {direct.objective_value:,.0f} | {took:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
