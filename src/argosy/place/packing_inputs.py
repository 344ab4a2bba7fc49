"""Inputs of the packing layer: frames of nodes and asks become the arrays of `packing_kernel`.

Asks with the same request are one class. The index made here (class of every ask, node by position) is the only bridge
between names and positions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from argosy.model.fleet import WHOLE_MILLI
from argosy.place.packing_kernel import WHOLE, Classes, Floats, Ints, Nodes, Scores, Typical

REQUEST = ("cpu_milli", "memory_mib", "accelerators", "share_milli", "silicon", "members")
BUCKETS = 128
MOST_SLOTS = 16
LEAN_ACCELERATORS_MILLI = -50.0
LEAN_CPU_MILLI = -100.0


@dataclass(frozen=True, slots=True)
class PackingInputs:
    """Everything that the kernel reads, and the index back to names."""

    nodes: Nodes
    classes: Classes
    typical: Typical
    requests: pl.DataFrame
    """One row per class."""
    class_of: Ints
    """(asks,) class of every ask."""
    silicon: tuple[str, ...]
    """Type of chip by position."""
    scale: Floats
    """(3,) largest CPU, memory and milli-accelerators of a node."""

    def scores(self) -> Scores:
        """An empty cache for this world."""
        shape = (len(self.classes.cpu), len(self.nodes.cpu))
        return Scores(
            value=np.full(shape, np.inf),
            device=np.full(shape, -1, dtype=np.int64),
            scale=self.scale,
            lean=np.array([LEAN_ACCELERATORS_MILLI, LEAN_CPU_MILLI]),
        )


def packing_inputs(fleet: pl.DataFrame, asks: pl.DataFrame, weights: Floats | None = None) -> PackingInputs:
    """Arrays for a fleet of `Node` rows and the `TraceAsk` rows that may come; their mix is what is expected (P2.1).

    `weights` (asks,) says how often each is expected; once each where it is absent. An ask without CPU or memory in the
    trace wants none of it. An empty fleet or no ask is an AssertionError.
    """
    assert min(len(fleet), len(asks)) > 0, "there is nothing to pack"
    filled = asks.select(
        pl.col("cpu_milli").fill_null(0), pl.col("memory_mib").fill_null(0), *[pl.col(name) for name in REQUEST[2:]]
    )
    requests = filled.group_by(REQUEST).len().sort(REQUEST)
    class_of = filled.join(requests.with_row_index("class"), on=list(REQUEST), how="left", maintain_order="left")
    chips = tuple(sorted(fleet["silicon"].unique().to_list()))
    classes, profiles = _classes(requests, chips)
    nodes = _nodes(fleet, chips, groups=int(classes.group.max()) + 1)
    of = class_of["class"].to_numpy().astype(np.int64)
    weight = np.bincount(of, weights=weights, minlength=len(requests)) / (
        len(asks) if weights is None else weights.sum()
    )
    return PackingInputs(
        nodes=nodes,
        classes=classes,
        typical=_typical(classes, profiles, weight, nodes),
        requests=requests,
        class_of=of,
        silicon=chips,
        scale=np.array(
            [max(1.0, float(most)) for most in (nodes.cpu.max(), nodes.memory.max(), nodes.devices.max() * WHOLE)]
        ),
    )


def _ints(column: pl.Series) -> Ints:
    return column.to_numpy().astype(np.int64)


def _nodes(fleet: pl.DataFrame, chips: tuple[str, ...], groups: int) -> Nodes:
    devices = _ints(fleet["accelerators"])
    there = np.arange(max(1, int(devices.max())))[None, :] < devices[:, None]
    place = {chip: k for k, chip in enumerate(chips)}
    domains = fleet["domain"].rank("dense").to_numpy().astype(np.int64) - 1
    return Nodes(
        cpu=_ints(fleet["cpu_milli"]).copy(),
        memory=_ints(fleet["memory_mib"]).copy(),
        free=np.where(there, WHOLE_MILLI, 0).astype(np.int64),
        devices=devices,
        silicon=np.array([place[chip] for chip in fleet["silicon"]], dtype=np.int64),
        domain=domains,
        running=np.zeros((len(fleet), groups), dtype=np.int64),
    )


def _classes(requests: pl.DataFrame, chips: tuple[str, ...]) -> tuple[Classes, list[tuple[int, int]]]:
    count = _ints(requests["accelerators"])
    milli = np.where(count > 0, _ints(requests["share_milli"]), 0)
    shapes = list(zip(count.tolist(), milli.tolist(), strict=True))
    profiles = sorted(set(shapes))
    profile = np.array([profiles.index(shape) for shape in shapes], dtype=np.int64)
    allowed = np.ones((len(requests), len(chips)), dtype=np.bool_)
    for c, written in enumerate(requests["silicon"]):
        if written:
            wanted = set(written.split("|"))
            allowed[c] = np.array([chip in wanted for chip in chips], dtype=np.bool_)
    nameless = np.array([not chip for chip in chips], dtype=np.bool_)
    allowed[np.ix_(count > 0, nameless)] = False
    # Affinity groups, as clustering knows them: none, shared, one device, two devices, ...
    sizes = np.unique(count[milli == WHOLE])
    group = np.where(count == 0, 0, np.where(milli < WHOLE, 1, np.searchsorted(sizes, count) + 2))
    return (
        Classes(
            cpu=_ints(requests["cpu_milli"]),
            memory=_ints(requests["memory_mib"]),
            count=count,
            milli=milli,
            allowed=allowed,
            profile=profile,
            order=np.lexsort((_ints(requests["memory_mib"]), _ints(requests["cpu_milli"]), profile)),
            start=np.searchsorted(np.sort(profile), np.arange(len(profiles) + 1)),
            group=group,
            members=_ints(requests["members"]),
        ),
        profiles,
    )


def _shift(largest: int) -> int:
    """The narrowest bucket, a power of two wide, of which BUCKETS cover the largest amount."""
    return max(0, int(largest // BUCKETS).bit_length())


def _typical(classes: Classes, profiles: list[tuple[int, int]], weight: Floats, nodes: Nodes) -> Typical:
    """The lookups of P2.1: for each profile the share of its arrivals that so much CPU (memory) carries.

    A request of q amounts, with so much free that x of them fit and s slots on the devices, carries min(1, x / s) when
    x >= 1 and nothing below.
    """
    chips = classes.allowed.shape[1]
    tables = []
    shifts = (_shift(int(nodes.cpu.max())), _shift(int(nodes.memory.max())))
    slots_to_fill = np.arange(1, MOST_SLOTS + 1)
    for shift, wanted, largest in zip(
        shifts, (classes.cpu, classes.memory), (int(nodes.cpu.max()), int(nodes.memory.max())), strict=True
    ):
        bucket = np.arange((largest >> shift) + 1) << shift
        table = np.zeros((chips, len(bucket), len(profiles), MOST_SLOTS + 1))
        for c in np.flatnonzero(classes.count > 0).tolist():
            fit = bucket / max(int(wanted[c]), 1)
            carried = np.where(fit[:, None] >= 1, np.minimum(1.0, fit[:, None] / slots_to_fill), 0.0)
            table[classes.allowed[c], :, classes.profile[c], 1:] += weight[c] * carried
        tables.append(table.reshape(chips, len(bucket), -1).astype(np.float32))
    free, most = np.arange(WHOLE + 1), np.arange(int(nodes.devices.max()) + 1)
    none, zero = np.zeros_like(free), np.zeros_like(most)
    device = [np.where(free >= milli, 1, 0) for _, milli in profiles]
    device += [free * (free >= milli) for _, milli in profiles]
    device += [free // milli if count == 1 else none for count, milli in profiles]
    return Typical(
        cpu=tables[0],
        memory=tables[1],
        cpu_shift=shifts[0],
        memory_shift=shifts[1],
        count=np.array([count for count, _ in profiles], dtype=np.int64),
        milli=np.array([milli for _, milli in profiles], dtype=np.int64),
        whole=np.array([most // count if count > 1 else zero for count, _ in profiles], dtype=np.int32),
        device=np.ascontiguousarray(np.array(device).T, dtype=np.int32),
    )
