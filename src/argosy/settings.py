"""One frozen Settings record. Only `cli` fills it; everything else takes it as an argument."""

from __future__ import annotations

from typing import Annotated

from annotated_types import Ge, Gt, Le

from argosy.record import Record


class Settings(Record):
    """How to compute, as opposed to what to compute. None of these changes what an exact answer would be."""

    solver_threads: Annotated[int, Ge(1), Le(64)] = 1
    """Threads the solver may use. One is repeatable bit for bit."""
    time_limit_seconds: Annotated[float, Gt(0)] = 600.0
    """When the solver stops and returns the best plan so far with its gap."""
    plan_workers: Annotated[int, Ge(1), Le(256)] = 1
    """Processes that solve futures. The plan is the same for any number."""
    ray_address: str | None = None
    """Ray cluster that they run on; None: this machine. `local` starts one here."""
    cuts_folder: str | None = None
    """Absolute path of a folder that keeps cuts for the next question; None keeps none."""
    max_input_bytes: Annotated[int, Ge(1)] = 16 * 2**20
    """Largest portfolio that is read, all files together."""
    max_yaml_nodes: Annotated[int, Ge(1)] = 1_000_000
    """Largest number of YAML nodes after aliases are expanded; stops alias bombs."""
