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
from argosy.files.traces._source import PACKAGE
from argosy.kinds import load
from argosy.model.placement import Assignment, Eviction, Placement, Transfer
from argosy.model.region import Region
from argosy.model.snapshot import PlaceAsk, PoolState, Snapshot
from argosy.simulate.page import write

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


def problems(done) -> set[tuple[str, int, str]]:
    assert done.exit_code == 2, done.output
    return {(Path(p["file"]).name, p["line"], p["code"]) for p in json.loads(done.output)["problems"]}


def test_an_option_that_means_nothing_is_not_ignored(app: typer.Typer) -> None:
    words = ["--fleet", f"openb:{SMALL}/nodes.csv", "--trace", f"openb:{SMALL}/asks.csv", "--json"]
    found = problems(invoke(app, "simulate", *words, "--share", "--days", "3", "--future", "x", "--policy", "best"))
    assert found == {
        ("--share", 0, "option.unused"),
        ("--days", 0, "option.unused"),
        ("--future", 0, "option.unused"),
        ("--policy", 0, "option.unknown"),
    }
    busy = str(ROOT / "examples" / "busy-month")
    found = problems(invoke(app, "simulate", busy, *words, "--policy", "random", "--work", "3"))
    assert {name for name, _, code in found if code == "option.unused"} == {"--fleet", "--policy", "--work"}
    assert problems(invoke(app, "simulate", busy, "--as", "model", "--json")) == {("--as", 0, "option.unused")}


def test_everything_that_is_wrong_is_told_at_once(app: typer.Typer, tmp_path: Path) -> None:
    """Options, the portfolio, the plan, the nodes and the asks; each in its own file."""
    (tmp_path / "plan.json").write_text('{"format": "argosy.plan/1",\n "status"')
    (tmp_path / "nodes.csv").write_text("id,pool,accelerators\nn0,aws-h100,-1\n")
    (tmp_path / "asks.yaml").write_text(
        "argosy: 1\nasks:\n  - {id: a, workload: fine-tuning, accelerators: .nan}\n"
        "  - {id: b, workload: fine-tuning, acelerators: 8, count: 0}\n"
    )
    words = ["--plan", str(tmp_path / "plan.json"), "--nodes", str(tmp_path / "nodes.csv"), "--json"]
    words += ["--jobs", str(tmp_path / "asks.yaml"), "--objective", "best", "--month", "soon"]
    assert problems(invoke(app, "place", str(tmp_path / "absent"), *words)) == {
        ("absent", 0, "file.missing"),
        ("plan.json", 2, "plan.format"),
        ("nodes.csv", 2, "trace.value"),
        ("asks.yaml", 3, "yaml.not_finite"),
        ("asks.yaml", 4, "field.missing"),
        ("asks.yaml", 4, "field.unknown"),
        ("asks.yaml", 4, "field.range"),
        ("--objective", 0, "option.unknown"),
        ("--month", 0, "option.month"),
    }
    busy = str(ROOT / "examples" / "busy-month")
    words = ["--trace", "philly:/absent/a", "--trace", "helios:/absent/b", "--plan", "/absent/c", "--month", "soon"]
    assert {name for name, _, _ in problems(invoke(app, "simulate", busy, *words, "--json"))} == {"--month", *"abc"}


def test_what_does_not_fit_the_portfolio_is_told_at_its_line(app: typer.Typer, tmp_path: Path) -> None:
    """Names that the portfolio does not know, twice the same name, and nodes: known only when all has been read."""
    asks, nodes, startup = tmp_path / "asks.yaml", tmp_path / "nodes.csv", str(ROOT / "examples" / "startup")
    asks.write_text(
        "argosy: 1\nasks:\n  - {id: a, workload: fine-tuning, accelerators: 8}\n"
        "  - id: a\n    workload: nothing\n    home: moon\n    running_in: mars\n    accelerators: 4\n"
    )
    found = problems(invoke(app, "place", startup, "--jobs", str(asks), "--json"))
    assert found == {("asks.yaml", line, "place.ask") for line in (4, 5, 6, 7)}
    nodes.write_text("id,pool,accelerators\nn0,aws-h100,8\n")
    asks.write_text("argosy: 1\nasks:\n  - {id: a, workload: fine-tuning, accelerators: 8, running_in: aws-h100}\n")
    found = problems(invoke(app, "place", startup, "--jobs", str(asks), "--nodes", str(nodes), "--json"))
    assert found == {("asks.yaml", 3, "place.running_on")}
    found = problems(invoke(app, "place", startup, "--month", "2031-01", "--json"))
    assert found == {("--month", 0, "place.month")}


@pytest.mark.parametrize(
    ("fleet", "asks", "words"),
    [
        ("a,1000,1000,0,", "a,1,1,8,1000", "no node has an accelerator"),
        ("a,1000,1000,8,X", "a,1,1,0,1000", "no ask wants an accelerator"),
        ("a,1000,1000,8,X", "a,1,1,16,1000", "less than each ask wants"),
    ],
)
def test_a_fleet_that_can_hold_nothing_is_no_traceback(
    app: typer.Typer, tmp_path: Path, fleet: str, asks: str, words: str
) -> None:
    (tmp_path / "n.csv").write_text(f"sn,cpu_milli,memory_mib,gpu,model\n{fleet}\n")
    (tmp_path / "a.csv").write_text(f"name,cpu_milli,memory_mib,num_gpu,gpu_milli\n{asks}\n")
    done = invoke(app, "simulate", "--fleet", f"openb:{tmp_path}/n.csv", "--trace", f"openb:{tmp_path}/a.csv")
    assert (done.exit_code, words in done.output + done.stderr) == (2, True), done.output


