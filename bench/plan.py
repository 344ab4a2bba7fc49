"""The planning benchmark: our figures beside linopy's and Pyomo's, measured in the same run on the same machine.

`python -m bench.plan [--short]` prints the tables, writes out/bench-plan.json and exits with 1 when building and
handing over two million variables takes more than a sixth of linopy's CPU. What is solved is in `bench.solve`. Every
measurement is a fresh process; CPU is `time.process_time` inside it, memory is its peak from `resource.getrusage`.
Before a build is measured, the same code builds a small instance once, so that neither side pays for imports that
happen at first use.
"""

from __future__ import annotations

import argparse
import gc
import importlib.metadata
import importlib.util
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rich.box
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]
OUT = ROOT / "out"
PEERS = OUT / "bench-peers"
TARGET = 1 / 6
TWO_MILLION = 76
"""Scenarios at which Procure-84 has two million columns."""
NEEDED_GIB = 6.0
"""Free memory asked for before two million variables are built."""
CHILD_SECONDS = 1800
SHORT_SOLVES: tuple[tuple[str, list[Any]], ...] = (
    ("decomposition", [8, 1e-4]),
    ("decomposition", [32, 1e-4]),
    ("what_if", [20]),
    ("questions", [8, 1e-4]),
    ("front", [8, 1e-4]),
)
FULL_SOLVES: tuple[tuple[str, list[Any]], ...] = (
    ("decomposition", [8, 1e-4]),
    ("decomposition", [32, 1e-4]),
    ("decomposition", [100, 1e-4]),
    ("decomposition", [1000, 5e-3]),
    ("what_if", [20]),
    ("questions", [32, 1e-4]),
    ("front", [32, 1e-4]),
    ("selected", [1000, 32, 1e-3]),
    ("curve", [[8, 16, 32, 64, 100], 1e-3]),
)
"""Functions of `bench.solve` and what they are called with, each in a fresh process."""
METHOD = (
    "fresh process per measurement; CPU from time.process_time, peak memory from resource.getrusage; best of the "
    "repeats; a small instance is built first; both sides start from the same Program in memory"
)

Record = dict[str, Any]


# ---- inside the measured process


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _build_ours(program: Any) -> Any:
    from argosy.plan.extensive import hand_over, tile
    from argosy.plan.template import build

    return hand_over(tile(build(program)))


def _build_linopy(program: Any, *, sparse: bool) -> Any:
    oracle = sys.modules.get("linopy_oracle")
    if oracle is None:
        path = ROOT / "tests" / "against" / "linopy_oracle.py"
        spec = importlib.util.spec_from_file_location("linopy_oracle", path)
        assert spec is not None
        assert spec.loader is not None
        oracle = importlib.util.module_from_spec(spec)
        sys.modules["linopy_oracle"] = oracle
        spec.loader.exec_module(oracle)
    return oracle.build(program, sparse=sparse).to_highspy()


BUILDERS: dict[str, Callable[[Any], Any]] = {
    "argosy": _build_ours,
    "linopy sparse": lambda program: _build_linopy(program, sparse=True),
    "linopy default": lambda program: _build_linopy(program, sparse=False),
}


def measure_build(builder: str, scenarios: int, clusters: int | None, solve: bool) -> Record:
    """Build and hand over once, and if asked solve the relaxation; what one child process does."""
    from bench.procure84 import procure84

    make = BUILDERS[builder]
    make(procure84(1, months=12, clusters=clusters))
    program = procure84(scenarios, clusters=clusters)
    gc.collect()
    before, cpu, wall = _peak_mb(), time.process_time(), time.perf_counter()
    solver = make(program)
    record: Record = {
        "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall, "peak_mb": _peak_mb(),
        "peak_mb_before": before, "columns": solver.getNumCol(), "rows": solver.getNumRow(),
        "nonzeros": solver.getNumNz(),
    }  # fmt: skip
    if solve:
        solver.setOptionValue("output_flag", False)
        solver.setOptionValue("solve_relaxation", True)
        solver.setOptionValue("threads", 1)
        cpu = time.process_time()
        solver.run()
        record["solve_cpu_seconds"] = time.process_time() - cpu
        record["objective"] = solver.getInfo().objective_function_value
    return record


