"""`argosy simulate PORTFOLIO`: the arguments become a setup, the outcome becomes tables, JSON and a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from argosy.cli.given import Gathering, completed, month, plan_record
from argosy.cli.plan import output
from argosy.errors import BadInput, Problem
from argosy.files.traces._source import Source, source
from argosy.model.portfolio import Portfolio
from argosy.settings import Settings
from argosy.simulate.outcome import Outcome, outcome
from argosy.simulate.run import Setup, Simulation, check_objective


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line asks for."""

    portfolio: Path
    traces: Sequence[str]
    days: float
    seed: int
    objective: str
    load: float
    month: str | None
    plan: Path | None
    future: str | None
    stands_for: str | None
    faults: bool


def simulated(wanted: Wanted, meant: Callable[[], None]) -> Outcome:
    """Simulate; progress is shown on a terminal only. `meant` raises BadInput for options that mean nothing here."""
    settings, gather = Settings(), Gathering()
    gather(meant)
    gather(lambda: check_objective(wanted.objective))
    world = gather(lambda: completed(wanted.portfolio, settings))
    start, plan = gather(lambda: month(wanted.month)), gather(lambda: plan_record(wanted.plan))
    parts = gather(lambda: _parts(wanted.traces))
    if wanted.stands_for is not None and not (parts and parts[0] is not None) and not gather.problems:
        message = "no trace of asks was given that could stand for a workload"
        gather.problems.append(Problem("--as", 0, 0, "option.unused", "", message))
    gather.done()
    assert world is not None, "what could not be read was a problem"
    assert parts is not None, "what could not be read was a problem"
    asks, curve, spot = parts
    _needed(world, curve, spot)
    setup = Setup(
        portfolio=world,
        days=wanted.days,
        seed=wanted.seed,
        objective=wanted.objective,
        load=wanted.load,
        month=start,
        plan=plan,
        future=wanted.future,
        asks=asks,
        asks_as=wanted.stands_for,
        curve=curve,
        spot=spot,
        faults=wanted.faults,
    )
    made = Simulation(setup, settings)
    console = Console(stderr=True)
    if not console.is_terminal:
        return outcome(made.run())
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("simulating", total=made.span.hours, told="")

        def told(hours: float, ended: int, events: int) -> None:
            bar.update(task, completed=hours, told=f"day {hours / 24:,.0f}, {ended:,} asks done, {events:,} events")

        return outcome(made.run(told))


def _needed(world: Portfolio, curve: pl.DataFrame | None, spot: pl.DataFrame | None) -> None:
    """BadInput for traces of demand or of spot that nothing in the portfolio would follow."""
    problems = []
    if curve is not None and not any(workload.pattern.flows for workload in world.workloads):
        message = "no workload flows (service, agents) that could follow a demand curve; leave it away"
        problems.append(Problem("--trace", 0, 0, "option.unused", "", message))
    if spot is not None and not any(pool.tier == "spot" for pool in world.pools):
        message = "no pool is spot (tier: spot) that could follow a series of spot capacity; leave it away"
        problems.append(Problem("--trace", 0, 0, "option.unused", "", message))
    if problems:
        raise BadInput(problems)


def _parts(traces: Sequence[str]) -> tuple[pl.DataFrame | None, pl.DataFrame | None, pl.DataFrame | None]:
    """Asks, demand curve and spot capacity, from the traces that have them. BadInput when two give the same."""
    found: dict[str, pl.DataFrame] = {}
    gather = Gathering()
    for text in traces:
        given = gather(lambda text=text: _part(source(text)))  # type: ignore[misc]
        if given is not None and given[0] in found:
            message = f"two traces give {given[0]}; one is enough"
            gather.problems.append(Problem(text, 0, 0, "trace.twice", "", message))
        elif given is not None:
            found[given[0]] = given[1]
    gather.done()
    return found.get("asks"), found.get("demand"), found.get("spot capacity")


