"""`argosy simulate`: the same decisions against a recorded or invented world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from argosy.cli.plan import output
from argosy.cli.problems import print_json, reported
from argosy.clock import Clock, SystemClock
from argosy.errors import BadInput, Problem
from argosy.files.traces._source import Source, source
from argosy.place.packing import POLICIES
from argosy.simulate.packing import Filling, fill
from argosy.simulate.page import filling_page, queue_page, spot_page, write
from argosy.simulate.queue import COMPLETION, QUEUE_OBJECTIVES, Queue, Queued
from argosy.simulate.spot import POLICIES as SPOT_POLICIES
from argosy.simulate.spot import SpotOutcome, replay

FORMAT = "argosy.simulate/1"
_BAD = "correct them and run the command again; docs/reference/simulate.md has the formats"


def simulate(
    trace: Annotated[str, typer.Option(help="Arrivals or spot capacity as KIND:PATH, for example openb:pods.csv.gz.")],
    fleet: Annotated[str | None, typer.Option(help="Fleet as KIND:PATH; not needed for spot capacity.")] = None,
    policy: Annotated[str, typer.Option(help=f"For nodes: {', '.join(POLICIES)}.")] = "fragmentation",
    objective: Annotated[str, typer.Option(help=f"For a queue: {', '.join(QUEUE_OBJECTIVES)}.")] = COMPLETION,
    load: Annotated[float, typer.Option(min=0.01, max=100.0, help="For nodes: requests over capacity.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is left to chance.")] = 0,
    days: Annotated[
        float | None, typer.Option(min=0.01, help="For a queue: only asks that arrive in these days.")
    ] = None,
    share: Annotated[
        bool, typer.Option(help="For a queue: let two asks share a chip where that was measured.")
    ] = False,
    work: Annotated[float, typer.Option(min=0.1, max=8784.0, help="For spot: hours of work.")] = 48.0,
    deadline: Annotated[float, typer.Option(min=0.1, max=8784.0, help="For spot: hours until the deadline.")] = 60.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures to this HTML file.")] = None,
) -> None:
    """Replay a trace against a fleet and say how well it went.

    Exit code 0: done. 2: bad input. 3: outside failure.
    """
    with reported(as_json, next_step=_BAD):
        arriving = source(trace)
        place = None if fleet is None else source(fleet)
        if arriving.offers("availability") and place is None:
            answer, page = _spot(arriving, work, deadline, seed)
        elif place is None:
            raise BadInput([Problem("--fleet", 0, 0, "option.missing", "", "say on what, as KIND:PATH")])
        elif place.offers("counts"):
            answer, page = _queue(place, arriving, objective, days, share)
        else:
            answer, page = _filling(place, arriving, policy, load, seed, SystemClock())
        if report is not None:
            write(page, report)
    if as_json:
        print_json(answer)
    else:
        _table(answer)
        if report is not None:
            typer.echo(f"report: {report}")


def _spot(trace: Source, work: float, deadline: float, seed: int) -> tuple[dict[str, Any], str]:
    if deadline <= work:
        raise BadInput([Problem("--deadline", 0, 0, "option.range", "", "the deadline must lie after the work")])
    found = replay(
        trace.availability(),
        work_hours=work,
        deadline_hours=deadline,
        changeover_hours=0.2,
        spot_price_ratio=0.3,
        starts=100,
        seed=seed,
    )
    return spot_document(found, work, deadline, seed), spot_page(found)


def spot_document(found: list[SpotOutcome], work: float, deadline: float, seed: int) -> dict[str, Any]:
    """What `--json` prints for spot capacity."""
    mean = {p: sum(row.cost_fraction[p] for row in found) / len(found) for p in SPOT_POLICIES}
    return {
        "format": FORMAT,
        "simulation": "spot",
        "seed": seed,
        "work_hours": work,
        "deadline_hours": deadline,
        "series": len(found),
        "saving_fraction": {policy: 1 - cost for policy, cost in mean.items()},
        "bound_saving_fraction": 1 - sum(row.bound_fraction for row in found) / len(found),
        "missed_deadlines": {p: sum(row.missed[p] for row in found) for p in SPOT_POLICIES},
    }


def _queue(fleet: Source, trace: Source, objective: str, days: float | None, share: bool) -> tuple[dict[str, Any], str]:
    _known("objective", objective, QUEUE_OBJECTIVES)
    asks = trace.asks()
    if days is not None:
        asks = asks.filter(asks["arrival_seconds"] < days * 86_400)
        if asks.is_empty():
            raise BadInput([Problem("--days", 0, 0, "option.range", "", "nothing arrives in so few days")])
    shared = trace.shared_throughputs() if share else None
    queue = Queue(fleet.counts(), asks, trace.throughputs(), objective=objective, shared=shared)
    console = Console(stderr=True)
    with console.status("simulating") as status:
        found = queue.run(
            progress=lambda hours, done, total: status.update(
                f"{hours / 24:,.0f} days, {done:,} of {total:,} asks done"
            )
        )
    return queue_document(found), queue_page(found, queue.capacity)


def queue_document(found: Queued) -> dict[str, Any]:
    """What `--json` prints for a queue."""
    return {
        "format": FORMAT,
        "simulation": "queue",
        "objective": found.objective,
        "asks": len(found.arrival_hours),
        "unmeasured_asks": dict(found.left_out),
        "average_completion_hours": found.average_completion_hours,
        "makespan_hours": found.makespan_hours,
        "average_wait_hours": found.average_wait_hours,
        "used_fraction": found.used_fraction,
        "decisions": found.decisions,
    }


def _filling(
    fleet: Source, trace: Source, policy: str, load: float, seed: int, clock: Clock
) -> tuple[dict[str, Any], str]:
    _known("policy", policy, POLICIES)
    found = fill(fleet.nodes(), trace.asks(), policy=policy, load=load, seed=seed, clock=clock)
    return filling_document(found), filling_page(found)


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
        if name == "format":
            continue
        rows = value.items() if isinstance(value, dict) else [("", value)]
        for part, amount in rows:
            label = f"{name} {part}".strip().replace("_", " ")
            table.add_row(label, f"{amount:,.4g}" if isinstance(amount, float) else f"{amount}")
    output().print(table)
