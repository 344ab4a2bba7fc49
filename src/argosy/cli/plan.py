"""`argosy plan`: which contracts to sign, with prices, reasons and a report."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from argosy.cli.plan_json import plan_document
from argosy.cli.problems import EXIT_NO, EXIT_OK, print_json, reported
from argosy.cli.solving import Keep, Ray, Workers, solving
from argosy.cli.tables import infeasible_tables, plan_tables
from argosy.clock import SystemClock
from argosy.errors import BadInput, Problem
from argosy.files.edits import stressed
from argosy.files.load import load
from argosy.market.catalogue import bundled
from argosy.model.decision import Infeasible, Plan
from argosy.model.futures import futures
from argosy.model.portfolio import Portfolio
from argosy.plan import solve
from argosy.plan.main import Questions, Valued
from argosy.plan.questions import walk_aways
from argosy.plan.selected import selected
from argosy.plan.walk_away import WalkAway
from argosy.report import write_html
from argosy.report.format import usd

SELECTED_IS_SCORED = (
    "a few futures hold the extreme tail by their weight alone, so a plan for them is always scored on unseen ones; "
    "drop --unseen 0"
)
WALK_AWAY_NEEDS_VALUES = (
    "fees are found for the contracts that are valued, and --values none values none; leave it away"
)


def plan(
    portfolio: Annotated[Path, typer.Argument(help="A portfolio file, or a folder of them.")],
    scenarios: Annotated[int | None, typer.Option(min=0, max=10_000, help="Futures to draw.")] = None,
    gap: Annotated[float, typer.Option(min=0.0, max=0.5, help="How far from optimal is near enough.")] = 1e-3,
    risk: Annotated[float | None, typer.Option(min=0.0, max=1.0, help="Weight of the costliest tail.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the draw.")] = None,
    unseen: Annotated[
        int, typer.Option(min=0, max=10_000, help="Futures to score the plan and simpler plans on; 0 does not.")
    ] = 300,
    select: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Plan on so many of the futures, weighted to stand for all."),
    ] = None,
    stress: Annotated[
        list[str] | None, typer.Option(help="A bundled stress or a file, for all futures; may be repeated.")
    ] = None,
    fronts: Annotated[
        bool, typer.Option("--fronts/--no-fronts", help="Cost against tail risk, carbon and the largest vendor.")
    ] = False,
    ranges: Annotated[
        bool, typer.Option("--ranges/--no-ranges", help="How far each size can move for 1 % and 3 % more cost.")
    ] = True,
    values: Annotated[Valued, typer.Option(help="What contracts are worth: candidates, or all.")] = "chosen",
    walk_away: Annotated[
        bool, typer.Option("--walk-away", help="Walk-away fees of the contracts valued: many whole plans.")
    ] = False,
    time_limit: Annotated[
        float,
        typer.Option(
            min=1.0, help="Seconds until the best plan so far is taken; questions have the rest, 10 at least."
        ),
    ] = 600.0,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Solver threads; 1 repeats bit for bit.")] = 1,
    workers: Workers = 1,
    ray: Ray = None,
    keep: Keep = None,
    report: Annotated[Path | None, typer.Option(help="Write the report to this HTML file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Decide which contracts to sign, and price every accelerator-hour.

    Exit code 0: a plan. 1: no plan keeps all limits. 2: bad input. 3: outside failure.
    """
    settings = solving(time_limit, workers, ray, keep, threads=threads)
    with reported(as_json, next_step="correct them and run the command again; `argosy check` shows only these"):
        catalogue = bundled()
        written = load(portfolio, settings, catalogue=catalogue)
        world = with_options(written.with_catalogue(catalogue), risk)
        conflicts = []
        if select is not None and unseen == 0:
            conflicts.append(Problem("--select", 0, 0, "option.conflict", "", SELECTED_IS_SCORED))
        if walk_away and values == "none":
            conflicts.append(Problem("--walk-away", 0, 0, "option.conflict", "", WALK_AWAY_NEEDS_VALUES))
        if conflicts:
            raise BadInput(conflicts)
        every = stressed(stress or [], world, futures(world, seed=seed, count=scenarios), settings)
        drawn = every if select is None else selected(world, every, select)
        stop = threading.Event()
        with shown_progress() as progress, stoppable(stop):
            answer = solve(
                world,
                drawn,
                gap=gap,
                seed=world.scenarios.seed if seed is None else seed,
                unseen=unseen,
                change=lambda more: stressed(stress or [], world, more, settings),
                questions=Questions(fronts=fronts, ranges=ranges, values=values),
                settings=settings,
                clock=SystemClock(),
                progress=progress,
                stop=stop,
            )
            if walk_away and isinstance(answer, Plan):
                named = tuple(worth.contract for worth in answer.values)
                fees = walk_aways(
                    world, drawn, named, gap=gap, settings=settings, clock=SystemClock(), progress=progress, stop=stop
                )
                answer = with_walk_aways(answer, fees)
        if isinstance(answer, Plan) and len(drawn) < len(every):
            answer = answer.model_copy(update={"selected_from": len(every)})
        elif isinstance(answer, Plan) and select is not None:
            why = f"`--select {select}` had no effect: there are {len(every)} futures, and the plan is for all of them"
            answer = answer.model_copy(update={"not_computed": {**answer.not_computed, "select": why}})
        if report is not None:
            write_html(answer, report)
    if as_json:
        print_json(plan_document(answer))
    elif isinstance(answer, Infeasible):
        infeasible_tables(answer, output())
    else:
        plan_tables(answer, output())
    if report is not None and not as_json:
        typer.echo(f"report: {report}")
    raise typer.Exit(EXIT_NO if isinstance(answer, Infeasible) else EXIT_OK)


