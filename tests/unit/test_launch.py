"""The verbs that run things, on real processes: what they print, what they leave, and how they end."""

from __future__ import annotations

import errno
import json
import logging
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.waiting import wait_for
from typer.testing import CliRunner, Result

from argosy.api import journal
from argosy.api.journal import HIDDEN, JsonLines, redacted
from argosy.api.serve import is_loopback, require_keys
from argosy.api.traces import to_endpoint
from argosy.cli.client import Client, refusal
from argosy.cli.data_folder import DataFolder
from argosy.cli.host import Host
from argosy.cli.main import VERBS, app
from argosy.cli.server_file import read_server_file
from argosy.errors import BadInput, Conflict, Impossible, NotFound, OutsideError
from argosy.store import file_address

ROOT = Path(__file__).resolve().parents[2]
HELLO = ROOT / "examples" / "hello" / "hello.yaml"
ARGOSY = Path(sys.executable).parent / "argosy"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a server."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ARGOSY_DATA", raising=False)
    return tmp_path


def argosy(*words: str, code: int = 0) -> Result:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == code, f"{words}: {done.exit_code}\n{done.output}\n{done.exception!r}"
    return done


def listed() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(argosy("ps", "--json").stdout)
    return found


def task(home: Path, text: str, name: str = "t.yaml") -> str:
    (home / name).write_text(text)
    return name


def test_hello(home: Path) -> None:
    done = argosy("launch", str(HELLO))
    assert done.stdout.splitlines() == ["hello, world", *(f"step {i} of 3 on node 0" for i in (1, 2, 3)), "done"]
    (job,) = listed()
    assert {key: job[key] for key in ("name", "status", "vendor", "region", "run")} == {
        "name": "hello", "status": "SUCCEEDED", "vendor": "local", "region": "local", "run": f"{job['id']}-1",
    }  # fmt: skip
    assert job["reason"]
    assert argosy("logs", job["id"]).stdout == done.stdout
    assert job["id"] in argosy("explain", job["id"]).stdout
    folder = home / ".argosy"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for name in ("key", "log.jsonl"):
        assert stat.S_IMODE((folder / name).stat().st_mode) == 0o600, name
    assert not (folder / "server.json").exists(), "a command that served itself has left"
    key = (folder / "key").read_text()
    assert key not in (folder / "log.jsonl").read_text()


def test_a_gang_with_checkpoints(home: Path) -> None:
    shutil.copytree(ROOT / "examples" / "train", home / "train")
    assert "checkpoint at step 20" in argosy("launch", "train/train.yaml").stdout
    (job,) = listed()
    folders = list((home / "train" / "checkpoints" / job["id"] / "00000001").iterdir())
    assert {folder.name for folder in folders} == {f"step-{i}" for i in (5, 10, 15, 20)}
    assert all((folder / "COMPLETE").exists() for folder in folders)
    assert "rank 1 is done" in argosy("logs", job["id"], "--rank", "1").stdout


def test_failures_and_refusals(home: Path) -> None:
    done = argosy("launch", task(home, "run: echo no; exit 7"), code=1)
    assert "no\n" in done.stdout
    assert "exit code 7" in done.stderr
    done = argosy("launch", task(home, "rum: x\nnum_nodes: 0"), code=2)
    assert [line.split(": ")[0] for line in done.stderr.splitlines()[:3]] == ["t.yaml:1:1", "t.yaml:1:1", "t.yaml:2:12"]
    done = argosy("launch", task(home, "run: x\nresources: {accelerators: H100:8}"), code=1)
    assert "task.impossible" in done.stderr
    assert "no pool could ever give it 8 H100; there is local (1 machine of up to " in done.stderr
    answer = json.loads(argosy("launch", "t.yaml", "--json", code=1).stdout)
    assert (answer["status"], answer["code"]) == ("refused", "task.impossible")
    argosy("launch", "nothing.yaml", code=2)
    argosy("logs", "nothing", code=2)
    argosy("cancel", "nothing", code=2)
    argosy("explain", "nothing", code=2)
    for odd in ("\u00fc/../x", "a b", "?", "x" * 300):
        argosy("logs", odd, code=2)
    assert "E is not set here" in argosy("launch", task(home, "run: x"), "--env", "E", code=2).stderr
    assert [job["status"] for job in listed()] == ["FAILED"]


