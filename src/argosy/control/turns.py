"""Turns: fair shares of time as whole placements, round after round. The account behind a fair objective of control.

P4.11 At each round: what the shares said since the last round, less what was done meanwhile, is added to what each ask
      is owed; then the shares are decided anew for the asks that are there, and `place.turn` says who runs.

Kept in memory only. Who loses it (a crash of control) starts with nothing owed: fairness then counts from there.
`Turns.decide` stands where `place` does in `control.tick`; it decides once per instant.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from argosy.errors import CheckFailed, SolverError
from argosy.model.placement import Placement
from argosy.model.snapshot import Objective, PlaceAsk, Snapshot
from argosy.place import place
from argosy.place.turn import MOST_OWED_HOURS, TURN_HOURS, best_rates, turn
from argosy.place.world import reduce
from argosy.settings import Settings

FAIR: tuple[Objective, ...] = ("max_min", "least_attained_service", "finish_time_fairness", "makespan")
_SEES: dict[Objective, frozenset[str]] = {
    "max_min": frozenset(),
    "least_attained_service": frozenset({"attained_units"}),
    "finish_time_fairness": frozenset({"remaining_units", "elapsed_hours"}),
    "makespan": frozenset({"remaining_units"}),
}
"""What each objective looks at, of what changes while an ask runs; the rest would only tell asks apart."""
STEP_HOURS = 0.25
"""Steps in which shares see work and time."""


@dataclass(slots=True)
class Account:
    """One ask."""

    since_hours: float
    attained_units: float
    total_units: float
    """Of its whole work."""
    best_units_per_hour: float
    """In its fastest pool."""
    share_units_per_hour: float = 0.0
    """What the newest shares give it."""
    owed_hours: float = 0.0
    """Hours of its fastest pool that its shares gave it and the rounds did not; below 0 it is ahead."""
    most_owed_hours: float = 0.0
    fair_units: float = 0.0
    """What all shares so far gave it."""


class Turns:
    """The account of all asks. One for each control; `decide` is what the tick calls."""

    def __init__(
        self,
        objective: Objective,
        hours: Callable[[], float],
        settings: Settings,
        *,
        turn_hours: float = TURN_HOURS,
        gap: float = 1e-6,
    ) -> None:
        """`hours` is the clock. Snapshots must say remaining, attained and elapsed of every ask as they are."""
        assert objective in FAIR, "whole objectives need no turns"
        self.objective, self.hours, self.settings, self.turn_hours, self.gap = (
            objective,
            hours,
            settings,
            turn_hours,
            gap,
        )
        self.accounts: dict[str, Account] = {}
        self.instead = 0
        """Times that max_min gave the shares: some work could make no progress at all, or a proof was not believed."""
        self.decisions = 0
        """Times that shares were decided."""
        self.worst_residual = 0.0
        self._known: tuple[str, Placement] | None = None

    def decide(self, snapshot: Snapshot) -> Placement:
        """P4.11: the whole placement of this round. Both decisions have survived their recount."""
        now = self.hours()
        for ask in snapshot.asks:
            if ask.units_per_hour is None:
                self._settle(ask, now)
        self._leave({ask.id for ask in snapshot.asks}, now)
        shares = self._shares(snapshot)
        assert shares.fairness is not None, "a fair objective says who fares how"
        gets = {row.ask: row.progress_units_per_hour for row in shares.fairness.levels}
        best = best_rates(reduce(_waiting(snapshot, frozenset()), "value"))
        owed = {}
        for ask in snapshot.asks:
            if ask.units_per_hour is None:
                account = self.accounts[ask.id]
                account.share_units_per_hour = gets.get(ask.id, 0.0)
                account.best_units_per_hour = max(account.best_units_per_hour, best[ask.id])
                owed[ask.id] = account.owed_hours
        return turn(snapshot, shares, owed, turn_hours=self.turn_hours, gap=self.gap, settings=self.settings)

    def _settle(self, ask: PlaceAsk, now: float) -> None:
        left = ask.remaining_units or 0.0
        account = self.accounts.get(ask.id)
        if account is None:
            self.accounts[ask.id] = Account(now, ask.attained_units, ask.attained_units + left, 0.0)
            return
        self._given(account, now)
        if account.best_units_per_hour > 0:
            done = (ask.attained_units - account.attained_units) / account.best_units_per_hour
            account.owed_hours -= done
        account.owed_hours = min(MOST_OWED_HOURS, max(-MOST_OWED_HOURS, account.owed_hours))
        account.most_owed_hours = max(account.most_owed_hours, account.owed_hours)
        account.attained_units = ask.attained_units

    def _given(self, account: Account, now: float) -> None:
        """What the shares gave since the last round; nobody is given more than its whole work."""
        units = account.share_units_per_hour * (now - account.since_hours)
        units = max(0.0, min(units, account.total_units - account.fair_units))
        account.fair_units += units
        if account.best_units_per_hour > 0:
            account.owed_hours += units / account.best_units_per_hour
        account.since_hours = now

    def _leave(self, here: set[str], now: float) -> None:
        """What has ended was done by some time since the last round; its shares count until now."""
        for name, account in self.accounts.items():
            if name not in here and account.share_units_per_hour > 0:
                self._given(account, now)
                account.share_units_per_hour = 0.0

    def _shares(self, snapshot: Snapshot) -> Placement:
        """The fair decision, remembered while nothing changes that it looks at."""
        seen = _waiting(snapshot, _SEES[self.objective])
        key = seen.model_dump_json()
        if self._known is not None and self._known[0] == key:
            return self._known[1]
        self.decisions += 1
        # Where nobody waits for an end there is none to look at, and no share to give either.
        ends = any(ask.remaining_units is not None for ask in snapshot.asks)
        objective: Objective = self.objective if ends else "max_min"
        try:
            found = place(seen, objective=objective, gap=self.gap, settings=self.settings)
        except (SolverError, CheckFailed):
            # Ratios of finish times and the makespan are infinite where somebody can make no progress; and a decision
            # whose proof the recount does not believe is none. The shares of max_min are recounted like any other.
            self.instead += 1
            found = place(seen, objective="max_min", gap=self.gap, settings=self.settings)
        self.worst_residual = max(self.worst_residual, found.worst_residual)
        self._known = (key, found)
        return found


def _waiting(snapshot: Snapshot, sees: frozenset[str]) -> Snapshot:
    """The snapshot as shares see it: who runs has no better right than who waits, unless it may not be stopped."""
    bare = {
        "running_in": None,
        "running_on": (),
        "checkpoint_in": None,
        "deadline_hours": None,
        "may_preempt": True,
        "attained_units": 0.0,
        "elapsed_hours": 0.0,
        "remaining_units": None,
    }
    away = {name: value for name, value in bare.items() if name not in sees}
    asks = tuple(
        ask
        if ask.units_per_hour is not None or not ask.preemptible
        else ask.model_copy(update=away | _rough(ask, sees))
        for ask in snapshot.asks
    )
    return snapshot.model_copy(update={"asks": asks})


def _rough(ask: PlaceAsk, sees: frozenset[str]) -> dict[str, float]:
    """What an objective looks at, in quarter hours: asks that are nearly alike are one class (P1.1), and work of a last
    minute makes no program with numbers of all sizes."""
    told: dict[str, float] = {}
    if "remaining_units" in sees and ask.remaining_units is not None:
        hours = max(1, math.ceil(ask.remaining_units / ask.accelerators / STEP_HOURS - 1e-9)) * STEP_HOURS
        told["remaining_units"] = hours * ask.accelerators
    if "attained_units" in sees:
        told["attained_units"] = (
            round(ask.attained_units / ask.accelerators / STEP_HOURS) * STEP_HOURS * ask.accelerators
        )
    if "elapsed_hours" in sees:
        told["elapsed_hours"] = round(ask.elapsed_hours / STEP_HOURS) * STEP_HOURS
    return told
