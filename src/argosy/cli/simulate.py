"""`argosy simulate`: the same decisions against a recorded or invented world."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from argosy.cli.given import Gathering, known
from argosy.cli.plan import output
from argosy.cli.problems import EXIT_NO, print_json, reported
from argosy.cli.simulate_options import COUNTS, NODES, PORTFOLIO, SERVICE, SPOT, can_share, meant
from argosy.cli.simulate_portfolio import Wanted, simulated, tables
from argosy.cli.simulate_spot import FORMAT, services, spot
from argosy.clock import SystemClock
from argosy.errors import BadInput, Problem
from argosy.files.traces._source import Source, source
from argosy.place.packing import POLICIES
from argosy.simulate.outcome import document
from argosy.simulate.packing import Filling, fill
from argosy.simulate.page import filling_page, queue_page, write
from argosy.simulate.portfolio_page import portfolio_page
from argosy.simulate.queue import COMPLETION, QUEUE_OBJECTIVES, Queue, Queued
from argosy.simulate.run import OBJECTIVES

_BAD = "correct them and run the command again; docs/reference/simulate.md has the formats"


def simulate(
    ctx: typer.Context,
    portfolio: Annotated[
        Path | None, typer.Argument(help="A portfolio file or folder; without one, --fleet and --trace are replayed.")
    ] = None,
    trace: Annotated[
        list[str] | None,
        typer.Option(
            help="Arrivals, demand or spot capacity as KIND:PATH, for example openb:pods.csv.gz; a portfolio takes "
            "several."
        ),
    ] = None,
    fleet: Annotated[str | None, typer.Option(help="Fleet as KIND:PATH; not needed for spot capacity.")] = None,
    policy: Annotated[str, typer.Option(help=f"For nodes: {', '.join(POLICIES)}.")] = "fragmentation",
    objective: Annotated[
        str | None,
        typer.Option(help=f"For a portfolio: {', '.join(OBJECTIVES)}. For a queue: {', '.join(QUEUE_OBJECTIVES)}."),
    ] = None,
    load: Annotated[
        float,
        typer.Option(min=0.01, max=100.0, help="For nodes: requests over capacity. For a portfolio: factor on demand."),
    ] = 1.0,
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything that is left to chance.")] = 0,
    days: Annotated[
        float | None,
        typer.Option(
            min=0.01, max=7320, help="For a portfolio: days to simulate, 30 unless said. For a queue: days of arrivals."
        ),
    ] = None,
    month: Annotated[
        str | None, typer.Option(help="For a portfolio: first month, YYYY-MM; absent means that of the horizon.")
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(help="For a portfolio: output of `argosy plan --json`, for sizes and internal prices."),
    ] = None,
    future: Annotated[
        str | None, typer.Option(help="For a portfolio: a given future, or `expected`; absent draws one with the seed.")
    ] = None,
    stands_for: Annotated[
        str | None, typer.Option("--as", help="For a portfolio: workload that the asks of a trace stand for.")
    ] = None,
    faults: Annotated[
        bool, typer.Option("--faults", help="For a portfolio: everything between control and vendors may fail.")
    ] = False,
    share: Annotated[
        bool, typer.Option(help="For a queue: let two asks share a chip where that was measured.")
    ] = False,
    work: Annotated[float, typer.Option(min=0.1, max=8784.0, help="For spot: hours of work.")] = 48.0,
    deadline: Annotated[float, typer.Option(min=0.1, max=8784.0, help="For spot: hours until the deadline.")] = 60.0,
    replicas: Annotated[
        int | None, typer.Option(min=1, max=1000, help="For spot: replicas of a service instead of work with an end.")
    ] = None,
    extra: Annotated[int, typer.Option(min=0, max=1000, help="For a service on spot: replicas more on spot.")] = 0,
    trust: Annotated[
        float, typer.Option(min=0.0, max=8784.0, help="For a service on spot: hours until a spell of spot is trusted.")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
    report: Annotated[Path | None, typer.Option(help="Write a page with pictures to this HTML file.")] = None,
) -> None:
    """Run a portfolio under a virtual clock, or replay a trace against a fleet, and say how well it went.

    Exit code 0: done. 1: something that must always hold did not (--faults). 2: bad input. 3: outside failure.
    """
    if portfolio is not None:
        wanted = Wanted(
            portfolio=portfolio,
            traces=trace or (),
            days=30.0 if days is None else days,
            seed=seed,
            objective=objective or "value",
            load=load,
            month=month,
            plan=plan,
            future=future,
            stands_for=stands_for,
            faults=faults,
        )
        _portfolio(wanted, ctx, as_json, report)
        return
    with reported(as_json, next_step=_BAD):
        arriving, place = _sources(trace, fleet)
        on_spot = SPOT if replicas is None else SERVICE
        what = on_spot if place is None else COUNTS if place.offers("counts") else NODES
        gather = Gathering()
        gather(lambda: meant(ctx, what))
        if what == NODES:
            gather(lambda: known("policy", policy, tuple(POLICIES)))
        elif what == COUNTS:
            gather(lambda: known("objective", objective or COMPLETION, QUEUE_OBJECTIVES))
            gather(lambda: can_share(share, objective or COMPLETION))
        if what != NODES:
            gather.done()
        if place is not None and what == COUNTS:
            answer, page = _queue(place, arriving, objective or COMPLETION, days, share)
        else:
            with Console(stderr=True).status("reading and simulating"):
                if place is None and replicas is not None:
                    answer, page = services(arriving, replicas, extra, trust)
                elif place is None:
                    answer, page = spot(arriving, work, deadline, seed)
                else:
                    answer, page = _filling(place, arriving, policy, load, seed, gather)
        if report is not None:
            write(page, report)
    if as_json:
        print_json(answer)
    else:
        _table(answer)
        if report is not None:
            typer.echo(f"report: {report}")


def _sources(trace: list[str] | None, fleet: str | None) -> tuple[Source, Source | None]:
    """What arrives, and on what; only spot capacity needs no fleet. BadInput with all that is missing or unknown."""
    gather, problems = Gathering(), []
    if not trace:
        message = "give a portfolio, or what arrives as --trace KIND:PATH"
        problems.append(Problem("--trace", 0, 0, "option.missing", "", message))
    elif len(trace) > 1:
        problems.append(Problem("--trace", 0, 0, "option.twice", "", "a fleet is replayed with one trace"))
    arriving = gather(lambda: source(trace[0])) if trace else None
    place = None if fleet is None else gather(lambda: source(fleet))
    if fleet is None and arriving is not None and not arriving.offers("availability"):
        problems.append(Problem("--fleet", 0, 0, "option.missing", "", "say on what, as KIND:PATH"))
    if fleet is not None and arriving is not None and arriving.offers("availability"):
        message = f"{SPOT} is replayed without a fleet; leave it away"
        problems.append(Problem("--fleet", 0, 0, "option.unused", "", message))
    if problems or gather.problems:
        raise BadInput([*problems, *gather.problems])
    assert arriving is not None, "an unknown kind was a problem"
    return arriving, place


def _portfolio(wanted: Wanted, ctx: typer.Context, as_json: bool, report: Path | None) -> None:
    with reported(as_json, next_step=_BAD):
        found = simulated(wanted, lambda: meant(ctx, PORTFOLIO))
        answer = document(found, FORMAT)
        if report is not None:
            write(portfolio_page(found), report)
    if as_json:
        print_json(answer)
    else:
        tables(found, answer)
        if report is not None:
            typer.echo(f"report: {report}")
    if answer.get("faults", {}).get("violations"):
        raise typer.Exit(EXIT_NO)


def _queue(fleet: Source, trace: Source, objective: str, days: float | None, share: bool) -> tuple[dict[str, Any], str]:
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
        "least_makespan_hours": found.least_makespan_hours,
        "average_wait_hours": found.average_wait_hours,
        "used_fraction": found.used_fraction,
        "decisions": found.decisions,
    }


def _filling(
    fleet: Source, trace: Source, policy: str, load: float, seed: int, gather: Gathering
) -> tuple[dict[str, Any], str]:
    nodes, asks = gather(fleet.nodes), gather(trace.asks)
    gather.done()
    assert nodes is not None, "what could not be read was a problem"
    assert asks is not None, "what could not be read was a problem"
    for table, option, path in ((nodes, "fleet", fleet.path), (asks, "trace", trace.path)):
        if int(table["accelerators"].sum()) <= 0:
            message = "no node has an accelerator" if option == "fleet" else "no ask wants an accelerator"
            raise BadInput([Problem(path, 0, 0, "trace.no_accelerators", "", message)])
    found = fill(nodes, asks, policy=policy, load=load, seed=seed, clock=SystemClock())
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


def _table(answer: dict[str, Any]) -> None:
    table = Table(show_header=False, box=None)
    for name, value in answer.items():
        if name == "format":
            continue
        told = len(value) if isinstance(value, list) else value
        rows = told.items() if isinstance(told, dict) else [("", told)]
        for part, amount in rows:
            label = f"{name} {part}".strip().replace("_", " ")
            shown = "–" if amount is None else f"{amount:,.4g}" if isinstance(amount, float) else f"{amount}"
            table.add_row(label, shown)
    output().print(table)
