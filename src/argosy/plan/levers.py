"""Levers: the projects of a program as arrays (F10). A field of `Program`; `project_arrays` makes it from records.

A project that saves a share of the accelerators in a workload would multiply its throughput, and a first-stage decision
may not stand in the second-stage matrix. So what it saves is work of its own: a second-stage column `saved` with two
bounds, one by the work that is done (F4.L3) and one by the project (F4.L4, where the random number is).

Sizes: H starts (a project at a first month), G projects, M teams, U gains (a set of projects that are complete
together, for one demand class), Z savings (a gain in one region). T, S, Y, A, X, O, V, D are those of `Program`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

RANDOM = ("gain_most", "opener_capacity")
"""Fields whose first axis is the future."""


@dataclass(frozen=True, slots=True)
class Levers:
    """All numbers of projects and teams."""

    start_project: Ints
    """(H,) project."""
    start_ready: Ints
    """(H,) first period in which the project is complete."""
    start_cost: Floats
    """(H,) present value of its cost."""
    start_cash: Floats
    """(H, Y)"""
    start_need: Floats
    """(H, M, T) months of one person in the period."""
    project_least: Floats
    """(G,) 1 where the project is done in any case."""
    project_most: Floats
    """(G,) 0 where it is not done in any case."""
    project_group: Ints
    """(G,) projects of one group exclude each other; -1 is none."""
    team_capacity: Floats
    """(M, T) months of one person in the period."""
    gain_demand: Ints
    """(U,) demand class."""
    gain_project: Bools
    """(U, G) projects that must all be complete."""
    gain_most: Floats
    """(S, U, T) most units that can be saved in the period."""
    saving_gain: Ints
    """(Z,) gain."""
    saving_transfer: Ints
    """(Z,) transfer that the data of the saved work goes through; -1 is none."""
    saving_vendor: Ints
    """(Z,) vendor where it is saved."""
    saving_cost: Floats
    """(Z, T) money per unit saved and held for the period: egress without a dataset."""
    factor_saving: Ints
    """(I,) incidence of savings and arcs: saving."""
    factor_arc: Ints
    """(I,) arc."""
    factor_units: Floats
    """(I,) units saved for each unit that the arc would do without any project."""
    closed_port: Ints
    """Ports that only a project opens."""
    opener_start: Ints
    """(I,) incidence of starts and ports: start."""
    opener_port: Ints
    """(I,) port."""
    opener_capacity: Floats
    """(S, I, T) units of work that may be served once the project is complete."""
    divisible: bool = False
    """Whether a part of a project may be done; only to price people and projects."""

    @property
    def shape(self) -> dict[str, int]:
        """Length of every axis by its letter."""
        return {
            "H": len(self.start_project), "G": len(self.project_group), "M": len(self.team_capacity),
            "U": len(self.gain_demand), "Z": len(self.saving_gain),
        }  # fmt: skip

    def requirements(self) -> tuple[Ints, Ints]:
        """Gain and project of every pair in which the gain needs the project: the rows of F4.L4."""
        gain, project = np.nonzero(self.gain_project)
        return gain.astype(np.int64), project.astype(np.int64)

    def ready(self, periods: int) -> Bools:
        """(H, T) whether a project with this start is complete in the period."""
        return np.asarray(np.arange(periods) >= self.start_ready[:, None])

    def only(self, s: int) -> Levers:
        """The same with one future."""
        one: dict[str, Any] = {name: getattr(self, name)[s : s + 1] for name in RANDOM}
        return replace(self, **one)

    def some(self, chosen: Ints) -> Levers:
        """The same with some of its futures."""
        if not len(self.gain_most):  # no projects: no futures either
            return self
        return replace(self, **{name: getattr(self, name)[chosen] for name in RANDOM})

    def mean(self, probability: Floats) -> Levers:
        """The same with one future: the mean of all."""
        if len(self.gain_most) != len(probability):  # no projects: no futures either
            return self
        one: dict[str, Any] = {name: np.tensordot(probability, getattr(self, name), axes=1)[None] for name in RANDOM}
        return replace(self, **one)


def no_levers() -> Levers:
    """No projects and no teams."""
    none, empty = np.zeros(0, dtype=np.int64), np.zeros(0)
    return Levers(
        start_project=none, start_ready=none, start_cost=empty, start_cash=np.zeros((0, 0)),
        start_need=np.zeros((0, 0, 0)), project_least=empty, project_most=empty, project_group=none,
        team_capacity=np.zeros((0, 0)), gain_demand=none, gain_project=np.zeros((0, 0), dtype=bool),
        gain_most=np.zeros((0, 0, 0)), saving_gain=none, saving_transfer=none, saving_vendor=none,
        saving_cost=np.zeros((0, 0)), factor_saving=none, factor_arc=none, factor_units=empty, closed_port=none,
        opener_start=none, opener_port=none, opener_capacity=np.zeros((0, 0, 0)),
    )  # fmt: skip
