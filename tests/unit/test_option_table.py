"""Every option of `place`, `simulate` and `plan`: with it the answer is another one, or it is refused, or the answer
says that it had no effect. Options that only say how (threads, JSON, report) are named as such."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
from tests.support.worlds_plan import on_demand, sized, work, world
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.files.dump import dump

ROOT = Path(__file__).resolve().parents[2]
SMALL = ROOT / "examples" / "small-fleet"
STARTUP = str(ROOT / "examples" / "startup")
BUSY = str(ROOT / "examples" / "busy-month")
HALLS = str(ROOT / "tests" / "fixtures" / "two-halls")
HOW = {"as_json", "report", "threads"}
"""How and where, never what."""
ECHOED = {"seed", "objective", "policy", "load_ratio", "days", "month", "inputs_hash", "hash", "placements_per_second",
          "work_hours", "deadline_hours", "replicas", "extra", "trust_hours", "status", "certificate"}  # fmt: skip
"""Fields that repeat the question, or depend on the machine: no effect."""
REFUSED = "refused"
SAID = "said"

Table = Mapping[str, tuple[str, ...] | tuple[str, str]]


@cache
def flags(command: str) -> dict[str, str]:
    """Option to what the user writes, of a command as its function has them."""
    group: Any = typer.main.get_command(app)
    made = group.get_command(typer.Context(group), command)
    return {str(p.name): str(p.opts[0]) for p in made.params if str(p.opts[0]).startswith("-")}


def run(words: tuple[str, ...]) -> tuple[int, str]:
    done = CliRunner().invoke(app, [*words, "--json"])
    return done.exit_code, done.output


def effect(text: str) -> Any:
    return {name: value for name, value in json.loads(text).items() if name not in ECHOED}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Names in curly brackets in the tables below to paths."""
    folder = tmp_path_factory.mktemp("options")
    chips = (("v100", 4), ("p100", 2), ("k80", 1))
    rows = [f"{chip},A3C,1,{speed}" for chip, speed in chips]
    (folder / "isolated_throughputs.csv").write_text("\n".join(["gpu,job_type,workers,steps_per_s", *rows]) + "\n")
    both = {chip: {"('A3C', 1)": {"('A3C', 1)": [0.8 * speed, 0.8 * speed]}} for chip, speed in chips}
    (folder / "all_incl_colocation.json.gz").write_bytes(gzip.compress(json.dumps(both).encode()))
    many = "argosy: 1\nasks: [{id: m, workload: model, accelerators: 16, count: 12, reference_hours: 20}]\n"
    (folder / "many.yaml").write_text(many)
    jobs = [f"A3C,{40_000 + 9_000 * i},{30_000 * i},1" for i in range(6)]
    (folder / "jobs.csv").write_text("\n".join(["job_type,total_steps,arrival_s,workers", *jobs]) + "\n")
    there = [f"k,1,c,z,v100,{3600 * i},{int(i % 5 < 3)}" for i in range(400)]
    (folder / "spot.csv").write_text("\n".join(["kind,nodes,campaign,zone,accelerator,t_s,value", *there]) + "\n")
    philly = [f"2026-03-01 0{i}:00:00,3600,2,0,x" for i in range(4)]
    (folder / "philly.csv").write_text("\n".join(["timestamp,duration,num_gpus,gpu_time,cluster", *philly]) + "\n")
    plan = CliRunner().invoke(app, ["plan", HALLS, "--json", "--unseen", "0", "--no-ranges", "--values", "none"])
    text = json.loads(plan.output)
    for price in text["prices"]:
        price["usd_per_accelerator_hour"] = 40.0
    (folder / "plan.json").write_text(json.dumps(text))
    known = world(
        [on_demand(4.0, amount=60.0), sized(2.5, max_accelerators=200.0)], [work(100, unserved=6000.0)], step=3,
        uncertainties=[{"kind": "demand_growth", "trend_per_year_ratio": 0.5}], scenarios={"count": 4, "seed": 3},
    )  # fmt: skip
    (folder / "world.yaml").write_text(dump(known), "utf-8")
    (folder / "half.yaml").write_text(
        "argosy: 1\nid: half\ntitle: Half\nedits: [{edit: scale_demand, factor_ratio: 0.5}]\n"
    )
    paths = {p.name.split(".")[0]: str(p) for p in folder.iterdir()}
    return paths | {"folder": str(folder), "small": str(SMALL), "keep": str(folder / "kept")}