IMPORT = """
import json, resource, sys, time
before = time.process_time()
__import__(sys.argv[1])
cpu = time.process_time() - before
print(json.dumps({"cpu_seconds": cpu, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def measure_solve(name: str, values: list[Any]) -> Record:
    """One function of `bench.solve`; what one child process does."""
    from bench import solve

    record: Record = getattr(solve, name)(*values)
    return record


def write_matrix(scenarios: int, path: Path) -> None:
    """The matrix of Procure-84 by rows, for a peer in an environment of its own."""
    from argosy.plan.extensive import tile
    from argosy.plan.template import build
    from bench.procure84 import procure84

    matrix = tile(build(procure84(scenarios)))
    column = np.repeat(np.arange(len(matrix.cost)), np.diff(matrix.matrix.start))
    order = np.argsort(matrix.matrix.index, kind="stable")
    row = matrix.matrix.index[order]
    np.savez(
        path, cost=matrix.cost, column_lower=matrix.column_lower, column_upper=matrix.column_upper,
        row_lower=matrix.row_lower, row_upper=matrix.row_upper, index=column[order], value=matrix.matrix.value[order],
        start=np.searchsorted(row, np.arange(len(matrix.row_lower) + 1)),
    )  # fmt: skip


# ---- outside: children, repeats, table


def _child(command: list[str]) -> Record:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=CHILD_SECONDS)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command[-3:])} failed:\n{done.stderr[-2000:]}")
    last: Record = json.loads(done.stdout.strip().splitlines()[-1])
    return last


def _best(records: list[Record]) -> Record:
    return min(records, key=lambda record: record["cpu_seconds"])


def _import_of(module: str, python: str, repeats: int) -> Record:
    return _best([_child([python, "-c", IMPORT, module]) for _ in range(repeats + 1)])


def _builds(scenarios: int, clusters: int | None, builders: list[str], repeats: int, solve: bool) -> dict[str, Record]:
    """Builders in turn, so that a busy minute of the machine falls on all of them."""
    told: dict[str, list[Record]] = {builder: [] for builder in builders}
    for _ in range(repeats):
        for builder in builders:
            job = json.dumps([builder, scenarios, clusters, solve])
            told[builder].append(_child([sys.executable, "-m", "bench.plan", "--measure", job]))
    return {builder: _best(records) for builder, records in told.items()}


def _peer_python(package: str, more: tuple[str, ...] = ()) -> tuple[str | None, str]:
    """A Python that has the package and what it needs, in its own environment under out/; or why there is none."""
    python = PEERS / package / "bin" / "python"
    have = [line.split("==")[0] for line in (package, *more)]
    check = f"import importlib.metadata as m; [m.version(n) for n in {have!r}]"
    if python.exists() and subprocess.run([str(python), "-c", check], check=False, capture_output=True).returncode == 0:
        return str(python), ""
    uv = ROOT / ".tools" / "venv" / "bin" / "uv"
    command = str(uv) if uv.exists() else "uv"
    try:
        for step in (
            [command, "venv", "--quiet", "--clear", "--python", sys.executable, str(PEERS / package)],
            [command, "pip", "install", "--quiet", "--python", str(python), package, *more],
        ):
            subprocess.run(step, cwd=ROOT, check=True, capture_output=True, text=True, timeout=180)
    except (OSError, subprocess.SubprocessError) as problem:
        reason = getattr(problem, "stderr", None) or str(problem)
        return None, str(reason).strip().splitlines()[-1]
    return str(python), ""


def _pyomo(skipped: list[str]) -> list[Record]:
    """Pyomo at one and at eight scenarios; nothing, and the reason in `skipped`, where it is not to be had."""
    python, reason = _peer_python("pyomo", (f"highspy=={importlib.metadata.version('highspy')}", "numpy"))
    if python is None:
        skipped.append(f"Pyomo: {reason}")
        return []
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for scenarios in (1, 8):
            path = Path(folder) / f"{scenarios}.npz"
            write_matrix(scenarios, path)
            solve = ["--solve"] if scenarios == 1 else []
            told = _child([python, str(ROOT / "bench" / "pyomo_peer.py"), str(path), *solve])
            rows.append({"scenarios": scenarios, **told})
    return rows


def _free_gib() -> float:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) / 2**20
    return 0.0


def _machine() -> Record:
    cpu = [
        line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    versions = {name: importlib.metadata.version(name) for name in ("linopy", "highspy", "numpy", "scipy", "xarray")}
    return {
        "cpu": cpu[0] if cpu else platform.processor(), "cores": os.cpu_count(), "system": platform.platform(),
        "python": platform.python_version(), **versions,
    }  # fmt: skip


def _exercise(clusters: int | None) -> str:
    return "hindsight" if clusters is None else f"{clusters} clusters"


def run(short: bool) -> Record:
    """All measurements."""
    repeats = 3  # five where the target is judged
    result: Record = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine(), "method": METHOD,
        "command": "python -m bench.plan" + (" --short" if short else ""), "repeats": repeats,
        "load_average": os.getloadavg(), "skipped": [],
    }  # fmt: skip
    imports = {
        "argosy.plan": _import_of("argosy.plan", sys.executable, repeats),
        "linopy": _import_of("linopy", sys.executable, repeats),
    }
    for package, module in (("pulp", "pulp"), ("pyomo", "pyomo.environ")):
        python, reason = _peer_python(package)
        if python is None:
            result["skipped"].append(f"import of {module}: {reason}")
        else:
            imports[module] = _import_of(module, python, repeats)
    result["import"] = imports

    peer, default = "linopy sparse", "linopy default"
    cases: list[tuple[int, int | None, list[str]]] = [
        (1, None, ["argosy", peer]),
        (8, None, ["argosy", peer]),
        (TWO_MILLION, 4, ["argosy", peer, *([] if short else [default])]),
        (TWO_MILLION, None, ["argosy", peer, *([] if short else [default])]),
    ]
    result["build"] = []
    for scenarios, clusters, builders in cases:
        if scenarios == TWO_MILLION and _free_gib() < NEEDED_GIB:
            result["skipped"].append(f"S={scenarios}: {_free_gib():.1f} GiB free, {NEEDED_GIB} needed")
            continue
        solve = scenarios == 1
        told = _builds(scenarios, clusters, builders, 5 if scenarios == TWO_MILLION else repeats, solve)
        fastest = min(record["cpu_seconds"] for name, record in told.items() if name != "argosy")
        row: Record = {
            "scenarios": scenarios, "exercise": _exercise(clusters), "measured": told,
            "share_of_linopy": told["argosy"]["cpu_seconds"] / fastest,
        }  # fmt: skip
        if solve:
            ours, theirs = told["argosy"]["objective"], told[peer]["objective"]
            row["objectives_differ_by"] = abs(ours - theirs) / abs(theirs)
        result["build"].append(row)
    result["pyomo"] = _pyomo(result["skipped"])
    result["solve"] = []
    for name, values in SHORT_SOLVES if short else FULL_SOLVES:
        told = _child([sys.executable, "-m", "bench.plan", "--solve", json.dumps([name, values])])
        result["solve"].append({"what": name, "with": values, "load_average": os.getloadavg(), **told})
    big = [row["share_of_linopy"] for row in result["build"] if row["scenarios"] == TWO_MILLION]
    result["target_share_of_linopy"] = TARGET
    result["target_met"] = max(big) <= TARGET if big else None
    return result


def show(result: Record) -> None:
    """The table for people."""
    console = Console(width=100, soft_wrap=True)
    machine = result["machine"]
    console.print(
        f"{result['date']}  {result['command']}\n"
        f"{machine['cpu']}, {machine['cores']} cores, Python {machine['python']}, "
        f"highspy {machine['highspy']}, linopy {machine['linopy']}, numpy {machine['numpy']}\n{result['method']}",
        soft_wrap=True,
        highlight=False,
    )
    table = Table(box=rich.box.SIMPLE_HEAD)
    for heading in ("what", "who", "CPU s", "wall s", "peak MB", "columns", "ours/peer"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in ("what", "who") else "right")
    ours = result["import"]["argosy.plan"]["cpu_seconds"]
    for name, record in result["import"].items():
        share = "" if name == "argosy.plan" else f"{ours / record['cpu_seconds']:.2f}"
        table.add_row("import", name, f"{record['cpu_seconds']:.3f}", "", f"{record['peak_mb']:.0f}", "", share)
    for row in result["build"]:
        table.add_section()
        what = f"build S={row['scenarios']}, {row['exercise']}"
        base = row["measured"]["argosy"]["cpu_seconds"]
        for name, record in row["measured"].items():
            share = "" if name == "argosy" else f"{base / record['cpu_seconds']:.3f}"
            table.add_row(
                what, name, f"{record['cpu_seconds']:.3f}", f"{record['wall_seconds']:.3f}", f"{record['peak_mb']:.0f}",
                f"{record['columns']:,}", share,
            )  # fmt: skip
        for name, record in row["measured"].items():
            if "objective" in record:
                table.add_row(
                    "solve relaxed S=1", name, f"{record['solve_cpu_seconds']:.2f}", "", "", "",
                    f"{record['objective']:.6f}",
                )  # fmt: skip
    for record in result["pyomo"]:
        what = f"build S={record['scenarios']}, hindsight"
        mine = [row for row in result["build"] if row["scenarios"] == record["scenarios"]]
        share = mine[0]["measured"]["argosy"]["cpu_seconds"] / record["cpu_seconds"]
        table.add_row(
            what, "pyomo", f"{record['cpu_seconds']:.3f}", f"{record['wall_seconds']:.3f}", f"{record['peak_mb']:.0f}",
            f"{record['columns']:,}", f"{share:.4f}",
        )  # fmt: skip
        if "objective" in record:
            seconds, optimum = f"{record['solve_cpu_seconds']:.2f}", f"{record['objective']:.6f}"
            table.add_row("solve relaxed S=1", "pyomo", seconds, "", "", optimum, "")
    console.print(table)
    _show_solves(result["solve"], console)
    console.print("build: rules, columns and bounds as arrays, handed to HiGHS. solve: the last column is the optimum.")
    for reason in result["skipped"]:
        console.print(f"skipped: {reason}", highlight=False)
    worst = [row["share_of_linopy"] for row in result["build"] if row["scenarios"] == TWO_MILLION]
    if not worst:
        console.print("two million variables: not measured, so the target is neither met nor missed")
    else:
        verdict = "met" if result["target_met"] else "MISSED"
        console.print(
            f"two million variables: {max(worst):.3f} of linopy's CPU, target {TARGET:.3f} or less: {verdict}",
            highlight=False,
        )


def _show_solves(rows: list[Record], console: Console) -> None:
    """What was solved, a line for each."""
    for row in rows:
        what = f"{row['what']} {json.dumps(row['with'])}"
        left_out = ("what", "with", "load_average")
        numbers = {key: value for key, value in row.items() if key not in left_out}
        console.print(f"{what}: {json.dumps(_rounded(numbers))}", highlight=False)


def _rounded(value: Any) -> Any:
    """The same with five significant digits, for people."""
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def main() -> int:
    """Measure, print, write; 1 when the target is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--short", action="store_true", help="linopy only in its faster mode")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--solve", help=argparse.SUPPRESS)
    told = parser.parse_args()
    if told.solve:
        print(json.dumps(measure_solve(*json.loads(told.solve))))
        return 0
    if told.measure:
        print(json.dumps(measure_build(*json.loads(told.measure))))
        return 0
    result = run(told.short)
    OUT.mkdir(exist_ok=True)
    (OUT / "bench-plan.json").write_text(json.dumps(result, indent=2) + "\n")
    show(result)
    return 1 if result["target_met"] is False else 0


if __name__ == "__main__":
    raise SystemExit(main())
