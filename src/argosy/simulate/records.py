"""Memory: the store of a simulation. The same promises as a database (grants and results are conditional), kept in
dictionaries, with a log that hashes to the same value for the same seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence

from argosy.control.protocols import Lease, Reason, Saved, Want
from argosy.model.placement import Placement, Transfer
from argosy.model.snapshot import Replica

NOTHING = Saved(0.0, None)


class MemoryStore:
    """`control.protocols.Store` in memory."""

    def __init__(self) -> None:
        self._wants: dict[str, Want] = {}
        self._leases: dict[str, Lease] = {}
        self._epoch: dict[str, int] = {}
        self._last: dict[str, Reason] = {}
        self._saved: dict[str, Saved] = {}
        self._finished: dict[str, int] = {}
        self._copies: dict[tuple[str, str], None] = {}
        self._done: set[tuple[str, int]] = set()
        self.ended: dict[str, Reason] = {}
        """Asks that have ended, with the reason of their last lease."""
        self.reasons: dict[str, int] = {}
        """Reasons for which leases ended, and how often."""
        self.writes = 0
        self.before_release: Callable[[Lease], None] | None = None
        """Told before a lease is fenced off: invented workers write their checkpoints late, but not later than that."""
        self.after_write: Callable[[], None] | None = None
        """Told after each write of control, for faults: a crash may come between any two."""
        self._hash = hashlib.sha256()

    def log(self, *words: object) -> None:
        """Append to the log."""
        self.writes += 1
        self._hash.update(("\x1f".join(map(str, words)) + "\n").encode())

    def _written(self) -> None:
        if self.after_write is not None:
            self.after_write()

    def digest(self) -> str:
        """Hash of all that was written, in order."""
        return self._hash.hexdigest()

    def submit(self, wants: Iterable[Want]) -> None:
        """New asks."""
        for want in wants:
            self._wants[want.ask.id] = want
            self.log("want", want.ask.id, want.arrived_hours)

    def wants(self) -> Mapping[str, Want]:
        """Asks that have not ended."""
        return self._wants

    def leases(self) -> Mapping[str, Lease]:
        """Current leases."""
        return self._leases

    def stopped(self, ask: str) -> bool:
        """Whether its last lease was ended for others."""
        return self._last.get(ask) == "evicted"

    def epoch(self, ask: str) -> int:
        """Newest epoch granted."""
        return self._epoch.get(ask, 0)

    def grant(self, lease: Lease) -> bool:
        """Conditional on the ask waiting and the epoch being the next."""
        ask = lease.ask
        if ask not in self._wants or ask in self._leases or lease.epoch != self.epoch(ask) + 1:
            return False
        self._epoch[ask] = lease.epoch
        self._leases[ask] = lease
        self.log("grant", lease.run, lease.pool)
        self._written()
        return True

    def release(self, ask: str, epoch: int, reason: Reason) -> bool:
        """Conditional on the lease being the current one."""
        lease = self._leases.get(ask)
        if lease is None or lease.epoch != epoch:
            return False
        if self.before_release is not None:
            self.before_release(lease)
        if ask in self._finished:
            # Whatever control believed, the exit record says how it ended.
            reason = "done"
        del self._leases[ask]
        self._last[ask] = reason
        if reason == "done":
            del self._wants[ask]
            self.ended[ask] = reason
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.log("release", lease.run, reason)
        self._written()
        return True

    def save(self, ask: str, epoch: int, units: float, region: str) -> bool:
        """A checkpoint, from the run that holds the lease."""
        lease = self._leases.get(ask)
        if lease is None or lease.epoch != epoch or ask in self._finished:
            return False
        if units > self.saved(ask).units:
            self._saved[ask] = Saved(units, region)
            self.log("save", lease.run, round(units, 6), region)
        return True

    def finish(self, ask: str, epoch: int, units: float, region: str) -> bool:
        """The exit record, once, from the run that holds the lease."""
        lease = self._leases.get(ask)
        if lease is None or lease.epoch != epoch or ask in self._finished:
            return False
        self._finished[ask] = epoch
        self._saved[ask] = Saved(units, region)
        self.log("finish", lease.run, round(units, 6))
        return True

    def saved(self, ask: str) -> Saved:
        """The newest checkpoint."""
        return self._saved.get(ask, NOTHING)

    def finished(self, ask: str) -> int | None:
        """Epoch of the exit record."""
        return self._finished.get(ask)

    def replicas(self) -> Sequence[Replica]:
        """Copies ordered."""
        return [Replica(dataset=dataset, region=region) for dataset, region in self._copies]

    def copied(self, step: Transfer) -> None:
        """A copy was ordered."""
        if (step.dataset, step.to_region) not in self._copies:
            self._copies[step.dataset, step.to_region] = None
            self.log("copy", step.dataset, step.to_region)
            self._written()

    def decided(self, decision: str, placement: Placement) -> None:
        """A decision; only the steps of the newest one can come again."""
        self._done.clear()
        self.log("decide", decision, placement.inputs_hash)
        self._written()

    def done(self, decision: str, number: int, words: str) -> None:
        """A step, once."""
        if (decision, number) not in self._done:
            self._done.add((decision, number))
            self.log("step", decision, number, words)
            self._written()
