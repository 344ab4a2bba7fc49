"""Plan: which contracts to sign, when and how large, and what every accelerator-hour is worth.

`solve` is the one public function. It turns a portfolio and its futures into a program, solves it with a proven gap,
recounts the answer without the solver, and returns a `Plan` or an `Infeasible`. It reads no files and prints nothing.
"""

from argosy.plan.main import solve

__all__ = ["solve"]
