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
    """`bundle`: resources of each rank; `strategy`: how they are spread; `commands`: one for each rank."""
    ray.init(address="auto", log_to_driver=False)
    commands: list[list[str]] = asked["commands"]  # type: ignore[assignment]
    bundle: dict[str, float] = asked["bundle"]  # type: ignore[assignment]
    group = placement_group([bundle] * len(commands), strategy=str(asked["strategy"]))
    ray.get(group.ready())
    task = ray.remote(rank_of)
    waiting = []
    for number, command in enumerate(commands):
        place = PlacementGroupSchedulingStrategy(group, placement_group_bundle_index=number)
        options = task.options(
            num_cpus=bundle.get("CPU", 0), num_gpus=bundle.get("GPU", 0), max_retries=0, scheduling_strategy=place
        )
        waiting.append(options.remote(command))
    code = 0
    while waiting:
        done, waiting = ray.wait(waiting)
        for one in done:
            try:
                code = code or ray.get(one)
            except ray.exceptions.RayError as error:  # its machine died; the others go on
                sys.stderr.write(f"[argosy] a rank was lost: {error}\n")
                code = code or 1
    return code


if __name__ == "__main__":
    sys.exit(main(json.loads(sys.argv[1])))
