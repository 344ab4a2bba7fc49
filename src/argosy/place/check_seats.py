"""Recount of seats: every part on a node of its pool, no node oversold, gangs whole and in one domain if they must."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from argosy.model.placement import Assignment, Placement
from argosy.model.snapshot import NodeState, PlaceAsk, Snapshot
from argosy.place.book import Book

SMALL = 1e-6


def check_seats(book: Book, snapshot: Snapshot, placement: Placement) -> None:
    """P2.6 and P2.7. What gives shares of time has no seats."""
    if placement.objective not in ("value", "cost") or not snapshot.nodes:
        return
    nodes = {node.id: node for node in snapshot.nodes}
    packed = {node.pool for node in snapshot.nodes}
    asks = {ask.id: ask for ask in snapshot.asks}
    taken: dict[str, float] = defaultdict(float)
    shares: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, float] = defaultdict(float)
    memory: dict[str, float] = defaultdict(float)
    for row in placement.assignments:
        ask = asks[row.ask]
        if row.pool not in packed or ask.units_per_hour is not None:
            book.holds("seats", not row.seats)
            continue
        _row(book, ask, row, nodes)
        parts = max(1, len(row.seats) / max(1.0, row.count))
        for seat in row.seats:
            taken[seat.node] += seat.accelerators
            if seat.accelerators < 1 - SMALL:
                shares[seat.node].append(seat.accelerators)
            cpu[seat.node] += -(-ask.cpu_milli // parts)
            memory[seat.node] += -(-ask.memory_mib // parts)
    for name, amount in taken.items():
        node = nodes[name]
        book.below("nodes", amount, node.accelerators)
        whole = amount - sum(shares[name])
        # Two shares above a half never share a device, so each needs one of its own.
        book.below("nodes", whole + sum(share > 0.5 + SMALL for share in shares[name]), node.accelerators)
        if node.cpu_milli is not None:
            book.below("nodes", cpu[name], node.cpu_milli)
        if node.memory_mib is not None:
            book.below("nodes", memory[name], node.memory_mib)


def _row(book: Book, ask: PlaceAsk, row: Assignment, nodes: dict[str, NodeState]) -> None:
    members: dict[int, list[str]] = defaultdict(list)
    amount: dict[int, float] = defaultdict(float)
    for seat in row.seats:
        members[seat.member].append(seat.node)
        amount[seat.member] += seat.accelerators
        book.holds("seats", nodes[seat.node].pool == row.pool)
    book.near("seats", len(members), row.count)
    for member, on in members.items():
        # A share of a device is given in thousandths.
        book.below("seats", abs(amount[member] - ask.accelerators), 1e-3)
        if ask.one_domain and len(on) > 1:
            domains = {nodes[name].domain if nodes[name].domain is not None else f"node {name}" for name in on}
            book.holds("domain", len(domains) == 1)
        if row.change == "stay":
            book.holds("P2.7", sorted(on) == sorted(ask.running_on))


def seatable(ask: PlaceAsk, nodes: Sequence[NodeState]) -> bool:
    """P2.9, counted again: whether empty nodes could seat all parts of one ask, part by part."""
    if ask.accelerators < 1:
        return any(_fits(node, 1, ask, 1) >= 1 for node in nodes)
    size, largest = round(ask.accelerators), max(node.accelerators for node in nodes)
    parts = next((m for m in range(1, size + 1) if size % m == 0 and size // m <= largest), None)
    if parts is None:
        return False
    seats: dict[str, int] = defaultdict(int)
    for node in nodes:
        where = "" if not ask.one_domain or parts == 1 else node.domain or f"node {node.id}"
        seats[where] += _fits(node, size // parts, ask, parts)
    return any(number >= parts for number in seats.values())


def _fits(node: NodeState, devices: int, ask: PlaceAsk, parts: int) -> int:
    """Parts of an ask that an empty node holds."""
    most = node.accelerators // devices
    for has, wants in ((node.cpu_milli, ask.cpu_milli), (node.memory_mib, ask.memory_mib)):
        if has is not None and wants:
            most = min(most, has // -(-wants // parts))
    return most
