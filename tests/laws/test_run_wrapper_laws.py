"""Laws of the wrapper: R3, how ends of ranks become one exit record in any order; and that it can run alone."""

from __future__ import annotations

import ast
import json
import sys
import threading
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from argosy.run import wrapper

SOURCE = Path(wrapper.__file__)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("end"), st.integers(0, 3), st.sampled_from([0, 0, 1, 9, 143])),
        st.tuples(st.just("fence"), st.integers(0, 4), st.just(0)),
        st.tuples(st.just("stop"), st.just(0), st.just(0)),
        st.tuples(st.just("other"), st.integers(0, 3), st.just(0)),
    ),
    max_size=20,
)


def ended(code: int, at: int) -> dict[str, Any]:
    return {"attempt": 1, "exit_code": code, "finished_at": f"2026-01-01T00:00:{at:02d}+00:00", "manifest_hash": None}


@given(nodes=st.integers(1, 4), epoch=st.integers(1, 3), steps=STEPS)
def test_r3_a_record_is_made_once_and_says_what_was(nodes: int, epoch: int, steps: list[tuple[str, int, int]]) -> None:
    spec = {"job": "j", "run": "r", "epoch": epoch, "nodes": nodes}
    document: dict[str, Any] = {}
    first_record, highest, codes = None, 0, {}
    for at, (what, number, code) in enumerate(steps):
        before = json.dumps(document, sort_keys=True)
        if what == "end":
            rank = number % nodes
            if first_record is None:
                codes.setdefault(rank, code)
            document = wrapper.committed(document, spec, rank, ended(code, at))
            highest = max(highest, epoch)
        elif what == "fence":
            document = wrapper.fenced(document, number)
            highest = max(highest, number)
        elif what == "stop":
            document = wrapper.stopped(document, "r", 1.0)
        else:
            document = wrapper.committed(document, spec | {"run": f"r{number}", "nodes": 9}, 0, ended(0, at))
            highest = max(highest, epoch)
        assert document["epoch"] == highest, "an epoch never goes back"
        record = document["runs"].get("r", {}).get("record")
        if first_record is not None:
            assert record == first_record, "a record never changes"
        elif record is not None:
            first_record = record
            assert record["superseded"] == (highest > epoch)
            assert record["superseded"] or set(codes) == set(range(nodes))
            failed = [c for c in codes.values() if c]
            assert record["exit_code"] == (failed[0] if failed else 0)
        else:
            assert set(codes) != set(range(nodes)), "the last rank makes the record"
        assert json.loads(before) == {} or "epoch" in json.loads(before)


@given(st.lists(st.integers(0, 200), min_size=1, max_size=150))
def test_old_runs_are_forgotten_and_the_newest_never(numbers: list[int]) -> None:
    document: dict[str, Any] = {}
    for number in numbers:
        spec = {"job": "j", "run": f"r{number}", "epoch": 1, "nodes": 1}
        document = wrapper.committed(document, spec, 0, ended(0, 0))
        assert document["runs"][f"r{number}"]["record"]["run"] == f"r{number}"
        assert len(document["runs"]) <= wrapper.KEPT_RUNS


def test_changes_at_the_same_time_are_all_kept(tmp_path: Path) -> None:
    job = wrapper.JobFile(tmp_path / "jobs" / "j.json")
    spec = {"job": "j", "run": "r", "epoch": 1, "nodes": 40}

    def end(rank: int) -> None:
        job.change(lambda before: wrapper.committed(before, spec, rank, ended(0, 0)))

    threads = [threading.Thread(target=end, args=(rank,)) for rank in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert job.read()["runs"]["r"]["record"]["exit_code"] == 0
    assert sorted(p.name for p in (tmp_path / "jobs").iterdir()) == ["j.json", "j.json.lock"]


def test_it_runs_alone_on_python_3_8() -> None:
    tree = ast.parse(SOURCE.read_text("utf-8"), feature_version=(3, 8))
    imported = {
        name.split(".")[0] for node in ast.walk(tree)
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import)
                     else [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }  # fmt: skip
    assert imported <= sys.stdlib_module_names
    later = {"removeprefix", "removesuffix", "pidfd_open", "is_relative_to", "UTC"}
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert used & later == set()