def test_asks_larger_than_every_node_are_refused(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\na,99999,99999,8,X\nb,99999,99999,8,X\n")
    (tmp_path / "a.csv").write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\na,1,1,16,1000\n")
    words = ["--fleet", f"openb:{tmp_path}/n.csv", "--trace", f"openb:{tmp_path}/a.csv", "--json"]
    answer = json.loads(invoke(app, "simulate", *words, "--report", str(tmp_path / "p.html")).output)
    assert (answer["placed"], answer["refused"], answer["allocated_fraction"]) == (0, 1, 0.0)


RECORDED = {
    "philly": ("timestamp,duration,num_gpus,gpu_time,cluster\n", "2017-10-03 0{i}:00:00,3600,4,0,vc\n"),
    "helios": ("time,submit_gpu_num\n", "2020-04-01 00:{i}0:00,{i}\n"),
    "gaia": ("arrival_time,length,cpus\n", "{i},1,4\n"),
    "azure_llm": ("TIMESTAMP,ContextTokens,GeneratedTokens\n", "2023-11-16 18:{i}0:00,100,10\n"),
    "mooncake": ("", '{"timestamp": {i}, "input_length": 10, "output_length": 5}\n'),
    "servegen": ("client,t_s,rate_rps\n", "a,{i},1\n"),
    "skypilot_spot": ("kind,nodes,campaign,zone,accelerator,t_s,value\n", "k,1,c,z,v100,{i}000,{i}\n"),
    "gavel": ("job_type,total_steps,arrival_s,workers\n", "A3C,1000,{i},1\n"),
}
"""Some rows of every format that a portfolio reads."""


@pytest.mark.parametrize("kind", sorted(RECORDED))
def test_every_recorded_format_drives_a_portfolio(app: typer.Typer, tmp_path: Path, kind: str) -> None:
    """As a user gives it; the same rows under columns in another order give the same answer."""
    header, row = RECORDED[kind]
    path = tmp_path / "t.csv"
    (tmp_path / "isolated_throughputs.csv").write_text("gpu,job_type,workers,steps_per_s\nv100,A3C,1,0.5\n")
    path.write_text(header + "".join(row.replace("{i}", str(i)) for i in range(1, 5)))
    # Demand and spot capacity need something that follows them; two halls have neither.
    asks = kind in {"philly", "gavel"}
    world = ROOT / "tests" / "fixtures" / "two-halls" if asks else ROOT / "examples" / "busy-month"
    words = ["simulate", str(world), "--days", "0.5", "--objective", "first_fit"]
    words += ["--trace", f"{kind}:{path}", "--json"]
    done = invoke(app, *words)
    assert done.exit_code == 0, done.output
    lines = path.read_text().splitlines()
    if header:
        path.write_text("".join(",".join(reversed(line.split(","))) + "\n" for line in lines))
        assert json.loads(invoke(app, *words).output) == json.loads(done.output)
    path.write_text("".join(line + "\n" for line in lines)[:-4])
    cut = invoke(app, *words)
    assert (cut.exit_code, f"t.csv:{len(lines)}:" in cut.stderr or f'"line": {len(lines)}' in cut.output) == (2, True)


def test_a_trace_that_nothing_follows_is_refused(app: typer.Typer, tmp_path: Path) -> None:
    (tmp_path / "rates").write_text("client,t_s,rate_rps\na,1,1\n")
    (tmp_path / "spot").write_text("kind,nodes,campaign,zone,accelerator,t_s,value\nk,1,c,z,v100,1,1\n")
    words = ["--trace", f"servegen:{tmp_path}/rates", "--trace", f"skypilot_spot:{tmp_path}/spot", "--json"]
    done = invoke(app, "simulate", str(ROOT / "tests" / "fixtures" / "two-halls"), *words)
    assert done.exit_code == 2
    told = json.loads(done.output)["problems"]
    assert {p["message"].partition(" (")[0] for p in told} == {"no workload flows", "no pool is spot"}


def test_every_kind_of_trace_is_tried() -> None:
    """A new format is one new file: it is to be tried as well. `gavel_stream` draws; test_gavel_stream tries it."""
    assert set(load(PACKAGE, "Trace")) == {*RECORDED, "openb", "gavel_stream"}


def test_a_report_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Interrupted while writing, the page before stays and nothing else lies beside it; a folder is refused."""
    page = tmp_path / "deep" / "page.html"
    write("first", page)

    def interrupted(self: Path, target: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            write("second", page)
    assert (page.read_text(), [p.name for p in page.parent.iterdir()]) == ("first", ["page.html"])
    with pytest.raises(OutsideError, match="choose another --report path"):
        write("third", tmp_path)


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
    decisions = [{"contract": "of-another", "signed": True, "size": 8.0}]
    path.write_text(json.dumps({**record, "decisions": decisions}))
    done = invoke(app, *words)
    assert (done.exit_code, "the plan signs of-another, which startup does not have" in done.output) == (2, True)
    path.write_text(json.dumps({**record, "prices": [{**prices[0], "usd_per_accelerator_hour": None}, *prices[1:]]}))
    assert "usd_per_accelerator_hour of pool aws-h100 month 2026-01 is None" in invoke(app, *words).output


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
