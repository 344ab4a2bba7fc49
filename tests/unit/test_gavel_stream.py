"""Gavel's streams: the draws are theirs, by their stored traces and by what they published of almost empty fleets."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import typer
from typer.testing import CliRunner

from argosy.cli.simulate import simulate
from argosy.errors import BadInput
from argosy.files.traces._source import source
from argosy.files.traces.gavel_stream import DISTRIBUTED, KINDS, drawn

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "gavel_throughputs"
CHIPS = ("v100", "p100", "k80")
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")


@needs_data
@pytest.mark.parametrize("name", ["0e4a51", "6c71a0", "e13805"])
def test_the_kinds_stand_in_the_order_of_the_stored_traces(name: str) -> None:
    """Their traces with seed 0 drew a kind for each job and nothing else from the generator: all of them agree."""
    stored = source(f"gavel:{DATA}/msr_{name}_seed0.csv.gz").asks()["work"].to_list()
    generator = random.Random(0)
    assert stored == [KINDS[generator.randrange(len(KINDS))] for _ in stored]


def hours_on(gangs: bool) -> tuple[list[float], list[float]]:
    """Mean hours on a V100, and on the fastest chip, of jobs 4,000 to 4,999 of seeds 0, 1 and 2."""
    speeds = {
        (row["silicon"], row["work"], row["accelerators"]): row["steps_per_second"]
        for row in source(f"gavel_stream:{DATA}").throughputs().iter_rows(named=True)
    }
    first, fastest = [], []
    for seed in range(3):
        jobs = drawn(seed, 5_000, per_hour=1.0, gangs=gangs)[4_000:]
        steps = [(kind, size, seconds * speeds["v100", kind, size]) for _, kind, size, seconds in jobs]
        first.append(np.mean([seconds for *_, seconds in jobs]) / 3600)
        best = [min(s / speeds[c, k, n] for c in CHIPS if speeds.get((c, k, n), 0) > 0) for k, n, s in steps]
        fastest.append(np.mean(best) / 3600)
    return first, fastest


@needs_data
@pytest.mark.parametrize(
    ("gangs", "first_in_first_out", "with_speeds"), [(False, 17.371346, 15.038205), (True, 17.294259, 15.559233)]
)
def test_an_almost_empty_fleet_takes_as_long_as_published(
    gangs: bool, first_in_first_out: float, with_speeds: float
) -> None:
    """Published for 0.4 and 0.2 jobs per hour, means of seeds 0 to 2: on V100, and on the fastest chip of each job.

    Nobody waits there but for the next round and the next decision, which is the same for both: the difference is that
    of the jobs alone. Other streams of the same kind differ by 0.2 h and more (the spread over seeds is 0.9 h).
    """
    first, fastest = hours_on(gangs)
    assert np.mean(first) - np.mean(fastest) == pytest.approx(first_in_first_out - with_speeds, abs=0.003)
    assert 0.1 < with_speeds - np.mean(fastest) < 0.2


@needs_data
def test_the_longest_of_few_jobs_is_the_published_makespan() -> None:
    """Published with 100 static jobs for Gavel's policy, mean of seeds 0 to 2: that of the longest job alone."""
    longest = []
    for seed in range(3):
        trace = source(f"gavel_stream:{DATA},per_hour=0,gangs=yes,asks=100,seed={seed}")
        rows = trace.asks()
        assert rows["arrival_seconds"].to_list() == [0.0] * 100
        speeds = trace.throughputs().filter(pl.col("silicon").is_in(CHIPS), pl.col("steps_per_second") > 0)
        best = speeds.group_by("work", "accelerators").agg(pl.col("steps_per_second").max())
        joined = rows.join(best, on=["work", "accelerators"], how="left")
        longest.append((joined["steps"] / joined["steps_per_second"]).max() / 3600)
    assert np.mean(longest) == pytest.approx(161.163998, abs=0.001)


