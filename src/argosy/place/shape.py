"""Shape: what one ask looks like on the nodes of a pool, and whether they could ever hold it.

P2.6  An ask takes equal parts: the fewest that each fit on the largest node of its pool. A share of a device is one.
P2.9  A share of time is given only in pools whose nodes, empty, could hold the whole ask: the rounds must seat it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from argosy.model.fleet import WHOLE_MILLI
from argosy.model.snapshot import NodeState, PlaceAsk


@dataclass(frozen=True, slots=True)
class Shape:
    """What one ask looks like on the nodes of a pool."""

    parts: int
    devices: int
    milli: int
    cpu: int
    memory: int
    one_domain: bool


def shape(ask: PlaceAsk, largest: int) -> Shape:
    """P2.6, on a pool whose largest node has so many accelerators."""
    if ask.accelerators < 1:
        return Shape(1, 1, max(1, round(ask.accelerators * WHOLE_MILLI)), ask.cpu_milli, ask.memory_mib, False)
    size = round(ask.accelerators)
    parts = next(m for m in range(max(1, math.ceil(size / max(1, largest))), size + 1) if size % m == 0)
    whole = parts > 1 and ask.one_domain
    return Shape(
        parts, size // parts, WHOLE_MILLI, math.ceil(ask.cpu_milli / parts), math.ceil(ask.memory_mib / parts), whole
    )


def could_hold(ask: PlaceAsk, nodes: Sequence[NodeState]) -> bool:
    """P2.9: whether empty nodes hold one ask, in one domain where it must be."""
    form = shape(ask, max(node.accelerators for node in nodes))
    room: dict[str, int] = defaultdict(int)
    for node in nodes:
        parts = node.accelerators // form.devices
        if node.cpu_milli is not None and form.cpu:
            parts = min(parts, node.cpu_milli // form.cpu)
        if node.memory_mib is not None and form.memory:
            parts = min(parts, node.memory_mib // form.memory)
        alone = f"node {node.id}" if node.domain is None else f"domain {node.domain}"
        room[alone if form.one_domain else ""] += parts
    return max(room.values(), default=0) >= form.parts
