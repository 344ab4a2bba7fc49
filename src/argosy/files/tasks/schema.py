"""Schema: which fields a task file may have, what they take, and which are not honoured.

The one table of fields: readers take the known keys from it, `argosy schema --task` prints it for editors, and
`reference_text` makes the page of fields. `x-not-honoured` says what it would take; a field with it is read, reported
and left out. Tests hold the table and the readers together.
"""

from __future__ import annotations

import json
from typing import Any, Final, get_args

from argosy.model.task import OnUnreachable, RestartEvent

_WORD = {"object": "mapping", "array": "list", "string": "text", "integer": "whole number", "boolean": "true or false"}
DRAFT = "https://json-schema.org/draft/2020-12/schema"
EVENTS: Final[tuple[str, ...]] = get_args(RestartEvent)
UNREACHABLE: Final[tuple[str, ...]] = get_args(OnUnreachable)
STRATEGIES: Final = ("FAILOVER", "EAGER_NEXT_REGION", "NONE")

Node = dict[str, Any]


def _node(text: str, kind: str | list[str], *, unhonoured: str = "", **more: Any) -> Node:
    node: Node = {"description": text, "type": kind, **more}
    return node | ({"x-not-honoured": unhonoured} if unhonoured else {})


def _fields(text: str, properties: dict[str, Node], **more: Any) -> Node:
    return {"description": text, "type": "object", "properties": properties, "additionalProperties": False, **more}


def _optional(node: Node) -> Node:
    """Null means absent, as in SkyPilot."""
    if "type" not in node:
        return node
    kinds = node["type"] if isinstance(node["type"], list) else [node["type"]]
    return node | {"type": [*kinds, "null"]}


_SCALAR = ["string", "number", "boolean"]
_WORDS: Node = {"type": "array", "items": {"type": "string"}}

JOB_RECOVERY: Final = _fields(
    "What to do when the job ends without success; a word is the strategy alone.",
    {
        "strategy": _node("FAILOVER tries the region again first, EAGER_NEXT_REGION leaves it at once.", "string"),
        "max_restarts_on_errors": _node("Restarts after the job's own failure.", "integer", minimum=0),
        "recover_on_exit_codes": _node(
            "Exit codes, one or a list, that never count as the job's own failure.", ["integer", "array"],
            items={"type": "integer", "minimum": 0, "maximum": 255},
        ),
    },
)  # fmt: skip

_SINGLE: Final[dict[str, Node]] = {
    "infra": _node("vendor, vendor/region or vendor/region/zone; `*` stands for any.", "string"),
    "cloud": _node("Vendor; older than `infra`.", "string"),
    "region": _node("Region; older than `infra`.", "string"),
    "zone": _node("Zone; older than `infra`.", "string"),
    "accelerators": _node(
        "Type and count on each node: `H100:8`, a mapping `{H100: 8}`, several (any), or a list (in order).",
        ["string", "object", "array"], additionalProperties={"type": ["number", "null"]}, items={"type": "string"},
    ),
    "accelerator_args": _node(
        "Settings of accelerators, for example of TPUs.", "object",
        unhonoured="settings of accelerators are not passed on; prepare the node in `setup` or by image",
    ),
    "cpus": _node("Least cores on each node: `8` or `8+`.", ["string", "number"]),
    "memory": _node("Least memory on each node: `32`, `32+`, `32GB`, or `4x` for each core.", ["string", "number"]),
    "instance_type": _node("Machine type of the vendor.", "string"),
    "use_spot": _node("Whether capacity is asked for that may be taken away.", "boolean"),
    "disk_size": _node("Least disk on each node: `256` or `256GB`.", ["string", "number"]),
    "ephemeral_storage": _node("The same as `disk_size`; older.", ["string", "number"]),
    "disk_tier": _node(
        "Speed of the disk.", "string", unhonoured="no pool says how fast its disks are; choose an instance_type"
    ),
    "network_tier": _node(
        "Speed of the network.", "string",
        unhonoured="no pool says how fast its network is; choose by `infra` or `instance_type`",
    ),
    "local_disk": _node(
        "Disks in the machine.", "string", unhonoured="no pool says which disks it has; choose an instance_type"
    ),
    "image_id": _node("Machine or container image, or one for each region.", ["string", "object"]),
    "max_hourly_cost": _node("Most that one hour of one node may cost, USD.", "number", exclusiveMinimum=0),
}  # fmt: skip
_SHARED: Final[dict[str, Node]] = {
    "ports": _node("Port, range of ports, or a list of them.", ["integer", "string", "array"],
                   items={"type": ["integer", "string"]}),
    "labels": _node("Labels for the engine.", "object", additionalProperties={"type": _SCALAR}),
    "job_recovery": {"description": JOB_RECOVERY["description"],
                     "anyOf": [{"type": "string"}, {"type": "null"}, JOB_RECOVERY]},
    "priority": _node("Higher first among jobs of equal worth.", "integer", minimum=-1000, maximum=1000),
    "priority_class": _node(
        "Priority by name.", "string", unhonoured="no names of priorities are defined; write `priority` as a number"
    ),
    "autostop": _node(
        "When an idle machine is stopped.", ["boolean", "integer", "string", "object"],
        unhonoured="a job gives its machines back as soon as it ends, so there is no idle time to end",
    ),
    "hooks": _node("Scripts around stopping.", "array", unhonoured="trap SIGTERM in `run`"),
    "volumes": _node("Disks of the machine.", "array", unhonoured="no disks are attached; read the data in `setup`"),
    "_cluster_config_overrides": _node(
        "SkyPilot's own.", "object", unhonoured="it belongs to SkyPilot's configuration; delete it"
    ),
}  # fmt: skip

