"""Task files: every field is honoured or reported, every problem is told at its place, nothing leaves its folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import BadInput, Problem
from argosy.files.tasks import TaskFile, load_task, quantities, schema, schema_text
from argosy.files.tasks.load import MAX_BYTES
from argosy.files.tasks.schema import CHECKPOINT, CHOICE, JOB_RECOVERY, PLACEMENT, RESOURCES, RETRY, TASK
from argosy.files.yaml_tree import read
from argosy.model.task import Choice, PlacementRules, Recovery, Task

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "tasks"
FILES = sorted(FIXTURES.glob("*.yaml"))
EXAMPLES = [ROOT / "examples" / "hello" / "hello.yaml", ROOT / "examples" / "train" / "train.yaml"]
GIVEN = {
    "12-required-env.yaml": ({"DATASET": "d"}, {"API_KEY": "k"}),
    "02-single-node-training.yaml": ({}, {"HF_TOKEN": "hidden-word"}),
}


def loaded(path: Path) -> TaskFile:
    envs, secrets = GIVEN.get(path.name, ({}, {}))
    return load_task(path, envs=envs, secrets=secrets)


def of(text: str, **more: Any) -> TaskFile:
    return load_task(text.encode(), **more)


def refused(text: str | bytes, **more: Any) -> tuple[Problem, ...]:
    with pytest.raises(BadInput) as caught:
        load_task(text if isinstance(text, bytes) else text.encode(), **more)
    assert all("\n" not in str(problem) for problem in caught.value.problems)
    return caught.value.problems


def plain(value: Any) -> Any:
    """As a JSON reader would see it."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (tuple, list)) else value


@pytest.mark.parametrize("path", FILES + EXAMPLES, ids=lambda path: path.name)
def test_fixtures_load_and_fit_the_schema(path: Path) -> None:
    assert loaded(path).task.run or loaded(path).task.setup
    top = read(str(path), path.read_text("utf-8"), max_nodes=10_000).top
    assert top is not None
    jsonschema.validate(plain(top.value), schema())