def output() -> Console:
    """The console of tables: as wide as the terminal but at most 100 columns; 100 where there is no terminal."""
    wide = Console().width if sys.stdout.isatty() else 100
    return Console(width=min(100, wide))


def with_walk_aways(plan: Plan, fees: dict[str, WalkAway]) -> Plan:
    """The plan with walk-away fees at the values of their contracts."""
    values = tuple(
        worth.model_copy(update={"walk_away_low": fee.low, "walk_away_high": fee.high, "unit": fee.unit} if fee else {})
        for worth in plan.values
        for fee in (fees.get(worth.contract),)
    )
    left = {name: why for name, why in plan.not_computed.items() if name != "values.walk_away"}
    return plan.model_copy(update={"values": values, "not_computed": left})


def with_options(portfolio: Portfolio, risk: float | None) -> Portfolio:
    """The portfolio with the options of the command line in place of what it says."""
    if risk is None:
        return portfolio
    changed = portfolio.policy.risk.model_copy(update={"aversion_fraction": risk})
    return portfolio.model_copy(update={"policy": portfolio.policy.model_copy(update={"risk": changed})})


class _Shown:
    """Progress on a terminal: one line that is rewritten."""

    def __init__(self, console: Console) -> None:
        self.status = console.status("reading")

    def __call__(self, step: str, best_usd: float | None, bound_usd: float | None) -> None:
        parts = [step]
        if best_usd is not None:
            parts.append(f"best {usd(best_usd)}")
        if bound_usd is not None:
            parts.append(f"bound {usd(bound_usd)}")
        if best_usd and bound_usd is not None:
            parts.append(f"gap {max(0.0, best_usd - bound_usd) / abs(best_usd):.2%}")
        self.status.update(" · ".join(parts) + "  (Ctrl-C keeps the best so far)")


@contextmanager
def shown_progress() -> Iterator[_Shown]:
    """Progress on stderr; nothing is shown where stderr is not a terminal."""
    shown = _Shown(Console(stderr=True))
    with shown.status:
        yield shown


@contextmanager
def stoppable(stop: threading.Event) -> Iterator[None]:
    """The first Ctrl-C asks the solver to stop, the second ends the program."""

    def ask(number: int, frame: object) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
