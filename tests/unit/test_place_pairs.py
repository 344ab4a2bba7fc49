"""P6.5: two asks on the same accelerators in `place`: against the program over arrays, its recount, and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from tests.unit.test_place_value import ask, pool, world
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.errors import BadInput
from argosy.files.pairs import pairs
from argosy.model.pair_speed import PairSpeed
from argosy.model.snapshot import PowerLimit, Snapshot
from argosy.place import place
from argosy.place.check import check
from argosy.place.explain import explanation
from argosy.place.sharing import fair_sharing

ROOT = Path(__file__).resolve().parents[2]
FLEET = ROOT / "examples" / "small-fleet"
NO_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)


def speeds(kind: str, beside: str, one: float, other: float, chip: str = "h100") -> PairSpeed:
    return PairSpeed(kind=kind, beside=beside, silicon=chip, speed_fraction=one, beside_speed_fraction=other)


def test_P6_5_two_that_slow_each_other_by_a_quarter_share() -> None:
    """One pool of 8 and two gangs of 8: in turns each has half; together each runs at 0.75."""
    asks = ask("j", count=2, kind="a"), ask("k", kind="b")
    pool_of = (pool("p"),)
    turns = place(world(asks[0], pools=pool_of), objective="max_min")
    both = place(world(asks[0], pools=pool_of, pairs=(speeds("a", "a", 0.75, 0.75),)), objective="max_min")
    assert (turns.objective_value, both.objective_value) == (pytest.approx(0.5), pytest.approx(0.75))
    (row,) = both.shared
    assert (row.ask, row.beside, row.count) == ("j", "a", pytest.approx(2.0))
    assert both.pools[0].used_accelerators == pytest.approx(8.0)
    text = "\n".join(explanation(both, "j"))
    assert "on the same accelerators as a, at 75% of its speed alone" in text
    assert "0.75 times what a proportional share" in text
    assert not both.unplaced


def test_P6_5_what_may_not_share_does_not() -> None:
    """Other sizes, one single ask, pairs that gain nothing, work without a kind, and whole placements."""
    good = (speeds("a", "b", 0.9, 0.9), speeds("a", "a", 0.9, 0.9))
    for asks, told in (
        ((ask("j", kind="a"), ask("k", kind="b", accelerators=4.0)), good),
        ((ask("j", kind="a"),), good),
        ((ask("j", kind="a"), ask("k", kind="b")), (speeds("a", "b", 0.5, 0.5),)),
        ((ask("j"), ask("k")), good),
    ):
        done = place(world(*asks, pools=(pool("p"),), pairs=told), objective="max_min")
        assert not done.shared
    whole = place(world(ask("j", kind="a"), ask("k", kind="b"), pools=(pool("p"),), pairs=good))
    assert not whole.shared
    assert len(whole.assignments) == 1


def test_P6_5_the_recount_sees_a_partner_that_is_missing_and_a_speed_told_wrongly() -> None:
    seen = world(ask("j", kind="a"), ask("k", kind="b"), pools=(pool("p"),), pairs=(speeds("a", "b", 0.8, 0.7),))
    done = place(seen, objective="max_min")
    first, second = done.shared
    assert check(seen, done.model_copy(update={"shared": (first,)}))["P6.5"] > 0.5
    fast = first.model_copy(update={"speed_fraction": 1.0})
    assert check(seen, done.model_copy(update={"shared": (fast, second)}))["P6.5"] == 1.0
    assert done.fairness is not None
    free = done.fairness.model_copy(update={"prices": ()})
    unproved = done.model_copy(update={"fairness": free})
    assert check(seen, unproved)["P1.Z"] > 0.1


@st.composite
def arrays(draw):
    kinds, chips = draw(st.integers(1, 3)), draw(st.integers(1, 2))
    seed = np.random.default_rng(draw(st.integers(0, 10_000)))
    rate = np.round(seed.uniform(0.5, 4.0, (kinds, chips)), 2)
    share = np.round(seed.uniform(0.3, 1.0, (kinds, kinds, chips)), 2)
    share[np.arange(kinds), np.arange(kinds)] = np.round(seed.uniform(0.3, 1.0, (kinds, chips)), 2)
    return seed.integers(1, 4, kinds), rate, share, seed.integers(1, 4, chips), draw(st.sampled_from([1.0, 2.0]))


@settings(max_examples=60, deadline=None, phases=NO_SHRINKING)
@given(case=arrays())
def test_P6_5_is_P6_3_where_nothing_else_binds(case) -> None:
    """The same t as `sharing.fair_sharing`, which is exact, from records; with weights, and proved by the recount."""
    count, rate, share, room, weight = case
    kinds, chips = rate.shape
    kind = np.repeat(np.arange(kinds), count)
    weights = np.where(kind == 0, weight, 1.0)
    known = fair_sharing(
        kind, rate, rate[:, None, :] * share, np.ones(kinds, dtype=np.int64), room, weight=weights, gap=1e-9
    ).t
    told = [
        speeds(f"k{i}", f"k{j}", float(share[i, j, p]), float(share[j, i, p]), f"c{p}")
        for i in range(kinds)
        for j in range(i, kinds)
        for p in range(chips)
    ]
    done = place(
        Snapshot(
            price_source="contracts",
            regions=world(ask("x"), pools=(pool("p"),)).regions,
            pools=tuple(pool(f"p{p}", silicon=f"c{p}", own_accelerators=float(room[p])) for p in range(chips)),
            asks=tuple(
                ask(
                    f"j{i}",
                    kind=f"k{i}",
                    count=int(count[i]),
                    accelerators=1.0,
                    speed={f"c{p}": float(rate[i, p]) for p in range(chips)},
                    weight=weight if i == 0 else 1.0,
                )
                for i in range(kinds)
            ),
            pairs=tuple(told),
        ),
        objective="max_min",
    )
    assert done.objective_value == pytest.approx(known, rel=1e-5)


@pytest.mark.parametrize("objective", ["max_min", "least_attained_service", "finish_time_fairness", "makespan"])
def test_P6_5_sharing_helps_under_power_and_team_limits_too(objective: str) -> None:
    """4 of 8 accelerators have power: sharing makes more of them, whatever the objective, and the proof holds."""
    asks = tuple(ask(f"j{i}", kind="a", accelerators=2.0, remaining_units=40.0, owner="red") for i in range(4))
    more = {
        "pools": (pool("p", facility_kw_per_accelerator=1.0),),
        "power_limits": (PowerLimit(id="hall", pools=("p",), max_mw=0.004),),
        "owner_shares": {"red": 0.9},
    }
    turns = place(world(*asks, **more), objective=objective)
    both = place(world(*asks, pairs=(speeds("a", "a", 0.8, 0.8),), **more), objective=objective)
    better = both.objective_value / turns.objective_value
    assert better == pytest.approx(1.6 if objective in ("max_min", "least_attained_service") else 1 / 1.6, rel=1e-4)
    assert both.pools[0].used_accelerators == pytest.approx(4.0, rel=1e-5)


def test_the_table_of_pairs_is_read_and_damage_is_one_error(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("silicon,kind,beside,beside_speed_fraction,speed_fraction\nh100,a,b,0.5,0.9\n")
    assert pairs(str(path)) == (speeds("a", "b", 0.9, 0.5),)
    for text, message in (
        ("kind,beside,silicon\na,b,h100\n", "no column 'speed_fraction'"),
        ("kind,beside,silicon,speed_fraction,beside_speed_fraction\na,b,h,0,1\n", "above 0 and up to 1"),
        ("kind,beside,silicon,speed_fraction,beside_speed_fraction\na,b,h,1,1\nb,a,h,1,1\n", "stands here twice"),
        ("kind,beside,silicon,speed_fraction,beside_speed_fraction\na,a,h,1,0.5\n", "two of one kind have one speed"),
        ("", "empty"),
    ):
        path.write_text(text)
        with pytest.raises(BadInput, match=message):
            pairs(str(path))


def test_the_command_shares_checks_and_explains() -> None:
    base = [str(ROOT / "examples" / "startup"), "--jobs", str(FLEET / "asks.yaml"), "--pairs", str(FLEET / "pairs.csv")]
    done = CliRunner().invoke(app, ["place", *base, "--objective", "max_min", "--json"])
    answer = json.loads(done.stdout)
    assert answer["worst_residual"] <= 1e-6
    assert {row["ask"] for row in answer["shared"]} <= {"evaluation", "adapter", "release-candidate", "answers"}
    wrong = CliRunner().invoke(app, ["place", *base])
    assert (wrong.exit_code, "two asks share accelerators in turns" in wrong.output) == (2, True)
    told = CliRunner().invoke(app, ["explain", "adapter", *base, "--objective", "max_min"])
    assert told.exit_code == 0
    assert "a proportional share of every pool" in told.output