def test_nothing_there(home: Path) -> None:
    assert listed() == []
    assert argosy("ps").stdout == "no jobs\n"
    argosy("logs", "x", code=2)
    assert not (home / ".argosy").exists(), "looking makes nothing"


def test_detach_list_cancel(home: Path) -> None:
    task(home, "name: long\nrun: |\n  trap 'echo ended; exit 3' TERM\n  echo begun\n  sleep 3600 & wait\n")
    name = argosy("launch", "t.yaml", "--detach").stdout.strip()
    assert name.count("\n") == 0
    (job,) = listed()
    assert (job["id"], job["status"]) == (name, "RUNNING")
    wait_for(lambda: "begun" in argosy("logs", name).stdout, "its first line, which comes after the trap")
    assert "long" in argosy("ps").stdout
    assert argosy("queue").stdout == "nothing waits\n"
    argosy("cancel", name, "nothing", code=2)
    assert listed()[0]["status"] == "RUNNING", "with a wrong id among them nothing is changed"
    assert "cancelled" in argosy("cancel", name).stdout
    assert listed()[0]["status"] == "CANCELLED"
    lines = argosy("logs", name).stdout.splitlines()
    assert (lines[0], lines[-1]) == ("begun", "ended")
    argosy("explain", name, code=1)


def test_apply_is_once(home: Path) -> None:
    task(home, "name: svc\nrun: sleep 3600\n")
    first = json.loads(argosy("apply", "t.yaml", "--json").stdout)
    assert first["status"] == "started"
    assert json.loads(argosy("apply", "t.yaml", "--json").stdout)["job"]["id"] == first["job"]["id"]
    task(home, "name: svc\nrun: sleep 3601\n")
    differs = json.loads(argosy("apply", "t.yaml", "--json", code=1).stdout)
    assert (differs["status"], differs["would_replace"]) == ("differs", [first["job"]["id"]])
    assert len(listed()) == 1
    replaced = json.loads(argosy("apply", "t.yaml", "--replace", "--json").stdout)
    assert replaced["status"] == "replaced"
    argosy("cancel", replaced["job"]["id"])
    assert {job["id"]: job["status"] for job in listed()} == {
        first["job"]["id"]: "CANCELLED", replaced["job"]["id"]: "CANCELLED",
    }  # fmt: skip
    task(home, "name: quick\nrun: 'true'\n")
    argosy("apply", "t.yaml")
    wait_for(lambda: listed()[0]["status"] == "SUCCEEDED", "the quick job to end")
    assert "unchanged" in argosy("apply", "t.yaml").stdout, "what succeeded is not done again"


