"""P5.15 in `argosy simulate PORTFOLIO`: work with a deadline waits for spot, pays less, and is in time."""

from __future__ import annotations

import pytest
from tests.unit.test_simulate_portfolio import ROOT, world

from argosy.control.pace import amounts, rounded
from argosy.model.workload.batch import Workload as Batch
from argosy.model.workload.training import Workload as Training
from argosy.simulate.outcome import document, outcome
from argosy.simulate.run import Setup, Simulation

PATIENCE = ROOT / "tests" / "fixtures" / "patience"


def lived(*, waits: bool, seed: int, days: float) -> tuple[float, float, Simulation]:
    """What it cost, hours that asks waited for spot, and all of it."""
    made = Simulation(Setup(world(PATIENCE), days=days, seed=seed, wait_for_spot=waits, future="expected")).run()
    told = document(outcome(made), "x")
    return told["cost_usd"]["total"], told["excuse_hours"].get("wait", 0.0), made


def missed(made: Simulation) -> list[str]:
    done = made.counts.done_hours
    due = {want.ask.id: want.due_hours for want in made.work.wants if want.due_hours is not None}
    return [name for name, at in due.items() if at < made.span.hours and done.get(name, at + 1) > at + 1e-9]


@pytest.mark.parametrize(
    ("kind", "seed", "days"), [("batch", 3, 4.0), ("training", 1, 6.0)], ids=["short work", "training"]
)
def test_work_with_a_deadline_waits_for_spot_pays_less_and_is_in_time_p5_15(
    kind: str, seed: int, days: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "training":  # due after one and a half times its length
        monkeypatch.setattr(Batch, "pattern", Training.pattern.model_copy(update={"slack_ratio": 1.5}))
    patient, waited, made = lived(waits=True, seed=seed, days=days)
    at_once, hurried, other = lived(waits=False, seed=seed, days=days)
    assert waited > 10 > hurried == 0
    assert patient < 0.98 * at_once
    assert not missed(made)
    assert not missed(other)
    assert made.record.worst_residual < 1e-6


def test_hours_are_rounded_to_a_sixteenth_and_shares_stay_c8() -> None:
    for hours in (0.01, 0.3, 1.0, 3.3, 17.0, 500.0):
        up, down = rounded(hours, up=True), rounded(hours, up=False)
        assert down <= hours <= up
        assert up - down <= max(hours / 16, 1 / 32) + 1e-9
    found = amounts(17.3, 4.1, 33.3, 11.7, 8.0)
    assert found["remaining_units"] >= 17.3 * 8
    assert found["deadline_hours"] <= 33.3
    done = found["attained_units"] / (found["attained_units"] + found["remaining_units"])
    assert done == pytest.approx(4.1 / 21.4)
    assert found["elapsed_hours"] / found["deadline_hours"] == pytest.approx(11.7 / 33.3)