def _part(trace: Source) -> tuple[str, pl.DataFrame]:
    if trace.offers("availability"):
        return "spot capacity", trace.availability()
    if trace.offers("rates"):
        return "demand", trace.rates()
    asks = trace.asks()
    if asks["duration_seconds"].null_count() and trace.offers("throughputs"):
        asks = _with_durations(asks, trace.throughputs())
    return "asks", asks


def _with_durations(asks: pl.DataFrame, speeds: pl.DataFrame) -> pl.DataFrame:
    """Steps become run times on the fastest chip that was measured; asks that nobody measured are left out."""
    best = (
        speeds.filter(pl.col("steps_per_second") > 0)
        .group_by("work", "accelerators")
        .agg(pl.col("steps_per_second").max())
    )
    joined = asks.join(best, on=["work", "accelerators"], how="inner", maintain_order="left")
    seconds = (pl.col("steps") / pl.col("steps_per_second")).alias("duration_seconds")
    return joined.with_columns(seconds).select(asks.columns)


def tables(found: Outcome, answer: dict[str, Any]) -> None:
    """What a person reads on the terminal."""
    console = output()
    cost = answer["cost_usd"]
    console.print(
        f"{answer['days']:g} days from {answer['month']}, seed {answer['seed']}, future {answer['future']['id']}"
        + (f" ({answer['future']['name']})" if answer["future"]["name"] else "")
        + f": {cost['total']:,.0f} USD, {answer['migrations']:,} moves, {answer['evictions']:,} stops for others, "
        f"{answer['preemptions']:,} preemptions"
    )
    _rows(
        "Pools", ("pool", "used", "of", "share"),
        [(p.pool, f"{p.used_accelerators:,.1f}", f"{p.capacity_accelerators:,.1f}", _share(p.used_fraction))
         for p in found.pools],
    )  # fmt: skip
    _rows(
        "Work", ("workload", "asks", "ended", "late", "wanted", "done", "undone", "mean wait h"),
        [(w.workload, _count(w.arrived), _count(w.ended), _count(w.late), f"{w.wanted_units:,.0f}",
          f"{w.done_units:,.0f}", f"{w.unserved_units:,.0f}", "" if w.mean_wait_hours is None
          else f"{w.mean_wait_hours:,.2f}") for w in found.works],
    )  # fmt: skip
    fair = found.fairness.every
    if fair.jain_index is not None:
        _rows(
            "Fairness", ("workload", "asks", "pace", "slowest", "Jain's index", "most owed h"),
            [(w.workload or "all", f"{w.asks:,}", _share(w.pace_fraction), _share(w.least_pace_fraction),
              "" if w.jain_index is None else f"{w.jain_index:.3f}",
              "" if w.most_owed_hours is None else f"{w.most_owed_hours:.2f}")
             for w in (fair, *found.fairness.workloads)],
        )  # fmt: skip
    _rows("Cost", ("cause", "USD"), [(name, f"{usd:,.0f}") for name, usd in cost.items()])
    _rows(
        "Days", ("day", "asks", "ended", "used", "served", "contracts", "open", "egress", "moves", "stops", "taken"),
        [(str(d.day), str(d.arrived), str(d.ended), _share(d.used_fraction), _share(d.served_fraction),
          f"{d.committed_usd:,.0f}", f"{d.on_demand_usd:,.0f}", f"{d.egress_usd:,.0f}", str(d.migrations),
          str(d.evictions), str(d.preemptions)) for d in found.days],
    )  # fmt: skip
    if answer["excuse_hours"]:
        _rows("Why asks waited", ("rule", "hours"), [(k, f"{v:,.1f}") for k, v in answer["excuse_hours"].items()])
    if "faults" in answer:
        told = answer["faults"]
        console.print(
            f"faults: {told['crashes']} crashes, {told['failed_steps']} failed steps, {told['fenced_runs']} fenced "
            f"runs; {told['checks']:,} checks, {len(told['violations'])} violations"
        )
        for violation in told["violations"]:
            console.print(f"VIOLATED at {violation}", markup=False)


def _rows(title: str, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    table = Table(title=title)
    for i, head in enumerate(heads):
        table.add_column(head, justify="left" if i == 0 else "right")
    for row in rows:
        table.add_row(*row)
    output().print(table)


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.1%}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"
