"""Planning when it is stopped, hurried, written to where nothing can be written, or asked odd things."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result
from tests.support import worlds_plan as w
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.clock import FixedClock, SystemClock
from argosy.errors import SolverError
from argosy.model.decision import Infeasible, Plan
from argosy.model.futures import futures
from argosy.plan import solve
from argosy.settings import Settings

ROOT = Path(__file__).parents[2]
STARTUP = ROOT / "examples" / "startup"
SCALE_UP = ROOT / "examples" / "scale-up"


# A plan and its certificate, without the questions that take most of the time and have tests of their own.
ALONE = ("--no-ranges", "--values", "none", "--unseen", "0")
COMMAND = [sys.executable, "-c", "from argosy.cli.main import main; main()"]


def argosy(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    return subprocess.run(
        [*COMMAND, *map(str, arguments)],
        capture_output=True, text=True, timeout=600, check=False, env=os.environ | environment, cwd=ROOT,
    )  # fmt: skip


def here(*arguments: object) -> Result:
    """The command in this process."""
    return CliRunner().invoke(app, [*map(str, arguments)])


INTERRUPTED = """
import os, signal, sys
from argosy.cli import plan as command
from argosy.cli.main import main

step = sys.argv.pop(1)
told = command.solve

def solve(*arguments, progress, **options):
    def ctrl_c(name, best, bound):
        progress(name, best, bound)
        if name == step:
            os.kill(os.getpid(), signal.SIGINT)
    return told(*arguments, progress=ctrl_c, **options)

