"""The other trace importers: what they read, and that anything broken is one error with file and line."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest

from argosy.errors import BadInput
from argosy.files.traces._source import PACKAGE, source
from argosy.kinds import load

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"

# kind, part, a small file and its number of rows, and the same with something wrong on a line.
TEXTS = [
    (
        "philly",
        "asks",
        "timestamp,duration,num_gpus,gpu_time,cluster\n2017-10-01 00:00:10,60,8,480,a\n2017-10-01 00:00:00,5,1,5,b\n",
        ("60,8", "soon,8", 2),
    ),
    ("helios", "rates", "time,submit_gpu_num\n2020-04-01 00:00:00,3\n2020-04-01 00:10:00,6\n", ("6\n", "-6\n", 3)),
    (
        "azure_llm",
        "calls",
        "TIMESTAMP,ContextTokens,GeneratedTokens\n"
        "2023-11-16 18:15:46.6805900,374,44\n2023-11-16 18:15:50.9951690,396,109\n",
        ("2023-11-16 18:15:50.9951690", "yesterday", 3),
    ),
    ("gavel", "asks", "job_type,total_steps,arrival_s,workers\nA3C,100,0.0,1\nA3C,50,6.0,2\n", ("50", "0", 3)),
    (
        "skypilot_spot",
        "availability",
        "kind,nodes,campaign,zone,accelerator,t_s,value\na,1,c,z,v,0,1\na,1,c,z,v,195,0\n",
        ("195,0", "195,", 3),
    ),
    ("servegen", "rates", "client,t_s,rate_rps\n1,0,0.5\n1,600,0.25\n", ("600", "later", 3)),
    ("gaia", "asks", "arrival_time,length,cpus\n0.5,2,1\n0.25,1,4\n", ("2,1", "-2,1", 2)),
]


def write(folder: Path, kind: str, text: str) -> str:
    path = folder / "t.csv"
    path.write_text(text)
    return f"{kind}:{path}"


@pytest.mark.parametrize(("kind", "part", "text", "_"), TEXTS)
def test_small_files_load(tmp_path: Path, kind: str, part: str, text: str, _: object) -> None:
    rows = getattr(source(write(tmp_path, kind, text)), part)()
    assert len(rows) == 2
    at = next(name for name in ("arrival_seconds", "at_seconds") if name in rows.columns)
    assert rows[at].is_sorted()


@pytest.mark.parametrize(("kind", "part", "text", "wrong"), TEXTS)
def test_a_wrong_cell_is_an_error_at_its_line(
    tmp_path: Path, kind: str, part: str, text: str, wrong: tuple[str, str, int]
) -> None:
    before, after, line = wrong
    with pytest.raises(BadInput) as caught:
        getattr(source(write(tmp_path, kind, text.replace(before, after, 1))), part)()
    assert caught.value.problems[0].line == line
    assert caught.value.problems[0].file.endswith("t.csv")


@pytest.mark.parametrize(("kind", "part", "text", "_"), TEXTS)
def test_a_missing_column_is_an_error_that_names_it(tmp_path: Path, kind: str, part: str, text: str, _: object) -> None:
    first = text.split(",", maxsplit=1)[0]
    with pytest.raises(BadInput, match=f"no column '{first}'"):
        getattr(source(write(tmp_path, kind, text.replace(first, "other", 1))), part)()


def test_mooncake_reads_lines_of_json(tmp_path: Path) -> None:
    rows = [{"timestamp": t, "input_length": 10, "output_length": 3, "hash_ids": [1]} for t in (1000, 3500)]
    path = tmp_path / "t.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    calls = source(f"mooncake:{path}").calls()
    assert calls["at_seconds"].to_list() == [0.0, 2.5]
    path.write_bytes(gzip.compress(b'{"timestamp": 1, "input_length": 5}\n'))
    with pytest.raises(BadInput, match="output_length"):
        source(f"mooncake:{path}").calls()


def test_parquet_is_read_like_csv(tmp_path: Path) -> None:
    pl.DataFrame({"cpus": [1, 2], "arrival_time": [1.0, 0.5], "length": [2, 3]}).write_parquet(tmp_path / "t.parquet")
    rows = source(f"gaia:{tmp_path}/t.parquet").asks()
    assert rows["cpu_milli"].to_list() == [2000, 1000]


def test_gaia_tells_how_busy_cpus_are(tmp_path: Path) -> None:
    """Jobs of 4 CPUs from 0.5 to 2.5, of 2 from 1.25 to 1.5 and of 1 from 2 to 9: counted by hand, hour by hour."""
    (tmp_path / "t.csv").write_text("arrival_time,length,cpus\n1.25,0.25,2\n0.5,2,4\n2,7,1\n")
    rates = source(f"gaia:{tmp_path}/t.csv").rates()
    assert rates["at_seconds"].to_list() == [0.0, 3600.0, 7200.0]
    assert rates["per_second"].to_list() == pytest.approx([2.0, 4.5, 3.0])


def test_all_that_is_wrong_in_a_block_is_told_at_once(tmp_path: Path) -> None:
    """Cells that are no numbers, amounts that cannot be and both in one row."""
    (tmp_path / "t.csv").write_text("arrival_time,length,cpus\n1,x,1\n-1,2,1\n1,-2,y\n1,2,1e99\n")
    with pytest.raises(BadInput) as caught:
        source(f"gaia:{tmp_path}/t.csv").asks()
    assert [(p.line, p.code, p.field) for p in caught.value.problems] == [
        (2, "trace.cell", "length"),
        (3, "trace.value", "arrival_time"),
        (4, "trace.cell", "cpus"),
        (4, "trace.value", "length"),
        (5, "trace.value", "cpus"),
    ]


def test_gavel_counts_and_speeds(tmp_path: Path) -> None:
    assert source("gavel:1,2,3").counts() == {"v100": 1, "p100": 2, "k80": 3}
    with pytest.raises(BadInput, match="gavel:36,36,36"):
        source("gavel:36,36").counts()
    (tmp_path / "isolated_throughputs.csv").write_text("gpu,job_type,workers,steps_per_s\nv100,A3C,1,2.5\n")
    assert source(f"gavel:{tmp_path}/t.csv").throughputs()["steps_per_second"].to_list() == [2.5]


def test_every_kind_offers_something_and_says_what_it_lacks() -> None:
    parts = ("nodes", "counts", "asks", "throughputs", "availability", "calls", "rates")
    for kind in load(PACKAGE, "Trace"):
        trace = source(f"{kind}:nowhere")
        assert any(trace.offers(part) for part in parts), kind
        lacking = next(part for part in parts if not trace.offers(part))
        with pytest.raises(BadInput, match="a trace of this kind has no"):
            getattr(trace, lacking)()


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data is not there")
@pytest.mark.parametrize(
    ("name", "part", "rows"),
    [
        ("philly:jobs_philly_2017/jobs.csv.gz", "asks", 78_453),
        ("helios:jobs_helios_venus_2020/venus_submissions_10min.csv.gz", "rates", 26_064),
        ("gaia:jobs_100k_gaia/pai-100k.parquet", "asks", 99_998),
        ("azure_llm:llm_traces_azure_2023/conv.csv.gz", "calls", 19_366),
        ("mooncake:llm_traces_mooncake/conversation_trace.jsonl.gz", "calls", 12_031),
        ("servegen:llm_workload_servegen/m-large_client_rates.parquet", "rates", 99_839),
        ("skypilot_spot:spot_traces/skypilot_spot.parquet", "availability", 305_145),
        ("gavel:gavel_throughputs/msr_0e4a51_seed0.csv.gz", "asks", 1_181),
        ("gavel:gavel_throughputs/msr_0e4a51_seed0.csv.gz", "throughputs", 492),
    ],
)
def test_public_traces_load_whole(name: str, part: str, rows: int) -> None:
    kind, _, path = name.partition(":")
    assert len(getattr(source(f"{kind}:{DATA / path}"), part)()) == rows


def test_spot_measured_twice_at_one_time_and_a_folder_say_what_is_wrong(tmp_path: Path) -> None:
    head = "kind,nodes,campaign,zone,accelerator,t_s,value\n"
    twice = source(write(tmp_path, "skypilot_spot", head + "a,1,c,z,v,0,1\na,1,c,y,v,0,1\na,1,c,z,v,0,0\n"))
    with pytest.raises(BadInput) as found:
        twice.availability()
    assert [(p.line, p.field) for p in found.value.problems] == [(2, "t_s"), (4, "t_s")]
    early = source(write(tmp_path, "skypilot_spot", head + "a,1,c,z,v,-5,1\n"))
    with pytest.raises(BadInput) as found:
        early.availability()
    assert [(p.line, p.field) for p in found.value.problems] == [(2, "t_s")]
    with pytest.raises(BadInput, match="this is a folder"):
        source(f"skypilot_spot:{tmp_path}").availability()


# A cell that is a number and cannot be: kind, part, the small file's text, and what makes it impossible.
IMPOSSIBLE = [
    ("philly", "asks", ("60,8", "1e300,8"), "duration"),
    ("philly", "asks", ("2017-10-01 00:00:10", "9999-10-01 00:00:10"), "timestamp"),
    ("helios", "rates", (",3", ",1e300"), "submit_gpu_num"),
    ("azure_llm", "calls", ("374", "9223372036854775807"), "ContextTokens"),
    ("azure_llm", "rates", ("374", "9223372036854775807"), "ContextTokens"),
    ("gavel", "asks", ("100", "1e300"), "total_steps"),
    ("skypilot_spot", "availability", ("v,0,1", "v,1e300,1"), "t_s"),
    ("servegen", "rates", ("0.5", "1e300"), "rate_rps"),
]


@pytest.mark.parametrize(("kind", "part", "change", "field"), IMPOSSIBLE)
def test_an_amount_that_cannot_be_is_an_error_at_its_line(
    tmp_path: Path, kind: str, part: str, change: tuple[str, str], field: str
) -> None:
    """Sums of such amounts overflowed, or were shown as if they were real."""
    text = next(text for name, _, text, _ in TEXTS if name == kind)
    with pytest.raises(BadInput) as caught:
        getattr(source(write(tmp_path, kind, text.replace(*change, 1))), part)()
    assert [(p.line, p.field) for p in caught.value.problems] == [(2, field)]


@pytest.mark.parametrize(
    ("cell", "code"),
    [
        ("1e300", "trace.value"),
        ("-1", "trace.value"),
        ("1.5", "trace.value"),
        ("NaN", "trace.cell"),
        ('"many"', "trace.cell"),
        ("true", "trace.cell"),
        ("1e400", "trace.cell"),
        ("}", "trace.unreadable"),
    ],
)
def test_a_wrong_field_of_json_is_an_error_at_its_line(tmp_path: Path, cell: str, code: str) -> None:
    good = '{"timestamp": 1, "input_length": 5, "output_length": 2}'
    path = tmp_path / "t.jsonl"
    path.write_text("\ufeff" + "\n".join([good, good, good.replace("5", cell), good]) + "\n")
    for part in ("calls", "rates"):
        with pytest.raises(BadInput) as caught:
            getattr(source(f"mooncake:{path}"), part)()
        assert [(p.line, p.code) for p in caught.value.problems] == [(3, code)]
