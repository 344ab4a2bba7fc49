"""Rounds that keep fair shares (P4.8 to P4.11): against every whole schedule there is, and laws over random worlds."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from typing import Any

import linopy
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.unit.test_place_value import ask, pool, world

from argosy.control import turns
from argosy.control.turns import FAIR, Turns
from argosy.errors import CheckFailed, SolverError
from argosy.model.placement import Placement
from argosy.model.snapshot import Objective, PlaceAsk, PoolState, Snapshot
from argosy.place import place
from argosy.place.turn import TURN_HOURS, turn
from argosy.settings import Settings

NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)
PLENTY = 1e4


class Rounds:
    """A world of one vendor that does what it is told, hour by hour; asks have more work than they can get done."""

    def __init__(self, seen: Snapshot, objective: Objective, turn_hours: float = TURN_HOURS) -> None:
        self.seen, self.hours = seen, 0.0
        self.turns = Turns(objective, lambda: self.hours, Settings(), turn_hours=turn_hours)
        self.done = {row.id: row.attained_units for row in seen.asks}
        self.began = dict(self.done)
        self.runs: dict[str, str] = {}
        self.stretches: dict[str, int] = defaultdict(int)

    def now(self) -> Snapshot:
        asks = tuple(row if row.units_per_hour is not None else self.ask(row) for row in self.seen.asks)
        return self.seen.model_copy(update={"asks": asks})

    def ask(self, row: PlaceAsk) -> PlaceAsk:
        done = self.done[row.id]
        facts = {"attained_units": done, "remaining_units": PLENTY - done, "elapsed_hours": self.hours}
        return row.model_copy(update={**facts, "running_in": self.runs.get(row.id)})

    def step(self) -> Placement:
        seen = self.now()
        made = self.turns.decide(seen)
        pools, asks = {p.id: p for p in seen.pools}, {a.id: a for a in seen.asks}
        before, self.runs = self.runs, {}
        for row in made.assignments:
            if asks[row.ask].units_per_hour is None:
                assert row.count == 1, "whole asks run in a round"
                assert row.ask not in self.runs, "in one pool"
                self.runs[row.ask] = row.pool
                self.done[row.ask] += asks[row.ask].speed[pools[row.pool].silicon] * asks[row.ask].accelerators
                self.stretches[row.ask] += before.get(row.ask) != row.pool
        used = defaultdict(float)
        for row in made.assignments:
            used[row.pool] += row.accelerators
        assert all(amount <= pools[name].own_accelerators + 1e-6 for name, amount in used.items())
        self.hours += 1.0
        return made

    def go(self, rounds: int) -> dict[str, float]:
        for _ in range(rounds):
            self.step()
        return {name: (done - self.began[name]) / rounds for name, done in self.done.items()}


def test_P4_8_two_teams_on_two_chips_get_the_shares_that_a_pencil_finds() -> None:
    """Red hardly minds the old chip, blue does: each has half of the new one, and both get what their mean speed is.

    u of the new chip for red: (0.8 + 0.2 u) / 0.9 = (1 - 0.8 u) / 0.6, so u = 1/2; red does 0.9 an hour, blue 0.6.
    """
    seen = world(
        ask("red", accelerators=1.0, speed={"h100": 1.0, "a100": 0.8}),
        ask("blue", accelerators=1.0, speed={"h100": 1.0, "a100": 0.2}),
        pools=(pool("new", own_accelerators=1.0), pool("old", silicon="a100", own_accelerators=1.0)),
    )
    for turn_hours, rounds in ((1.0, 20), (TURN_HOURS, 60)):
        got = Rounds(seen, "max_min", turn_hours).go(rounds)
        assert got["red"] == pytest.approx(0.9, abs=turn_hours / rounds)
        assert got["blue"] == pytest.approx(0.6, abs=turn_hours / rounds)


@st.composite
def tiny(draw) -> Snapshot:
    """One to three pools of one or two accelerators, two to four asks of one, of which some know one chip only."""
    pools = tuple(
        pool(f"p{i}", silicon=("h100", "a100", "b200")[i], own_accelerators=float(draw(st.integers(1, 2))))
        for i in range(draw(st.integers(1, 3)))
    )
    chips = [p.silicon for p in pools]
    asks = tuple(
        ask(
            f"j{i}",
            accelerators=1.0,
            speed={
                chips[0]: draw(st.sampled_from([0.5, 1.0])),
                **{c: draw(st.sampled_from([0.25, 0.5, 1.0, 2.0])) for c in chips[1:] if draw(st.booleans())},
            },
            weight=draw(st.sampled_from([1.0, 1.0, 2.0])),
        )
        for i in range(draw(st.integers(2, 4)))
    )
    return world(*asks, pools=pools)


def best_of_schedules(seen: Snapshot) -> float:
    """The largest least level over all mixtures of whole schedules, each of which is written down."""
    asks, pools = seen.asks, seen.pools

    def may(row: PlaceAsk, where: PoolState | None) -> bool:
        return where is None or where.silicon in row.speed

    choices = [[p for p in (None, *pools) if may(row, p)] for row in asks]
    schedules = [
        mix
        for mix in product(*choices)
        if all(
            sum(row.accelerators for row, at in zip(asks, mix, strict=True) if at is not None and at.id == p.id)
            <= p.own_accelerators
            for p in pools
        )
    ]
    model = linopy.Model()
    share = model.add_variables(lower=0, coords=[range(len(schedules))], name="share")
    least = model.add_variables(lower=0, name="least")
    model.add_constraints(share.sum() == 1, name="time")
    for i, row in enumerate(asks):
        mine = [p for p in pools if p.silicon in row.speed]
        equal = sum(row.speed[p.silicon] * p.own_accelerators for p in mine) / sum(p.own_accelerators for p in mine)
        rates = [0.0 if mix[i] is None else row.speed[mix[i].silicon] for mix in schedules]
        model.add_constraints((share * rates).sum() - equal * row.weight * least >= 0, name=f"ask{i}")
    model.add_objective(-1 * least)
    model.solve(solver_name="highs", output_flag=False)
    return float(least.solution)


@settings(max_examples=25, deadline=None, phases=NO_SHRINKING)
@given(seen=tiny())
def test_P4_8_rounds_reach_the_best_mixture_of_whole_schedules(seen: Snapshot) -> None:
    rounds = 48
    runner = Rounds(seen, "max_min")
    got = runner.go(rounds)
    best = best_of_schedules(seen)
    for row in seen.asks:
        mine = [p for p in seen.pools if p.silicon in row.speed]
        equal = sum(row.speed[p.silicon] * p.own_accelerators for p in mine) / sum(p.own_accelerators for p in mine)
        fastest = max(row.speed[p.silicon] for p in mine)
        level = got[row.id] / (equal * row.weight)
        # One turn on the fastest chip is what rounds may be behind.
        assert level >= best - TURN_HOURS * fastest / rounds / (equal * row.weight) - 1e-6
        assert runner.turns.accounts[row.id].most_owed_hours <= TURN_HOURS


@settings(max_examples=25, deadline=None, phases=NO_SHRINKING)
@given(
    seen=tiny(), objective=st.sampled_from(FAIR), sizes=st.lists(st.sampled_from([1.0, 2.0]), min_size=4, max_size=4)
)
def test_P4_8_every_round_is_whole_within_the_pools_and_the_same_again(
    seen: Snapshot, objective: Objective, sizes: list[float]
) -> None:
    asks = tuple(row.model_copy(update={"accelerators": size}) for row, size in zip(seen.asks, sizes, strict=False))
    chat = ask("chat", accelerators=1.0, speed={"h100": 1.0}, units_per_hour=0.5, usd_per_unit=50.0)
    both = seen.model_copy(update={"asks": (*asks, chat)})

    def told() -> list[Placement]:
        runner = Rounds(both, objective)
        return [runner.step() for _ in range(8)]

    first = told()
    assert first == told()
    for made in first:
        assert made.worst_residual <= 1e-6
        # P4.7: what flows is served in full, whoever's turn it is.
        assert sum(row.count for row in made.assignments if row.ask == "chat") == pytest.approx(0.5, rel=2e-5)


def test_P4_10_a_gang_gets_its_turn_among_many_small_ones() -> None:
    """No four newcomers come together to make room for it, and none of the four would have to go for less."""
    singles = [ask(f"s{i}", accelerators=1.0) for i in range(4)]
    seen = world(ask("gang", accelerators=4.0), *singles, pools=(pool("p", own_accelerators=4.0),))
    got = Rounds(seen, "max_min").go(48)
    assert got["gang"] / 4 == pytest.approx(0.5, abs=0.1)
    assert all(got[row.id] == pytest.approx(0.5, abs=0.1) for row in singles)


def test_P4_8_a_turn_lasts() -> None:
    """Two asks on one seat change places once a turn and not once a round."""
    seen = world(ask("a", accelerators=1.0), ask("b", accelerators=1.0), pools=(pool("p", own_accelerators=1.0),))
    runner = Rounds(seen, "max_min")
    got = runner.go(48)
    assert got["a"] == pytest.approx(0.5, abs=TURN_HOURS / 48)
    assert sum(runner.stretches.values()) <= 48 / TURN_HOURS + 2


def test_P4_11_least_attained_service_lets_the_newcomer_catch_up() -> None:
    old = ask("old", accelerators=1.0, attained_units=30.0)
    new = ask("new", accelerators=1.0)
    runner = Rounds(world(old, new, pools=(pool("p", own_accelerators=1.0),)), "least_attained_service")
    runner.go(28)
    assert runner.done["old"] - 30 <= TURN_HOURS + 1, "a turn, and the first round, when nobody is owed"
    runner.go(40)
    assert runner.done["old"] == pytest.approx(runner.done["new"], abs=2 * TURN_HOURS)


def test_P4_9_money_decides_only_between_equals() -> None:
    """Of two pools that do as much the cheap one is used; what is owed runs although it is worth nothing."""
    seen = world(
        ask("a", accelerators=1.0, usd_per_unit=0.0),
        pools=(
            pool("dear", own_accelerators=1.0, usd_per_accelerator_hour=9.0),
            pool("cheap", own_accelerators=1.0, usd_per_accelerator_hour=1.0),
        ),
    )
    made = turn(seen, place(seen, objective="max_min"), {"a": 1.0})
    assert [row.pool for row in made.assignments] == ["cheap"]


@pytest.mark.parametrize("why", [SolverError("no progress"), CheckFailed("P1.Z")])
def test_P4_11_max_min_gives_the_shares_where_the_objective_cannot(
    why: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(seen: Snapshot, *, objective: Objective, **more: Any) -> Placement:
        if objective != "max_min":
            raise why
        return place(seen, objective=objective, **more)

    seen = world(ask("a", accelerators=1.0), ask("b", accelerators=1.0), pools=(pool("p", own_accelerators=1.0),))
    monkeypatch.setattr(turns, "place", refuses)
    runner = Rounds(seen, "makespan")
    got = runner.go(16)
    assert runner.turns.instead > 0
    assert got["a"] == pytest.approx(0.5, abs=TURN_HOURS / 16)