NODES = ("simulate", "--fleet", "openb:{small}/nodes.csv", "--trace", "openb:{small}/asks.csv", "--load", "1.2")
COUNTS = ("simulate", "--fleet", "gavel:2,1,1", "--trace", "gavel:{jobs}", "--objective", "max_min")
SPOT = ("simulate", "--trace", "skypilot_spot:{spot}")
SERVICE = ("simulate", "--trace", "skypilot_spot:{small}/spot.csv", "--replicas", "4")
PORTFOLIO = ("simulate", HALLS, "--days", "0.5", "--load", "4")
PLACE = ("place", STARTUP, "--jobs", "{small}/asks.yaml")
DEMAND = ("place", STARTUP)
FAIR = (*PLACE, "--objective", "max_min")
PLAN = ("plan", "{world}", "--unseen", "0", "--no-ranges", "--values", "none")
_NOT_FOR = dict.fromkeys(("month", "plan", "future", "stands_for", "faults", "replicas", "extra", "trust"), REFUSED)
_WORD = {"month": "2026-03", "plan": "{plan}", "future": "expected", "stands_for": "night", "policy": "random",
         "objective": "completion", "load": "2", "days": "0.2", "work": "20", "deadline": "90", "seed": "3",
         "fleet": "gavel:1,1,1", "replicas": "4", "extra": "1", "trust": "2"}  # fmt: skip
"""What is written behind an option where only its being there matters."""

TABLE: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "nodes": (
        NODES,
        {"policy": "random", "load": "0.4", "seed": "3", "days": REFUSED, "objective": REFUSED, "share": REFUSED,
         "work": REFUSED, "deadline": REFUSED, "fleet": None, "trace": None, **_NOT_FOR},
    ),
    "counts": (
        COUNTS,
        {"objective": "first_come", "days": "1", "share": (), "policy": REFUSED, "load": REFUSED, "seed": REFUSED,
         "work": REFUSED, "deadline": REFUSED, "fleet": None, "trace": None, **_NOT_FOR},
    ),
    "spot": (
        SPOT,
        {"work": "20", "deadline": "90", "seed": "3", "policy": REFUSED, "objective": REFUSED, "load": REFUSED,
         "days": REFUSED, "share": REFUSED, "fleet": REFUSED, "trace": None, **_NOT_FOR,
         "replicas": "4"},
    ),
    "service": (
        SERVICE,
        {"replicas": "6", "extra": "1", "trust": "3", "work": REFUSED, "deadline": REFUSED, "seed": REFUSED,
         "policy": REFUSED, "objective": REFUSED, "load": REFUSED, "days": REFUSED, "share": REFUSED, "fleet": REFUSED,
         "trace": None, **{k: v for k, v in _NOT_FOR.items() if k not in ("replicas", "extra", "trust")}},
    ),
    "portfolio": (
        PORTFOLIO,
        {"trace": "philly:{philly}", "objective": "first_fit", "load": "1", "seed": "7", "days": "0.25",
         "month": REFUSED, "plan": "{plan}", "future": "expected", "stands_for": REFUSED, "faults": (),
         "policy": REFUSED, "share": REFUSED, "work": REFUSED, "deadline": REFUSED, "fleet": REFUSED,
         "replicas": REFUSED, "extra": REFUSED, "trust": REFUSED},
    ),
    "place": (
        PLACE,
        {"jobs": None, "nodes": "{small}/pool-nodes.csv", "pairs": REFUSED, "plan": REFUSED, "month": "2027-06",
         "objective": "max_min", "window": "1", "throughput": None},
    ),
    "place, data": (("place", BUSY, "--jobs", "{many}"), {"throughput": "p10"}),
    "demand": (DEMAND, {"jobs": "{small}/asks.yaml", "pairs": REFUSED}),
    "fair": (FAIR, {"pairs": "{small}/pairs.csv"}),
    "fair demand": ((*DEMAND, "--objective", "max_min"), {"pairs": REFUSED}),
    "plan": (
        PLAN,
        {"scenarios": "2", "gap": None, "risk": "0.9", "seed": "8", "unseen": "5", "select": REFUSED,
         "stress": "{half}", "fronts": (), "ranges": (), "values": "chosen", "walk_away": REFUSED, "time_limit": None,
         "workers": ("2", SAID), "ray": ("local", SAID), "keep": ("{keep}", SAID)},
    ),
    "plan, scored": (("plan", "{world}", "--unseen", "3", "--no-ranges", "--values", "none"),
                     {"select": ("500", SAID)}),
}  # fmt: skip
"""Mode to its plain command and what each option does there: a value with which the answer is another one, () for a
flag, REFUSED, or (value, SAID) where the answer says that it had no effect. None: see `ELSEWHERE`."""
ELSEWHERE = {
    ("nodes", "fleet"): "required", ("nodes", "trace"): "required", ("counts", "fleet"): "required",
    ("counts", "trace"): "required", ("spot", "trace"): "required",
    ("service", "trace"): "required", ("place", "jobs"): "tried under demand",
    ("place", "throughput"): "tried where data moves",
    ("plan", "gap"): "a bound; test_against_linopy", ("plan", "time_limit"): "a bound; test_answers",
}  # fmt: skip


