"""Outage: a vendor or a region that loses capacity for months."""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le
from pydantic import model_validator

from argosy.model.chance import DIGITS, Chance, Effects, Streams, Subjects
from argosy.model.horizon import Horizon
from argosy.model.scenario import Outage
from argosy.record import Text
from argosy.units import Fraction, PositiveMonths


class Uncertainty(Chance):
    """S7: each place fails at random moments, for a random number of months, with a random share left.

    Only what lasts weeks matters to a plan; shorter failures belong into the goodput. Such losses are rare but real:
    a fire destroyed a data centre of OVH in Strasbourg on 2021-03-10
    (https://www.datacenterplanet.com/data-center/google-outage-in-russia-and-ovhcloud-data-center-fire/), and a zone of
    europe-west9 stood still for more than three weeks from 2023-04-25
    (https://www.techzine.eu/news/infrastructure/105816/french-google-cloud-data-center-has-been-offline-for-three-weeks-now/).
    The default rate, once in 50 years of a region, is a cautious judgement above what these two suggest.
    """

    kind: Literal["outage"] = "outage"
    places: tuple[Text, ...] = ()
    """Vendors, regions or pools that may fail; empty means all of `loss_of`."""
    loss_of: Literal["vendor", "region"] = "region"
    """What may fail when no places are named."""
    events_per_year_ratio: Annotated[float, Ge(0), Le(12)] = 0.02
    """Mean number of failures of one place in a year."""
    shortest_months: PositiveMonths = 1
    """Least months until the capacity is back."""
    longest_months: PositiveMonths = 3
    """Most months until the capacity is back; lengths between the two are equally likely."""
    low_available_fraction: Fraction = 0.0
    """Least share of the capacity that remains."""
    high_available_fraction: Fraction = 0.5
    """Most that remains; shares between the two are equally likely."""

    @model_validator(mode="after")
    def _ordered(self) -> Uncertainty:
        if self.shortest_months > self.longest_months:
            raise ValueError(
                f"shortest_months ({self.shortest_months}) is above longest_months ({self.longest_months})"
            )
        if self.low_available_fraction > self.high_available_fraction:
            raise ValueError(
                f"low_available_fraction ({self.low_available_fraction:g}) is above "
                f"high_available_fraction ({self.high_available_fraction:g})"
            )
        return self

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """All failures that begin within the plan."""
        if self.places:
            places = self.chosen("places", {*subjects.vendors, *subjects.regions, *subjects.pools})
        else:
            places = tuple(sorted(subjects.vendors if self.loss_of == "vendor" else subjects.regions))
        return Effects(
            outages=tuple(o for place in places for o in self._failures(place, streams.of(place), subjects.horizon))
        )

    def _failures(self, place: str, rng: np.random.Generator, horizon: Horizon) -> list[Outage]:
        """Failures of one place with exponential gaps; a higher rate moves the same failures closer together."""
        failures: list[Outage] = []
        if self.events_per_year_ratio == 0:
            return failures
        month = 0.0
        while True:
            gap, length, left = rng.exponential(), rng.random(), rng.random()
            month += gap * 12 / self.events_per_year_ratio
            if month >= horizon.months:
                return failures
            failures.append(
                Outage(
                    place=place,
                    start=horizon.start.plus(int(month)),
                    months=self.shortest_months + int(length * (self.longest_months - self.shortest_months + 1)),
                    available_fraction=round(
                        self.low_available_fraction
                        + left * (self.high_available_fraction - self.low_available_fraction),
                        DIGITS,
                    ),
                )
            )
