"""What the house rules forbid, looked for in the source."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "argosy"
# Modules that planning must not pay for: oracles, tables for people, templates, frames.
HEAVY = ("linopy", "pandas", "polars", "xarray", "rich", "typer", "jinja2", "gpuhunt")
# Runs alone on nodes: it has no clock and no settings but those of its machine.
ALONE = "run/wrapper.py"
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK")) + r")\b")


def modules(*, but: tuple[str, ...] = ()) -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package by its path, without files and folders (`cli/`) that may do what the rule forbids."""
    for path in sorted(SOURCE.rglob("*.py")):
        name = str(path.relative_to(SOURCE))
        if not name.startswith(but):
            yield name, tree(path)


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def dotted(node: ast.AST) -> str:
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def used(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Every dotted name, and every module or name that is imported."""
    for node in ast.walk(module):
        if isinstance(node, ast.Attribute):
            yield node.lineno, dotted(node)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def uses(pattern: str, *, but: tuple[str, ...]) -> list[str]:
    """Where a forbidden name is used."""
    forbidden = re.compile(pattern)
    return [
        f"{name}:{line}: {word}" for name, module in modules(but=but) for line, word in used(module)
        if forbidden.match(word)
    ]  # fmt: skip


def test_time_comes_from_the_clock() -> None:
    clocks = r"^(time(\..*)?|datetime\.(datetime\.)?(now|utcnow|today)|datetime\.date\.today)$"
    assert uses(clocks, but=("clock.py", "cli/", ALONE)) == []


def test_chance_comes_from_the_clock() -> None:
    chance = r"^(random(\..*)?|secrets(\..*)?|(np|numpy)\.random\.(?!Generator$).+)$"
    assert uses(chance, but=("clock.py",)) == []


def test_only_the_command_line_reads_the_environment() -> None:
    assert uses(r"^os\.(environ|environb|getenv|putenv)(\..*)?$", but=("cli/", ALONE)) == []


def test_only_the_command_line_prints() -> None:
    found = [
        f"{name}:{node.lineno}" for name, module in modules(but=("cli/",)) for node in ast.walk(module)
        if isinstance(node, ast.Call) and dotted(node.func) in {"print", "sys.stdout.write"}
    ]  # fmt: skip
    assert found == []


def says_nothing(line: ast.stmt) -> bool:
    return isinstance(line, ast.Pass) or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))


def test_no_failure_is_swallowed() -> None:
    handlers = [
        (f"{name}:{node.lineno}", node) for name, module in modules() for node in ast.walk(module)
        if isinstance(node, ast.ExceptHandler)
    ]  # fmt: skip
    assert [place for place, handler in handlers if handler.type is None] == []
    assert [place for place, handler in handlers if all(says_nothing(line) for line in handler.body)] == []


def test_nothing_is_left_unfinished() -> None:
    assert [str(p) for p in sorted(SOURCE.rglob("*.py")) if UNFINISHED.search(p.read_text("utf-8"))] == []


def test_modules_say_what_they_are() -> None:
    """The first paragraph of a module is a sentence."""
    first = {name: (ast.get_docstring(module) or "").split("\n\n")[0].strip() for name, module in modules()}
    assert [name for name, text in first.items() if not text.endswith((".", "?"))] == []


LATE = {"place/seats.py": "the compiler behind packing takes 75 MB, which no server without nodes should pay"}
"""Modules that import ours within a function, and why."""


def test_no_import_hides_in_a_function() -> None:
    """An optional package may be looked for where it is needed; ours only where a heavy one hangs on it, and named."""
    functions = (
        (name, node) for name, module in modules() for node in ast.walk(module)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )  # fmt: skip
    hidden = {
        f"{name}:{node.lineno}" for name, function in functions for node in ast.walk(function)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("argosy")
    }  # fmt: skip
    assert {place.split(":")[0] for place in hidden} == set(LATE)


def test_imports_point_down_and_never_sideways() -> None:
    program = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run([program, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_planning_imports_nothing_heavy() -> None:
    code = f"import sys, argosy.plan; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What a verb that only asks a server must not pay for: the server's libraries, solvers, tables for people.
UNASKED = (
    "numpy", "scipy", "highspy", "sqlalchemy", "alembic", "fastapi", "starlette", "granian", "yaml", "rich",
    "asyncio",
    "argosy.model", "argosy.store", "argosy.api", "argosy.control", "argosy.place", "argosy.plan", "argosy.files",
)  # fmt: skip


def test_asking_a_server_imports_nothing_of_one(tmp_path: Path) -> None:
    code = "import sys, argosy.cli.main; argosy.cli.main.app(['ps'], standalone_mode=False); "
    code += f"print([m for m in {UNASKED!r} if m in sys.modules])"
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["no jobs", "[]"]
