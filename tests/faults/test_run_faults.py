"""Seeded schedules of faults against the real control loop and stores; `make test-faults` runs twenty times as many."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from bench.faults import batch, many

from argosy.control import loop
from argosy.control.live import LiveTick
from argosy.control.loop import Control
from argosy.model.snapshot import Replica
from argosy.run.decide import Case, Verdict
from argosy.simulate.faults import run
from argosy.simulate.promises import Broken
from argosy.store import CopyChange

SCHEDULES = 500
BOTH = 10
"""Every tenth schedule runs on SQLite as well, and must do the same there to the letter."""
# Each of these broke a promise once; the comment says which and why.
KEPT = {
    0: "I1: the record was not read again behind the fence",
    1: "an ask that may not use a pool ended the decision with a KeyError",
    20: "I1: finished work got another run after its engine was out of sight",
    180: "a start that lay in the future of another replica's clock cost negative time and ended every decision",
}

# The same since checkpoints, data and moves are in the schedules.
KEPT_CARRYING = {
    2070: "I6: work with ordered choices moved to its second one and was placed in its first again, for ever",
    5575: "I7 was judged without the room that is kept for work on its way there",
    3644: "I7: work that was to wait for a copy was placed at once on a lower rung, where it had failed before",
}


@pytest.mark.parametrize("seed", KEPT)
def test_schedules_that_broke_a_promise_once(seed: int) -> None:
    run(seed, steps=40, carries=False)


@pytest.mark.parametrize("seed", KEPT_CARRYING)
def test_schedules_that_carry_and_broke_a_promise_once(seed: int) -> None:
    run(seed)


def test_a_schedule_is_the_same_each_time() -> None:
    first, again = run(3, loud=True), run(3, loud=True)
    assert first.trace == again.trace
    assert first.state_hash == again.state_hash
    assert run(4).state_hash != first.state_hash


@pytest.mark.slow
def test_all_promises_hold_in_every_schedule() -> None:
    counts, _, broken = many(0, SCHEDULES, both=BOTH)
    assert broken == []
    assert counts["schedules"] == SCHEDULES + SCHEDULES // BOTH
    assert counts["compared"] == SCHEDULES // BOTH
    # The schedules are not empty: every kind of fault happens, and most work gets done all the same.
    assert counts["kills"] > SCHEDULES
    assert counts["pauses"] > SCHEDULES / 2
    assert counts["SUCCEEDED"] > counts["FAILED"] + counts["CANCELLED"]
    assert min(counts[what] for what in ("resumed", "moves", "copies")) > SCHEDULES / 10


class NoFence(Control):
    """Replaces what it cannot see, and shuts nobody out."""

    def _fenced(self, case: Case, verdict: Verdict) -> Verdict | None:
        return verdict


class NoReading(Control):
    """Shuts out, but does not read the record again behind the fence."""

    def _fenced(self, case: Case, verdict: Verdict) -> Verdict | None:
        done = super()._fenced(case, verdict)
        return None if done is None else verdict


@pytest.mark.parametrize("variant", [NoFence, NoReading])
def test_the_schedules_catch_a_loop_that_is_careless(variant: type[Control]) -> None:
    """A check that cannot fail proves nothing."""
    told = next(filter(None, (broken_by(variant, seed) for seed in range(60))), "")
    assert "I1" in told or "I3" in told
    assert "replay: python -m bench.faults --seed" in told


class FromTheBeginning(Control):
    """Forgets what was saved."""

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **{**given, "find": lambda *_: None})


class CarriesForNothing(Control):
    """Counts no price for what it carries."""

    def __init__(self, *args: Any, **given: Any) -> None:
        links = tuple(link.model_copy(update={"usd_per_gib": 0.0}) for link in given["world"].links)
        super().__init__(*args, **{**given, "world": replace(given["world"], links=links)})


class DoesNotWait(Control):
    """Takes an order of data for the data."""

    def _place(self, now, done):  # type: ignore[no-untyped-def]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "at_hand", lambda world, copies: tuple(
                Replica(dataset=copy.dataset, region=copy.to_region) for copy in copies.values()
            ))  # fmt: skip
            patch.setattr(LiveTick, "_data_open", lambda self, group, rung, name: list(rung.pools))
            super()._place(now, done)


class ChargesAgain(Control):
    """Books what is done whenever it sees it."""

    def _copy(self, now, done):  # type: ignore[no-untyped-def]
        super()._copy(now, done)
        for copy in self.store.copies().values():
            if copy.status == "DONE":
                self.store.change_copies([CopyChange("Copied", copy, copy.version)], fence=self.lead)


@pytest.mark.parametrize(
    ("variant", "promise"),
    [
        (FromTheBeginning, "I8: .* goes on from None, the newest is"),
        (CarriesForNothing, "I[89]: .* was charged 0.0"),
        (DoesNotWait, "I9: .* before (corpus|records) is"),
        (ChargesAgain, "I9: .* was charged twice"),
    ],
)
def test_the_schedules_catch_a_loop_that_carries_carelessly(variant: type[Control], promise: str) -> None:
    told = next(filter(None, (broken_by(variant, seed) for seed in range(60))), "")
    assert re.search(promise, told), told


def broken_by(variant: type[Control], seed: int) -> str:
    try:
        run(seed, control=variant)
    except Broken as error:
        return str(error)
    return ""


def test_a_batch_names_what_broke(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.faults.run", lambda seed, steps, store: 1 / 0)
    assert batch([7])[2] == ["seed 7: ZeroDivisionError: division by zero\nreplay: python -m bench.faults --seed 7"]
