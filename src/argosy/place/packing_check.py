"""Recount of a packing without the kernel: capacity of every node and device, types of chip, all of a gang or nothing.

Reads the inputs as they were before anything ran and the places that were given. Shares no code with the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from argosy.place.packing_inputs import PackingInputs
from argosy.place.packing_kernel import Ints, Nodes

Place = tuple[int, tuple[int, ...], Ints]
"""Position of the arrival, node of each member, and what each takes of the devices."""


def recount(fresh: PackingInputs, after: Nodes, arrivals: Ints, places: Sequence[Place]) -> list[str]:
    """Everything that is wrong, in words; empty when all is well.

    `fresh` is the empty fleet, `after` what the kernel says is left.
    """
    cpu, memory, free = fresh.nodes.cpu.copy(), fresh.nodes.memory.copy(), fresh.nodes.free.copy()
    classes, wrong = fresh.classes, []
    for a, nodes, taken in places:
        c = int(arrivals[a])
        if len(nodes) != classes.members[c]:
            wrong.append(f"arrival {a} has {len(nodes)} of {classes.members[c]} members")
        if len({int(fresh.nodes.domain[n]) for n in nodes}) > 1:
            wrong.append(f"the gang of arrival {a} spans domains")
        for n, devices in zip(nodes, taken, strict=True):
            cpu[n] -= classes.cpu[c]
            memory[n] -= classes.memory[c]
            free[n] -= devices
            used = devices[devices > 0]
            if len(used) != classes.count[c] or (used != classes.milli[c]).any():
                wrong.append(f"arrival {a} got {used.tolist()} of {classes.count[c]} times {classes.milli[c]} milli")
            if classes.count[c] and not classes.allowed[c, fresh.nodes.silicon[n]]:
                wrong.append(f"arrival {a} runs on {fresh.silicon[fresh.nodes.silicon[n]]}, which it may not")
    for name, left in (("CPU", cpu), ("memory", memory), ("accelerators", free.min(axis=1, initial=0))):
        short = np.flatnonzero(left < 0)
        if len(short):
            wrong.append(f"{name} of node {short[0]} is oversold by {-left[short[0]]}")
    if not (
        np.array_equal(cpu, after.cpu) and np.array_equal(memory, after.memory) and np.array_equal(free, after.free)
    ):
        wrong.append("what is left is not what was there less what was taken")
    return wrong
