"""Default: a vendor that stops delivering for good."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from annotated_types import Ge, Len, Lt

from argosy.model.chance import Chance, Effects, Streams, Subjects
from argosy.record import Id


class Uncertainty(Chance):
    """S8: in every year that a vendor has survived it stops with the same chance; from then on it delivers nothing.

    The vendors must be named, because no rate fits a young company and a rich one alike. Default: 3.7 % of the issuers
    rated BB+ or lower defaulted in 2023
    (https://www.spglobal.com/ratings/en/research/articles/240328-default-transition-and-recovery-2023-annual-global-corporate-default-and-rating-transition-study-13047827,
    2024-03-28); not every default stops deliveries, so it is a cautious figure for such a vendor.
    """

    kind: Literal["default"] = "default"
    vendors: Annotated[tuple[Id, ...], Len(min_length=1)]
    """Vendors that may stop."""
    default_per_year_fraction: Annotated[float, Ge(0), Lt(1)] = 0.037
    """Chance that a vendor stops within one year."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """The month from which each vendor delivers nothing more; a vendor that survives the plan has no entry."""
        hazard_per_month = -math.log1p(-self.default_per_year_fraction) / 12
        months = {}
        for vendor in self.chosen("vendors", subjects.vendors):
            age = float(streams.of("vendor", vendor).exponential())
            if age < hazard_per_month * subjects.horizon.months:
                months[vendor] = subjects.horizon.start.plus(int(age / hazard_per_month))
        return Effects(default_month=months)
