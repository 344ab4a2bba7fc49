"""Every test, in two halves side by side: this machine's processes and servers, and everything else.

The second half writes to a file, which is shown when the first has ended. Nothing is in neither: the first half is what
the second leaves. `pytest` alone runs both, one after the other.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence

SECOND = ("conformance", "docs", "faults")


def command(half: str, *words: str) -> list[str]:
    return [sys.executable, "-m", "pytest", "-o", f"cache_dir=.pytest_cache/{half}", *words]


def main(given: Sequence[str]) -> int:
    with tempfile.TemporaryFile() as told:
        second = subprocess.Popen(
            command("second", *given, *(f"tests/{folder}" for folder in SECOND)), stdout=told, stderr=subprocess.STDOUT
        )
        try:
            first = subprocess.run(
                command("first", *given, *(f"--ignore=tests/{folder}" for folder in SECOND), "tests"), check=False
            ).returncode
            print(f"\nThe other half: {', '.join(SECOND)}\n", flush=True)
            second.wait()
        finally:
            second.terminate()
            second.wait()
        told.seek(0)
        sys.stdout.buffer.write(told.read())
    failed = [half for half, code in (("first", first), ("second", second.returncode)) if code]
    print(f"The {' half and the '.join(failed)} half failed." if failed else "Both halves passed.", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
