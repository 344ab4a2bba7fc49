"""Inputs: a portfolio, a month, prices and asks become a snapshot.

P1.B  A supply with a minimum bill owes its floor: what it delivers times the take-or-pay share, or the level that
      `owed` says is still to be used. An owed hour costs its usage fee only: the price less that fee is what would be
      paid for nothing.
P1.G  Power limits are the policy's over all pools and, for each own site, what has been energised of it.
P1.I  The internal price of a pool is the plan's where a plan is given. Without one it is what its cheapest capacity
      costs per accelerator-hour by contract, committed fee and usage together. A missing price is an error naming it.
P5.15 Capacity that can be had without a commitment costs nothing unless it is used; of a minimum bill that holds for
      what lies above the floor that is owed. What we own is paid for.
P1.J  Without a plan, capacity of a pool that costs more than its cheapest is charged what it costs above that.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from argosy.errors import BadInput, Problem
from argosy.model.ask import Ask
from argosy.model.pair_speed import PairSpeed
from argosy.model.portfolio import Portfolio
from argosy.model.reach import Reach
from argosy.model.snapshot import BurnDown, NodeState, PlaceAsk, PoolState, PowerLimit, Snapshot, SupplyState
from argosy.model.snapshot_ask import AskLine
from argosy.model.supply import Supply, Use
from argosy.units import Month

PLAN_FORMAT = "argosy.plan/1"
LOOK_HOURS: float = Snapshot.model_fields["look_hours"].default


class PlanRecord:
    """What `place` reads of a plan's decision record: prices and sizes."""

    def __init__(self, document: Mapping[str, Any], name: str) -> None:
        """BadInput when it is not the document of `argosy plan --json`, or says that no plan exists."""
        if document.get("format") != PLAN_FORMAT or document.get("status") not in ("optimal", "feasible"):
            message = f"this is no plan: `argosy plan --json` writes {PLAN_FORMAT} with status optimal or feasible"
            raise BadInput([Problem(name, 0, 0, "plan.format", "", message)])
        self.name = name
        self.portfolio = document.get("portfolio")
        """Name of the portfolio that was planned; None where the document does not say it."""
        self.prices: dict[tuple[str, str], float] = {}
        self.sizes: dict[str, float] = {}
        try:
            for row in _rows(document, "prices"):
                self.prices[str(row["pool"]), str(row["month"])] = _amount(row, "usd_per_accelerator_hour")
            for row in _rows(document, "decisions"):
                if row["signed"]:
                    self.sizes[str(row["contract"])] = _amount(row, "size")
        except KeyError as error:
            raise BadInput([Problem(name, 0, 0, "plan.format", "", f"the plan lacks {error}")]) from error
        except (TypeError, ValueError) as error:
            raise BadInput([Problem(name, 0, 0, "plan.format", "", str(error))]) from error

    def price(self, pool: str, month: Month) -> float:
        """The internal price; BadInput when the plan has none for the pool in that month."""
        found = self.prices.get((pool, str(month)))
        if found is None:
            raise BadInput([Problem(self.name, 0, 0, "price.missing", "prices", f"no price of pool {pool} in {month}")])
        return found


def _rows(document: Mapping[str, Any], name: str) -> Sequence[Mapping[str, Any]]:
    rows = document[name]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise TypeError(f"{name} is no list of objects")
    return rows


def _amount(row: Mapping[str, Any], name: str) -> float:
    found = row[name]
    if not isinstance(found, int | float) or isinstance(found, bool) or not math.isfinite(found):
        words = " ".join(f"{key} {value}" for key, value in row.items() if key in ("pool", "month", "contract"))
        raise ValueError(f"{name} of {words} is {found!r}, which is no number")
    return float(found)


def _whole_usd(row: Supply, use: Use) -> float:
    """What an accelerator-hour costs by contract, committed fee and usage together."""
    fee = 0.0 if row.commitment is None else row.commitment.committed_usd
    return use.usage_usd_per_accelerator_hour + fee * use.draw_per_accelerator_hour


def as_used_fraction(row: Supply, size: float, owed: float | None = None) -> float:
    """P5.15: the share of a row of this size that costs nothing unless used; `owed` is what its floor still asks."""
    if row.open_accelerators is not None:
        return 1.0
    if row.commitment is None or size <= 0:
        return 0.0
    level = size * row.commitment.take_or_pay_fraction if owed is None else owed
    return 1.0 - min(1.0, max(0.0, level / size))


