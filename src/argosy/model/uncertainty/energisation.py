"""Energisation: own sites whose power comes late."""

from __future__ import annotations

from typing import Literal

from argosy.model.chance import Effects, Streams, Subjects
from argosy.model.uncertainty._late import LateChance
from argosy.record import Id


class Uncertainty(LateChance):
    """S4: each own site has power on time, late by one of a few lengths, or not within the plan.

    Sites share part of their luck: the same queue for transformers and connections. The record of public projects
    behind the defaults counts whole sites, so it fits own sites at least as well as contracts.
    """

    kind: Literal["energisation"] = "energisation"
    sites: tuple[Id, ...] = ()
    """Own sites that may be late; empty means all."""

    def draw(self, streams: Streams, subjects: Subjects) -> Effects:
        """Months of delay of each site; on time needs no entry."""
        shared = float(streams.of("common").normal())
        delays = {
            site: self.delay_months(shared, float(streams.of("site", site).normal()), subjects.horizon.months)
            for site in self.chosen("sites", subjects.sites)
        }
        return Effects(energisation_delay_months={site: months for site, months in delays.items() if months})
