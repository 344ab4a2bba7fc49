"""Procure-84 through Pyomo: run by `bench.plan` with the Python of Pyomo's own environment; imports nothing of ours.

`python pyomo_peer.py FILE [--solve]` reads the finished matrix from FILE (npz), writes it as a Pyomo model row by row
with ready coefficients, which is less than a modeller has to do, hands it to HiGHS and prints one line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time

import numpy as np
import pyomo.environ as pyo
from pyomo.contrib.appsi.solvers.highs import Highs
from pyomo.core.expr.numeric_expr import LinearExpression


def build(data):
    """A relaxed model from the arrays of a matrix by rows."""
    model = pyo.ConcreteModel()
    lower, upper = data["column_lower"].tolist(), data["column_upper"].tolist()
    bound = {
        j: (None if lo == -np.inf else lo, None if up == np.inf else up)
        for j, (lo, up) in enumerate(zip(lower, upper, strict=True))
    }
    model.x = pyo.Var(range(len(lower)), bounds=lambda _, j: bound[j])
    x = [model.x[j] for j in range(len(lower))]
    start, index, value = data["start"].tolist(), data["index"].tolist(), data["value"].tolist()
    row_lower, row_upper = data["row_lower"].tolist(), data["row_upper"].tolist()

    def row(_, i):
        cells = range(start[i], start[i + 1])
        if not cells:
            return pyo.Constraint.Skip
        body = LinearExpression(linear_coefs=[value[e] for e in cells], linear_vars=[x[index[e]] for e in cells])
        lo = None if row_lower[i] == -np.inf else row_lower[i]
        up = None if row_upper[i] == np.inf else row_upper[i]
        return (lo, body, up) if lo != up else body == lo

    model.rows = pyo.Constraint(range(len(row_lower)), rule=row)
    cost = data["cost"].tolist()
    some = [j for j, c in enumerate(cost) if c != 0]
    model.cost = pyo.Objective(
        expr=LinearExpression(linear_coefs=[cost[j] for j in some], linear_vars=[x[j] for j in some])
    )
    return model


def main():
    """Build, hand over, and if asked solve."""
    data = dict(np.load(sys.argv[1]))
    cpu, wall = time.process_time(), time.perf_counter()
    model = build(data)
    solver = Highs()
    solver.set_instance(model)
    told = {
        "cpu_seconds": time.process_time() - cpu, "wall_seconds": time.perf_counter() - wall,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, "columns": len(data["cost"]),
    }  # fmt: skip
    if "--solve" in sys.argv:
        cpu = time.process_time()
        solver.config.load_solution = False
        result = solver.solve(model)
        told["solve_cpu_seconds"] = time.process_time() - cpu
        told["objective"] = result.best_feasible_objective
    print(json.dumps(told))


if __name__ == "__main__":
    main()