def filled(words: tuple[str, ...], files: dict[str, str]) -> tuple[str, ...]:
    return tuple(word.format(**files) if "{" in word else word for word in words)


@cache
def plain(words: tuple[str, ...]) -> str:
    code, text = run(words)
    assert code in (0, 1), text
    return text


CASES = [(mode, name) for mode, (_, table) in TABLE.items() for name in table if (mode, name) not in ELSEWHERE]


@pytest.mark.parametrize(("mode", "name"), CASES)
def test_no_option_is_silently_without_effect(mode: str, name: str, files: dict[str, str]) -> None:
    words, table = TABLE[mode]
    command, does = words[0], table[name]
    said = flags(command)[name]
    if does == REFUSED:
        special = {("portfolio", "month"): "2031-01", ("place", "pairs"): "{small}/pairs.csv",
                   ("demand", "pairs"): "{small}/pairs.csv", ("fair demand", "pairs"): "{small}/pairs.csv",
                   ("place", "plan"): "{plan}", ("plan", "select"): "2"}  # fmt: skip
        value = special.get((mode, name), _WORD.get(name))
        more = (said,) if value is None else (said, value)
        code, text = run(filled((*words, *more), files))
        assert code == 2, text
        told = [p for p in json.loads(text)["problems"] if p["file"] in (said, files["plan"])]
        assert told, text
        return
    value = does[0] if isinstance(does, tuple) and does else does
    more = (said,) if value == () else (said, str(value))
    code, text = run(filled((*words, *more), files))
    assert code in (0, 1), text
    before, after = effect(plain(filled(words, files))), effect(text)
    if isinstance(does, tuple) and SAID in does:
        assert "had no effect" in after["not_computed"][name]
        assert said in after["not_computed"][name]
        before["not_computed"] = after["not_computed"]
        assert before == after
    else:
        assert before != after, f"{said} changed nothing"


@pytest.mark.parametrize(
    ("command", "modes"),
    [("simulate", ("nodes", "counts", "spot", "service", "portfolio")), ("place", ("place",)), ("plan", ("plan",))],
)
def test_the_table_has_every_option(command: str, modes: tuple[str, ...]) -> None:
    for mode in modes:
        assert set(TABLE[mode][1]) == set(flags(command)) - HOW, mode
    assert {pair for pair in ELSEWHERE if TABLE[pair[0]][1][pair[1]] is not None} == set()