def test_secrets_reach_the_job_and_nothing_else(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOKEN", "hidden-word")
    monkeypatch.setenv("ELSEWHERE", "not-for-jobs")
    task(home, "run: echo ${#TOKEN} $PLAIN $ELSEWHERE\nsecrets: {TOKEN: null}\nenvs: {PLAIN: null}\n")
    done = argosy("launch", "t.yaml", "--secret", "TOKEN", "--env", "PLAIN=here", "--json")
    job = json.loads(done.stdout)["job"]
    assert argosy("logs", job["id"]).stdout == "11 here\n"
    for path in (home / ".argosy").rglob("*"):
        if path.is_file():
            assert b"hidden-word" not in path.read_bytes(), path
    assert "hidden-word" not in argosy("explain", job["id"], "--json").stdout


def test_notes_are_told(home: Path) -> None:
    done = argosy("launch", task(home, "run: 'true'\nresources: {disk_tier: best}"))
    assert "note: t.yaml:2:13: task.not_honoured resources.disk_tier" in done.stderr


def test_keys(home: Path) -> None:
    secret = argosy("keys", "make", "--project", "lab", "--role", "viewer").stdout.strip()
    rows = json.loads(argosy("keys", "list", "--json").stdout)
    assert [(row["project"], row["role"]) for row in rows] == [("main", "admin"), ("lab", "viewer")]
    assert secret not in json.dumps(rows)
    argosy("keys", "revoke", rows[1]["id"])
    assert json.loads(argosy("keys", "list", "--json").stdout)[1]["revoked_at"]
    argosy("keys", "make", "--role", "king", code=2)


def test_cordons(home: Path) -> None:
    argosy("cordon", "local")
    task(home, "name: waits\nrun: echo hi\n")
    name = argosy("launch", "t.yaml", "--detach").stdout.strip()
    (row,) = json.loads(argosy("queue", "--json").stdout)
    assert (row["id"], row["reason"]) == (name, "Cordoned")
    argosy("explain", name, code=1)
    argosy("cordon", "local", "--off")
    assert argosy("logs", name, "--follow").stdout == "hi\n"
    argosy("cordon", "local", "--off", code=2)
    assert "nothing here has the name lokal" in argosy("cordon", "lokal").stderr
    assert argosy("drain", "local", "--json").stdout


# --- A server that stays


class Up:
    """`argosy up` on a folder."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.process = subprocess.Popen([ARGOSY, "up", "--data", data, "--port", "0", "--json"], stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        self.address = json.loads(b"".join(iter(self.process.stdout.readline, b"}\n")) + b"}")["address"]

    def end(self, *, kill: bool = False) -> int:
        """Its exit code; an end that has been stays."""
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        assert self.process.stdout is not None
        self.process.stdout.close()
        return self.process.wait(180)


Servers = Callable[[Path], Up]


@pytest.fixture
def data(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARGOSY_DATA", str(home / "d"))
    return home / "d"


@pytest.fixture
def servers() -> Iterator[Servers]:
    """Servers of one test; none is left behind."""
    begun: list[Up] = []

    def begin(data: Path) -> Up:
        begun.append(Up(data))
        return begun[-1]

    yield begin
    for up in begun:
        up.end(kill=True)


@pytest.mark.slow
def test_a_server_survives_being_killed(data: Path, home: Path, servers: Servers) -> None:
    """A client that follows a job goes on, the work is untouched, and a new server takes over."""
    up = servers(data)
    assert Client(up.address, (data / "key").read_text()).alive()
    task(home, f"run: |\n  for i in 1 2 3 4 5 6; do echo line $i; touch {home}/$i; sleep 0.5; done\n")
    client = subprocess.Popen([ARGOSY, "launch", "t.yaml"], cwd=home, stdout=subprocess.PIPE, text=True)
    wait_for((home / "2").exists, "the job to run")
    up.end(kill=True)
    again = servers(data)
    out, _ = client.communicate(timeout=300)
    assert (client.returncode, out) == (0, "".join(f"line {i}\n" for i in range(1, 7)))
    (job,) = listed()
    assert (job["status"], job["epoch"]) == ("SUCCEEDED", 1)
    second = subprocess.run([ARGOSY, "up"], capture_output=True, text=True, check=False, timeout=180)
    assert second.returncode == 3
    assert again.address in second.stderr
    assert again.end() == 0
    assert not (data / "server.json").exists()


@pytest.mark.slow
def test_a_server_by_address(data: Path, home: Path, servers: Servers, monkeypatch: pytest.MonkeyPatch) -> None:
    """With --server and a key of a project: its own folder only, nobody else's jobs."""
    up = servers(data)
    monkeypatch.setenv("ARGOSY_KEY", argosy("keys", "make", "--project", "lab").stdout.strip())
    task(home, "run: echo far; pwd\n")
    done = argosy("launch", "t.yaml", "--server", up.address)
    assert done.stdout.startswith("far\n")
    assert [j["project"] for j in json.loads(argosy("ps", "--server", up.address, "--json").stdout)] == ["lab"]
    task(home, f"run: pwd\nworkdir: {home}\n", "w.yaml")
    refused = argosy("launch", "w.yaml", "--server", up.address, code=2)
    assert refused.stderr.startswith("w.yaml:2:10: path.refused")
    argosy("keys", "list", "--server", up.address, code=1)
    monkeypatch.setenv("ARGOSY_KEY", "argosy_wrong")
    argosy("ps", "--server", up.address, code=1)
    monkeypatch.delenv("ARGOSY_KEY")
    argosy("ps", "--server", up.address, code=1)
    up.end()
    monkeypatch.setenv("ARGOSY_KEY", "argosy_any")
    argosy("ps", "--server", up.address, code=3)
    argosy("ps", "--server", "ftp://nowhere", code=2)


# --- Parts


def test_beyond_this_machine_only_with_keys() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.0.0.1", "example.org")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
    require_keys("127.0.0.1", 0)
    require_keys("0.0.0.0", 1)
    with pytest.raises(BadInput, match="keys make"):
        require_keys("0.0.0.0", 0)


def test_a_folder_has_one_server(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "d")
    folder.make()
    with folder.lock() as first, folder.lock() as second:
        assert (first, second) == (True, False)
    with folder.lock() as again:
        assert again
    assert not folder.wanted()
    folder.want()
    assert folder.wanted()
    folder.unwant()
    assert not folder.wanted()
    (folder.path / "server.json").write_text("{")
    assert folder.server() is None
    for damaged in ("{", "[]"):
        (folder.path / "choices.json").write_text(damaged)
        with pytest.raises(OutsideError, match="is damaged"):
            folder.choices()
    assert [folder.replica("first"), folder.replica("second")] == ["first", "first"], "leases find it again"


def test_a_store_that_cannot_be_opened_is_not_kept(data: Path, home: Path) -> None:
    told = argosy("up", "--port", "0", "--store", "postgresql://me:hidden-word@127.0.0.1:1/x", code=3).stderr
    assert "the store on PostgreSQL, x cannot be opened" in told
    assert "hidden-word" not in told
    assert listed() == [], "the folder is as it was before"


@pytest.mark.parametrize(
    "address",
    [
        "", "foo", "mysql://me:hidden-word@h/x", "postgresql://me:hidden-word@h:port/x", "sqlite://", "sqlite:///",
        "sqlite:///:memory:", "sqlite:///x.db?mode=ro", "postgresql+asyncpg://me:hidden-word@h/x",
    ],
)  # fmt: skip
def test_a_store_that_is_no_address_is_bad_input(home: Path, address: str) -> None:
    told = argosy("up", "--port", "0", "--store", address, code=2).stderr
    assert told.startswith("--store:0:0: option.store: ")
    assert "write sqlite:///PATH or postgresql://" in told
    assert "hidden-word" not in told
    assert not (home / ".argosy").exists(), "nothing was made"


def test_a_setting_that_postgresql_does_not_have_is_bad_input(home: Path) -> None:
    pytest.importorskip("psycopg")
    told = argosy("up", "--port", "0", "--store", "postgresql://me@127.0.0.1:1/x?colour=red", code=2).stderr
    assert "PostgreSQL has no setting colour" in told


@pytest.mark.parametrize("name", ["what?", "a%20b", "ünï#x", "plain"])
def test_a_data_folder_of_any_name_keeps_its_store(home: Path, name: str) -> None:
    argosy("keys", "make", "--data", name)
    store = home / name / "store.db"
    assert stat.S_IMODE(store.stat().st_mode) == 0o600
    assert store.stat().st_size
    assert [path.name for path in home.iterdir()] == [name]


def test_a_driver_of_one_name_is_one_folder_of_runs(home: Path) -> None:
    """What one folder does not have may run in another: it would be begun a second time."""
    shared = file_address(home / "shared.db")

    def drivers(folder: str, *, store: str | None = shared, config: str | None = None) -> list[str]:
        where = DataFolder(home / folder)
        where.make()
        file = None if config is None else read_server_file(home / task(home, config, "s.yaml"))
        host = Host(where, store=store, file=file)
        host.store.close()
        journal.end(host.log)
        return list(host.drivers)

    assert drivers("first") == ["local"]
    assert drivers("second") == [f"local-{DataFolder(home / 'second').replica('')}"]
    assert drivers("first") == ["local"]
    here = "drivers:\n  here: {kind: local, folder: runs}\n"
    assert drivers("first", config=here) == ["here"]
    with pytest.raises(BadInput, match=r"s\.yaml:2:3: driver\.taken drivers\.here: .* a name of its own"):
        drivers("second", config=here)

    job = argosy("launch", task(home, "run: sleep 100"), "--detach").stdout.strip()
    moved = "drivers:\n  local: {kind: local, folder: elsewhere}\n"
    with pytest.raises(BadInput, match=f"'local' has {job}-1 in another folder"):
        drivers(".argosy", store=None, config=moved)
    argosy("cancel", job)
    argosy("logs", job, "--follow", code=1)
    assert drivers(".argosy", store=None, config=moved) == ["local"]


def test_a_full_or_closed_disk_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").write_text("")
    for path in ("file", "file/below"):
        told = argosy("launch", task(home, "run: x"), "--data", path, code=3).stderr
        assert told.startswith("argosy: outside.failed: cannot make the data folder"), told

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(home / "store.db"))

    monkeypatch.setattr(Path, "touch", full)
    told = argosy("launch", "t.yaml", code=3).stderr
    assert told == f"argosy: outside.failed: {home / 'store.db'}: No space left on device\n"


