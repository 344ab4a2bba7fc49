"""The documents are true: blocks run or load, links lead somewhere, figures are those of the program.

What a block's first line may say, after its language:

    console, bash   lines that start with `argosy` run, in the order of the page, in a folder with the examples
      shell         run by bash as a whole; what it starts in the background it ends
      slow          options are only parsed; `make` targets must exist
      exit=N        the exit code that the commands end with; 0 unless said
    python          is executed
    yaml portfolio  is loaded as a whole portfolio
    yaml section    is loaded as a second file beside the page's portfolio
    yaml task       is loaded as a task file
    yaml, json      is parsed
    text            is not looked at
    file=NAME       (any language) is also written to that file, for the commands of the page
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from typer.testing import CliRunner

from argosy import kinds
from argosy.cli.main import app
from argosy.files.load import load
from argosy.files.tasks import load_task
from argosy.market.catalogue import bundled
from argosy.model.decision import Plan
from argosy.model.futures import futures
from argosy.model.terms import Clauses
from argosy.plan import solve
from argosy.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
CONCEPT = ROOT / "docs" / "concepts" / "plan.md"
BLOCK = re.compile(r"^```([^\n`]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
LANGUAGES = {"console", "bash", "python", "yaml", "json", "text", "csv"}


@dataclass(frozen=True, slots=True)
class Block:
    page: Path
    line: int
    language: str
    flags: frozenset[str]
    text: str

    def value(self, key: str, default: str = "") -> str:
        return next((flag.split("=", 1)[1] for flag in self.flags if flag.startswith(f"{key}=")), default)

    def __str__(self) -> str:
        return f"{name(self.page)}:{self.line}"


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    text = page.read_text("utf-8")
    found = []
    for match in BLOCK.finditer(text):
        language, *flags = match[1].split() or [""]
        found.append(Block(page, text.count("\n", 0, match.start()) + 1, language, frozenset(flags), match[2]))
    return tuple(found)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return BLOCK.sub("", page.read_text("utf-8"))


def chosen(*languages: str) -> list[Block]:
    return [block for page in PAGES for block in blocks(page) if block.language in languages]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a reader would stand: a folder with the examples, and nothing that a command could spoil."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def startup() -> Plan:
    catalogue = bundled()
    portfolio = load(ROOT / "examples" / "startup", Settings(), catalogue=catalogue).with_catalogue(catalogue)
    plan = solve(portfolio, futures(portfolio), seed=portfolio.scenarios.seed)
    assert isinstance(plan, Plan)
    return plan


def command_lines(block: Block) -> Iterator[list[str]]:
    for line in block.text.replace("\\\n", " ").splitlines():
        if line.strip() and not line.startswith("#"):
            yield shlex.split(line.removeprefix("$ "), comments=True)


def parse_only(words: list[str]) -> None:
    """The options of an `argosy` command are known; nothing runs."""
    group: Any = typer.main.get_command(app)
    context = group.make_context("argosy", [], resilient_parsing=True)
    command = group.get_command(context, words[1])
    assert command is not None, f"argosy has no command {words[1]}"
    command.make_context(words[1], words[2:])


def test_languages_are_known() -> None:
    assert [str(b) for page in PAGES for b in blocks(page) if b.language not in LANGUAGES] == []


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.language in {"console", "bash"} for b in blocks(p))], ids=name
)
def test_commands(page: Path, folder: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for block in blocks(page):
        if target := block.value("file"):
            (folder / target).write_text(block.text, "utf-8")
        if block.language not in {"console", "bash"} or "shell" in block.flags:
            continue
        for words in command_lines(block):
            if words[0] == "make":
                assert re.search(rf"^{words[1]}:", makefile, re.MULTILINE), f"{block}: no target {words[1]}"
            elif "slow" in block.flags:
                parse_only(words)
            else:
                assert words[0] == "argosy", f"{block}: only argosy runs here"
                done = CliRunner().invoke(app, words[1:])
                assert done.exit_code == int(block.value("exit", "0")), f"{block}: {words}\n{done.output}"


PACE = "sleep 0.6"
SHELL = [block for block in chosen("bash") if "shell" in block.flags]


@pytest.mark.parametrize("block", SHELL, ids=map(str, SHELL))
def test_shell(block: Block, folder: Path) -> None:
    """As a reader would: in one shell, with the command on the path. A job that loses its place ends in the other.

    In the east the work takes as long as the reader does to take the place away, however slow the machine is.
    """
    task = folder / "examples" / "failover" / "count.yaml"
    text = task.read_text("utf-8")
    assert PACE in text
    task.write_text(text.replace(PACE, 'sleep "$([ "$PLACE" = east ] && echo 3600 || echo 0)"'), "utf-8")
    words = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    text = f"set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{block.text}wait\n"
    command = ["bash", "-c", text]
    done = subprocess.run(command, cwd=folder, env=words, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    steps = [line for line in done.stdout.splitlines() if line.startswith("step ")]
    assert steps[0] == "step 1 of 5 in the east"
    assert steps[-5:] == [f"step {n} of 5 in the west" for n in range(1, 6)]
    events = re.findall(r"(RECOVERING|STARTING|SUCCEEDED) (\w+)$", done.stdout, re.MULTILINE)
    why = "NodeFailed" if "kill -9" in block.text else "Drained"
    assert events == [
        ("STARTING", "Placed"), ("RECOVERING", why), ("STARTING", "Placed"), ("SUCCEEDED", "Completed"),
    ]  # fmt: skip


def test_commands_in_running_text() -> None:
    """Indented lines that start with `argosy` are examples too."""
    found = [line.split() for page in PAGES for line in re.findall(r"^ {4}(argosy .*)$", prose(page), re.MULTILINE)]
    assert found
    for words in found:
        if words[1] in {"check", "plan", "init", "offers", "schema"}:
            parse_only(words)


PYTHON = chosen("python")


@pytest.mark.parametrize("block", PYTHON, ids=map(str, PYTHON))
def test_python(block: Block, folder: Path) -> None:
    exec(compile(block.text, str(block), "exec"), {"__name__": "__docs__"})


YAML = chosen("yaml")


@pytest.mark.parametrize("block", YAML, ids=map(str, YAML))
def test_yaml(block: Block, tmp_path: Path) -> None:
    assert yaml.safe_load(block.text) is not None
    if "task" in block.flags:
        load_task(block.text.encode(), folder=ROOT / "tests" / "fixtures" / "tasks", secrets={"HF_TOKEN": "x"})
    if block.flags.isdisjoint({"portfolio", "section"}):
        return
    (tmp_path / "b.yaml").write_text(block.text, "utf-8")
    if "section" in block.flags:
        base = next(b for b in blocks(block.page) if b.language == "yaml" and "portfolio" in b.flags)
        (tmp_path / "a.yaml").write_text(base.text, "utf-8")
    load(tmp_path, Settings(), catalogue=bundled())


def test_json() -> None:
    for block in chosen("json"):
        json.loads(block.text)


# --- Links, words, pictures


def slug(heading: str) -> str:
    """The anchor that GitHub gives a heading."""
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {slug(title) for title in re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links(page: Path) -> None:
    broken = []
    for target in LINK.findall(prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        place = (page.parent / path).resolve() if path else page
        lost = anchor and place.suffix == ".md" and place.exists() and anchor not in anchors(place)
        if lost or not place.exists() or not place.is_relative_to(ROOT):
            broken.append(target)
    assert broken == []


def test_every_page_can_be_reached() -> None:
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in seen:
            continue
        seen.add(page)
        for target in LINK.findall(prose(page)):
            place = (page.parent / target.partition("#")[0]).resolve()
            if place.suffix == ".md" and place.exists():
                waiting.append(place)
    assert [name(page) for page in PAGES if page not in seen] == []


def test_paths_in_the_text_exist() -> None:
    """`docs/…`, `src/…` and the like in code font name files that are there."""
    path = re.compile(r"`((?:docs|src|tests|examples|scripts|bench)/[\w./-]*)`")
    found = {(name(page), target) for page in PAGES for target in path.findall(prose(page))}
    assert [item for item in sorted(found) if not (ROOT / item[1]).exists()] == []


def test_pictures() -> None:
    shown = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in LINK.findall(prose(page))
        if target.endswith((".png", ".svg"))
    }
    there = set((ROOT / "docs" / "pictures").iterdir())
    assert there == shown
    assert [p.name for p in there if p.stat().st_size >= 1_000_000] == []
    for block in re.findall(r"!\[([^\]]*)\]", prose(ROOT / "README.md")):
        assert len(block) > 40, "a picture says in words what it shows"


def tracked() -> list[Path]:
    """Text files that a reader gets, without the lock file and broken input."""
    kinds_of_text = {".md", ".py", ".yaml", ".yml", ".toml", ".json", ".j2", ".css", ".txt", ".csv", ""}
    tops = ("src", "docs", "tests", "examples", "bench", "scripts", ".ci")
    files = [*ROOT.glob("*"), *(f for top in tops for f in (ROOT / top).rglob("*"))]
    left_out = {"__pycache__", "fixtures", ".git", ".gitignore"}  # .git is a file in a second working tree
    return [f for f in files if f.is_file() and f.suffix in kinds_of_text and not left_out & set(f.parts)]


def test_no_words_of_one_machine() -> None:
    """No path of a builder's machine and no host of a package index; built from pieces, or this file would be one."""
    tops = ("work" + "/main", "work" + "/shared", "ro" + "ot", "ho" + "me", "Us" + "ers", "t" + "mp")
    folders = [f"/{top}/" for top in tops]
    hosts = ["py" + "pi.org", "files.python" + "hosted", "simple" + "/index", "arti" + "factory", "internal" + ".net"]
    forbidden = re.compile("|".join(re.escape(word) for word in [*folders, *hosts]))
    found = []
    for file in tracked():
        for i, line in enumerate(file.read_text("utf-8").splitlines(), 1):
            if hit := forbidden.search(re.sub(r"https?://\S+", lambda m: m[0].split("/")[2], line)):
                found.append(f"{name(file)}:{i}: {hit[0]}")
    assert found == []


