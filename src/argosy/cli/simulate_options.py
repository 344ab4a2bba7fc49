"""Which options of `argosy simulate` mean something for what is simulated; the others are bad input, not ignored."""

from __future__ import annotations

import typer

from argosy.errors import BadInput, Problem
from argosy.simulate.queue import QUEUE_OBJECTIVES, SHARING

PORTFOLIO, NODES, COUNTS, SPOT = "a portfolio", "a fleet of nodes", "a fleet of counts", "spot capacity"
SERVICE = "a service on spot capacity (--replicas)"
_ONLY = {
    "policy": (NODES,),
    "objective": (PORTFOLIO, COUNTS),
    "load": (PORTFOLIO, NODES),
    "days": (PORTFOLIO, COUNTS),
    "month": (PORTFOLIO,),
    "plan": (PORTFOLIO,),
    "future": (PORTFOLIO,),
    "stands_for": (PORTFOLIO,),
    "faults": (PORTFOLIO,),
    "share": (COUNTS,),
    "work": (SPOT,),
    "deadline": (SPOT,),
    "replicas": (SERVICE,),
    "extra": (SERVICE,),
    "trust": (SERVICE,),
    "fleet": (NODES, COUNTS),
    "seed": (PORTFOLIO, NODES, SPOT),
}
"""Options that do not go with everything that can be simulated, and with what they go."""


def meant(ctx: typer.Context, what: str) -> None:
    """BadInput with every option that was given and means nothing for `what`."""
    problems = []
    for parameter in ctx.command.params:
        name = str(parameter.name)
        told = ctx.get_parameter_source(name)
        if told is not None and told.name == "COMMANDLINE" and name in _ONLY and what not in _ONLY[name]:
            message = f"{what} does not use it, {' and '.join(_ONLY[name])} would; leave it away"
            if name == "seed":
                message = f"nothing is left to chance in {what}; leave it away (seed= in a trace may draw its stream)"
            if name == "fleet" and what == PORTFOLIO:
                message = "a portfolio has its own pools; leave --fleet away, or the portfolio"
            problems.append(Problem(parameter.opts[0], 0, 0, "option.unused", "", message))
    if problems:
        raise BadInput(problems)


def can_share(share: bool, objective: str) -> None:
    """BadInput when two asks shall share a chip under an objective that cannot let them."""
    if share and objective in QUEUE_OBJECTIVES and objective not in SHARING:
        message = f"{objective} lets nobody share a chip; choose --objective {', '.join(SHARING)}, or leave it away"
        raise BadInput([Problem("--share", 0, 0, "option.unused", "", message)])
