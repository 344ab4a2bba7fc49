"""Traces of any length: blocks give what the whole gives, problems keep their lines, and memory stays bounded."""

from __future__ import annotations

import gzip
import tracemalloc
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy.errors import BadInput
from argosy.files.traces import _blocks
from argosy.files.traces._blocks import LINE, blocks
from argosy.files.traces._source import source
from argosy.files.traces._table import read

HEAD = "timestamp,duration,num_gpus,gpu_time,cluster\n"
KINDS = {
    "openb": ("asks", "name,cpu_milli,memory_mib,num_gpu,gpu_milli", "p{i},1,1,1,1000", "cpu_milli"),
    "philly": ("asks", "timestamp,duration,num_gpus,gpu_time,cluster", "2017-10-01 00:00:{i:02d},5,1,5,b", "duration"),
    "gavel": ("asks", "job_type,total_steps,arrival_s,workers", "A3C,100,{i},1", "total_steps"),
    "helios": ("rates", "time,submit_gpu_num", "2020-04-01 00:{i:02d}:00,3", "submit_gpu_num"),
    "gaia": ("asks", "arrival_time,length,cpus", "{i},2,1", "length"),
    "azure_llm": (
        "calls",
        "TIMESTAMP,ContextTokens,GeneratedTokens",
        "2023-11-16 18:15:{i:02d}.5,3,4",
        "ContextTokens",
    ),
    "servegen": ("rates", "client,t_s,rate_rps", "c,{i},0.5", "rate_rps"),
    "skypilot_spot": ("availability", "kind,nodes,campaign,zone,accelerator,t_s,value", "a,1,c,z,v,{i},1", "value"),
}


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 64)
    monkeypatch.setattr(_blocks, "SLICE_ROWS", 3)


def problem(kind: str, part: str, path: Path) -> tuple[int, str]:
    with pytest.raises(BadInput) as caught:
        getattr(source(f"{kind}:{path}"), part)()
    assert len(caught.value.problems) == 1
    return caught.value.problems[0].line, caught.value.problems[0].code


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_finds_what_is_wrong_far_down(kind: str, tmp_path: Path) -> None:
    """A wrong cell, a row cut off, a row too long, a file cut off, columns in another order, a column missing."""
    part, head, row, number = KINDS[kind]
    rows = [row.format(i=i) for i in range(40)]
    plain, packed = tmp_path / "t.csv", tmp_path / "t.csv.gz"

    def write(lines: list[str], header: str = head) -> Path:
        plain.write_text("\n".join([header, *lines]) + "\n")
        return plain

    whole = getattr(source(f"{kind}:{write(rows)}"), part)()
    assert len(whole) == 40
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert getattr(source(f"{kind}:{packed}"), part)().equals(whole)
    names = head.split(",")
    at = names.index(number)
    turned = [",".join(reversed(line.split(","))) for line in rows]
    assert getattr(source(f"{kind}:{write(turned, ','.join(reversed(names)))}"), part)().equals(whole)
    wrong = rows[30].split(",")
    wrong[at] = "many"
    assert problem(kind, part, write([*rows[:30], ",".join(wrong), *rows[31:]])) == (32, "trace.cell")
    assert problem(kind, part, write([*rows[:35], ",".join(rows[35].split(",")[:at])])) == (37, "trace.row")
    assert problem(kind, part, write([*rows[:20], rows[20] + ",7", *rows[21:]])) == (22, "trace.row")
    without = [",".join(c for i, c in enumerate(line.split(",")) if i != at) for line in rows]
    assert problem(kind, part, write(without, ",".join(n for n in names if n != number))) == (1, "trace.column")
    packed.write_bytes(gzip.compress(("\n".join([head, *rows * 4]) + "\n").encode())[:-9])
    assert problem(kind, part, packed)[1] == "trace.truncated"
    plain.write_text("")
    assert problem(kind, part, plain) == (1, "trace.empty")
    assert problem(kind, part, write([])) == (1, "trace.empty")
    assert problem(kind, part, tmp_path / "nowhere.csv") == (0, "trace.unreadable")
    plain.write_bytes(head.encode() + b"\n" + b"\xff\xfe" * 10 + b"\n")
    assert problem(kind, part, plain) == (2, "trace.unreadable")