def snapshot(
    portfolio: Portfolio,
    month: Month,
    *,
    plan: PlanRecord | None = None,
    lines: Sequence[AskLine] | None = None,
    nodes: Sequence[NodeState] = (),
    owed: Mapping[str, float] | None = None,
    window_hours: float = 24.0,
    throughput_quantile: Literal["p10", "p50"] = "p50",
    pairs: Sequence[PairSpeed] = (),
    look_hours: float = LOOK_HOURS,
) -> Snapshot:
    """The world of a consistent portfolio (catalogue filled in) in one month.

    `owed` says for contracts how many accelerators (USD per hour for spend) must be in use on average from now on to
    meet the floor of the running contract year; for others the floor is taken to be met evenly. Without `lines` the
    asks are the demand of the workloads in that month. BadInput lists what is missing.
    """
    if not 0 <= portfolio.horizon.index(month) < portfolio.horizon.months:
        message = f"{month} is outside the horizon, {portfolio.horizon.start} to {portfolio.horizon.end.plus(-1)}"
        raise BadInput([Problem(portfolio.name, 0, 0, "place.month", "month", message)])
    reader = _Reader(portfolio, month, plan)
    pools, supplies = reader.pools(owed or {})
    asks = reader.demand() if lines is None else reader.lines(lines)
    policy = portfolio.policy
    reader.check_nodes(nodes, {pool.id for pool in pools})
    return Snapshot(
        window_hours=window_hours,
        look_hours=look_hours,
        price_source="contracts" if plan is None else "plan",
        regions=portfolio.regions,
        pools=pools,
        supplies=supplies,
        asks=asks,
        datasets=portfolio.datasets,
        links=portfolio.links,
        throughput_quantile=throughput_quantile,
        pairs=tuple(pairs),
        residency=policy.residency,
        max_critical_vendor_fraction=policy.concentration.max_critical_service_fraction,
        power_limits=reader.power(pools),
        burn_downs=reader.floors(pools, owed or {}),
        nodes=tuple(nodes),
    )


