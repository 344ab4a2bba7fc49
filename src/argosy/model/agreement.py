"""Agreement: what all contract kinds have in common, and the shared steps by which they reduce to `Supply`.

A kind is one file in `contract/` with a class `Contract` and a method `supply`. The steps here turn months into
positions and clauses into rows; a kind chooses among them. Nothing here knows a kind.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from annotated_types import Len
from pydantic import model_validator

from argosy.model.horizon import Horizon
from argosy.model.supply import (
    Build,
    Commitment,
    ExitRight,
    FirstRefusal,
    OptionRight,
    PaidAhead,
    Supply,
    Tranche,
    Use,
)
from argosy.model.terms import Clauses, Delivery, VolumeTier
from argosy.record import Id, Text
from argosy.units import Amount, Fraction, Month, Months, PositiveMonths, UsdPerAcceleratorHour

Status = Literal["signed", "candidate"]


class Fee(NamedTuple):
    """The number of a price that is negotiated, all other terms as written."""

    unit: Literal["usd_per_accelerator_hour", "usd_per_accelerator", "price_ratio"]
    """`price_ratio`: all contracted prices times it; 1 is as written."""
    written: float
    """As written; for a contract signed with volume tiers that of the size signed."""
    highest: float
    """Highest that a file may hold."""


class Agreement(Clauses):
    """A contract of any kind."""

    idle_clauses: ClassVar[frozenset[str]] = frozenset()
    """Clauses that the kind does not reduce to supply; a portfolio that writes them is refused."""

    id: Id
    """Short name, unique."""
    kind: str
    """Which file in `contract/` defines it."""
    vendor: Id
    """Party we sign with."""
    name: Text | None = None
    """Name for people."""

    @abstractmethod
    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """The rows that engines read."""

    @property
    def negotiable(self) -> Fee | None:
        """The one number of the price that is negotiated; None for kinds without one."""
        return None

    def at_fee(self, fee: float) -> Self:
        """The same with another fee at all its sizes, in the unit of `negotiable`."""
        raise AssertionError(f"a {self.kind} has no single fee")

    @abstractmethod
    def pool_ids(self) -> tuple[str, ...]:
        """Pools that the contract names, in the order written."""


class Sized(Agreement):
    """A contract whose size is agreed or decided."""

    status: Status = "candidate"
    """`signed` is given; `candidate` is for the plan to decide."""
    signing: Month | None = None
    """Month of signing; absent means the start of the plan. Later signings may depend on what is known then."""
    start: Month
    """First month of the term; delivery begins `lead_months` later unless tranches say otherwise."""
    term_months: PositiveMonths
    """Length of the term."""
    lead_months: Months = 0
    """Months from start to first delivery."""
    ramp_months: Months = 0
    """Months over which capacity grows in a straight line to its full size."""
    tranches: tuple[Delivery, ...] = ()
    """Delivery in parts with their own dates; replaces lead and ramp."""
    obligation_follows_delivery: bool = True
    """Whether the minimum bill waits for late capacity."""
    alternatives: Id | None = None
    """Contracts with the same word exclude each other."""

    @model_validator(mode="after")
    def _whole_delivery(self) -> Sized:
        if self.tranches and abs(sum(t.fraction for t in self.tranches) - 1) > 1e-9:
            raise ValueError(f"the fractions of the tranches sum to {sum(t.fraction for t in self.tranches):g}, not 1")
        if self.tranches and (self.lead_months or self.ramp_months):
            raise ValueError("tranches carry their own dates and ramps; drop lead_months and ramp_months")
        return self

    @model_validator(mode="after")
    def _ramp_ends(self) -> Sized:
        end = self.start.plus(self.term_months)
        for tranche in self._deliveries():
            if tranche.start.plus(tranche.ramp_months) > end:
                raise ValueError(
                    f"the ramp from {tranche.start} over {tranche.ramp_months} months does not end before the term "
                    f"does, in {end}; shorten the ramp or lengthen the term"
                )
        return self

    def _deliveries(self) -> tuple[Delivery, ...]:
        if self.tranches:
            return self.tranches
        return (Delivery(start=self.start.plus(self.lead_months), fraction=1.0, ramp_months=self.ramp_months),)

    def row_tranches(self, horizon: Horizon) -> tuple[Tranche, ...]:
        """Delivery in positions of the horizon."""
        return tuple(
            Tranche(month=horizon.index(d.start), fraction=d.fraction, ramp_months=d.ramp_months)
            for d in self._deliveries()
        )

    def row_option(self, horizon: Horizon) -> OptionRight | None:
        """The expansion option in positions of the horizon; None when there is none or it begins after the horizon."""
        option = self.expansion_option
        if option is None:
            return None
        first = horizon.index(option.first_exercise)
        last = horizon.index(option.last_exercise or option.first_exercise)
        months = _spread(first, last, option.exercise_dates, horizon.months)
        if not months:
            return None
        return OptionRight(
            max_fraction=option.max_fraction,
            premium_usd_per_accelerator=option.premium_usd_per_accelerator,
            strike_usd_per_accelerator=option.strike_usd_per_accelerator,
            exercise_months=months,
            lead_months=option.lead_months,
            ramp_months=option.ramp_months,
        )

    def row_exit(self, horizon: Horizon) -> ExitRight | None:
        """The right to leave in positions of the horizon."""
        if self.exit is None:
            return None
        last = horizon.index(self.start) + self.term_months - self.exit.notice_months - 1
        months = _spread(horizon.index(self.exit.earliest), last, self.exit.dates, horizon.months)
        if not months:
            return None
        return ExitRight(
            notice_given_months=months,
            notice_months=self.exit.notice_months,
            fee_fraction=self.exit.fee_fraction,
        )

    def row_paid_ahead(self, horizon: Horizon) -> PaidAhead | None:
        """The prepayment in positions of the horizon."""
        if self.prepayment is None:
            return None
        return PaidAhead(
            fraction=self.prepayment.fraction,
            optional_fraction=self.prepayment.optional_fraction,
            discount_fraction=self.prepayment.discount_fraction,
            pay_month=self.sign_index(horizon),
            credit_months=self.prepayment.credit_months,
            refundable=self.prepayment.refundable_on_late_delivery,
        )

    def row_first_refusal(self) -> FirstRefusal | None:
        """A third party's right to match, when it has not lapsed by the start."""
        right = self.right_of_first_refusal
        if right is None or (right.lapses is not None and self.start >= right.lapses):
            return None
        return FirstRefusal(holder=right.holder, pool=right.pool, match_fraction=right.match_fraction)

    def sign_index(self, horizon: Horizon) -> int:
        """Position of the month of signing."""
        if self.signing is not None:
            return horizon.index(self.signing)
        return min(0, horizon.index(self.start)) if self.status == "signed" else 0

    def end_index(self, horizon: Horizon) -> int:
        """Position of the first month after the term."""
        return horizon.index(self.start) + self.term_months


