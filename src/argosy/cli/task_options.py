"""Task options: what `launch` and `apply` have in common: a task file, its variables and secrets, read and checked."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from argosy.errors import BadInput, OutsideError, Problem
from argosy.files.tasks import load_task

File = Annotated[Path, typer.Argument(help="Task file in SkyPilot's words.", metavar="FILE")]
Env = Annotated[
    list[str] | None, typer.Option("--env", help="NAME=VALUE, or NAME to take it from here; may be repeated.")
]
Secret = Annotated[
    list[str] | None, typer.Option("--secret", help="NAME to take a secret from the environment; may be repeated.")
]
Name = Annotated[str | None, typer.Option(help="Name that goes before the one in the file.")]
Project = Annotated[str | None, typer.Option(help="Project; absent means that of the key.")]


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent, and what is told before."""

    body: dict[str, Any]
    notes: tuple[Problem, ...]
    file: str

    def placed(self, problems: Sequence[Problem]) -> list[Problem]:
        """Problems of the server with the file's own name."""
        return [
            Problem(self.file, p.line, p.column, p.code, p.field, p.message) if p.file == Path(self.file).name else p
            for p in problems
        ]


def request(
    file: Path, env: Sequence[str] | None, secret: Sequence[str] | None, name: str | None, *, local: bool
) -> Request:
    """The task of a file as the body of a request. BadInput with every problem, found here where the files are ours."""
    problems: list[Problem] = []
    envs = _pairs(env or (), "--env", os.environ, problems)
    secrets = _pairs(secret or (), "--secret", os.environ, problems)
    if problems:
        raise BadInput(problems)
    notes: tuple[Problem, ...] = ()
    if local or not file.is_file():
        notes = load_task(file, envs=envs, secrets=secrets, home=Path.home()).notes
    try:
        text = file.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput([Problem(str(file), 0, 0, "file.encoding", "", "the file is not UTF-8")]) from error
    except OSError as error:
        raise OutsideError(f"cannot read {file}: {error.strerror or error}") from error
    body: dict[str, Any] = {"file": text, "envs": envs, "secrets": secrets, "name": name}
    if local:
        body["folder"] = str(file.resolve().parent)
    body["file_name"] = file.name
    return Request({key: value for key, value in body.items() if value not in (None, {})}, notes, str(file))


def tell_notes(notes: Sequence[Problem]) -> None:
    """Say on standard error what is not honoured."""
    for note in notes:
        typer.echo(f"note: {note}", err=True)


def as_rows(notes: Sequence[Problem]) -> list[dict[str, Any]]:
    """The same for JSON."""
    return [asdict(note) for note in notes]


def _pairs(
    given: Sequence[str], option: str, environment: Mapping[str, str], problems: list[Problem]
) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if equals:
            found[name] = value
        elif name in environment:
            found[name] = environment[name]
        else:
            problems.append(Problem(option, 0, 0, "option.env", name, f"{name} is not set here; write {name}=VALUE"))
    return found