# --- Pages that are made, and figures that were computed


def test_commands_page_is_up_to_date() -> None:
    spec = importlib.util.spec_from_file_location("docs_generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    for page, text in generate.pages().items():
        assert page.read_text("utf-8") == text, f"{name(page)}: run python docs/generate.py"


def rules(text: str) -> set[str]:
    return set(re.findall(r"F4\.[A-Z]+\d?", text))


def test_every_rule_is_written_down() -> None:
    """The page, the template and the recount know the same rules, and each has a sentence in plain words."""
    page = CONCEPT.read_text("utf-8")
    formulas, _, rest = page.partition("## F4 in plain words")
    plain = rest.partition("## F6")[0]
    for first, last in re.findall(r"F4\.([A-Z]+\d) to F4\.([A-Z]+\d)", plain):
        plain += "".join(f" F4.{first[:-1]}{i}" for i in range(int(first[-1]), int(last[-1]) + 1))
    written = set(re.findall(r"\*\*(F4\.[A-Z]+\d?)\*\*", formulas))
    assert rules(plain) == written
    source = ROOT / "src" / "argosy" / "plan"
    makers = ("first_stage.py", "second_stage.py", "extensive.py")
    built = set().union(*(rules((source / maker).read_text("utf-8")) for maker in makers))
    banks = {"F4.M1", "F4.M2", "F4.K1", "F4.K2", "F4.K3"}
    assert (built | banks) - {"F4.M", "F4.K"} == written


WORKED = re.compile(r"^\| ([\w-]+) \| (0\.\d+) \| (\d+\.\d+) \| (.+) \|$", re.MULTILINE)
POOL, MONTH = "nebius-h200", "2026-05"


def by_hand(text: str) -> float:
    """What a pocket calculator would say: numbers, + - × / ^ and brackets."""
    node = ast.parse(text.replace("×", "*").replace("^", "**"), mode="eval")
    allowed = (ast.Expression, ast.BinOp, ast.Constant, ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
    assert all(isinstance(part, allowed) for part in ast.walk(node)), text
    return float(eval(compile(node, "by hand", "eval")))


def test_the_worked_price_is_the_real_one(startup: Plan) -> None:
    """Each line of the example agrees with the record and with its own arithmetic, and so does the sum."""
    page = CONCEPT.read_text("utf-8").partition("### A worked example")[2]
    lines = WORKED.findall(page)
    terms = {t.scenario: t for t in startup.price_terms if t.pool == POOL and str(t.month) == MONTH}
    assert {scenario for scenario, *_ in lines} == set(terms)
    for scenario, weight, usd, hand in lines:
        term = terms[scenario]
        assert float(weight) == pytest.approx(term.weight_fraction, abs=5e-4), scenario
        assert float(usd) == pytest.approx(term.usd_per_accelerator_hour, abs=5.1e-5), scenario
        assert by_hand(hand) == pytest.approx(term.usd_per_accelerator_hour, abs=1e-4), scenario
    price = next(p for p in startup.prices if p.pool == POOL and str(p.month) == MONTH).usd_per_accelerator_hour
    assert sum(float(weight) * float(usd) for _, weight, usd, _ in lines) == pytest.approx(price, abs=1e-4)
    sum_line = re.search(r"0\.120 × .*?\n.*?=  (\d\.\d{4})", page)
    assert sum_line is not None
    assert by_hand(" ".join(sum_line[0].rpartition("=")[0].split())) == pytest.approx(price, abs=1e-4)
    said = [float(sum_line[1]), *(float(x) for x in re.findall(r"`prices` says (\d\.\d+)", page))]
    assert said == [pytest.approx(price, abs=5e-5)] * 2


def test_the_worked_price_names_what_sets_it(startup: Plan) -> None:
    """The tiers that the example names are partly used there, at the prices it uses."""
    said = {(t.pool, str(t.month), t.scenario): t.set_by for t in startup.price_terms}
    for pool, month, scenario, tier in (
        ("nebius-h200", MONTH, "spot-dries-up", "nebius-h200-on-demand x1 at 3.5 "),
        ("lambda-h100", MONTH, "viral", "lambda-h100-on-demand x1 at 3.99 "),
        ("runpod-h100", MONTH, "plan-0003", "runpod-h100-on-demand x1 at 3.29 "),
        ("runpod-h100", MONTH, "plan-0000", "runpod-h100-on-demand x0.56 at 1.842 "),
        ("lambda-h100", MONTH, "plan-0004", "lambda-h100-on-demand x0.56 at 2.234 "),
        ("nebius-h200-spot", MONTH, "slow", "nebius-h200-spot x1 at 1.45 "),
        ("nebius-h200-spot", "2026-04", "plan-0001", "nebius-h200-spot x1 at 1.45 "),
        ("nebius-h200-spot", "2026-02", "plan-0002", "nebius-h200-spot x1 at 1.45 "),
    ):
        assert said[pool, month, scenario].startswith(tier), (pool, month, scenario)


# --- Pages that must not forget anything


def test_the_contract_page_shows_every_kind_and_clause() -> None:
    text = "".join(b.text for b in blocks(ROOT / "docs" / "how-to" / "write-a-contract.md"))
    shown = set(re.findall(r"kind: (\w+)", text))
    assert set(kinds.load("argosy.model.contract", "Contract")) - {"spot"} <= shown
    assert [c for c in Clauses.model_fields if c != "source" and f"{c}:" not in text] == []


def test_every_dependency_has_a_page() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    names = {re.split(r"[<>=\[]", item)[0] for item in project["dependencies"]}
    pages = {"highspy": "highs", "rich": "typer-and-rich", "typer": "typer-and-rich"}
    missing = [n for n in sorted(names) if not (ROOT / "docs" / "decisions" / f"{pages.get(n, n)}.md").exists()]
    assert missing == []


def test_the_index_of_decisions_is_whole() -> None:
    folder = ROOT / "docs" / "decisions"
    listed = set(LINK.findall((folder / "index.md").read_text("utf-8")))
    assert listed == {page.name for page in folder.glob("*.md")} - {"index.md"}


def test_generated_files_are_not_ignored() -> None:
    """A picture or page that git ignores would be missing in a fresh clone."""
    made = ["docs/pictures/plan.png", "docs/reference/commands.md"]
    done = subprocess.run(["git", "check-ignore", *made], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout == ""