class Capacity(Sized):
    """A contract for a number of accelerators."""

    pools: Annotated[tuple[Id, ...], Len(min_length=1)]
    """Pools that the capacity may be used in."""
    accelerators: Amount | None = None
    """Size of a signed contract."""
    min_accelerators: Amount = 0.0
    """Smallest size of a candidate."""
    max_accelerators: Amount | None = None
    """Largest size of a candidate."""

    @model_validator(mode="after")
    def _has_size(self) -> Capacity:
        if self.status == "signed" and self.accelerators is None:
            raise ValueError("a signed contract needs accelerators, its size")
        if self.status == "candidate" and self.max_accelerators is None:
            raise ValueError("a candidate needs max_accelerators, the most that may be signed")
        if self.status == "candidate" and self.accelerators is not None:
            raise ValueError("a candidate has no fixed size; write min_accelerators and max_accelerators")
        if self.max_accelerators is not None and self.max_accelerators < self.min_accelerators:
            raise ValueError(
                f"max_accelerators ({self.max_accelerators:g}) is below min_accelerators ({self.min_accelerators:g})"
            )
        return self

    def pool_ids(self) -> tuple[str, ...]:
        """Pools that the contract names."""
        granted = (self.right_of_first_refusal.pool,) if self.right_of_first_refusal else ()
        return self.pools + granted

    def rows(
        self,
        horizon: Horizon,
        *,
        fee_usd_per_accelerator_hour: float,
        usage_usd_per_accelerator_hour: float = 0.0,
        take_or_pay_fraction: float = 1.0,
        over_take_usd_per_accelerator_hour: float | None = None,
        delay_credit_usd_per_accelerator_hour: float = 0.0,
        volume_tiers: tuple[VolumeTier, ...] = (),
        build: Build | None = None,
    ) -> tuple[Supply, ...]:
        """One row, or one per volume tier; the rows of tiers exclude each other."""
        ladder: list[tuple[str, float, float, float]] = []
        low, fee, top = self.min_accelerators, fee_usd_per_accelerator_hour, self.max_accelerators or 0.0
        for i, tier in enumerate(sorted(volume_tiers, key=lambda v: v.from_accelerators)):
            if tier.from_accelerators > low:
                ladder.append((f"{self.id}/tier-{i}", low, min(tier.from_accelerators, top), fee))
            low, fee = max(low, tier.from_accelerators), tier.usd_per_accelerator_hour
        ladder.append((f"{self.id}/tier-{len(ladder)}" if ladder else self.id, low, max(low, top), fee))
        if self.accelerators is not None:
            size = self.accelerators
            steps = sorted(volume_tiers, key=lambda v: v.from_accelerators)
            reached = [v.usd_per_accelerator_hour for v in steps if v.from_accelerators <= size]
            ladder = [(self.id, size, size, reached[-1] if reached else fee_usd_per_accelerator_hour)]
        tiered = len(ladder) > 1
        return tuple(
            Supply(
                id=row_id,
                contract=self.id,
                vendor=self.vendor,
                unit="accelerators",
                uses=tuple(
                    Use(pool=p, usage_usd_per_accelerator_hour=usage_usd_per_accelerator_hour) for p in self.pools
                ),
                signed_size=self.accelerators,
                min_size=row_low,
                max_size=row_high,
                alternatives=self.alternatives or (f"{self.id}/tiers" if tiered else None),
                sign_month=self.sign_index(horizon),
                tranches=self.row_tranches(horizon),
                end_month=self.end_index(horizon),
                commitment=Commitment(
                    take_or_pay_fraction=take_or_pay_fraction,
                    committed_usd=row_fee,
                    over_take_usd=row_fee
                    if over_take_usd_per_accelerator_hour is None
                    else over_take_usd_per_accelerator_hour,
                    shortfall_usd=self.shortfall.usd_per_accelerator_hour if self.shortfall else 0.0,
                    follows_delivery=self.obligation_follows_delivery,
                    delay_credit_usd_per_accelerator_hour=delay_credit_usd_per_accelerator_hour,
                    make_up=self.make_up,
                    carry_forward=self.carry_forward,
                ),
                paid_ahead=self.row_paid_ahead(horizon),
                option=self.row_option(horizon),
                exit=self.row_exit(horizon),
                backstop=self.backstop,
                first_refusal=self.row_first_refusal(),
                equity=self.equity,
                build=build,
            )
            for row_id, row_low, row_high, row_fee in ladder
        )


