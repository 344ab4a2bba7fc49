"""Spend commitment: an amount of money per month that may be used up in many pools at contracted prices."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from annotated_types import Len
from pydantic import model_validator

from argosy.model.agreement import Fee, Sized
from argosy.model.horizon import Horizon
from argosy.model.supply import Commitment, Supply, Use
from argosy.record import Id, Record
from argosy.units import Amount, Factor, Usd, UsdPerAcceleratorHour


class ContractedPrice(Record):
    """The price in one pool under the commitment."""

    pool: Id
    """The pool."""
    usd_per_accelerator_hour: UsdPerAcceleratorHour
    """Contracted price."""
    max_accelerators: Amount | None = None
    """Most that the vendor provides in this pool; absent means no limit but the money."""


class Contract(Sized):
    """Money committed per month; what is not used up is paid at the end of each contract year."""

    kind: Literal["spend_commitment"] = "spend_commitment"
    prices: Annotated[tuple[ContractedPrice, ...], Len(min_length=1)]
    """Pools and their contracted prices."""
    usd_per_month: Usd | None = None
    """Size of a signed commitment."""
    min_usd_per_month: Usd = 0.0
    """Smallest commitment that may be signed."""
    max_usd_per_month: Usd | None = None
    """Largest commitment."""
    max_over_take_fraction: Factor = 1.0
    """Use above the commitment at contracted prices, as a share of it."""

    @model_validator(mode="after")
    def _has_size(self) -> Contract:
        if self.status == "signed" and self.usd_per_month is None:
            raise ValueError("a signed spend commitment needs usd_per_month, its size")
        if self.status == "candidate" and self.max_usd_per_month is None:
            raise ValueError("a candidate needs max_usd_per_month, the most that may be committed")
        if any(price.usd_per_accelerator_hour == 0 for price in self.prices):
            raise ValueError("a contracted price of 0 would never use up the commitment")
        return self

    @property
    def negotiable(self) -> Fee:
        """All contracted prices together: the same money buys less where they are higher."""
        return Fee("price_ratio", 1.0, 20.0)

    def at_fee(self, fee: float) -> Self:
        """All contracted prices times a factor."""
        least = 1e-6  # a price of 0 would never use up the commitment
        prices = tuple(
            price.model_copy(update={"usd_per_accelerator_hour": max(least, price.usd_per_accelerator_hour * fee)})
            for price in self.prices
        )
        return self.model_copy(update={"prices": prices})

    def pool_ids(self) -> tuple[str, ...]:
        """Pools that the contract names."""
        return tuple(price.pool for price in self.prices)

    def supply(self, horizon: Horizon) -> tuple[Supply, ...]:
        """One row whose size is money and whose uses draw their contracted price."""
        return (
            Supply(
                id=self.id,
                contract=self.id,
                vendor=self.vendor,
                unit="usd_per_month",
                uses=tuple(
                    Use(
                        pool=price.pool,
                        draw_per_accelerator_hour=price.usd_per_accelerator_hour,
                        max_accelerators=price.max_accelerators,
                    )
                    for price in self.prices
                ),
                signed_size=self.usd_per_month,
                min_size=self.min_usd_per_month,
                max_size=self.max_usd_per_month or 0.0,
                alternatives=self.alternatives,
                sign_month=self.sign_index(horizon),
                tranches=self.row_tranches(horizon),
                end_month=self.end_index(horizon),
                commitment=Commitment(
                    take_or_pay_fraction=1.0,
                    committed_usd=1.0,
                    over_take_usd=1.0,
                    shortfall_usd=0.0,
                    follows_delivery=self.obligation_follows_delivery,
                    make_up=self.make_up,
                    carry_forward=self.carry_forward,
                ),
                paid_ahead=self.row_paid_ahead(horizon),
                exit=self.row_exit(horizon),
                max_over_take_fraction=self.max_over_take_fraction,
            ),
        )