def keys(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield str(key)
            yield from keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from keys(item)


def test_fixtures_show_every_field() -> None:
    shown = {key for path in FILES for key in keys(yaml.safe_load(path.read_text("utf-8")))}
    blocks = (TASK, RESOURCES, CHOICE, JOB_RECOVERY, RETRY, PLACEMENT, CHECKPOINT)
    assert {key for block in blocks for key in block["properties"]} - shown == set()


def test_every_field_is_honoured_or_reported() -> None:
    """Each field of the schema changes the task when it is written, or is noted at its line."""
    told = {note.field.split(".")[-1] for path in FILES for note in loaded(path).notes}
    unhonoured = {
        key for block in (TASK, RESOURCES) for key, node in block["properties"].items() if "x-not-honoured" in node
    }
    assert unhonoured - told == set()
    base, texts = of("run: x").task, {
        "name: other": "name", "num_nodes: 3": "nodes", "workdir: .": "workdir", "envs: {A: b}": "envs",
        "secrets: {A: b}": "secrets", "file_mounts: {/a: .}": "file_mounts", "setup: y": "setup",
        "service: {readiness_probe: /}": "service", "retry: false": "recovery", "max_price: 3": "max_usd_per_hour",
        "max_duration: 2h": "max_duration_seconds", "resources: {cpus: 3}": "choices",
        "resources: {priority: 4}": "priority", "resources: {labels: {a: b}}": "labels",
        "resources: {ports: 80}": "ports",
        "resources: {job_recovery: {max_restarts_on_errors: 2}}": "recovery", "placement: {data: [a]}": "placement",
        "resources: {accelerators: [A, B]}": "ordered", "resources: {max_hourly_cost: 2}": "max_usd_per_hour",
        "placement: {spot_goodput_fraction: 0.5}": "spot_goodput_fraction",
    }  # fmt: skip
    for text, name in texts.items():
        assert getattr(of(f"run: x\n{text}").task, name) != getattr(base, name), text
    assert set(Task.model_fields) - set(texts.values()) == {"run"}
    rules = loaded(FIXTURES / "11-placement.yaml").task.placement
    assert {
        name for name in PlacementRules.model_fields if getattr(rules, name) == getattr(PlacementRules(), name)
    } == {"keep_healthy_nodes"}
    assert loaded(FIXTURES / "03-gang-with-recovery.yaml").task.placement.keep_healthy_nodes


def test_choices_are_laid_over_the_block() -> None:
    first, second, third = loaded(FIXTURES / "04-any-of.yaml").task.choices
    assert first == Choice(
        vendor="aws", region="us-west-2", silicon="H100", accelerators=8, cpus=8, memory_gib=32
    )  # fmt: skip
    assert (second.zone, second.spot, second.cpus) == ("us-central1-a", True, 8)
    assert (third.vendor, third.region, third.memory_gib) == ("kubernetes", "research-cluster", 1024)
    ordered = loaded(FIXTURES / "05-ordered.yaml").task
    assert ordered.ordered
    assert [choice.vendor for choice in ordered.choices] == ["nebius", "lambda", None]
    forms = loaded(FIXTURES / "06-accelerator-forms.yaml").task
    assert [(c.silicon, c.accelerators) for c in forms.choices] == [
        ("H100", 8), ("H200", 8), ("L4", 1), ("A10G", 1), ("B200", 8), ("GB200", 4), ("T4", 0.5),
    ]  # fmt: skip
    assert not forms.ordered


def test_a_place_in_a_set_replaces_the_place_of_the_block() -> None:
    text = "run: x\nresources:\n  infra: aws/us-east-1\n  any_of:\n    - {cloud: gcp}\n    - {cpus: 2}\n"
    assert [(c.vendor, c.region) for c in of(text).task.choices] == [("gcp", None), ("aws", "us-east-1")]


def test_images_by_region_are_choices() -> None:
    text = "run: x\nresources: {image_id: {us-east-1: a, us-west-2: b}}"
    assert [(c.region, c.image) for c in of(text).task.choices] == [("us-east-1", "a"), ("us-west-2", "b")]


def test_environment() -> None:
    """Values keep their letters, the command line goes first, secrets stay apart."""
    file = loaded(FIXTURES / "02-single-node-training.yaml")
    assert file.task.envs == {"MODEL": "small-7b", "EPOCHS": "3", "LR": "1e-4", "WANDB": "false"}
    assert file.task.secrets == ("HF_TOKEN",)
    assert file.secrets["HF_TOKEN"].get_secret_value() == "hidden-word"
    assert "hidden-word" not in file.task.model_dump_json() + repr(file)
    assert of("run: x\nenvs: {A: b}", envs={"A": "c", "D": "e"}).task.envs == {"A": "c", "D": "e"}
    (problem,) = refused("run: x\nenvs: {X: null}")
    assert (problem.line, problem.code) == (2, "env.missing")
    assert "--env X=" in problem.message


def test_variables_are_filled_in_where_paths_are_written() -> None:
    task = loaded(FIXTURES / "07-mounts-and-substitution.yaml").task
    assert task.file_mounts["/data/small.csv"] == str(FIXTURES / "project" / "data" / "small.csv")
    assert task.file_mounts["/weights/13b"] == "s3://example-bucket/weights/13b"
    assert task.file_mounts["/out"]["name"] == "example-bucket-out"  # type: ignore[index]
    assert task.workdir == str(FIXTURES / "project")
    assert "${SIZE}" in (task.run or ""), "scripts are left to their shell"
    assert loaded(FIXTURES / "08-service.yaml").task.service == {
        "readiness_probe": "/health",
        "replica_policy": {"min_replicas": 1, "max_replicas": 4, "target_qps_per_replica": 5},
    }


def test_secrets_are_never_filled_in() -> None:
    task = of("run: x\nsecrets: {S: hidden}\nfile_mounts: {/a: 's3://b/${S}'}").task
    assert task.file_mounts == {"/a": "s3://b/${S}"}


def test_recovery_and_limits() -> None:
    gang = loaded(FIXTURES / "03-gang-with-recovery.yaml").task
    assert gang.recovery == Recovery(max_restarts_on_errors=3, exit_codes=(33, 34), eager_next_region=True)
    limits = loaded(FIXTURES / "09-dstack-limits.yaml").task
    assert (limits.recovery.max_wait_seconds, limits.max_duration_seconds) == (4 * 3600, 36 * 3600)
    assert limits.max_usd_per_hour == 12.5
    placed = loaded(FIXTURES / "11-placement.yaml").task
    assert placed.max_usd_per_hour == 80, "two nodes at 40"
    assert placed.recovery.on_events == ("no-capacity", "interruption", "error")
    assert placed.placement.deadline == datetime(2027, 2, 28, 23, tzinfo=UTC)


def test_what_one_driver_alone_honours_is_noted() -> None:
    notes = of("run: x\nresources: {ports: 80, labels: {a: b}}").notes
    assert [(note.line, note.field) for note in notes] == [(2, "resources.ports"), (2, "resources.labels")]
    assert all("skypilot driver alone" in note.message for note in notes)


def test_notes_say_where_and_what_it_would_take() -> None:
    notes = loaded(FIXTURES / "10-tiers-and-autostop.yaml").notes
    assert [(note.line, note.field) for note in notes] == [
        (8, "resources.disk_tier"), (9, "resources.network_tier"), (13, "resources.autostop"), (15, "config"),
        (18, "event_callback"),
    ]  # fmt: skip
    assert all(note.code == "task.not_honoured" and len(note.message) > 15 for note in notes)


def marked(text: str) -> tuple[str, list[tuple[int, int]]]:
    """The text without its marks, and the line and column of each."""
    places, clean = [], ""
    for part in text.split("§"):
        clean += part
        places.append((clean.count("\n") + 1, len(clean) - clean.rfind("\n")))
    return clean, places[:-1]


BAD = [
    ("run: x\n§rum: y", "field.unknown"),
    ("run: x\nresources: {§accelerator: H100}", "field.unknown"),
    ("run: x\nresources: {accelerators: §H100:eight}", "field.value"),
    ("run: x\nresources: {accelerators: §H100:1.5}", "field.value"),
    ("run: x\nresources: {accelerators: {H100: §0}}", "field.range"),
    ("run: x\nresources: {accelerators: {'H100:8': §8}}", "field.value"),
    ("run: x\nresources: {accelerators: §[]}", "field.length"),
    ("run: x\nresources: {cpus: §many, memory: §lots}", "field.type", "field.type"),
    ("run: x\nresources: {cpus: §0, disk_size: §-5}", "field.range", "field.type"),
    ("run: x\nresources: {memory: §4x}", "field.value"),
    ("run: x\nresources: {infra: §aws/a/b/c}", "field.value"),
    ("run: x\nresources: {infra: aws, region: §us-east-1}", "field.value"),
    ("run: x\nresources: {infra: §'a b'}", "field.value"),
    ("run: x\nresources:\n  any_of: [{cpus: 1}]\n  ordered: §[{cpus: 1}]", "field.value"),
    ("run: x\nresources: {any_of: §[]}", "field.length"),
    ("run: x\nresources:\n  any_of: [{priority: 1}, {priority: §2}]", "field.value"),
    ("run: x\nresources: {use_spot: §yes}", "field.type"),
    ("run: x\nresources: {ports: [80, §70000, §9-1]}", "field.value", "field.value"),
    ("run: x\nresources: {job_recovery: §SOMETIMES}", "field.value"),
    ("run: x\nresources: {job_recovery: {recover_on_exit_codes: §256}}", "field.range"),
    ("run: x\nresources: {priority: §5000}", "field.range"),
    ("run: x\nresources: {image_id: §{eu: a}, region: us}", "field.value"),
    ("run: x\nnum_nodes: §0", "field.range"),
    ("run: x\nnum_nodes: §two", "field.type"),
    ("run: x\nname: §'a b'", "field.value"),
    ("§num_nodes: 2", "field.missing"),
    ("run: §[a, b]", "field.type"),
    ("run: x\nenvs: {1A: §x}", "field.key"),
    ("run: x\nenvs: {ARGOSY_EPOCH: §9}", "field.key"),
    ("run: x\nenvs: {A: §[1]}", "field.type"),
    ("§run: x\nenvs: {A: b}\nsecrets: {A: b}", "env.twice"),
    ("run: x\nworkdir: §./nowhere", "path.missing"),
    ("run: x\nfile_mounts: {/a/../../b: §.}", "path.refused"),
    ("run: x\nfile_mounts: {/a: §{mode: MOUNT}}", "field.missing"),
    ("run: x\nfile_mounts: {/a: {name: b, store: §floppy}}", "field.value"),
    ("run: x\nservice: §/health", "field.type"),
    ("run: x\nretry: {on_events: [§sunset]}", "field.value"),
    ("run: x\nmax_duration: §later", "field.type"),
    ("run: x\nmax_price: §free", "field.type"),
    ("run: x\nmax_price: §.nan", "yaml.not_finite"),
    ("run: x\nplacement: {deadline: §2026-01-01}", "field.date"),
    ("run: x\nplacement: {deadline: §0001-01-01T00:00:00+10:00}", "field.date"),
    ("run: x\nplacement: {checkpoint: §{size: 1GB}}", "field.missing"),
    ("run: x\nplacement: {on_unreachable: §panic, value: §-1}", "field.value", "field.range"),
    ("run: x\nplacement: {on_unreachable: §replace-now}", "field.value"),
    ("run: x\nplacement: {data: [§Upper Case]}", "field.value"),
    ("run: x\nplacement: {residency: {allowed: §EU}}", "field.type"),
    ("run: x\n§run: y", "yaml.duplicate_key"),
    ("§- run: x", "yaml.top_level"),
    ("run: x\n§---\nrun: y", "yaml.documents"),
]


@pytest.mark.parametrize("case", BAD, ids=[case[0].replace("\n", "|")[:60] for case in BAD])
def test_bad_files_are_told_at_their_place(case: tuple[str, ...]) -> None:
    text, places = marked(case[0])
    found = refused(text)
    assert [(p.line, p.column, p.code) for p in found] == [
        (*place, code) for place, code in zip(places, case[1:], strict=True)
    ], "\n".join(map(str, found))


def test_every_problem_at_once() -> None:
    found = refused("rum: x\nnum_nodes: -1\nresources: {cpus: x, nope: 1}\nplacement: {value: z}\nenvs: {X: null}")
    assert len(found) == 7


def test_options_are_checked_too() -> None:
    (problem,) = refused("run: x", envs={"A-B": "x"})
    assert (problem.file, problem.code) == ("--env", "option.env")
    (problem,) = refused("run: x", secrets={"A": "x\0y"})
    assert (problem.file, problem.code) == ("--secret", "option.env")


@pytest.mark.parametrize("outside", ["..", "/etc", "~", "a/../../b", "link", "link/deeper", "link-to-file"])
def test_paths_stay_inside(outside: str, tmp_path: Path) -> None:
    """By the API: no `..`, no absolute path, no home, and no link that leads out."""
    project = tmp_path / "project"
    (project / "a").mkdir(parents=True)
    (tmp_path / "secret" / "deeper").mkdir(parents=True)
    (tmp_path / "secret" / "file").write_text("x")
    (project / "link").symlink_to(tmp_path / "secret")
    (project / "link-to-file").symlink_to(tmp_path / "secret" / "file")
    more = {"folder": project, "inside": project, "home": tmp_path}
    for text in (f"run: x\nworkdir: {outside!r}", f"run: x\nfile_mounts: {{/in: {outside!r}}}",
                 f"run: x\nenvs: {{W: {outside!r}}}\nworkdir: ${{W}}",
                 f"run: x\nfile_mounts: {{/in: {{name: b, source: {outside!r}}}}}"):  # fmt: skip
        (problem,) = refused(text, **more)
        assert problem.code == "path.refused", problem
    assert of("run: x\nworkdir: a", **more).task.workdir == str((project / "a").resolve())


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"file\.missing"):
        load_task(tmp_path / "nothing.yaml")
    with pytest.raises(BadInput, match=r"file\.missing"):
        load_task(tmp_path)
    (tmp_path / "big.yaml").write_bytes(b"run: x\n" + b"# long\n" * (MAX_BYTES // 7 + 1))
    with pytest.raises(BadInput, match=r"file\.too_large"):
        load_task(tmp_path / "big.yaml")
    (problem,) = refused(b"x" * (MAX_BYTES + 1))
    assert problem.code == "file.too_large"
    for data in ("run: x".encode("utf-16"), b"run: \xff\xfe", b"run: \x00", "run: ü".encode("latin-1")):
        (problem,) = refused(data)
        assert problem.code == "file.encoding"
    for data in (b"", b"# nothing\n", b"null"):
        (problem,) = refused(data)
        assert problem.code == "file.empty"


def test_alias_bombs_and_depth() -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 9)
    )
    assert refused(bomb)[-1].code == "yaml.alias_bomb"
    assert refused("run: " + "[" * 200 + "]" * 200)[-1].code == "yaml.too_deep"
    assert refused("a: &a [*a]")[-1].code == "yaml.alias_loop"