class _Reader:
    def __init__(self, portfolio: Portfolio, month: Month, plan: PlanRecord | None) -> None:
        self.portfolio, self.month, self.plan = portfolio, month, plan
        self.at = portfolio.horizon.index(month)
        self.reach = Reach(portfolio)
        if plan is not None:
            strange = sorted(set(plan.sizes) - {contract.id for contract in portfolio.contracts})
            if strange:
                message = (
                    f"the plan signs {', '.join(strange[:5])}, which {portfolio.name} does not have: a plan of another?"
                )
                raise BadInput([Problem(plan.name, 0, 0, "plan.other", "decisions", message)])
        rows = [row for contract in portfolio.contracts for row in contract.supply(portfolio.horizon)]
        self.supply = [(row, size) for row in rows if (size := self._size(row)) > 1e-9]

    def _size(self, row: Supply) -> float:
        """Accelerators (USD per hour for spend) that the row gives in the month."""
        if row.open_accelerators is not None:
            return row.open_accelerators[self.at]
        signed = row.signed_size
        if signed is None and self.plan is not None:
            signed = self.plan.sizes.get(row.contract)
        if signed is None or not self.at < row.end_month:
            return 0.0
        delivered = signed * sum(tranche.delivered(self.at) for tranche in row.tranches)
        return delivered / self.month.hours if row.unit == "usd_per_month" else delivered

    def pools(self, owed: Mapping[str, float]) -> tuple[tuple[PoolState, ...], tuple[SupplyState, ...]]:
        """Pools that hold anything in the month, with prices, and the supplies that they share."""
        named = {use.pool for row, _ in self.supply for use in row.uses}
        regions = self.reach.regions
        states: list[PoolState] = []
        problems: list[Problem] = []
        for pool in self.portfolio.pools:
            own = max(
                (pool.existing_accelerators[m] for m in [self._latest(pool.existing_accelerators)] if m), default=0.0
            )
            if not own and pool.id not in named:
                continue
            chip = self.reach.silicon[pool.silicon]
            try:
                price = self._price(pool.id, pool.existing_usd_per_accelerator_hour if own else None)
            except BadInput as error:
                problems += error.problems
                continue
            states.append(
                PoolState(
                    id=pool.id,
                    region=pool.region,
                    silicon=pool.silicon,
                    family=chip.family,
                    tier=pool.tier,
                    own_accelerators=own,
                    may_hold_accelerators=self._whole(pool.id, own) if pool.tier == "spot" else None,
                    domain_accelerators=chip.domain_accelerators,
                    usd_per_accelerator_hour=price,
                    goodput_fraction=pool.vendor_goodput_fraction,
                    facility_kw_per_accelerator=chip.facility_kw or self._built_kw(pool.id),
                )
            )
        if problems:
            raise BadInput(problems)
        assert all(state.region in regions for state in states)
        internal = {state.id: state.usd_per_accelerator_hour for state in states}
        supplies = tuple(
            SupplyState(
                id=row.id,
                capacity=size,
                draw={use.pool: use.draw_per_accelerator_hour for use in row.uses},
                above_usd_per_accelerator_hour=self._above(row, internal),
                as_used_fraction=as_used_fraction(row, size, owed.get(row.contract)),
            )
            for row, size in self.supply
        )
        return tuple(states), supplies

    def _whole(self, pool: str, own: float) -> float:
        """All that a pool may draw on in the month."""
        draws = [(size, use) for row, size in self.supply for use in row.uses if use.pool == pool]
        return own + sum(size / use.draw_per_accelerator_hour for size, use in draws if use.draw_per_accelerator_hour)

    def _above(self, row: Supply, internal: Mapping[str, float]) -> dict[str, float]:
        """P1.J. A plan's price holds for all of a pool; what its capacity costs has gone into it."""
        costs = {} if self.plan is not None else {use.pool: _whole_usd(row, use) for use in row.uses}
        return {pool: usd - internal[pool] for pool, usd in costs.items() if pool in internal and usd > internal[pool]}

    def _built_kw(self, pool: str) -> float | None:
        """What own builds in the pool say that one accelerator draws; the most of them."""
        built = [row.build for row, _ in self.supply if row.build and any(use.pool == pool for use in row.uses)]
        return max((build.kw_per_accelerator for build in built), default=None)

    def power(self, pools: Sequence[PoolState]) -> tuple[PowerLimit, ...]:
        """P1.G."""
        found = []
        policy = self.portfolio.policy.power
        if policy is not None and (at := self._latest(policy.max_mw)) is not None:
            found.append(PowerLimit(id="all", pools=tuple(p.id for p in pools), max_mw=policy.max_mw[at]))
        for site in self.portfolio.sites:
            fed = {use.pool for row, _ in self.supply if row.build and row.build.site == site.id for use in row.uses}
            age = self.at - self.portfolio.horizon.index(site.energised)
            if fed:
                ramp = 1.0 if site.ramp_months == 0 else min(1.0, max(0, age + 1) / site.ramp_months)
                mw = site.max_mw * ramp if age >= 0 else 0.0
                found.append(PowerLimit(id=site.id, pools=tuple(p.id for p in pools if p.id in fed), max_mw=mw))
        return tuple(found)

    def floors(self, pools: Sequence[PoolState], owed: Mapping[str, float]) -> tuple[BurnDown, ...]:
        """P1.B. BadInput when `owed` names a contract that gives nothing in the month."""
        price = {pool.id: pool.usd_per_accelerator_hour for pool in pools}
        found = []
        for row, size in self.supply:
            if row.commitment is None or row.unit not in ("accelerators", "usd_per_month"):
                continue
            level = owed.get(row.contract, size * row.commitment.take_or_pay_fraction)
            saved = [
                (
                    max(price[use.pool], _whole_usd(row, use) if self.plan is None else 0.0)
                    - use.usage_usd_per_accelerator_hour
                )
                / use.draw_per_accelerator_hour
                for use in row.uses
                if use.pool in price and use.draw_per_accelerator_hour > 0
            ]
            unmet = max(0.0, min(saved, default=0.0))
            if min(level, size) > 0 and unmet > 0:
                found.append(BurnDown(supply=row.id, owed=min(level, size), unmet_usd_per_unit=unmet))
        unknown = sorted(set(owed) - {row.contract for row, _ in self.supply})
        if unknown:
            message = f"{unknown[0]!r} is no contract with capacity in {self.month}"
            raise BadInput([Problem("owed", 0, 0, "place.reference", "owed", message)])
        return tuple(found)

    def check_nodes(self, nodes: Sequence[NodeState], pools: set[str]) -> None:
        """BadInput for nodes of pools that hold nothing in the month."""
        unknown = sorted({node.pool for node in nodes} - pools)
        if unknown:
            there = f"known: {', '.join(sorted(pools)[:8])}"
            messages = [f"pool {name!r} has no capacity in {self.month}; {there}" for name in unknown[:20]]
            raise BadInput([Problem("nodes", 0, 0, "place.reference", "pool", message) for message in messages])

    def _latest(self, points: Mapping[Month, float]) -> Month | None:
        past = [m for m in points if m <= self.month]
        return max(past) if past else None

    def _price(self, pool: str, own: float | None) -> float:
        """P1.I."""
        if self.plan is not None:
            return self.plan.price(pool, self.month)
        costs = [] if own is None else [own]
        for row, _ in self.supply:
            for use in row.uses:
                if use.pool == pool:
                    costs.append(_whole_usd(row, use))
        return min(costs)

    def demand(self) -> tuple[PlaceAsk, ...]:
        """The workloads' demand of the month; work that is not wanted then is left out."""
        rows = [ask for workload in self.portfolio.workloads for ask in workload.asks(self.portfolio.horizon)]
        return tuple(
            self._ask(
                row,
                {
                    "id": row.id,
                    "accelerators": 1.0,
                    "units_per_hour": row.demand_units[self.at] * (1 + row.reserve_fraction),
                    "usd_per_unit": row.unserved_usd_per_unit / self.month.hours,
                    "latency": row.latency,
                },
            )
            for row in rows
            if row.demand_units[self.at] > 0
        )

    def lines(self, lines: Sequence[AskLine]) -> tuple[PlaceAsk, ...]:
        """The asks of a file."""
        rows: dict[str, dict[str, Ask]] = {
            workload.id: {ask.home: ask for ask in workload.asks(self.portfolio.horizon)}
            for workload in self.portfolio.workloads
        }
        shares = {workload.id: workload.homes for workload in self.portfolio.workloads}
        out, problems, seen = [], [], set()
        for i, line in enumerate(lines):
            wrong = self._wrong(line, rows)
            if line.id in seen:
                wrong.append(("id", f"{line.id!r} stands here twice"))
            seen.add(line.id)
            problems += [Problem("asks", 0, 0, "place.ask", f"asks.{i}.{field}", words) for field, words in wrong]
            if wrong:
                continue
            home = line.home or max(shares[line.workload], key=lambda name: shares[line.workload][name])
            base = next(iter(rows[line.workload].values()))
            row = rows[line.workload].get(home, base.model_copy(update={"home": home}))
            value = line.usd_per_accelerator_hour
            hours = line.reference_hours
            out.append(
                self._ask(
                    row,
                    {
                        "id": line.id,
                        "owner": line.owner,
                        "kind": line.workload if line.kind is None else line.kind,
                        "count": float(line.count),
                        "accelerators": float(line.accelerators),
                        "one_domain": line.one_domain,
                        "latency": row.latency if line.latency is None else line.latency,
                        "spread": line.spread,
                        "firm_fraction": line.firm_fraction,
                        "cpu_milli": line.cpu_milli,
                        "memory_mib": line.memory_mib,
                        "running_on": line.running_on,
                        "usd_per_unit": row.unserved_usd_per_unit / self.month.hours if value is None else value,
                        "remaining_units": None if hours is None else hours * line.accelerators,
                        "deadline_hours": line.deadline_hours,
                        "running_in": line.running_in,
                        "preemptible": line.preemptible,
                        "may_preempt": line.may_preempt,
                        "checkpoint_gib": line.checkpoint_gib,
                        "restart_hours": line.restart_hours,
                        "attained_units": line.done_reference_hours * line.accelerators,
                        "elapsed_hours": line.elapsed_hours,
                    },
                )
            )
        if problems:
            raise BadInput(problems)
        return tuple(out)

    def _wrong(self, line: AskLine, rows: Mapping[str, Mapping[str, Ask]]) -> list[tuple[str, str]]:
        wrong = []
        if line.workload not in rows:
            wrong.append(("workload", f"{line.workload!r} is no workload of the portfolio"))
        if line.home is not None and line.home not in self.reach.regions:
            wrong.append(("home", f"{line.home!r} is no region"))
        for name in () if line.latency is None else line.latency.users:
            if name not in self.reach.regions:
                wrong.append(("latency", f"{name!r} is no region"))
        if line.running_in is not None and line.running_in not in {pool.id for pool in self.portfolio.pools}:
            wrong.append(("running_in", f"{line.running_in!r} is no pool of the portfolio"))
        return wrong

    def _ask(self, row: Ask, own: dict[str, Any]) -> PlaceAsk:
        """What the workload says, and what the ask says itself."""
        chips = (
            self.portfolio.silicon
            if row.silicon is None
            else [c for c in self.portfolio.silicon if c.id in row.silicon]
        )
        speed = {}
        for chip in chips:
            ratio = row.ratios.get(chip.id, chip.ratio(row.profile))
            if ratio is not None:
                speed[chip.id] = ratio
        workload = next(w for w in self.portfolio.workloads if w.id == row.workload)
        flows = "units_per_hour" in own
        read = next((d for d in self.portfolio.datasets if flows and d.id == row.dataset), None)
        return PlaceAsk(
            speed=speed,
            families=tuple(sorted(row.unported)),
            spot_goodput_fraction=row.spot_goodput_fraction,
            vendor_goodput_fraction=row.vendor_goodput_fraction,
            residency=workload.residency,
            home=row.home,
            critical=row.critical,
            # Demand that flows reads data by the unit; an ask of its own reads the whole dataset where it runs.
            datasets=() if row.dataset is None or flows else (row.dataset,),
            data_gib_per_unit=row.data_gib_per_unit / self.month.hours,
            data_home=None if read is None else read.home,
            data_jurisdictions=() if read is None else read.jurisdictions,
            **own,
        )
