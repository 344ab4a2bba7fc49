"""Asks as a file: the YAML that `argosy place --jobs` reads, with the place of every line.

What is wrong with an ask may show only when it meets the portfolio; `located` says where in the file that is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from argosy.errors import BadInput, OutsideError, Problem
from argosy.files import explain
from argosy.files.yaml_tree import Branch, Step, decode, dotted, read
from argosy.model.snapshot_ask import AskFile, AskLine
from argosy.settings import Settings


@dataclass(frozen=True, slots=True)
class Asks:
    """A file of asks, read."""

    lines: tuple[AskLine, ...]
    top: Branch

    def located(self, problem: Problem) -> Problem:
        """A problem of the field `asks.N.name` at the line where that stands; others as they are."""
        words = problem.field.split(".")
        if words[0] != "asks" or len(words) < 2 or not words[1].isdigit():
            return problem
        path: list[Step] = [int(word) if word.isdigit() else word for word in words]
        at = explain.place(self.top, path)
        return replace(problem, file=at.file, line=at.line, column=at.column, field=dotted(path))


def asks(path: Path, settings: Settings) -> Asks:
    """The asks written in a file. BadInput with every problem at its line; OutsideError when the disk refuses."""
    text = decode(str(path), _bytes(path))
    if isinstance(text, Problem):
        raise BadInput([text])
    tree = read(str(path), text, max_nodes=settings.max_yaml_nodes)
    if tree.top is None or not isinstance(tree.top.value, dict):
        at = Problem(str(path), 1, 1, "yaml.top_level", "", "the file starts with `argosy: 1` and has `asks`")
        raise BadInput(tree.problems or [at])
    try:
        lines = AskFile.model_validate(tree.top.value).asks
    except ValidationError as error:
        told = {(p.file, p.line, p.column) for p in tree.problems}
        found = [p for p in explain.problems(error, tree.top, _schema()) if (p.file, p.line, p.column) not in told]
        raise BadInput([*tree.problems, *found]) from None
    if tree.problems:
        raise BadInput(tree.problems)
    return Asks(lines, tree.top)


@cache
def _schema() -> dict[str, Any]:
    """The JSON Schema of the file with its references written out."""
    whole = AskFile.model_json_schema()

    def plain(node: Any) -> Any:
        if isinstance(node, list):
            return [plain(item) for item in node]
        if not isinstance(node, dict):
            return node
        if "$ref" in node:
            return plain(whole["$defs"][node["$ref"].rsplit("/", 1)[1]])
        return {key: plain(value) for key, value in node.items() if key != "$defs"}

    made: dict[str, Any] = plain(whole)
    return made


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadInput([Problem(str(path), 0, 0, "file.missing", "", "there is no such file")]) from None
    except OSError as error:
        raise OutsideError(f"cannot read {path}: {error.strerror or error}") from error
