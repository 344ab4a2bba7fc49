"""Edits: strategies and stresses from YAML, bundled or the user's, with problems at file:line:column.

`cli` calls `strategy`, `stress` and `stressed`. A name is looked for among the bundled files first; anything else is a
path.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from argosy import kinds
from argosy.errors import BadInput, OutsideError, Problem
from argosy.files import explain
from argosy.files.wording import found, listed, near
from argosy.files.yaml_tree import Branch, Step, decode, dotted, read, shown
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.model.strategy import OURSELVES, Strategy, Stress
from argosy.record import Record
from argosy.settings import Settings

Kind = TypeVar("Kind", bound=Record)


def bundled(kind: str) -> tuple[str, ...]:
    """Names of the bundled files of a kind, `strategies` or `stresses`."""
    folder = files("argosy.files") / kind
    return tuple(sorted(f.name.removesuffix(".yaml") for f in folder.iterdir() if f.name.endswith(".yaml")))


def strategy(name: str, portfolio: Portfolio, settings: Settings) -> Strategy:
    """The strategy of a bundled name or of a file; BadInput with every problem when it does not fit the portfolio."""
    return _loaded(Strategy, "strategies", name, portfolio, settings)


def stress(name: str, portfolio: Portfolio, settings: Settings) -> Stress:
    """The stress of a bundled name or of a file; BadInput with every problem when it does not fit the portfolio."""
    return _loaded(Stress, "stresses", name, portfolio, settings)


def stressed(
    names: Sequence[str], portfolio: Portfolio, scenarios: tuple[Scenario, ...], settings: Settings
) -> tuple[Scenario, ...]:
    """The futures under stresses by name or by path, one after the other; the same futures where there is none."""
    for name in names:
        scenarios = stress(name, portfolio, settings).of(portfolio, scenarios)
    return scenarios


def _loaded(record: type[Kind], folder: str, name: str, portfolio: Portfolio, settings: Settings) -> Kind:
    file, data = _source(folder, name, settings)
    text = decode(file, data)
    if isinstance(text, Problem):
        raise BadInput([text])
    tree = read(file, text, max_nodes=settings.max_yaml_nodes)
    top = tree.top
    if not tree.whole or top is None or not isinstance(top.value, dict):
        empty = Problem(file, 1, 1, "yaml.top_level", "", "the file starts with `argosy: 1` and has `edits`")
        raise BadInput(tree.problems or [empty])
    try:
        made = record.model_validate(top.value)
    except ValidationError as refused:
        raise BadInput([*tree.problems, *_explained(refused, top)]) from None
    wrong = [*tree.problems, *_unknown(top, portfolio)]
    if wrong:
        raise BadInput(wrong)
    return made


def _source(folder: str, name: str, settings: Settings) -> tuple[str, bytes]:
    known = bundled(folder)
    if name in known:
        return f"{folder}/{name}.yaml", (files("argosy.files") / folder / f"{name}.yaml").read_bytes()
    path = Path(name)
    if not path.is_file():
        message = f"there is no such file, and no bundled one{near(name, known)}; bundled are {listed(known)}"
        raise BadInput([Problem(name, 0, 0, "file.missing", "", message)])
    try:
        if path.stat().st_size > settings.max_input_bytes:
            message = f"at most {settings.max_input_bytes:,} bytes are read"
            raise BadInput([Problem(name, 0, 0, "file.too_large", "", message)])
        return str(path), path.read_bytes()
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error


def _explained(error: ValidationError, top: Branch) -> list[Problem]:
    problems = []
    for detail in error.errors(include_url=False):
        path = _path(detail, top)
        branch = explain.place(top, path, at_key=detail["type"] == "extra_forbidden")
        code, message = _said(detail, branch)
        problems.append(branch.problem(code, dotted(path), message))
    return problems


def _path(detail: ErrorDetails, top: Branch) -> tuple[Step, ...]:
    """A pydantic location without the names of union choices."""
    path: list[Step] = []
    branch = top
    for i, step in enumerate(detail["loc"]):
        if step in branch.children:
            branch = branch.children[step]
        elif not (i == len(detail["loc"]) - 1 and detail["type"] in ("missing", "extra_forbidden")):
            continue
        path.append(step)
    return tuple(path)


def _said(detail: ErrorDetails, branch: Branch) -> tuple[str, str]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "missing":
        return "field.missing", "this field is required"
    if kind == "extra_forbidden":
        return "field.unknown", "there is no such field here"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return (
            "field.value",
            f"edit is one of {context.get('expected_tags', 'the edits of docs/reference/questions.md')}",
        )
    if kind == "value_error":
        return "field.value", str(context.get("error", detail["msg"]))
    text = detail["msg"][:1].lower() + detail["msg"][1:]
    range_kinds = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
    return ("field.range" if kind in range_kinds else "field.type"), f"{found(branch.value)}: {text}"


def _unknown(top: Branch, portfolio: Portfolio) -> Iterator[Problem]:
    """Names that mean nothing in this portfolio."""
    vendors = sorted({v.id for v in portfolio.vendors} | {c.vendor for c in portfolio.contracts} | {OURSELVES})
    names = {
        "vendors": ("vendor", vendors),
        "kinds": ("kind of contract", sorted(kinds.load("argosy.model.contract", "Contract"))),
        "workload": ("workload", sorted({w.id for w in portfolio.workloads} | {"all"})),
    }
    waiting: list[tuple[tuple[Step, ...], Branch]] = [((), top)]
    while waiting:
        path, branch = waiting.pop()
        for step, child in branch.children.items():
            here = (*path, step)
            word = next((s for s in reversed(here) if isinstance(s, str)), "")
            if isinstance(child.value, str) and word in names:
                what, known = names[word]
                if child.value not in known:
                    message = f"no {what} is called {shown(child.value)}{near(child.value, known)}"
                    yield child.problem("reference.unknown", dotted(here), message)
            waiting.append((here, child))
