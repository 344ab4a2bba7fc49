"""Program: the procurement problem as arrays, and nothing else.

`inputs` makes it from records, `template` turns it into matrices, `check` recounts a solution against it, and tests
build it by hand. Nothing in here knows a vendor's name or a contract's kind. Rules (F4.D and so on) are those of
docs/concepts/plan.md.

Sizes: T periods, Y fiscal years, S scenarios, P pools, K sized rows, E later columns, N lines, J uses, L open tiers,
F floors, D demand classes, A arcs, X transfers, R replicas, O ports, B sites, V vendors, Q losses; those of
projects stand in `levers`.

Units: accelerators, units of work and money are scaled by `accelerator_scale` and `money_scale` so that numbers lie
near 1; a level of accelerators held for a period of `duration[t]` standard months (730 hours) is an amount.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from argosy.plan.levers import Levers, no_levers

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

EXERCISE, EXIT, SIGN = 0, 1, 2
NONE = -1


@dataclass(frozen=True, slots=True)
class Program:
    """All numbers of one procurement problem. Positions of one axis are used as indices of the others; -1 is none."""

    # --- time, futures, risk
    duration: Floats
    """(T,) standard months in each period."""
    discount: Floats
    """(T,) present value of one unit of money paid in the period."""
    year: Ints
    """(T,) fiscal year of each period, from 0."""
    probability: Floats
    """(S,) sums to 1."""
    risk_aversion: float
    """Lambda of F5."""
    tail: float
    """Beta of F5."""

    # --- first stage: sized rows (K)
    sign_lower: Floats
    """(K,) 1 where the row is signed already."""
    sign_upper: Floats
    """(K,) 0 where the row may not be signed now."""
    size_min: Floats
    """(K,) smallest size when signed."""
    size_max: Floats
    """(K,) largest size."""
    row_group: Ints
    """(K,) rows of one group exclude each other."""
    row_vendor: Ints
    """(K,) vendor."""
    size_cost: Floats
    """(K,) present value per unit of size that no future changes: capital less residual, prepayment."""
    option_share: Floats
    """(K,) largest option as a share of size; 0 is none."""
    option_cost: Floats
    """(K,) premium per unit of option."""
    prepay_max: Floats
    """(K,) money that may be prepaid by choice per unit of size; 0 is none."""
    prepay_cost: Floats
    """(K,) present value of paying one unit of money ahead, before credits."""
    equity_value: Floats
    """(K,) present value received per unit of size; 0 is none."""
    equity_max: Floats
    """(K,) cap of it; inf is none."""
    committed_value: Floats
    """(K,) present value of the minimum bill per unit of size as written (concentration)."""
    size_cash: Floats
    """(K, Y) money that leaves per unit of size as written: prepayment, capital, minimum bill, less credits."""
    option_cash: Floats
    """(K, Y) premium."""
    prepay_cash: Floats
    """(K, Y) money prepaid by choice, less credits."""

    # --- first stage: later columns (E), one per row, date and information cluster
    later_row: Ints
    """(E,) sized row."""
    later_action: Ints
    """(E,) EXERCISE, EXIT or SIGN."""
    later_period: Ints
    """(E,) period of the decision."""
    later_member: Bools
    """(S, E) whether the scenario belongs to the cluster."""
    later_cash: Floats
    """(E, Y) money per unit of size."""

    # --- first stage: ports (O), replicas (R), sites (B), cash (Y), adequacy (Q)
    port_cost: Floats
    """(O,) present value of porting."""
    port_cash: Floats
    """(O, Y)"""
    port_workload: Ints
    """(O,) workload index, for names only."""
    replica_cost: Floats
    """(R,) present value of a full copy."""
    replica_cash: Floats
    """(R, Y)"""
    site_committed: Floats
    """(B,) 1 where the site is already being built."""
    site_min: Floats
    """(B,) smallest power, MW."""
    site_max: Floats
    """(B,) largest power, MW."""
    site_fixed_cost: Floats
    """(B,) present value of opening it."""
    site_cost: Floats
    """(B,) present value per MW."""
    site_fixed_cash: Floats
    """(B, Y)"""
    site_cash: Floats
    """(B, Y) per MW."""
    row_site: Ints
    """(K,) site of an own build."""
    row_kw: Floats
    """(K,) MW per unit of size, for own builds."""
    cash_limit: Floats
    """(Y,) inf is none."""
    borrow_max: Floats
    """(Y,)"""
    borrow_cost: Floats
    """(Y,) present value of the cost of one unit borrowed."""
    vendor_share_max: Floats
    """(V,) largest share of all committed value; nan is none."""
    adequacy_required: Floats
    """(T,) units that must remain; empty loss axis switches the rule off."""
    adequacy_base: Floats
    """(Q, T) units that remain from stock and guaranteed open capacity after the loss."""
    adequacy_size: Floats
    """(Q, K, T) units that remain per unit of size after the loss."""
    gap_cost: Floats
    """(T,) present value of one unit missing."""

    # --- the link between stages (random coefficients stand only here, at first-stage columns)
    line_row: Ints
    """(N,) sized row of each line; a row that may be matched by a third party has two."""
    link_line: Ints
    """(I,) incidence of lines and capacity columns: line."""
    link_column: Ints
    """(I,) capacity column: k for the size of row k, K + e for later column e."""
    link_capacity: Floats
    """(S, I, T) capacity per unit of the column."""
    floor_row: Ints
    """(F,) sized row of each floor (a contract year)."""
    floor_first: Ints
    """(F,) first period."""
    floor_last: Ints
    """(F,) last period, included."""
    bound_floor: Ints
    """(G,) incidence of floors and capacity columns: floor."""
    bound_column: Ints
    """(G,) capacity column."""
    bound_amount: Floats
    """(S, G) floor per unit of the column: take-or-pay share times obligation."""
    future_cost: Floats
    """(S, K + E) present value per unit of a capacity column in each future: committed fees, credits, strikes."""
    prepay_credit: Floats
    """(S, K) present value of the credits of one unit of money prepaid by choice."""
    port_capacity: Floats
    """(S, O, T) units of work that may be served after porting."""
    site_energised: Floats
    """(S, B, T) share of the site's power that is there."""
    embodied: Floats
    """(K, Y) tonnes per unit of size, by fiscal year."""

    # --- second stage: uses (J) of lines in pools
    use_line: Ints
    """(J,) line."""
    use_pool: Ints
    """(J,) pool."""
    use_draw: Floats
    """(J,) what one accelerator takes from the line's capacity."""
    use_cost: Floats
    """(J, T) money per accelerator held for the period."""
    use_max: Floats
    """(S, J, T) bound; inf is none."""
    over_cost: Floats
    """(F,) money per amount above the floor."""
    short_cost: Floats
    """(F,) money per amount below the floor, on top of the committed fee."""
    make_up_share: Floats
    """(K,) share of shortfall that is banked; 0 is none."""
    make_up_floors: Ints
    """(K,) contract years for which it is valid."""
    carry_share: Floats
    """(K,) share of over-take that is carried forward; 0 is none."""
    carry_floors: Ints
    """(K,) contract years for which it is valid."""
    carry_refund: Floats
    """(F,) money per amount of credit used."""

    # --- second stage: open tiers (L) and stock
    open_pool: Ints
    """(L,) pool."""
    open_cost: Floats
    """(L, T) money per accelerator held for the period."""
    open_max: Floats
    """(S, L, T) what can be had."""
    stock: Floats
    """(S, P, T) accelerators that are there free of charge."""

    # --- second stage: work
    demand: Floats
    """(S, D, T) units wanted, reserve included."""
    unserved_cost: Floats
    """(D, T) money per unit not served in the period."""
    backlog_max: Floats
    """(S, D) most work that may wait, in amounts."""
    arc_demand: Ints
    """(A,) demand class."""
    arc_pool: Ints
    """(A,) pool."""
    arc_yield: Floats
    """(A,) units per accelerator: throughput times goodput."""
    arc_cost: Floats
    """(A, T) money per accelerator held for the period: egress without a dataset."""
    arc_open: Bools
    """(A, T) whether the arc may be used in the period."""
    arc_port: Ints
    """(A,) port that it needs."""
    arc_transfer: Ints
    """(A,) transfer that its data goes through."""
    transfer_demand: Ints
    """(X,) demand class."""
    transfer_gib: Floats
    """(X,) scaled GiB per unit of work."""
    transfer_cost: Floats
    """(X, T) money per scaled GiB."""
    transfer_replica: Ints
    """(X,) replica that makes it unnecessary."""
    transfer_limit: Ints
    """(X,) limit on a way that it counts against."""
    way_max: Floats
    """(W, T) scaled GiB per period on each limited way."""

    # --- second stage: limits
    pool_vendor: Ints
    """(P,) vendor."""
    pool_mw: Floats
    """(P,) MW per accelerator; nan is unknown."""
    pool_carbon: Floats
    """(P, T) tonnes per accelerator held for the period; nan is unknown."""
    power_max: Floats
    """(T,) MW in use; inf is none."""
    carbon_max: Floats
    """(Y,) tonnes; inf is none."""
    carbon_cost: Floats
    """(Y,) money per tonne above."""
    demand_critical: Bools
    """(D,) whether the class counts for the limit on critical service."""
    critical_share_max: float
    """Largest share of critical work that one vendor may serve in a year; nan is none."""

    levers: Levers = field(default_factory=no_levers)
    """Projects and teams."""
    fixed: Floats = field(default_factory=lambda: np.zeros(0))
    """(first-stage columns,) values to which columns are held, nan leaves one free; empty holds none."""
    accelerator_scale: float = 1.0
    money_scale: float = 1.0
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Ids along each axis, by axis letter, for messages and results only."""

    @property
    def shape(self) -> dict[str, int]:
        """Length of every axis by its letter."""
        return {
            "T": len(self.duration), "Y": int(self.year.max()) + 1, "S": len(self.probability),
            "P": len(self.pool_vendor), "K": len(self.sign_lower), "E": len(self.later_row), "N": len(self.line_row),
            "J": len(self.use_line), "L": len(self.open_pool), "F": len(self.floor_row), "D": self.demand.shape[1],
            "A": len(self.arc_demand), "X": len(self.transfer_demand), "R": len(self.replica_cost),
            "O": len(self.port_cost), "B": len(self.site_max), "V": len(self.vendor_share_max),
            "Q": len(self.adequacy_base), "W": len(self.way_max), **self.levers.shape,
        }  # fmt: skip


_OF_FUTURES = (
    "link_capacity", "bound_amount", "future_cost", "prepay_credit", "port_capacity", "site_energised", "use_max",
    "open_max", "stock", "demand", "backlog_max",
)  # fmt: skip
"""Arrays with the future as first axis, besides `later_member`."""


def mean_program(program: Program) -> Program:
    """The same problem with one future: the mean of all."""
    p = program.probability

    def mean(values: Floats) -> Floats:
        finite = np.where(np.isinf(values), 0.0, values)
        out = np.tensordot(p, finite, axes=1)
        return np.asarray(np.where(np.isinf(values).any(axis=0), np.inf, out))[None]

    return replace(
        program,
        probability=np.ones(1),
        later_member=np.asarray(program.later_member.any(axis=0)).reshape(1, -1),
        **{name: mean(getattr(program, name)) for name in _OF_FUTURES},  # type: ignore[arg-type]
        levers=program.levers.mean(p),
    )


def some_program(program: Program, chosen: Ints, probability: Floats) -> Program:
    """The same problem with some of its futures, and other probabilities."""
    parts = {name: getattr(program, name)[chosen] for name in ("later_member", *_OF_FUTURES)}
    return replace(program, probability=probability, levers=program.levers.some(chosen), **parts)
