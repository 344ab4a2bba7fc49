"""Makes the parts of the documents that are not written by hand.

    python docs/generate.py            pages of docs/reference, from the command line, the interface and the fields;
                                       the tables of steps in docs/concepts/run.md
    python docs/generate.py picture    docs/pictures/plan.png, from the report of examples/scale-up (needs Chromium)

Tests compare the page with the program; the picture is looked at by people.
"""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from argosy.api import Services, make_app
from argosy.cli.main import app
from argosy.clock import SystemClock
from argosy.files.tasks import schema_text
from argosy.files.tasks.schema import reference_text
from argosy.model.job import JOB_STATUSES, JOB_STEPS, RUN_STATUSES, RUN_STEPS

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"
COMMANDS = REFERENCE / "commands.md"
RUN = ROOT / "docs" / "concepts" / "run.md"
PICTURE = ROOT / "docs" / "pictures" / "plan.png"

INTRODUCTION = """\
# Commands

This page is made from the program by `python docs/generate.py`; do not edit it.

Exit codes are the same everywhere: 0 done, 1 the answer is no, 2 bad input, 3 something outside failed. Tables fit 100
columns and have no colour when they do not go to a terminal. `--json` prints one JSON value on standard output; reasons
for a failure go to standard error as `file:line:column: code field: message`.
"""

FIELDS = """\
# Fields of a task file

This page is made from the program by `python docs/generate.py`; do not edit it. What the words mean in practice stands
in [task files](tasks.md). Editors that know the YAML language server complete and check a file that starts with
`# yaml-language-server: $schema=task.schema.json` ([the schema](task.schema.json), `argosy schema --task`).

"""

API = """\
# HTTP interface

This page is made from the program by `python docs/generate.py`; do not edit it. [The OpenAPI document](openapi.json)
has every record with all its fields; the server has it at `/openapi.json`. How to use it stands in
[run a job](../how-to/run-a-job.md).

Every request carries `Authorization: Bearer KEY`, except `/healthz`, `/readyz` and `/openapi.json`. Keys have a project
and a role: `viewer` reads, `submitter` also starts and ends jobs, `operator` also cordons and sees decisions, `admin`
makes keys and sees all projects. What belongs to another project is answered with 404, as if it were not there.

A failure is a problem (RFC 9457, `application/problem+json`): `type`, `title`, `status`, `detail`, a stable `code`,
`retryable`, and `problems` with file, line and column where the request holds a file. It has changed nothing.

| code | status | when |
|---|---|---|
| `input.bad` | 422 | something in the request is wrong; `problems` has all of it |
| `task.impossible` | 422 | no pool that is known could ever run it |
| `access.key` | 401 | no key, or one that is not valid |
| `access.denied` | 403 | the role or the project does not allow it |
| `not_found` | 404 | nothing by that name that the key may see |
| `request.method` | 405 | no such method here |
| `store.conflict` | 409 | somebody else changed it first; ask again |
| `request.key_reused` | 409 | an idempotency key that was used for another request |
| `request.too_large` | 413 | a body above 8 MiB |
| `outside.failed` | 503 | the store or an engine does not answer; try again |

"""

TYPES = {"Path": "path", "int": "whole number", "float": "number"}

# What a reader of the README needs: the answer, the first chart and the capacity chart, without the tables between.
CROP = """<style>
nav, #later, #prices, #cash, #commitments, #risk, #concentration, #adequacy, #excuses, #certificate, #recompute,
footer, details, #decisions > .scroll, #decisions > .note, #capacity > .scroll, #capacity > .note,
#capacity > figure:nth-of-type(n+2) { display: none !important }
.layout { display: block !important; padding: 0 2.5rem !important; max-width: 1200px !important }
#capacity .lead, #decisions .lead { display: none }
.figures { grid-template-columns: repeat(6, 1fr) !important }
section { margin-top: 0 !important; padding-top: 0 !important; border: 0 !important }
</style></head>"""


def commands_text() -> str:
    """The page of commands."""
    group = typer.main.get_command(app)
    context = group.make_context("argosy", [], resilient_parsing=True)
    parts = [INTRODUCTION]
    for name in group.list_commands(context):  # type: ignore[attr-defined]
        command = group.get_command(context, name)  # type: ignore[attr-defined]
        verbs = getattr(command, "commands", None)
        if verbs is None:
            parts.append(_command(name, command))
        else:
            parts += [_command(f"{name} {verb}", found) for verb, found in verbs.items()]
    return "\n".join(parts)


