"""`argosy init`: a commented portfolio to start from."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer

from argosy.cli.problems import reported
from argosy.errors import BadInput, Problem
from argosy.files.example import example

FILE_NAME = "portfolio.yaml"


def init(
    path: Annotated[Path, typer.Argument(help="File to write, or a folder to write it in.")] = Path(FILE_NAME),
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that is there.")] = False,
) -> None:
    """Write a small commented example portfolio."""
    target = path / FILE_NAME if path.is_dir() else path
    with reported(False, next_step="give another path, or --force to overwrite"):
        write_new(target, example(), overwrite=force)
        typer.echo(f"wrote {target}; next: argosy check {target}")


def write_new(target: Path, text: str, *, overwrite: bool) -> None:
    """Write a file as a whole or not at all; one that is there stays unless `overwrite`, then BadInput says so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{uuid4().hex}")
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if overwrite:
            temporary.replace(target)
        else:
            # A link fails when the name is taken, also when somebody took it a moment ago.
            os.link(temporary, target)
    except FileExistsError:
        raise BadInput([Problem(str(target), 0, 0, "file.exists", "", "the file is there already")]) from None
    finally:
        temporary.unlink(missing_ok=True)
