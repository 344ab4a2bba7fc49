"""Services on spot: the rules P5.10 to P5.12, on recorded-like rooms of several zones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from argosy.cli.main import app
from argosy.errors import BadInput
from argosy.files.traces._source import source
from argosy.model.fleet import Availability, frame
from argosy.place.standby import fallback, starts
from argosy.simulate.standby import serve, zones

ROOMS = st.lists(st.lists(st.integers(0, 4), min_size=3, max_size=3), min_size=2, max_size=60)


@settings(max_examples=300, deadline=None)
@given(
    room=st.lists(st.integers(0, 6), min_size=1, max_size=5),
    have=st.lists(st.integers(0, 6), min_size=5, max_size=5),
    wanted=st.integers(0, 20),
)
def test_p5_10_a_start_never_goes_where_another_zone_with_room_has_fewer(room, have, wanted) -> None:
    rooms = np.array(room)
    held = np.minimum(np.array(have[: len(room)]), rooms)
    new = starts(rooms, held, np.ones(len(room)), wanted)
    after = held + new
    assert (after <= rooms).all()
    # P5.11: as many as wanted, or every zone is full.
    assert after.sum() == max(held.sum(), min(wanted, rooms.sum()))
    for z in np.flatnonzero(new):
        for other in np.flatnonzero(after < rooms):
            assert after[z] <= after[other] + 1


def test_p5_10_equals_go_where_spot_has_been_longest() -> None:
    room, have = np.array([2, 2, 2]), np.zeros(3, dtype=np.int64)
    assert starts(room, have, np.array([0.5, 9.0, 3.0]), 1).tolist() == [0, 1, 0]
    assert starts(room, have, np.array([0.5, 9.0, 3.0]), 4).tolist() == [1, 2, 1]
    assert starts(room, have, np.zeros(3), 1).tolist() == [1, 0, 0]


def test_p5_12_on_demand_fills_what_is_not_ready() -> None:
    assert [fallback(ready, 4) for ready in (0, 3, 4, 6)] == [4, 1, 0, 0]


@settings(max_examples=200, deadline=None)
@given(room=ROOMS, wanted=st.integers(1, 6), extra=st.integers(0, 2), start=st.integers(0, 4))
def test_p5_12_what_is_missing_was_lost_within_one_start(room, wanted, extra, start) -> None:
    rooms = np.array(room)
    found = serve(rooms, step_hours=0.1, start_hours=0.1 * start, spot_price_ratio=0.3, wanted=wanted, extra=extra)
    for i in range(start, len(rooms)):
        assert wanted - found.ready[i] <= found.lost[max(0, i - start + 1) : i + 1].sum()
    assert (found.spot <= rooms).all()
    assert (found.spot.sum(axis=1) <= wanted + extra).all()
    # P5.11: never fewer on spot than wanted while a zone has room.
    full = (found.spot == rooms).all(axis=1)
    assert (full | (found.spot.sum(axis=1) == wanted + extra)).all()
    bare = serve(
        rooms,
        step_hours=0.1,
        start_hours=0.1 * start,
        spot_price_ratio=0.3,
        wanted=wanted,
        extra=extra,
        on_demand=False,
    )
    assert (bare.ready <= found.ready).all()
    assert bare.cost_fraction <= found.cost_fraction + 1e-9


def test_always_there_costs_spot_and_one_start_on_demand_and_never_there_costs_on_demand() -> None:
    steady = serve(np.full((100, 3), 2), step_hours=0.1, start_hours=0.2, spot_price_ratio=0.3, wanted=4)
    assert steady.cost_fraction == pytest.approx(0.3 + 2 / 100)
    assert steady.spot[-1].tolist() == [2, 1, 1]
    assert steady.ready.tolist() == [0, 0] + [4] * 98
    never = serve(np.zeros((100, 3), dtype=np.int64), step_hours=0.1, start_hours=0.2, spot_price_ratio=0.3, wanted=4)
    assert never.cost_fraction == pytest.approx(1.0)
    assert never.whole_fraction == pytest.approx(0.98)
    assert never.available_fraction == pytest.approx(0.98)


def test_p5_13_trust_pays_on_demand_for_longer_and_misses_less() -> None:
    room = np.array([[1, 1] if i % 20 < 12 else [0, 1] for i in range(400)])
    found = [
        serve(room, step_hours=0.1, start_hours=0.2, spot_price_ratio=0.3, wanted=2, trust_hours=trust)
        for trust in (0.0, 0.5, 2.0)
    ]
    assert found[0].cost_fraction < found[1].cost_fraction < found[2].cost_fraction
    assert found[0].whole_fraction == found[1].whole_fraction < found[2].whole_fraction


def test_zones_that_were_not_measured_together_are_refused() -> None:
    rows = frame(
        Availability,
        {
            "series": ["a"] * 3 + ["b"] * 3 + ["c"] * 4,
            "at_seconds": [0.0, 60.0, 120.0, 0.0, 90.0, 180.0, 0.0, 60.0, 120.0, 180.0],
            "accelerators": [1.0, 0.0, 2.0, 1.0, 1.0, 1.0, 3.0, 3.0, 0.0, 1.0],
        },
    )
    room, step = zones(rows, ["a", "c"])
    assert room.tolist() == [[1, 3], [0, 3], [2, 0]]
    assert step == pytest.approx(1 / 60)
    with pytest.raises(BadInput, match="not measured at the same times"):
        zones(rows, ["a", "b"])
    gap = rows.with_columns(at_seconds=rows["at_seconds"].replace(120.0, 1200.0))
    with pytest.raises(BadInput, match="a gap between"):
        zones(gap, ["a"])
    with pytest.raises(BadInput, match="no series d"):
        zones(rows, ["a", "d"])


# The command


SPOT = Path(__file__).resolve().parents[2] / "examples" / "small-fleet" / "spot.csv"


def invoke(*words: str):
    return CliRunner().invoke(app, ["simulate", *words])


def test_a_service_on_spot_from_the_command_line(tmp_path: Path) -> None:
    """Each figure again from the replay of the zones that the trace has together."""
    page = tmp_path / "service.html"
    words = ["--trace", f"skypilot_spot:{SPOT}", "--replicas", "4", "--extra", "1", "--trust", "2"]
    done = invoke(*words, "--report", str(page), "--json")
    assert done.exit_code == 0, done.output
    told = json.loads(done.output)
    rows = source(f"skypilot_spot:{SPOT}").availability()
    room, step = zones(rows, sorted(rows["series"].unique().to_list()))
    own = {"step_hours": step, "start_hours": 0.2, "spot_price_ratio": 0.3, "wanted": 4, "extra": 1}
    asked, bare = serve(room, trust_hours=2.0, **own), serve(room, on_demand=False, **own)
    alone = [serve(room[:, [z]], trust_hours=2.0, **own) for z in range(3)]
    for way, found in (("spread", [asked]), ("spot_only", [bare]), ("one_zone", alone)):
        for field in ("cost_fraction", "available_fraction", "whole_fraction"):
            assert told[field][way] == pytest.approx(np.mean([getattr(f, field) for f in found]))
    assert told["left_out"] == {}
    assert [len(one["zones"]) for one in told["worlds"]] == [3]
    assert told["cost_fraction"]["spot_only"] < told["cost_fraction"]["spread"] < 1
    assert told["available_fraction"]["spread"] >= told["available_fraction"]["spot_only"]
    text = page.read_text()
    for words_of in ("A service on spot", "Ways to run it", "By world", "Over time"):
        assert words_of in text
    assert text.count('role="img"') >= 2
    assert "together" not in invoke(*words).output


def test_worlds_that_cannot_be_replayed_are_named_and_none_at_all_is_bad_input(tmp_path: Path) -> None:
    head = "kind,nodes,campaign,zone,accelerator,t_s,value\n"
    gap = "".join(f"k,1,gap,a,v,{600 * i},1\n" for i in (0, 1, 2, 3, 9))
    good = "".join(f"k,1,good,a,v,{600 * i},1\n" for i in range(5))
    path = tmp_path / "spot.csv"
    path.write_text(head + gap + good)
    told = json.loads(invoke("--trace", f"skypilot_spot:{path}", "--replicas", "2", "--json").output)
    assert told["left_out"] == {"k/1/gap/v": "there is a gap between measurements"}
    assert [one["together"] for one in told["worlds"]] == ["k/1/good/v"]
    path.write_text(head + gap)
    done = invoke("--trace", f"skypilot_spot:{path}", "--replicas", "2")
    assert (done.exit_code, "gap between measurements" in done.output + done.stderr) == (2, True)