def test_server_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(
        "drivers:\n  here: {kind: local, folder: /var/lib/x, accelerators: {H100: 8}}\nrules: {lease_seconds: 5}\n"
    )
    found = read_server_file(path)
    assert found.rules.lease_seconds == 5
    assert found.drivers["here"].kind == "local"  # type: ignore[attr-defined]
    path.write_text("drivers:\n  here: {kind: abacus}\nrulez: 1\n")
    with pytest.raises(BadInput) as caught:
        read_server_file(path)
    assert [(p.line, p.code) for p in caught.value.problems] == [(2, "field.value"), (3, "field.unknown")]
    for nothing in (tmp_path / "nothing.yaml", tmp_path):
        with pytest.raises(BadInput, match=r"file\.missing"):
            read_server_file(nothing)


def test_logs_hide_what_is_secret() -> None:
    record = logging.makeLogRecord({"msg": "key argosy_0123456789abcdef01 used", "levelname": "INFO", "api_key": "x"})
    record.body = {"token": "y", "n": ["Bearer abc.def", 3]}
    line = json.loads(JsonLines().format(record))
    assert line["message"] == f"key {HIDDEN} used"
    assert (line["api_key"], line["body"]) == (HIDDEN, {"token": HIDDEN, "n": [HIDDEN, 3]})
    assert redacted("plain") == "plain"


