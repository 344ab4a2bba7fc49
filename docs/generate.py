"""Makes the parts of the documents that are not written by hand.

    python docs/generate.py            docs/reference/commands.md, from the command line itself
    python docs/generate.py picture    docs/pictures/plan.png, from the report of examples/scale-up (needs Chromium)

Tests compare the page with the program; the picture is looked at by people.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import typer

from argosy.cli.main import app

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ROOT / "docs" / "reference" / "commands.md"
PICTURE = ROOT / "docs" / "pictures" / "plan.png"

INTRODUCTION = """\
# Commands

This page is made from the program by `python docs/generate.py`; do not edit it.

Exit codes are the same everywhere: 0 done, 1 the answer is no, 2 bad input, 3 something outside failed. Tables fit 100
columns and have no colour when they do not go to a terminal. `--json` prints one JSON value on standard output; reasons
for a failure go to standard error as `file:line:column: code field: message`.
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
        parts.append(_command(name, command))
    return "\n".join(parts)


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
        COMMANDS.write_text(commands_text(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
