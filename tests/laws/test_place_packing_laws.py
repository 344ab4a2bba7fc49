"""Laws of the packing layer: on any fleet and any asks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.clock import SystemClock
from argosy.model.fleet import Node, TraceAsk, frame
from argosy.place import packing_kernel as kernel
from argosy.place.packing import POLICIES, Packer, pack
from argosy.place.packing_inputs import packing_inputs

CHIPS = ["t4", "v100"]
nodes = st.lists(
    st.tuples(st.integers(0, 4), st.integers(1, 32), st.sampled_from(CHIPS), st.sampled_from(["r1", "r2"])),
    min_size=1,
    max_size=6,
)
wanted = st.lists(
    st.tuples(
        st.sampled_from([(0, 1000), (1, 250), (1, 600), (1, 1000), (2, 1000), (4, 1000)]),
        st.integers(0, 12),
        st.sampled_from(["", "t4", "t4|v100"]),
        st.integers(1, 2),
    ),
    min_size=1,
    max_size=20,
)


def world(servers, rows):
    fleet = frame(
        Node,
        {
            "id": [f"n{i}" for i in range(len(servers))],
            "silicon": [chip if devices else "" for devices, _, chip, _ in servers],
            "accelerators": [s[0] for s in servers],
            "cpu_milli": [1000 * s[1] for s in servers],
            "memory_mib": [4096] * len(servers),
            "domain": [s[3] for s in servers],
        },
    )
    asks = frame(
        TraceAsk,
        {
            "id": [f"a{i}" for i in range(len(rows))],
            "accelerators": [r[0][0] for r in rows],
            "share_milli": [r[0][1] for r in rows],
            "cpu_milli": [1000 * r[1] for r in rows],
            "memory_mib": [512] * len(rows),
            "silicon": [r[2] for r in rows],
            "members": [r[3] for r in rows],
        },
    )
    return fleet, asks


@settings(max_examples=60, deadline=None)
@given(servers=nodes, rows=wanted, policy=st.sampled_from(list(POLICIES)), seed=st.integers(0, 5))
def test_conservation_and_determinism(servers, rows, policy, seed) -> None:
    """Nothing is oversold or lost (the recount runs inside), and the same world gives the same places twice."""
    fleet, asks = world(servers, rows)
    if not int(fleet["accelerators"].sum()):
        return
    chance = np.random.default_rng(seed).random(len(rows))
    first, second = (
        pack(fleet, asks, np.arange(len(rows)), policy=policy, chance=chance, clock=SystemClock()) for _ in range(2)
    )
    assert np.array_equal(first.node, second.node)
    assert first.placed == int((first.node != kernel.NOWHERE).sum())


@settings(max_examples=40, deadline=None)
@given(servers=nodes, rows=wanted)
def test_scores_in_the_cache_are_those_of_a_fresh_look(servers, rows) -> None:
    """P2.3: after any sequence of placements and removals the cache equals scores computed from nothing."""
    fleet, asks = world(servers, rows)
    inputs = packing_inputs(fleet, asks)
    packer = Packer(inputs)
    seats = [(int(c), packer.put(int(c))) for c in inputs.class_of]
    for c, seat in seats[::2]:
        if seat is not None:
            packer.remove(c, seat)
    kept = packer.scores.value.copy()
    fresh = Packer(inputs)
    assert np.array_equal(kept, fresh.scores.value)


@settings(max_examples=40, deadline=None)
@given(servers=nodes, rows=wanted)
def test_finite_score_means_it_fits(servers, rows) -> None:
    fleet, asks = world(servers, rows)
    inputs = packing_inputs(fleet, asks)
    packer = Packer(inputs)
    for c in inputs.class_of:
        packer.put(int(c))
    for c in range(len(inputs.classes.cpu)):
        for n in range(len(inputs.nodes.cpu)):
            assert np.isfinite(packer.scores.value[c, n]) == kernel.fits(inputs.nodes, inputs.classes, c, n)
