"""A Ray head with its dashboard on loopback, started and ended by number."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.engines import Engine, lacks
from tests.support.ports import free_ports
from tests.support.waiting import wait_for

from argosy.clock import SystemClock
from argosy.errors import OutsideError
from argosy.run import wrapper
from argosy.run.driver import Driver
from argosy.run.drivers import ray
from argosy.run.drivers._http import ask

# Under `uv run` Ray would make every worker install its environment anew, over the network.
QUIET = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0"}


@contextmanager
def ray_engine(folder: Path) -> Iterator[Engine]:
    if importlib.util.find_spec("ray") is None:
        lacks("ray", "install argosy[ray]")
    ports = free_ports(7)
    address = f"http://127.0.0.1:{ports[1]}"
    names = ("ray-client-server-port", "dashboard-agent-listen-port", "dashboard-agent-grpc-port")
    names = (*names, "runtime-env-agent-port", "metrics-export-port")
    options = [f"--{name}={port}" for name, port in zip(names, ports[2:], strict=True)]
    # Paths of its sockets must be short.
    home = Path(tempfile.mkdtemp(prefix="ray", dir="/tmp"))
    programs = Path(sys.executable).parent
    with (home / "head.out").open("wb") as log:
        head = subprocess.Popen(
            [
                programs / "ray", "start", "--head", "--block", "--node-ip-address=127.0.0.1", f"--port={ports[0]}",
                f"--dashboard-port={ports[1]}", "--include-dashboard=true", "--num-cpus=16", "--num-gpus=8",
                "--resources", '{"accelerator_type:H100": 8}', f"--temp-dir={home}", "--disable-usage-stats",
                "--object-store-memory=80000000", *options,
            ],
            env={"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), **QUIET},
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    settings = ray.Settings(
        address=address, folder=str(folder / "runs"), strategy="PACK", poll_seconds=0.2, timeout_seconds=120.0,
        python=str(programs / "python"), environment={**QUIET},
    )  # fmt: skip

    def up() -> bool:
        assert head.poll() is None, (home / "head.out").read_text()
        try:
            ask("GET", f"{address}/api/jobs/", timeout_seconds=30)
            status = ask("GET", f"{address}/api/cluster_status", timeout_seconds=30)[1]
            return bool(status["data"]["clusterStatus"]["loadMetricsReport"]["usageByNode"])
        except (OutsideError, KeyError, TypeError):
            return False

    @contextmanager
    def unreachable() -> Iterator[None]:
        yield

    def kill_node(driver: Driver, run: str, rank: int) -> None:
        assert isinstance(driver, ray.Driver)
        state = driver.folders.ranks(run, driver.folders.spec(run) or {})[0][rank]
        os.kill(state["pid"], signal.SIGKILL)

    nowhere = settings.model_copy(update={"address": f"http://127.0.0.1:{free_ports(1)[0]}"})
    try:
        wait_for(up, "Ray's head")
        yield Engine(
            name="ray",
            pool="ray",
            driver=lambda: ray.Driver(settings, SystemClock()),
            unreachable=unreachable,
            impatient=lambda: ray.Driver(nowhere, SystemClock()),
            kill_node=kill_node,
            nodes=2,
            replaces=False,
            answers_alone=frozenset({"exit_record", "fence", "logs"}),
            folders=lambda: [folder, home],
        )
    finally:
        for _ in range(3):  # what is ended may just have started another
            wrapper.send([*wrapper.descendants(head.pid)], signal.SIGKILL)
        head.kill()
        head.wait()
        shutil.rmtree(home, ignore_errors=True)