def test_huge_values_are_refused() -> None:
    huge = "9" * 39
    for field in (f"num_nodes: {huge}", f"max_price: {huge}", f"max_duration: {huge}", f"resources: {{cpus: {huge}}}",
                  f"resources: {{accelerators: 'H100:{huge}'}}", f"placement: {{value: {huge}}}", "max_price: 1e999",
                  f"envs: {{A: {'x' * 100_001}}}", f"run: {'x' * 1_000_001}"):  # fmt: skip
        assert refused(f"run: x\n{field}" if not field.startswith("run") else field)
    sets = ", ".join(["{accelerators: {A: 1, B: 1, C: 1}}"] * 300)
    assert refused(f"run: x\nresources: {{any_of: [{sets}]}}")[0].code == "field.length"


@pytest.mark.parametrize(
    ("text", "gib"), [("32", 32), ("32+", 32), ("32GB", 32), ("32 GiB", 32), ("512MB", 0.5), ("1t", 1024), ("2.5", 2.5),
                      ("32XB", None), ("B", None), ("32 B", None), ("", None), ("-1", None), ("1e3", None)],
)  # fmt: skip
def test_sizes(text: str, gib: float | None) -> None:
    assert quantities.size_gib(text) == gib


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("30m", 1800), ("4h", 14400), ("1h30m", 5400), ("2d", 172800),
                          ("1w", 604800), ("0.5h", 1800), ("h", None), ("5y", None), ("", None), ("4 h", None)],
)  # fmt: skip
def test_durations(text: str, seconds: float | None) -> None:
    assert quantities.seconds(text) == seconds


