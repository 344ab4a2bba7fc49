"""Argosy runs one organisation's AI compute across many clouds, from contract to token.

The data path, from a file to an answer:

    files.load(path)                 YAML to a Portfolio, every problem at once with its place
    portfolio.with_catalogue(...)    what the user left out, from market.bundled()
    contract.supply(horizon)         every contract kind becomes Supply rows
    workload.asks(horizon)           every workload kind becomes Ask rows
    plan.solve(portfolio, ...)       rows become arrays, arrays a program, its solution a Plan or an Infeasible
    plan.check                       the recount without the solver; no plan is published without it
    report.write(plan)               tables and one HTML file

Nouns (`model files market`) hold records, verbs (`plan report`) decide or show, `cli` translates.
"""

__version__ = "0.1.0"