def test_mooncake_finds_what_is_wrong_far_down(tmp_path: Path) -> None:
    good = '{"timestamp": 1, "input_length": 5, "output_length": 2, "hash_ids": [1, 2]}'
    path = tmp_path / "t.jsonl"
    for bad, code in (
        ("{", "trace.unreadable"),
        ("[1]", "trace.unreadable"),
        ('{"timestamp": 1, "input_length": 5}', "trace.value"),
    ):
        path.write_text("\n".join([good] * 20 + [bad, good]) + "\n")
        assert problem("mooncake", "calls", path) == (21, code)
    path.write_text("\n".join([good] * 20))
    assert len(source(f"mooncake:{path}").calls()) == 20
    assert source(f"mooncake:{path}").rates()["per_second"].to_list() == [pytest.approx(140 / 600)]


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.sampled_from(["a", "b,c", 'say "x"', "two\nlines", ""]), st.integers(-5, 5)),
        min_size=1,
        max_size=30,
    ),
    newline=st.sampled_from(["\n", "\r\n"]),
    mark=st.sampled_from(["", "\ufeff"]),
)
def test_blocks_read_what_one_reading_gives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int]], newline: str, mark: str
) -> None:
    path = tmp_path_factory.mktemp("t") / "t.csv"
    text = pl.DataFrame({"x": [r[0] for r in rows], "n": [r[1] for r in rows]}).write_csv(quote_style="always")
    path.write_bytes((mark + text.replace("\n", newline)).encode())
    made = read(str(path), {"n": pl.Int64, "x": pl.String}, empty=("x",))
    assert made["n"].to_list() == [r[1] for r in rows]
    assert made["x"].to_list() == [r[0].replace("\n", newline).strip() or None for r in rows]


def test_blank_lines_are_no_rows_and_keep_the_count_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("x,n\na,1\n\nb,2\n\n\nc,3\n")
    lines = [line for block in blocks(str(path), ["x"]) for line in block.filter(pl.col("x").is_not_null())[LINE]]
    assert lines == [2, 4, 7]


def test_a_long_trace_needs_the_memory_of_its_windows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """150,000 requests become one rate per ten minutes; what Python holds at once stays far below the file."""
    monkeypatch.setattr(_blocks, "BLOCK_BYTES", 2**16)
    path = tmp_path / "t.csv.gz"
    with gzip.open(path, "wt", compresslevel=1) as file:
        file.write("TIMESTAMP,ContextTokens,GeneratedTokens\n")
        for i in range(150_000):
            file.write(f"2023-11-{1 + i // 86400:02d} {i // 3600 % 24:02d}:{i // 60 % 60:02d}:{i % 60:02d}.5,100,10\n")
    tracemalloc.start()
    rates = source(f"azure_llm:{path}").rates()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert rates["per_second"].max() == pytest.approx(110)
    assert len(rates) == -(-150_000 // 600)
    assert most < 4 * 2**20


def test_a_file_cut_off_names_the_line_that_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    rows = [f"2017-10-01 00:00:{i % 60:02d},{i * 7919 % 1000},1,5,c{i * 31 % 97}" for i in range(4000)]
    packed = gzip.compress((HEAD + "\n".join(rows) + "\n").encode())
    path.write_bytes(packed[: len(packed) // 2])
    line, code = problem("philly", "asks", path)
    assert code == "trace.truncated"
    assert 1000 < line < 3000


def test_a_compressed_file_is_known_by_its_first_bytes(tmp_path: Path) -> None:
    good = '{"timestamp": 1, "input_length": 5, "output_length": 2}\n' * 50
    path = tmp_path / "t.jsonl"
    path.write_bytes(gzip.compress(good.encode()))
    assert len(source(f"mooncake:{path}").calls()) == 50
    path.write_text('{"timestamp": 1, "input_length": 5, "output_length": 2} {"timestamp": 1}\n')
    assert problem("mooncake", "calls", path) == (1, "trace.unreadable")
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\x00" * 40)
    assert problem("mooncake", "calls", path)[1] == "trace.unreadable"


def test_a_quote_that_is_never_closed_is_told_without_reading_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line of the quote, and not the whole file in memory."""
    monkeypatch.setattr(_blocks, "MOST_CELL_BYTES", 200)
    path = tmp_path / "t.csv"
    path.write_text("x,n\na,1\n" + '"b,2\n' + "c,3\n" * 10_000)
    read_lines = []
    original = _blocks._guarded

    def counted(*told: object, **named: object) -> bytes:
        read_lines.append(1)
        return original(*told, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(_blocks, "_guarded", counted)
    with pytest.raises(BadInput, match="not closed") as caught:
        list(blocks(str(path), ["x"]))
    assert caught.value.problems[0].line == 3
    assert len(read_lines) < 100
