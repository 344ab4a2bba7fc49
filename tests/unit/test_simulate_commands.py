"""`argosy simulate`, `place` and `explain` from outside, on the bundled examples; and the tick."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from argosy.cli.explain import explain
from argosy.cli.place import place as place_command
from argosy.cli.simulate import simulate
from argosy.clock import FixedClock
from argosy.control import tick
from argosy.control.protocols import Halt
from argosy.control.tick import plan_steps
from argosy.errors import OutsideError
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "examples" / "small-fleet"


@pytest.fixture
def app() -> typer.Typer:
    made = typer.Typer()
    for command in (simulate, place_command, explain):
        made.command()(command)
    return made


def invoke(app: typer.Typer, *words: str):
    return CliRunner().invoke(app, list(words))


def test_the_small_fleet_is_filled_and_reported(app: typer.Typer, tmp_path: Path) -> None:
    page = tmp_path / "fill.html"
    words = ["simulate", "--fleet", f"openb:{SMALL}/nodes.csv", "--trace", f"openb:{SMALL}/asks.csv", "--load", "1.3"]
    first = invoke(app, *words, "--seed", "42", "--json", "--report", str(page))
    assert first.exit_code == 0, first.output
    answer = json.loads(first.output)
    assert answer["placed"] + answer["refused"] == answer["arrived"]
    assert answer["placements_per_second"] > 0
    again = json.loads(invoke(app, *words, "--seed", "42", "--json").output)
    assert {k: v for k, v in again.items() if k != "placements_per_second"} == {
        k: v for k, v in answer.items() if k != "placements_per_second"
    }
    random = json.loads(invoke(app, *words, "--seed", "42", "--json", "--policy", "random").output)
    assert answer["allocated_fraction"] > random["allocated_fraction"]
    text = page.read_text()
    assert text.count("<svg") >= 3
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_bad_arguments_are_bad_input(app: typer.Typer) -> None:
    fleet = f"openb:{SMALL}/nodes.csv"
    trace = f"openb:{SMALL}/asks.csv"
    for words, message in (
        (["--fleet", fleet, "--trace", trace, "--policy", "best"], "is none of random"),
        (["--trace", trace], "say on what"),
        (["--fleet", "nothing:x", "--trace", trace], "KIND:PATH"),
        (["--fleet", "gavel:1,1,1", "--trace", trace], "a trace of this kind has no throughputs"),
    ):
        done = invoke(app, "simulate", *words)
        assert done.exit_code == 2, done.output
        assert message in done.output + done.stderr


def test_place_and_explain_on_the_startup(app: typer.Typer) -> None:
    words = [str(ROOT / "examples" / "startup"), "--jobs", str(SMALL / "asks.yaml")]
    done = invoke(app, "place", *words, "--json")
    assert done.exit_code == 1
    answer = json.loads(done.output)
    assert {row["ask"] for row in answer["unplaced"]} == {"too-large"}
    assert answer["price_source"] == "contracts"
    assert "no plan was given" in answer["price_note"]
    why = invoke(app, "explain", "too-large", *words)
    assert why.exit_code == 1
    assert "insufficient unused accelerators, 512 wanted" in why.output
    assert invoke(app, "explain", "adapter", *words).exit_code == 0
    assert invoke(app, "explain", "nobody", *words).exit_code == 2


def test_place_reads_the_prices_of_a_plan(app: typer.Typer, tmp_path: Path) -> None:
    """The decision record that `argosy plan --json` writes; a price that is missing is an error that names it."""
    pools = (
        "aws-h100",
        "aws-h100-spot",
        "aws-a100",
        "runpod-h100",
        "runpod-h100-spot",
        "lambda-h100",
        "nebius-h200",
        "nebius-h200-spot",
    )
    prices = [{"pool": pool, "month": "2026-01", "usd_per_accelerator_hour": 0.5} for pool in pools]
    record = {"format": "argosy.plan/1", "status": "optimal", "prices": prices, "decisions": []}
    path = tmp_path / "plan.json"
    path.write_text(json.dumps(record))
    words = ["place", str(ROOT / "examples" / "startup"), "--plan", str(path), "--json"]
    answer = json.loads(invoke(app, *words).output)
    assert answer["price_source"] == "plan"
    assert {row["usd_per_accelerator_hour"] for row in answer["pools"]} == {0.5}
    path.write_text(json.dumps({**record, "prices": prices[1:]}))
    done = invoke(app, *words)
    assert done.exit_code == 2
    assert "no price of pool aws-h100 in 2026-01" in done.output
    path.write_text("{}")
    assert invoke(app, *words).exit_code == 2


def test_asks_with_mistakes_are_reported_with_their_lines(app: typer.Typer, tmp_path: Path) -> None:
    path = tmp_path / "asks.yaml"
    path.write_text("argosy: 1\nasks:\n  - {id: a, workload: chat, accelerators: 0}\n")
    done = invoke(app, "place", str(ROOT / "examples" / "startup"), "--jobs", str(path))
    assert done.exit_code == 2
    assert "asks.yaml:3" in done.output + done.stderr
    path.write_text("argosy: 1\nasks:\n  - {id: a, workload: nothing, accelerators: 1, running_in: nowhere}\n")
    done = invoke(app, "place", str(ROOT / "examples" / "startup"), "--jobs", str(path))
    assert "is no workload" in done.output + done.stderr
    assert "is no pool" in done.output + done.stderr


class World:
    """A world in memory that carries out what it is told, and fails when asked to."""

    def __init__(self, snapshot: Snapshot, fail_at: int | None = None) -> None:
        self.now, self.fail_at, self.calls = snapshot, fail_at, 0
        self.booked: dict[tuple[str, int], object] = {}

    def snapshot(self) -> Snapshot:
        return self.now

    def decided(self, decision: str, placement: Placement) -> None:
        self.decision = placement

    def done(self, decision: str, number: int, step: object) -> None:
        self.booked[decision, number] = step

    def copy(self, step: Transfer) -> None:
        self._count()

    def stop(self, step: Eviction) -> None:
        self._count()
        self._move(step.ask, None)

    def halt(self, step: Halt) -> None:
        self._count()
        self._move(step.ask, None)

    def start(self, step: Assignment) -> None:
        self._count()
        self._move(step.ask, step.pool)

    def _count(self) -> None:
        self.calls += 1
        if self.calls == self.fail_at:
            raise OutsideError("the engine does not answer")

    def _move(self, ask: str, pool: str | None) -> None:
        asks = tuple(
            a.model_copy(update={"running_in": pool, "may_preempt": pool is not None}) if a.id == ask else a
            for a in self.now.asks
        )
        self.now = self.now.model_copy(update={"asks": asks})


def small_world() -> Snapshot:
    region = Region(id="a/us", vendor="a", jurisdiction="US")
    pools = tuple(
        PoolState(
            id=f"p{i}",
            region=region.id,
            silicon="h100",
            family="cuda",
            own_accelerators=8.0,
            usd_per_accelerator_hour=1.0 + i,
        )
        for i in range(2)
    )
    asks = tuple(
        PlaceAsk(
            id=f"j{i}",
            accelerators=4.0,
            speed={"h100": 1.0},
            families=("cuda",),
            usd_per_unit=3.0 + i,
            running_in="p1" if i == 0 else None,
        )
        for i in range(5)
    )
    return Snapshot(price_source="contracts", regions=(region,), pools=pools, asks=asks)


def test_ticks_settle_and_a_cut_off_tick_is_finished_by_the_next() -> None:
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    for fail_at in (None, 1, 2, 3, 4):
        world = World(small_world(), fail_at)
        ticks = [tick(world, world, world, clock=clock) for _ in range(3)]
        last = ticks[-1]
        assert sum(len(done.failed) for done in ticks) >= (fail_at is not None)
        assert world.calls <= 10
        assert last.steps == 0, fail_at
        assert sum(a.running_in is not None for a in world.now.asks) == 4
        used = [sum(a.accelerators for a in world.now.asks if a.running_in == p.id) for p in world.now.pools]
        assert max(used) <= 8


def test_stops_come_before_copies_before_moves_before_starts() -> None:
    world = World(small_world())
    placement = tick(world, world, world, clock=FixedClock(datetime(2026, 1, 1, tzinfo=UTC))).placement
    order = [
        type(step).__name__ for step in plan_steps(placement, running={a.ask: "p1" for a in placement.assignments})
    ]
    assert order == sorted(order, key=["Eviction", "Halt", "Transfer", "Assignment"].index)
