"""`argosy simulate`: the same decisions against a recorded or invented world."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from argosy.cli.problems import print_json, reported
from argosy.clock import Clock, SystemClock
from argosy.errors import BadInput, Problem
from argosy.files.traces._source import Source, source
from argosy.place.packing import POLICIES
from argosy.simulate.packing import Filling, fill

FORMAT = "argosy.simulate/1"


def simulate(
    fleet: Annotated[str, typer.Option(help="Fleet as KIND:PATH, for example openb:nodes.csv.gz.")],
    trace: Annotated[str, typer.Option(help="Arrivals as KIND:PATH, for example openb:pods.csv.gz.")],
    policy: Annotated[str, typer.Option(help=f"Nodes: {', '.join(POLICIES)}.")] = "fragmentation",
    load: Annotated[float, typer.Option(min=0.01, max=100.0, help="Requests in all, as a multiple of capacity.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is left to chance.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Replay a trace against a fleet and say how well it went.

    Exit code 0: done. 2: bad input. 3: outside failure.
    """
    with reported(
        as_json, next_step="correct them and run the command again; docs/reference/simulate.md has the formats"
    ):
        place = source(fleet)
        arriving = source(trace)
        answer = _filling(place, arriving, policy, load, seed, SystemClock())
    if as_json:
        print_json(answer)
    else:
        _table(answer)


def _filling(fleet: Source, trace: Source, policy: str, load: float, seed: int, clock: Clock) -> dict[str, Any]:
    _known("policy", policy, POLICIES)
    return filling_document(fill(fleet.nodes(), trace.asks(), policy=policy, load=load, seed=seed, clock=clock))


def filling_document(outcome: Filling) -> dict[str, Any]:
    """What `--json` prints for a fleet of nodes."""
    packed = outcome.packed
    return {
        "format": FORMAT,
        "simulation": "filling",
        "policy": outcome.policy,
        "load_ratio": outcome.load,
        "seed": outcome.seed,
        "nodes": len(outcome.fleet),
        "accelerators": packed.capacity_milli // 1000,
        "arrived": outcome.arrived,
        "placed": packed.placed,
        "refused": outcome.refused,
        "allocated_fraction": packed.allocated_fraction,
        "fragmented_fraction": packed.fragmentation_milli / packed.capacity_milli,
        "placements_per_second": outcome.placements_per_second,
    }


def _known(option: str, word: str, words: Any) -> None:
    if word not in words:
        message = f"{word!r} is none of {', '.join(words)}"
        raise BadInput([Problem(f"--{option}", 0, 0, "option.unknown", "", message)])


def _table(answer: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None)
    for name, value in answer.items():
        if name != "format":
            table.add_row(name.replace("_", " "), f"{value:,.4g}" if isinstance(value, float) else f"{value}")
    Console(width=100).print(table)