def test_the_published_schema_is_the_program_s() -> None:
    assert (ROOT / "docs" / "reference" / "task.schema.json").read_text("utf-8") == schema_text()
    jsonschema.Draft202012Validator.check_schema(json.loads(schema_text()))


# --- Whatever is written, the answer is a task or a list of problems


def answered(data: bytes) -> TaskFile | None:
    try:
        found = load_task(data, folder=FIXTURES, inside=FIXTURES)
    except BadInput:
        return None
    assert Task.model_validate_json(found.task.model_dump_json()) == found.task
    return found


@given(st.binary(max_size=300))
def test_any_bytes(data: bytes) -> None:
    answered(data)


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
    | st.sampled_from(["8+", "32GB", "4x", "H100:8", "aws/us-east-1", "*", "4h", "..", "${A}", "s3://b",
                       "2027-01-01T00:00Z"])
)  # fmt: skip
NAMES = sorted(
    {key for block in (TASK, RESOURCES, JOB_RECOVERY, RETRY, PLACEMENT, CHECKPOINT) for key in block["properties"]}
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*NAMES, "H100", "/a", "A"]), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.sampled_from(sorted(TASK["properties"])), VALUES, max_size=5))
def test_any_fields(fields: dict[str, Any]) -> None:
    """What loads also fits the published schema."""
    text = json.dumps({"run": "x", **fields})
    if answered(text.encode()) is not None:
        jsonschema.validate(json.loads(text), schema())


@given(st.sampled_from(FILES), st.data())
def test_any_damage(path: Path, data: st.DataObject) -> None:
    """A fixture with a piece cut out or put in."""
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(at, min(len(whole), at + 20)))
    answered(
        whole[:at]
        + data.draw(st.binary(max_size=8) | st.sampled_from([b"\n", b": ", b"- ", b"*a", b"&a "]))
        + whole[end:]
    )
