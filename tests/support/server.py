"""`argosy up` that can be killed and started again without a second of imports each time.

Run as a program it holds everything imported, and becomes `argosy up` by fork for each line `start` on its input:
`python -m tests.support.server DATA PORT STORE CONFIG`. It says the new process's id and collects the old one.
"""

from __future__ import annotations

import os
import sys

import argosy.cli.up  # noqa: F401  what a server needs is imported before it forks, not in it
from argosy.cli.main import app


def main(data: str, port: str, store: str, config: str) -> None:
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
            child = 0
        if line == "start\n":
            child = os.fork()
            if not child:
                os.close(0)
                os.dup2(2, 1)  # what it prints is not for whoever reads the ids
                app(["up", "--data", data, "--port", port, "--config", config, *(["--store", store] if store else [])])
            print(child, flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
