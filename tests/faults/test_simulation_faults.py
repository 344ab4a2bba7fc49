"""Control against a world in which everything may fail: hundreds of seeded schedules, and checks that can fail.

A failing seed prints the command that replays it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from argosy.control.keeper import Keeper
from argosy.control.protocols import Lease
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.placement import Placement
from argosy.model.portfolio import Portfolio
from argosy.model.snapshot import Snapshot
from argosy.settings import Settings
from argosy.simulate.first_fit import first_fit
from argosy.simulate.meter import Meter
from argosy.simulate.mishaps import Crash
from argosy.simulate.records import MemoryStore
from argosy.simulate.run import Setup, Simulation
from argosy.simulate.vendors import InventedVendor

ROOT = Path(__file__).resolve().parents[2]
HALLS = "tests/fixtures/two-halls"
DAYS = 1.5


@cache
def halls() -> Portfolio:
    catalogue = bundled()
    return load(ROOT / HALLS, Settings(), catalogue=catalogue).with_catalogue(catalogue)


def made(seed: int, objective: str = "first_fit", days: float = DAYS) -> Simulation:
    return Simulation(Setup(halls(), days=days, seed=seed, objective=objective, faults=True))


def replay(seed: int, objective: str) -> str:
    return f"replay: argosy simulate {HALLS} --days {DAYS} --seed {seed} --objective {objective} --faults"


def violations(seeds: range, objective: str = "first_fit", until: str = "") -> dict[str, str]:
    """First violation by rule, with the command that shows it; no further than one of the rule `until`."""
    found: dict[str, str] = {}
    for seed in seeds:
        run = made(seed, objective).run()
        assert run.watch is not None
        for words in run.watch.violations:
            found.setdefault(words.split(": ")[1], f"{words}; {replay(seed, objective)}")
        if until in found:
            break
    return found


@pytest.mark.parametrize("first", range(0, 150, 30))
def test_everything_holds_in_seeded_schedules(first: int) -> None:
    assert violations(range(first, first + 30)) == {}


def test_everything_holds_when_place_decides() -> None:
    assert violations(range(1000, 1008), "value") == {}


@pytest.mark.parametrize("objective", ["max_min", "finish_time_fairness"])
def test_everything_holds_when_rounds_keep_fair_shares(objective: str) -> None:
    assert violations(range(2000, 2004), objective) == {}


@pytest.mark.slow
def test_everything_holds_in_many_more_schedules() -> None:
    assert violations(range(10_000, 10_500)) == {}
    assert violations(range(20_000, 20_040), "value") == {}


def test_schedules_do_contain_every_kind_of_fault() -> None:
    """Otherwise the tests above would prove nothing."""
    runs = [made(seed).run() for seed in range(20)]
    reasons = {reason for run in runs for reason in run.ended_leases()}
    assert {"done", "preempted", "refused", "returned", "lost", "unreachable"} <= reasons
    assert sum(run.record.crashes for run in runs) > 5
    assert sum(run.counts.fenced for run in runs) > 0
    assert sum(run.record.failed_steps for run in runs) > 20
    assert any(run.faults and (run.faults.silent and run.faults.dark and run.faults.empty) for run in runs)
    skews = [run.clock.skew_seconds(hour) for run in runs for hour in range(24)]
    assert min(skews) < -600
    assert max(skews) > 600


def test_the_same_seed_gives_the_same_log_and_another_seed_another() -> None:
    one, again, other = (made(seed).run().store.digest() for seed in (7, 7, 8))
    assert one == again != other
    assert made(7, "value").run().store.digest() == made(7, "value").run().store.digest()


def test_a_crash_after_any_write_or_call_loses_nothing() -> None:
    """Nothing else goes wrong here: control is stopped once, at the first, second, third... step, up to the last."""

    class Once:
        def __init__(self, at: int) -> None:
            self.left = at

        def __call__(self) -> None:
            self.left -= 1
            if self.left == 0:
                raise Crash

    def run(at: int) -> tuple[Simulation, Once]:
        simulation = made(3, days=0.4)
        assert simulation.faults is not None
        simulation.faults.until_hours = 0.0
        for spells in (simulation.faults.silent, simulation.faults.dark, simulation.faults.empty):
            spells.clear()
        once = Once(at)
        simulation.faults.crash = once  # type: ignore[method-assign]
        simulation.store.after_write = once
        return simulation.run(), once

    whole, counter = run(0)
    steps = -counter.left
    assert steps > 100
    ended = set(whole.store.ended)
    for at in range(1, steps, max(1, steps // 60)):
        crashed, _ = run(at)
        assert crashed.record.crashes == 1
        assert crashed.watch is not None
        assert crashed.watch.violations == [], at
        assert set(crashed.store.ended) == ended, at


# Each of these breaks one promise; the rule that stands for it must notice.


def test_without_the_sweep_somebody_pays_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "sweep", lambda self: None)
    assert "W2" in violations(range(80), until="W2")


def test_without_fencing_two_runs_finish_one_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(self: MemoryStore, ask: str, epoch: int, units: float, region: str) -> bool:
        self._finished[ask] = epoch
        return True

    monkeypatch.setattr(MemoryStore, "finish", finish)
    assert "W1" in violations(range(80), until="W1")


def test_control_that_never_settles_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Keeper, "_fate", lambda self, ask, lease, now: None)
    assert "W4" in violations(range(1))


def test_an_ask_that_ends_without_an_exit_record_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Keeper._fate

    def careless(self: Keeper, ask: str, lease: Lease, now: float) -> str | None:
        reason = whole(self, ask, lease, now)
        return "done" if reason == "lost" else reason

    monkeypatch.setattr(Keeper, "_fate", careless)
    assert "W3" in violations(range(20), until="W3")


def test_work_in_a_forbidden_place_is_noticed() -> None:
    """Decisions that `place.check` would refuse are forced on control."""

    def astray(snapshot: Snapshot) -> Placement:
        placement = first_fit(snapshot)
        rows = tuple(
            row.model_copy(update={"pool": "birch-us"}) if row.change == "start" else row
            for row in placement.assignments
        )
        return placement.model_copy(update={"assignments": rows})

    simulation = made(5)
    simulation._decide = simulation.keeper.decide = astray  # type: ignore[method-assign]
    simulation.run()
    assert simulation.watch is not None
    assert any("W5: a run of gangs" in words for words in simulation.watch.violations)
    assert any("W5: a checkpoint of gangs" in words for words in simulation.watch.violations)


def test_accelerators_that_are_billed_and_not_used_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = Meter.use
    monkeypatch.setattr(Meter, "use", lambda self, pool, count, now: whole(self, pool, count * 1.01, now))
    assert "W7" in violations(range(1))


def test_a_pool_that_is_overfull_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(InventedVendor, "shrink", lambda self, pool: 0)
    assert "W6" in violations(range(20), until="W6")