CHOICE: Final = _fields(
    "One set of resources that would do.", {k: _optional(v) for k, v in (_SINGLE | _SHARED).items()}
)
RESOURCES: Final = _fields(
    "What each node needs.",
    {k: _optional(v) for k, v in (_SINGLE | _SHARED).items()}
    | {
        "any_of": _optional(_node("Sets of resources; the cheapest that is free is taken.", "array", items=CHOICE)),
        "ordered": _optional(_node("Sets of resources in order of preference.", "array", items=CHOICE)),
    },
)

RETRY: Final = _fields(
    "Which events lead to another attempt, and for how long; true is all of them, false none.",
    {
        "on_events": _optional(_node(
            f"Of {', '.join(EVENTS)}.", "array", items={"type": "string", "enum": list(EVENTS)}
        )),
        "duration": _optional(_node("How long attempts may go on without running: `4h`.", ["string", "number"])),
    },
)  # fmt: skip

CHECKPOINT: Final = _fields(
    "Where checkpoints are written; a word is the prefix alone.",
    {
        "prefix": _node("Path or URL that every node can read and write.", "string"),
        "size": _optional(_node("Size of one checkpoint: `40GB`.", ["string", "number"])),
        "every": _optional(_node("How often one is written: `30m`.", ["string", "number"])),
    },
    required=["prefix"],
)

PLACEMENT: Final = _fields(
    "What no other system's task file can say.",
    {
        "residency": _optional(_fields(
            "Where the job, its data and its checkpoints may be: countries, zones such as EU, regions, vendors.",
            {"allowed": _optional(_WORDS | {"description": "Empty allows all."}),
             "denied": _optional(_WORDS | {"description": "Excluded even when allowed above."})},
        )),
        "data": _optional(_WORDS | {"description": "Datasets that must lie in the region where it runs."}),
        "checkpoint": {"description": CHECKPOINT["description"],
                       "anyOf": [{"type": "string"}, {"type": "null"}, CHECKPOINT]},
        "deadline": _optional(_node("Instant by which it must be done: 2026-12-01T18:00:00Z.", "string")),
        "work_hours": _optional(_node(
            "Hours that it is expected to work on what it asks for, starts not counted. With `deadline`, resources "
            "with `use_spot` and others without, and a checkpoint or `idempotent`, it waits for spot while it is ahead "
            "of time.",
            "number", exclusiveMinimum=0, maximum=1e6,
        )),
        "value": _optional(_node("What an hour of it is worth, USD.", "number", minimum=0)),
        "idempotent": _optional(_node("Whether two copies at once do no harm.", "boolean")),
        "on_unreachable": _optional(
            _node("What to do with nodes out of sight for the grace time.", "string", enum=[*UNREACHABLE, None])
        ),
        "unreachable_grace": _optional(_node("How long nodes may be out of sight: `5m`.", ["string", "number"])),
        "keep_healthy_nodes": _optional(_node("Whether one node may be replaced while the others go on.", "boolean")),
        "spot_goodput_fraction": _optional(
            _node("Useful share of the time on spot capacity.", "number", minimum=0, maximum=1)
        ),
    },
)  # fmt: skip