def diagrams() -> str:
    """The diagrams of `state_diagram`, which stands beside this file and in no package."""
    spec = importlib.util.spec_from_file_location("state_diagram", Path(__file__).with_name("state_diagram.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return str(module.diagrams())


def pages() -> dict[Path, str]:
    """Every page that is made, with its text."""
    document = make_app(Services(None, SystemClock())).openapi()  # type: ignore[arg-type]
    return {
        COMMANDS: commands_text(),
        REFERENCE / "task-fields.md": FIELDS + reference_text(),
        REFERENCE / "task.schema.json": schema_text(),
        REFERENCE / "api.md": api_text(document),
        RUN: with_steps(RUN.read_text("utf-8")),
        ROOT / "docs" / "pictures" / "run-states.svg": diagrams(),
        REFERENCE / "openapi.json": json.dumps(document, indent=2, ensure_ascii=False) + "\n",
    }


def steps_text(names: Sequence[str], steps: Mapping[str, frozenset[str]]) -> str:
    """Which state may follow which, as a table: a line for each state that has a successor, a column for each state."""
    rows = [f"| from, to | {' | '.join(name.capitalize() for name in names)} |", "|---" * (len(names) + 1) + "|"]
    for name in names:
        if steps[name]:
            marks = " | ".join("**→**" if other in steps[name] else "" for other in names)
            rows.append(f"| `{name}` | {marks} |")
    return "\n".join(rows)


def with_steps(page: str) -> str:
    """The page about run with its tables of steps as the code has them."""
    tables: tuple[tuple[str, Sequence[str], Mapping[str, frozenset[str]]], ...] = (
        ("job", JOB_STATUSES, JOB_STEPS),
        ("run", RUN_STATUSES, RUN_STEPS),
    )
    for label, names, steps in tables:
        begin, end = f"<!-- {label} steps: written by docs/generate.py -->\n", "<!-- end -->"
        before, _, rest = page.partition(begin)
        _, _, after = rest.partition(end)
        page = f"{before}{begin}\n{steps_text(names, steps)}\n\n{end}{after}"
    return page


def api_text(document: dict[str, Any]) -> str:
    """The page of the interface: what each route takes, answers and refuses."""
    parts = [API]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            parts.append(_operation(method.upper(), path, operation))
    return "\n".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"## {method} {path}", "", _plain(operation["description"]), ""]
    if body := operation.get("requestBody"):
        schema = next(iter(body["content"].values()))["schema"]
        lines += [f"Body: {' or '.join(_named(one) for one in schema.get('oneOf', [schema]))}.", ""]
    if rows := operation.get("parameters", []):
        lines += ["| parameter | in | takes | meaning |", "|---|---|---|---|"]
        for row in rows:
            need = " (required)" if row["required"] else ""
            about = row.get("description", row["schema"].get("description", ""))
            lines.append(f"| `{row['name']}`{need} | {row['in']} | {_schema(row['schema'])} | {about} |")
        lines.append("")
    lines += ["| status | answer |", "|---|---|"]
    for status, response in sorted(operation["responses"].items()):
        kind, content = next(iter(response["content"].items()))
        named = _named(content["schema"]) if "$ref" in content["schema"] else f"`{kind}`"
        lines.append(f"| {status} | {named} |")
    return "\n".join([*lines, ""])


def _named(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return f"`{schema['$ref'].rsplit('/', 1)[1]}`"
    return f"a list of {_named(schema['items'])}" if schema.get("type") == "array" else _schema(schema)


def _schema(schema: dict[str, Any]) -> str:
    options = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    words = {"integer": "whole number", "boolean": "true or false", "string": "text", "array": "list of"}
    found = []
    for one in options:
        if "enum" in one:
            found.append(" or ".join(f"`{word}`" for word in one["enum"]))
        elif one.get("type") == "array":
            found.append(f"list of {_schema(one['items'])}")
        else:
            low, high = one.get("minimum"), one.get("maximum")
            limits = "" if low is None or high is None or high >= 2**53 else f", {low:,} to {high:,}"
            found.append(words.get(one.get("type", ""), "text") + limits)
    return " or ".join(found)


def _command(name: str, command: Any) -> str:
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    options = [p for p in command.params if p.param_type_name == "option"]
    words = [p.name.upper() for p in arguments]
    usage = " ".join(
        [f"argosy {name}", *(w if p.required else f"[{w}]" for w, p in zip(words, arguments, strict=True))]
    )
    lines = [f"## argosy {name}", "", f"`{usage}{' [OPTIONS]' if options else ''}`", "", _plain(command.help), ""]
    if arguments:
        lines += ["| argument | default | meaning |", "|---|---|---|"]
        lines += [f"| `{w}` | {_default(p)} | {p.help or ''} |" for w, p in zip(words, arguments, strict=True)]
        lines.append("")
    if options:
        lines += ["| option | takes | default | meaning |", "|---|---|---|---|"]
        lines += [f"| `{'`, `'.join(p.opts)}` | {_takes(p)} | {_default(p)} | {p.help or ''} |" for p in options]
        lines.append("")
    return "\n".join(lines)


def _plain(text: str | None) -> str:
    paragraphs = [" ".join(paragraph.split()) for paragraph in (text or "").split("\n\n")]
    return "\n\n".join(paragraphs)


def _takes(parameter: Any) -> str:
    if parameter.is_flag:
        return "nothing"
    annotation = str(parameter.type_descriptor.annotation)
    text = next((word for name, word in TYPES.items() if name in annotation), "text")
    low, high = parameter.min, parameter.max
    if low is not None and high is not None:
        text += f", {low:,g} to {high:,g}"
    elif low is not None:
        text += f", {low:g} or more"
    return text + ("; may be repeated" if parameter.multiple else "")


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    if parameter.default in (None, False) or parameter.default == ():
        return "none"
    return f"`{parameter.default}`"


def picture() -> None:
    """Plan the example, cut the report to its best part and photograph it."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        subprocess.run(["argosy", "plan", str(ROOT / "examples" / "scale-up"), "--report", str(report)], check=True)
        report.write_text(report.read_text("utf-8").replace("</head>", CROP, 1), "utf-8")
        PICTURE.parent.mkdir(exist_ok=True)
        subprocess.run(
            [
                "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync",
                f"--user-data-dir={folder}/chromium", "--hide-scrollbars", "--window-size=1200,1330",
                f"--screenshot={PICTURE}", report.as_uri(),
            ],
            check=True,
        )  # fmt: skip


def main() -> int:
    """Write what was asked for."""
    if sys.argv[1:] == ["picture"]:
        picture()
    else:
        for path, text in pages().items():
            path.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
