"""Solving: the options that say how a plan is computed, the same for every command that solves one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from argosy.settings import Settings

Workers = Annotated[
    int, typer.Option(min=1, max=256, help="Processes that solve futures; the answer is the same for any number.")
]
Ray = Annotated[
    str | None, typer.Option(metavar="ADDRESS", help="Run them on this Ray cluster; `local` starts one here.")
]
Keep = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="Keep cuts in this folder: a killed solve goes on, the next question starts from them."
    ),
]


def solving(time_limit: float, workers: int, ray: str | None, keep: Path | None, *, threads: int = 1) -> Settings:
    """The settings that these options give."""
    if ray == "local":
        # Under `uv run` Ray would make every worker install its environment anew; here they share this one.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
    return Settings(
        solver_threads=threads,
        time_limit_seconds=time_limit,
        plan_workers=workers,
        ray_address=ray,
        cuts_folder=None if keep is None else str(keep.absolute()),
    )
