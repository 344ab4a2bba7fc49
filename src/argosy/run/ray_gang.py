"""Runs the ranks of a gang inside a Ray cluster: one placement group, one wrapper on each of its bundles.

The Ray driver copies this file to the folder of runs and makes it the entrypoint of a job, so it runs with the Python
of the cluster; nothing of Argosy imports it. It ends when all ranks have ended, with the code of the first that failed.
"""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
import sys
from pathlib import Path

import ray
from ray.util.placement_group import placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy


def rank_of(command: list[str]) -> int:
    """Exit code of one rank. When Ray ends the worker, the wrapper is asked to end with it."""
    return subprocess.call(
        command,
        preexec_fn=lambda: ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0),
    )


def main(asked: dict[str, object]) -> int:
    """`bundle`: resources of each rank; `strategy`: how they are spread; `commands`: one for each; `folder`: the run's.

    A rank whose wrapper or machine died is marked by a file `N.lost` in the folder; the others go on.
    """
    ray.init(address="auto", log_to_driver=False)
    commands: list[list[str]] = asked["commands"]  # type: ignore[assignment]
    bundle: dict[str, float] = asked["bundle"]  # type: ignore[assignment]
    group = placement_group([bundle] * len(commands), strategy=str(asked["strategy"]))
    ray.get(group.ready())
    task = ray.remote(rank_of)
    ranks = {}
    for number, command in enumerate(commands):
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
        options = task.options(
            num_cpus=bundle.get("CPU", 0), num_gpus=bundle.get("GPU", 0), max_retries=0, scheduling_strategy=place
        )
        ranks[options.remote(command)] = number
    code, waiting = 0, list(ranks)
    while waiting:
        done, waiting = ray.wait(waiting)
        for one in done:
            try:
                ended = ray.get(one)
            except ray.exceptions.RayError as error:
                sys.stderr.write(f"[argosy] rank {ranks[one]} was lost: {error}\n")
                ended = -1
            if ended < 0:
                (Path(str(asked["folder"])) / f"{ranks[one]}.lost").touch()
            code = code or ended
    return abs(code)


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