def test_draws_are_as_they_are_told() -> None:
    jobs = drawn(3, 4_000, per_hour=5.0, gangs=True)
    assert jobs == drawn(3, 4_000, per_hour=5.0, gangs=True)
    sizes = Counter(size for _, _, size, _ in jobs)
    assert [sizes[n] / 4_000 for n in (1, 2, 4, 8)] == pytest.approx([0.7, 0.1, 0.15, 0.05], abs=0.03)
    assert all(DISTRIBUTED[KINDS.index(kind)] for _, kind, size, _ in jobs if size > 1)
    minutes = np.array([seconds / 60 for *_, seconds in jobs])
    assert minutes.min() >= 10**1.5
    assert minutes.max() <= 10**4
    assert (minutes >= 1_000).mean() == pytest.approx(0.2, abs=0.03)
    assert 4_000 / (jobs[-1][0] / 3600) == pytest.approx(5.0, rel=0.1)
    singles = drawn(3, 50, per_hour=5.0, gangs=False)
    assert {size for _, _, size, _ in singles} == {1}
    # The first lengths and gaps do not depend on gangs; later ones do, because kinds that do not fit are drawn again.
    assert singles[0][3] == jobs[0][3]
    assert [at for at, *_ in singles] == [at for at, *_ in jobs[:50]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [
        f"{chip},{kind},{size},{speed * size}"
        for chip, speed in (("v100", 4), ("p100", 2), ("k80", 1))
        for kind in KINDS
        for size in (1, 2, 4, 8)
    ]
    (tmp_path / "isolated_throughputs.csv").write_text("\n".join(["gpu,job_type,workers,steps_per_s", *rows]) + "\n")
    return tmp_path


@pytest.mark.parametrize("objective", ["max_min", "makespan", "completion"])
def test_a_stream_is_simulated_from_the_command_line(folder: Path, objective: str) -> None:
    app = typer.Typer()
    app.command()(simulate)
    words = ["--fleet", "gavel:8,8,8", "--trace", f"gavel_stream:{folder},asks=30,per_hour=6,gangs=yes,seed=2"]
    done = CliRunner().invoke(app, [*words, "--objective", objective, "--json"])
    assert done.exit_code == 0, done.output
    answer = json.loads(done.output)
    assert answer["asks"] == 30
    assert answer["average_completion_hours"] > 0
    assert answer["makespan_hours"] >= answer["least_makespan_hours"] > 0


@pytest.mark.parametrize(
    ("told", "message"),
    [
        (",rate=5", "write any of per_hour"),
        (",asks=-3,rate=5", "asks=1000"),
        (",asks=0", "a whole number from 1"),
        (",asks=many", "a whole number from 1"),
        (",seed=-1", "a whole number from 0"),
        (",per_hour=-1", "0 for all at once"),
        (",per_hour=often", "0 for all at once"),
        (",gangs=some", "yes or no"),
    ],
)
def test_wrong_words_are_bad_input(folder: Path, told: str, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        source(f"gavel_stream:{folder}{told}").asks()


def test_all_wrong_words_are_told_at_once(folder: Path) -> None:
    with pytest.raises(BadInput) as told:
        source(f"gavel_stream:{folder},per_hour=often,asks=0,seed=1,seed=2,gang=yes").asks()
    assert {problem.field for problem in told.value.problems} == {"per_hour=often", "asks=0", "seed=2", "gang=yes"}


@pytest.mark.parametrize("objective", ["agnostic", "first_come", "least_attained_service", "finish_time_fairness"])
def test_sharing_is_refused_where_nobody_could_share(folder: Path, objective: str) -> None:
    app = typer.Typer()
    app.command()(simulate)
    words = ["--fleet", "gavel:8,8,8", "--trace", f"gavel_stream:{folder}", "--share", "--objective", objective]
    done = CliRunner().invoke(app, [*words, "--json"])
    assert done.exit_code == 2
    assert [p["file"] for p in json.loads(done.output)["problems"]] == ["--share"]
    assert "max_min, makespan, completion" in done.output


def test_a_speed_that_is_missing_is_named(folder: Path) -> None:
    (folder / "isolated_throughputs.csv").write_text("gpu,job_type,workers,steps_per_s\nv100,A3C,1,2.5\n")
    with pytest.raises(BadInput, match="no speed on v100 of CycleGAN on 1"):
        source(f"gavel_stream:{folder},asks=200").asks()
