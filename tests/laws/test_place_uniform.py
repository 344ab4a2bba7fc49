"""P5.15: `place`, asked at every step, does what uniform progress does (`place.deadlines`), and misses no deadline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_place_value import ask, pool, world

from argosy.clock import rng
from argosy.files.traces._source import source
from argosy.model.snapshot import Snapshot
from argosy.place import place
from argosy.place.deadlines import NO_ADVICE, UNIFORM, next_place
from argosy.place.outlook import IDLE, ON_DEMAND, SPOT

TRACES = Path(__file__).resolve().parents[2].parent / "shared/data/spot_traces/skypilot_spot.parquet"
PLACES = {None: IDLE, "spot": SPOT, "firm": ON_DEMAND}
PRICE, RATIO = 3.0, 0.3
WINDOW_HOURS = 24.0


@dataclass
class Stands:
    """Where the work stands at a step."""

    work: float
    due: float
    change: float
    look: float
    worth: float
    running: str | None = None
    spot: bool = False
    elapsed: float = 0.0
    done: float = 0.0
    pending: float = 0.0


def seen(now: Stands) -> Snapshot:
    """One ask, one spot pool and one pool on demand.

    What `place` keeps in reserve is added: nothing is lost between two steps here.
    """
    work_left = ask(
        "j",
        accelerators=1.0,
        usd_per_unit=now.worth,
        spot_goodput_fraction=1.0,
        remaining_units=now.work - now.done,
        attained_units=now.done,
        elapsed_hours=now.elapsed,
        deadline_hours=now.due - now.elapsed + max(now.change, now.look),
        restart_hours=now.change,
        starting_hours=now.pending,
        running_in=now.running,
    )
    pools = (
        pool("spot", tier="spot", own_accelerators=float(now.spot), usd_per_accelerator_hour=PRICE * RATIO),
        pool("firm", as_used_fraction=1.0, own_accelerators=1.0, usd_per_accelerator_hour=PRICE),
    )
    return world(work_left, pools=pools, look_hours=now.look, window_hours=WINDOW_HOURS)


def move_pays(left: float, change: float) -> bool:
    """P3.1 by hand: what is saved until the end or the window's, against the changeover with hysteresis."""
    saved = min(left, WINDOW_HOURS) * PRICE * (1 - RATIO)
    return saved > (1.25 * change + 1e-3 * WINDOW_HOURS) * PRICE * RATIO


def replay(  # noqa: PLR0917
    series: Sequence[bool], step: float, work: float, due: float, change: float, worth: float = 600.0
) -> tuple[bool, int]:
    """Every decision beside that of `next_place`; whether the work was done in time, and how often it waited."""
    now = Stands(work, due, change, step, worth)
    waits = 0
    # By value the last bit is worth no start of its own once this much is done.
    enough = work - 1e-9 - 1.01 * change * PRICE / (worth - PRICE)
    for i, there in enumerate(series):
        now.elapsed, now.spot = i * step, there
        if now.done >= enough:
            break
        if now.running == "spot" and not there:
            now.running, now.pending = None, 0.0
        at = PLACES[now.running]
        twin = next_place(UNIFORM, at, there, now.elapsed, now.done, work, due, change, now.pending, step, NO_ADVICE)
        made = place(seen(now))
        then = made.assignments[0].pool if made.assignments else None
        if PLACES[then] != twin:
            # The published rule goes back for the last minutes too; change control asks whether that pays.
            told = (i, now.running, then, twin)
            assert told[1:] == ("firm", "firm", SPOT), told
            assert not move_pays(work - now.done, change), told
        if then is None:
            assert now.done >= now.elapsed * work / due, "behind the line nothing waits"
            assert made.unplaced[0].excuses[0].rule == "wait"
            waits += 1
        if then != now.running:
            now.pending = 0.0 if then is None else change
        now.running = then
        if then is not None:
            now.done += min(max(0.0, step - now.pending), work - now.done)
            now.pending = max(0.0, now.pending - step)
    return now.done >= enough, waits


@settings(max_examples=30, deadline=None)
@given(
    spells=st.lists(st.integers(1, 12), min_size=4, max_size=20),
    there=st.booleans(),
    step=st.sampled_from((0.1, 0.25, 0.5)),
    slack=st.floats(1.05, 3.0),
    change=st.sampled_from((0.0, 0.06, 0.3)),
    worth=st.sampled_from((600.0, 40_000.0)),
)
def test_decision_for_decision_and_no_deadline_missed_p5_15(spells, there, step, slack, change, worth) -> None:  # noqa: PLR0917
    series = [there == (k % 2 == 0) for k, n in enumerate(spells) for _ in range(n)]
    due = len(series) * step
    work = (due - 2 * change) / slack * 0.99371
    if work <= 0 or due < work + change:
        return
    met, _ = replay(series, step, work, due, change, worth)
    assert met


@pytest.mark.parametrize("position", range(3))
def test_decision_for_decision_on_public_traces_p5_15(position: int) -> None:
    if not TRACES.is_file():
        pytest.skip("the shared spot traces are not beside the repository")
    rows = source(f"skypilot_spot:{TRACES}").availability()
    names = sorted(name for name in rows["series"].unique().to_list() if name.startswith("availability/1-node"))
    draw = rng(0, "tests", "uniform", str(position))
    mine = rows.filter(rows["series"] == names[int(draw.integers(len(names)))])
    at = mine["at_seconds"].to_numpy() / 3600
    step = float(np.median(np.diff(at)))
    work, due, change = 10.0137, 13.0, 0.2
    steps = int(due / step)
    first = int(draw.integers(0, len(at) - steps))
    spot = (mine["accelerators"].to_numpy()[first : first + steps] >= 1).tolist()
    assert len({round(b - a, 3) for a, b in pairwise(at[first : first + steps].tolist())}) < steps
    met, _ = replay(spot, step, work, steps * step, change)
    assert met
