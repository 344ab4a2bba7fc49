"""Find or install uv and print the path of its program.

Called by the Makefile with the system's python3 and nothing else. It looks for uv on PATH, then in `.tools/`, and
otherwise installs the pinned version there: through a virtual environment where the system has one, through
`pip --target` where it has not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

UV_VERSION = "0.13.9"
TOOLS = Path(__file__).resolve().parent.parent / ".tools"


def works(program: str | Path) -> bool:
    """Whether `program --version` answers."""
    try:
        return subprocess.run([str(program), "--version"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def attempts() -> list[tuple[list[list[str]], Path]]:
    """Ways to install, best first: the commands to run and where uv then is."""
    venv, target = TOOLS / "venv", TOOLS / "target"
    pinned = f"uv=={UV_VERSION}"
    quiet = ["install", "--quiet", "--disable-pip-version-check"]
    return [
        (
            [
                [sys.executable, "-m", "venv", "--clear", str(venv)],
                [str(venv / "bin" / "python"), "-m", "pip", *quiet, pinned],
            ],
            venv / "bin" / "uv",
        ),
        ([[sys.executable, "-m", "pip", *quiet, "--target", str(target), pinned]], target / "bin" / "uv"),
    ]


def main() -> int:
    """Print the path of a working uv; exit 1 with the reason when there is none."""
    found = os.environ.get("UV") or shutil.which("uv")
    if found and works(found):
        print(found)
        return 0
    failures = []
    for commands, program in attempts():
        if works(program):
            print(program)
            return 0
        for command in commands:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                failures.append(f"{' '.join(command)}: {done.stderr.strip().splitlines()[-1:]}")
                break
        if works(program):
            print(program)
            return 0
    print("could not install uv:\n  " + "\n  ".join(failures), file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