command.solve = solve
main()
"""


def interrupted(step: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    """The command, with Ctrl-C pressed as a step of the solve begins. No clock decides when that is."""
    return subprocess.run(
        [sys.executable, "-c", INTERRUPTED, step, *map(str, arguments)],
        capture_output=True, text=True, timeout=600, check=False, cwd=ROOT,
    )  # fmt: skip


@pytest.mark.parametrize("step", ["rounding", "branch and bound"])
def test_ctrl_c_in_the_search_keeps_the_best_plan_so_far(step: str, tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = interrupted(step, "plan", SCALE_UP, "--gap", 0, "--scenarios", 3, *ALONE, "--json", "--report", report)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    plan = json.loads(done.stdout)
    assert plan["status"] in ("optimal", "feasible")
    assert plan["bound_usd"] <= plan["objective_usd"]
    assert plan["certificate"]["worst_residual"] < 1e-6
    assert report.read_text().rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == [report]


def test_ctrl_c_before_the_first_bound_says_so_and_writes_nothing(tmp_path: Path) -> None:
    report = tmp_path / "report.html"
    done = interrupted("relaxation", "plan", SCALE_UP, "--json", "--report", report)
    if done.returncode == 0:  # the relaxation was faster than the signal; then it is a plan like any other
        assert json.loads(done.stdout)["status"] in ("optimal", "feasible")
        return
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    answer = json.loads(done.stdout)
    assert answer["status"] == "outside_failure"
    assert "stopped before the first bound" in answer["message"]
    assert list(tmp_path.iterdir()) == []


# A world in which rounding finds no plan: 10 are signed with Acme, whose share must fall to 60 % by signing one, and
# only one, of two others for their smallest size.
def _knotty() -> object:
    rivals = [
        w.sized(2.0, pool=pool, id=f"rival-{pool}", alternatives="one", min_accelerators=6.0, max_accelerators=8.0)
        for pool in ("b", "c")
    ]
    policy = {"concentration": {"max_committed_fraction": 0.6}}
    jobs = [w.work(4.0, silicon=["h"], residency={"allowed": ["DE"]}, home="birch/rhein"), w.work(4.0, id="us")]
    return w.world([w.sized(2.0, 10.0), *rivals, w.on_demand(9.0)], jobs, policy=policy)


def test_a_search_stopped_without_a_plan_does_not_call_it_infeasible() -> None:
    """Rounding may fail where a plan exists. Stopped then, the answer is that nothing is known yet."""
    portfolio = _knotty()
    whole = solve(portfolio, futures(portfolio))
    assert isinstance(whole, Plan)
    stop = threading.Event()

    def ctrl_c(step: str, best: float | None, bound: float | None) -> None:
        if step == "rounding":
            stop.set()

    try:
        answer = solve(portfolio, futures(portfolio), progress=ctrl_c, stop=stop)
    except SolverError:
        return
    assert not isinstance(answer, Infeasible)


def test_a_time_limit_gives_the_best_plan_so_far_with_its_gap() -> None:
    """The clock jumps past the limit when the first plan is there; no branch and bound follows."""
    clock = FixedClock(datetime(2026, 1, 1, tzinfo=UTC))
    steps: list[str] = []

    def late(step: str, best: float | None, bound: float | None) -> None:
        steps.append(step)
        if step == "rounding":
            clock._now = clock._start + timedelta(hours=1)

    deals = [w.sized(1.9, pool=p, id=f"d-{p}", min_accelerators=7.0, alternatives="x") for p in ("a", "b", "c")]
    portfolio = w.world([*deals, w.on_demand(3.0)], [w.work({"2026-01": 6.0, "2026-05": 5.0})])
    answer = solve(
        portfolio, futures(portfolio), gap=0.0, progress=late, clock=clock, settings=Settings(time_limit_seconds=60)
    )
    assert isinstance(answer, Plan)
    assert "branch and bound" not in steps
    assert answer.bound_usd <= answer.objective_usd
    if answer.gap_fraction > 0:
        assert answer.status == "feasible"


def test_a_gap_of_zero_is_reached() -> None:
    """What is proven to the last digit that a solver has is called optimal."""
    for seed in range(6):
        deals = [
            w.sized(1.5 + 0.1 * i, pool=p, id=f"d-{p}", min_accelerators=2.0 + i + seed / 3, max_accelerators=6.0)
            for i, p in enumerate(("a", "b", "c"))
        ]
        portfolio = w.world([*deals, w.on_demand(2.6)], [w.work({"2026-01": 9.0, "2026-07": 7.5 - seed / 2})])
        plan = solve(portfolio, futures(portfolio), gap=0.0)
        assert isinstance(plan, Plan)
        assert plan.gap_fraction < 1e-9
        assert plan.status == "optimal"


def test_progress_tells_bounds_that_never_fall() -> None:
    told: list[tuple[str, float | None, float | None]] = []
    portfolio = _knotty()
    solve(portfolio, futures(portfolio), gap=0.0, clock=SystemClock(), progress=lambda *now: told.append(now))
    assert told[0][0] == "relaxation"
    bounds = [bound for _, _, bound in told if bound is not None]
    assert bounds == sorted(bounds)


# ---- the outside


def test_two_runs_may_write_one_report_at_once(tmp_path: Path) -> None:
    report = tmp_path / "plan.html"
    command = [
        *COMMAND,
        "plan",
        str(STARTUP),
        "--scenarios",
        "1",
        *ALONE,
        "--report",
        str(report),
    ]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT) for _ in range(2)]
    for run in runs:
        _, errors = run.communicate(timeout=600)
        assert run.returncode == 0, errors
    assert report.read_text().rstrip().endswith("</html>")
    assert list(tmp_path.iterdir()) == [report]


def test_a_report_that_cannot_be_written_is_an_outside_failure(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    for target in (tmp_path, blocker / "plan.html"):
        done = here("plan", STARTUP, "--scenarios", 1, *ALONE, "--report", target)
        assert done.exit_code == 3
        assert "Traceback" not in done.stderr
        assert "--report" in done.stderr or "name a file" in done.stderr
    assert blocker.read_text() == "not a folder"


def test_the_same_input_gives_the_same_bytes_whatever_the_hash_seed() -> None:
    with ThreadPoolExecutor(2) as both:  # two processes of their own
        runs = list(
            both.map(
                lambda seed: argosy("plan", STARTUP, "--scenarios", 2, "--json", PYTHONHASHSEED=seed), ("0", "4711")
            )
        )
    assert [run.returncode for run in runs] == [0, 0]
    assert runs[0].stdout == runs[1].stdout
    assert json.loads(runs[0].stdout)["format"] == "argosy.plan/1"


@pytest.mark.parametrize(
    "options", [("--seed", 5, "--scenarios", 2), ("--scenarios", 0), ("--risk", 0), ("--risk", 1), ("--gap", 0)]
)
def test_options_at_their_ends(options: tuple[object, ...]) -> None:
    done = here("plan", STARTUP, "--scenarios", 3, *ALONE, "--json", *options)
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    plan = json.loads(done.stdout)
    assert plan["gap_fraction"] <= 1e-3
    if "--risk" in options:
        assert plan["risk_aversion_fraction"] == options[1]
    if "--seed" in options:
        assert plan["seed"] == 5
    if options == ("--scenarios", 0):
        assert [s["scenario"] for s in plan["scenarios"]][-1] == "expected"


@pytest.mark.parametrize(
    ("options", "word"),
    [(("--gap", -1), "gap"), (("--risk", 2), "risk"), (("--scenarios", -1), "scenarios"), (("--seed", "x"), "seed")],
)
def test_options_out_of_range_are_bad_input(options: tuple[object, ...], word: str) -> None:
    done = here("plan", STARTUP, *options)
    assert done.exit_code == 2
    assert word in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_twice_ends_at_once() -> None:
    code = INTERRUPTED.replace(
        "os.kill(os.getpid(), signal.SIGINT)", "[os.kill(os.getpid(), signal.SIGINT) for _ in (1, 2)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "rounding", "plan", str(STARTUP), "--scenarios", "1", *ALONE],
        capture_output=True, text=True, timeout=600, check=False, cwd=ROOT,
    )  # fmt: skip
    assert done.returncode == 128 + signal.SIGINT
    assert "Traceback" not in done.stderr