class Committed(Capacity):
    """A capacity contract with a price per accelerator-hour and volume tiers."""

    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """Price of one committed accelerator-hour."""
    usage_usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """Fee per accelerator-hour really used, on top of the committed price."""
    volume_tiers: tuple[VolumeTier, ...] = ()
    """Lower prices from larger sizes."""
    delay_credit_usd_per_accelerator_hour: UsdPerAcceleratorHour = 0.0
    """Credit that the vendor owes per accelerator-hour delivered late."""

    @property
    def negotiable(self) -> Fee:
        """The committed fee."""
        fee = self.usd_per_accelerator_hour
        if self.accelerators is not None:
            steps = sorted(self.volume_tiers, key=lambda v: v.from_accelerators)
            reached = [v.usd_per_accelerator_hour for v in steps if v.from_accelerators <= self.accelerators]
            fee = reached[-1] if reached else fee
        return Fee("usd_per_accelerator_hour", fee, 250.0)

    def at_fee(self, fee: float) -> Self:
        """One committed fee at all sizes: volume tiers fall away."""
        return self.model_copy(update={"usd_per_accelerator_hour": fee, "volume_tiers": ()})


class TakesOrPays(Committed):
    """A committed contract with a floor below its full size."""

    take_or_pay_fraction: Fraction
    """Share of the delivered size that is paid whether used or not."""
    over_take_usd_per_accelerator_hour: UsdPerAcceleratorHour | None = None
    """Price of use above the floor; absent means the committed price."""

    @model_validator(mode="after")
    def _carry_forward_pays_no_more_than_it_costs(self) -> TakesOrPays:
        over = self.over_take_usd_per_accelerator_hour
        if self.carry_forward is None or over is None:
            return self
        worth = self.carry_forward.fraction * self.usd_per_accelerator_hour
        if over < worth:
            raise ValueError(
                f"over_take_usd_per_accelerator_hour ({over:g}) is below what carry_forward later credits for it "
                f"({worth:g}), so use that never was would pay; raise it or lower carry_forward.fraction"
            )
        return self


def _spread(first: int, last: int, count: int, months: int) -> tuple[int, ...]:
    """Up to `count` distinct positions from `first` to `last`, both included, that lie in the horizon after month 0."""
    if count == 1 or last <= first:
        wanted = [first]
    else:
        wanted = [first + round(i * (last - first) / (count - 1)) for i in range(count)]
    return tuple(sorted({m for m in wanted if 0 < m < months}))