TASK: Final = _fields(
    "A task file: SkyPilot's fields, dstack's retry and limits, and the block `placement`.",
    {
        key: _optional(node)
        for key, node in {
            "name": _node("Name for people; the file's name when absent.", "string"),
            "workdir": _node(
                "Folder that the work starts in, relative to the file.", ["string", "object"],
            ),
            "num_nodes": _node("Nodes, all or none.", "integer", minimum=1),
            "resources": RESOURCES,
            "envs": _node(
                "Environment; null must be given by --env.", "object", additionalProperties={"type": [*_SCALAR, "null"]}
            ),
            "secrets": _node(
                "Secret environment, kept apart; null must be given by --secret.", "object",
                additionalProperties={"type": [*_SCALAR, "null"]},
            ),
            "file_mounts": _node(
                "Path on the node to a path, a URL, or a store in SkyPilot's words.", "object",
                additionalProperties={"type": ["string", "object"]},
            ),
            "volumes": _node(
                "Path on the node to a volume of the engine.", "object",
                unhonoured="no engine is asked for volumes; copy data in `setup`, or mount a path by file_mounts",
            ),
            "setup": _node("Shell script before the work, on every node.", "string"),
            "run": _node("Shell script of the work, on every node.", "string"),
            "service": _node(
                "SkyPilot's service block; kept as written.", "object",
                unhonoured="it runs as one job without replicas, probes or routing",
            ),
            "config": _node(
                "SkyPilot's configuration for this task.", "object",
                unhonoured="it configures SkyPilot's clients; drivers are configured by `argosy up --config`",
            ),
            "event_callback": _node(
                "Script on changes of state.", "string", unhonoured="follow /v1/events of the API instead"
            ),
            "inputs": _node("Size of what it reads.", "object", unhonoured="name datasets in placement.data"),
            "outputs": _node("Size of what it writes.", "object", unhonoured="name placement.checkpoint"),
            "pool": _node("SkyPilot's pool of workers.", "object", unhonoured="submit each job on its own"),
            "retry": {"description": RETRY["description"], "anyOf": [{"type": "boolean"}, {"type": "null"}, RETRY]},
            "max_price": _node("Most that one hour may cost, USD, all nodes together.", "number", exclusiveMinimum=0),
            "max_duration": _node(
                "Longest time of work before it is stopped: `4h`, `off`.", ["string", "number", "boolean"]
            ),
            "placement": PLACEMENT,
        }.items()
    },
)  # fmt: skip


def schema() -> Node:
    """The JSON Schema of a task file. Callers must not change the answer."""
    return {"$schema": DRAFT, "title": "Argosy task", **TASK}


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def reference_text() -> str:
    """The tables of fields in the reference of task files."""
    blocks = [
        ("Top level", TASK), ("resources, and each of any_of and ordered", RESOURCES), ("job_recovery", JOB_RECOVERY),
        ("retry", RETRY), ("placement", PLACEMENT), ("placement.checkpoint", CHECKPOINT),
    ]  # fmt: skip
    parts = []
    for title, node in blocks:
        rows = [f"## {title}", "", "| field | takes | meaning | honoured |", "|---|---|---|---|"]
        for key, about in node["properties"].items():
            honoured = f"no: {about['x-not-honoured']}" if "x-not-honoured" in about else "yes"
            rows.append(f"| `{key}` | {_takes(about)} | {about.get('description', '')} | {honoured} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


def _takes(node: Node) -> str:
    kinds: list[str] = []
    for option in node.get("anyOf", [node]):
        kinds += option["type"] if isinstance(option["type"], list) else [option["type"]]
    return " or ".join(_WORD.get(kind, kind) for kind in dict.fromkeys(kinds) if kind != "null")
