"""The part of the recount that is about projects and teams: F4.L1 to F4.L4, F4.TM, and what they add to other rules.

Like `check`, which calls it, it shares no code with the template: it goes project by project and set by set.
"""

from __future__ import annotations

import numpy as np

from argosy.plan.program import Bools, Floats, Program
from argosy.plan.residuals import Ledger
from argosy.plan.values import Values


def check_levers(program: Program, values: Values, book: Ledger) -> None:
    """Note how far the rules on projects, people and gains are from holding."""
    levers, start, saved = program.levers, values.first["start"], values.second["saved"]
    done = _done(program, start)
    book.below("F4.L1", done, levers.project_most)
    book.below("F4.L1", levers.project_least, done)
    for group in sorted(set(levers.project_group.tolist()) - {-1}):
        book.below("F4.L2", np.array(done[levers.project_group == group].sum()), np.ones(1))
    for team, capacity in enumerate(levers.team_capacity):
        needed = np.zeros(len(capacity))
        for h, share in enumerate(start.tolist()):
            needed += share * levers.start_need[h, team]
        book.below("F4.TM", needed, capacity)
    for z in range(len(levers.saving_gain)):
        most = np.zeros(saved.shape[::2])
        for i in np.flatnonzero(levers.factor_saving == z).tolist():
            arc = levers.factor_arc[i]
            most += levers.factor_units[i] * program.arc_yield[arc] * values.second["work"][:, arc]
        book.below("F4.L3", saved[:, z], most)
    complete = _complete(program, start)
    for u, needed_projects in enumerate(levers.gain_project):
        total = saved[:, levers.saving_gain == u].sum(axis=1)
        for project in np.flatnonzero(needed_projects).tolist():
            book.below("F4.L4", total, levers.gain_most[:, u] * complete[project])


def _done(program: Program, start: Floats) -> Floats:
    """(G,) share of each project that is done at all."""
    out = np.zeros(len(program.levers.project_group))
    for h, project in enumerate(program.levers.start_project.tolist()):
        out[project] += start[h]
    return out


def _complete(program: Program, start: Floats) -> Floats:
    """(G, T) share of each project that is complete in the period."""
    out = np.zeros((len(program.levers.project_group), len(program.duration)))
    for h, project in enumerate(program.levers.start_project.tolist()):
        out[project, program.levers.start_ready[h] :] += start[h]
    return out


def saved_by(program: Program, values: Values, field: str, count: int) -> Floats:
    """(S, count, T) units saved, added up over the position that `field` of the levers gives each gain."""
    saved = values.second["saved"]
    out = np.zeros((saved.shape[0], count, saved.shape[2]))
    for z, gain in enumerate(program.levers.saving_gain.tolist()):
        out[:, getattr(program.levers, field)[gain]] += saved[:, z]
    return out


def saved_critical(program: Program, values: Values, when: Bools) -> Floats:
    """(S, V) amount of critical work saved at each vendor in some periods."""
    saved = values.second["saved"]
    out = np.zeros((saved.shape[0], len(program.vendor_share_max)))
    for z, gain in enumerate(program.levers.saving_gain.tolist()):
        if program.demand_critical[program.levers.gain_demand[gain]]:
            out[:, program.levers.saving_vendor[z]] += saved[:, z, when] @ program.duration[when]
    return out


def saved_egress(program: Program, values: Values) -> Floats:
    """(S, T) cost of moving the data of saved work, undiscounted: a project saves accelerators, not data."""
    saved = values.second["saved"]
    out = np.zeros((saved.shape[0], saved.shape[2]))
    for z, cost in enumerate(program.levers.saving_cost):
        out += cost * saved[:, z]
    return out


def project_cash(program: Program, values: Values) -> Floats:
    """(Y,) money of projects by fiscal year."""
    out = np.zeros(len(program.cash_limit))
    for h, cash in enumerate(program.levers.start_cash):
        out += cash * values.first["start"][h]
    return out


def opened(program: Program, values: Values, port: int) -> Floats:
    """(S, T) work that complete projects open to a port."""
    out = np.zeros((len(program.probability), len(program.duration)))
    for i in np.flatnonzero(program.levers.opener_port == port).tolist():
        out += program.levers.opener_capacity[:, i] * values.first["start"][program.levers.opener_start[i]]
    return out
