"""Problems: how every command reports what went wrong, and the exit codes.

`with reported(as_json):` around the body of a command turns bad input into lines on stderr and exit code 2, and
failures outside Argosy into exit code 3. Bugs pass through with their traceback.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import typer

from argosy.errors import (
    ArgosyError,
    BadInput,
    Conflict,
    Denied,
    Impossible,
    NotFound,
    Problem,
    Reused,
    TooLarge,
    Unauthenticated,
)

EXIT_OK = 0
EXIT_NO = 1
EXIT_BAD_INPUT = 2
EXIT_OUTSIDE = 3

_OUTSIDE = ("outside_failure", EXIT_OUTSIDE)
# What is neither bad input in a file nor a failure outside: the answer is no, or what was named is not there.
_EXITS: tuple[tuple[tuple[type[ArgosyError], ...], tuple[str, int]], ...] = (
    ((Denied, Unauthenticated, Conflict, Reused, Impossible), ("refused", EXIT_NO)),
    ((NotFound, TooLarge), ("bad_input", EXIT_BAD_INPUT)),
)

NEXT_STEP = "correct them and run `argosy check` again; docs/reference/files.md explains the codes"


@contextmanager
def reported(as_json: bool, *, next_step: str = NEXT_STEP) -> Iterator[None]:
    """Run the body of a command; expected failures end it with their exit code, told once.

    With `as_json` the failure is an object on stdout: `{"status": "bad_input", "problems": [...]}`, or with a code and
    a message instead of problems and the status `refused`, `bad_input` or `outside_failure`. Without, stderr gets one
    line per problem.
    """
    try:
        yield
    except BadInput as error:
        _tell_problems(error.problems, as_json, next_step)
        raise typer.Exit(EXIT_BAD_INPUT) from None
    except (ArgosyError, OSError) as error:
        code = error.code if isinstance(error, ArgosyError) else "outside.failed"
        status, number = next((told for kinds, told in _EXITS if isinstance(error, kinds)), _OUTSIDE)
        message = str(error) if isinstance(error, ArgosyError) else _of_disk(error)
        if as_json:
            print_json({"status": status, "code": code, "message": message})
        else:
            typer.echo(f"argosy: {code}: {message}", err=True)
        raise typer.Exit(number) from None


def _of_disk(error: OSError) -> str:
    """A failure of the operating system, with the file that it was about."""
    said = error.strerror or str(error)
    return said if error.filename is None else f"{error.filename}: {said}"


def print_json(answer: dict[str, Any]) -> None:
    """An answer as JSON on stdout, with what no terminal could show escaped."""
    typer.echo(json.dumps(answer, indent=2))


def _tell_problems(problems: Sequence[Problem], as_json: bool, next_step: str) -> None:
    if as_json:
        print_json({"status": "bad_input", "problems": [asdict(problem) for problem in problems]})
        return
    for problem in problems:
        typer.echo(str(problem), err=True)
    files = len({problem.file for problem in problems if not problem.file.startswith("--")})
    count = f"{len(problems)} problem{'s' if len(problems) != 1 else ''}"
    where = f" in {files} files" if files > 1 else ""
    typer.echo(f"{count}{where}; {next_step if len(problems) != 1 else next_step.replace('them', 'it')}", err=True)
