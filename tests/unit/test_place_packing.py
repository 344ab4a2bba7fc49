"""The packing layer: rules P2.1 to P2.5 on fleets small enough to see through."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from argosy.clock import SystemClock
from argosy.errors import CheckFailed
from argosy.model.fleet import Node, TraceAsk, frame
from argosy.place import packing_kernel as kernel
from argosy.place.packing import POLICIES, Packer, pack
from argosy.place.packing_check import recount
from argosy.place.packing_inputs import packing_inputs


def fleet(*rows: tuple[int, int, str], domain: tuple[str, ...] = ()) -> pl.DataFrame:
    """Nodes of (devices, CPUs, silicon)."""
    return frame(
        Node,
        {
            "id": [f"n{i}" for i in range(len(rows))],
            "silicon": [row[2] for row in rows],
            "accelerators": [row[0] for row in rows],
            "cpu_milli": [1000 * row[1] for row in rows],
            "memory_mib": [1024 * 64] * len(rows),
            "domain": list(domain) or [f"n{i}" for i in range(len(rows))],
        },
    )


def asks(*rows: tuple[int, int, int], silicon: str = "", members: int = 1) -> pl.DataFrame:
    """Asks of (devices, share, CPUs)."""
    return frame(
        TraceAsk,
        {
            "id": [f"a{i}" for i in range(len(rows))],
            "accelerators": [row[0] for row in rows],
            "share_milli": [row[1] for row in rows],
            "cpu_milli": [1000 * row[2] for row in rows],
            "memory_mib": [1024] * len(rows),
            "silicon": [silicon] * len(rows),
            "members": [members] * len(rows),
        },
    )


def run(nodes: pl.DataFrame, wanted: pl.DataFrame, policy: str = "fragmentation"):
    order = np.arange(len(wanted))
    return pack(nodes, wanted, order, policy=policy, chance=np.full(len(wanted), 0.5), clock=SystemClock())


@pytest.mark.parametrize("policy", POLICIES)
def test_every_policy_fills_what_fits_and_refuses_the_rest(policy: str) -> None:
    done = run(fleet((2, 8, "t4"), (2, 8, "t4")), asks(*[(1, 1000, 1)] * 6), policy)
    assert (done.placed, done.allocated_fraction) == (4, 1.0)
    assert (done.node[4:] == kernel.NOWHERE).all()


def test_shares_fill_a_device_in_use_before_a_whole_one() -> None:
    """P2.2: a second half goes where the first half is, so that a whole device is left for who needs one."""
    done = run(fleet((2, 8, "t4"), (2, 8, "t4")), asks((1, 500, 1), (1, 500, 1), (2, 1000, 1), (1, 1000, 1)))
    assert done.placed == 4
    assert done.node[0] == done.node[1] != done.node[2]


def test_type_of_chip_is_a_hard_rule() -> None:
    done = run(fleet((2, 8, "t4"), (1, 8, "v100")), asks(*[(1, 1000, 1)] * 3, silicon="v100|p100"))
    assert (done.placed, done.node[0]) == (1, 1)


def test_work_without_accelerators_needs_cpu_only_and_runs_anywhere() -> None:
    done = run(fleet((0, 4, ""), (2, 4, "t4")), asks(*[(0, 1000, 4)] * 3))
    assert done.placed == 2


def test_node_without_chip_takes_no_accelerator_work() -> None:
    assert run(fleet((0, 64, ""), (1, 4, "t4")), asks(*[(1, 1000, 1)] * 2)).placed == 1


def test_fragmentation_counts_accelerators_that_no_cpu_is_left_for() -> None:
    """P2.1: of 4 free devices one ask of 4 CPUs could use one fourth when 4 CPUs are left."""
    inputs = packing_inputs(fleet((4, 4, "t4")), asks((1, 1000, 4)))
    assert kernel.fragmentation(inputs.nodes, inputs.typical, 0) == pytest.approx(3000.0)
    inputs = packing_inputs(fleet((4, 16, "t4")), asks((1, 1000, 4)))
    assert kernel.fragmentation(inputs.nodes, inputs.typical, 0) == pytest.approx(0.0)


def test_fragmentation_without_any_use_is_all_that_is_free() -> None:
    inputs = packing_inputs(fleet((4, 16, "t4")), asks((8, 1000, 1)))
    assert kernel.fragmentation(inputs.nodes, inputs.typical, 0) == 4000.0


def test_gang_is_all_or_nothing_and_stays_in_one_domain() -> None:
    """P2.5: four nodes in two racks; a gang of two nodes of 8 fits once in each rack, a gang of three nowhere."""
    nodes = fleet(*[(8, 64, "b200")] * 4, domain=("r1", "r2", "r1", "r2"))
    done = run(nodes, asks(*[(8, 1000, 8)] * 3, members=2))
    assert done.placed == 2
    assert done.allocated_fraction == 1.0
    assert run(nodes, asks((8, 1000, 8), members=3)).placed == 0


def test_what_is_removed_can_be_placed_again() -> None:
    packer = Packer(packing_inputs(fleet((2, 8, "t4")), asks((2, 1000, 2))))
    seat = packer.put(0)
    assert seat is not None
    assert packer.put(0) is None
    assert not packer.fits(0)
    packer.remove(0, seat)
    assert packer.put(0) is not None


def test_recount_sees_an_oversold_device_and_a_wrong_chip() -> None:
    inputs = packing_inputs(fleet((1, 8, "t4")), asks((1, 1000, 1), silicon="v100"))
    taken = np.array([[1000]])
    wrong = recount(inputs, inputs.nodes, np.array([0, 0]), [(0, (0,), taken), (1, (0,), taken)])
    assert any("may not" in line for line in wrong)
    assert any("oversold" in line for line in wrong)


def test_a_packing_that_does_not_recount_is_not_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("argosy.place.packing.recount", lambda *_: ["node 0 is oversold"])
    with pytest.raises(CheckFailed, match="oversold"):
        run(fleet((1, 8, "t4")), asks((1, 1000, 1)))