def test_the_log_of_a_server_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "MOST_BYTES", 1000)
    handler = journal.write_to(tmp_path / "log.jsonl")
    for number in range(60):
        logging.getLogger("argosy.test").info("line", extra={"number": number})
    journal.end(handler)
    files = sorted(tmp_path.iterdir())
    assert [path.name for path in files] == ["log.jsonl", "log.jsonl.1", "log.jsonl.2", "log.jsonl.3"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert all(path.stat().st_size <= 1000 for path in files)
    assert json.loads(files[0].read_text().splitlines()[-1])["number"] == 59


def test_traces_are_spans_where_they_are_wanted() -> None:
    silent = to_endpoint(None, "1")
    assert silent.around("x", len) is len  # type: ignore[arg-type]
    with silent.span("x") as nothing:
        assert nothing is None
    memory = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    traces = to_endpoint("http://127.0.0.1:9", "1")
    kept = memory.InMemorySpanExporter()
    traces.provider._active_span_processor._span_processors = (SimpleSpanProcessor(kept),)
    assert traces.around("look", lambda: 3)() == 3
    with traces.span("request", route="/v1/jobs"):
        pass
    assert [span.name for span in kept.get_finished_spans()] == ["look", "request"]


def test_refusals_become_errors_again() -> None:
    for code, kind in (("not_found", NotFound), ("store.conflict", Conflict), ("task.impossible", Impossible)):
        error = refusal(400, json.dumps({"code": code, "detail": "why"}).encode())
        assert (type(error), str(error)) == (kind, "why")
    assert isinstance(refusal(502, b"<html>"), OutsideError)


# --- What a verb costs


def test_verbs_import_only_what_they_need() -> None:
    """Those that ask a server need no server's libraries, and no verb those of another."""
    heavy = ("fastapi", "sqlalchemy", "granian", "highspy", "numpy", "polars", "alembic", "pydantic", "rich")
    for modules, allowed in (
        (("main", "ps", "logs", "cancel", "cordon", "keys"), ("rich",)),
        (("launch", "apply"), ("rich", "numpy", "pydantic")),
        (("check",), ("rich", "numpy", "pydantic", "polars")),
    ):
        names = "".join(f", argosy.cli.{name}" for name in modules)
        code = f"import sys{names}; print([m for m in {heavy!r} if m in sys.modules and m not in {allowed!r}])"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "[]", modules


def test_a_server_carries_no_compiler() -> None:
    """Only pools with nodes are packed by compiled code; the tick has none, and an idle server stays small."""
    code = "import sys, argosy.cli.up, argosy.cli.host; print([m for m in ('numba', 'llvmlite') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_verb_is_there() -> None:
    text = argosy("--help").stdout
    for verb in VERBS:
        assert verb in text
        argosy(verb, "--help")
    argosy("nothing", code=2)
