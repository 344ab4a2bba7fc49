"""Portfolio: the whole world of one organisation as one immutable value."""

from __future__ import annotations

from typing import Annotated, Literal

from argosy.kinds import Kinds
from argosy.model.agreement import Agreement
from argosy.model.catalogue import Catalogue
from argosy.model.chance import Chance
from argosy.model.dataset import Dataset
from argosy.model.horizon import Horizon
from argosy.model.link import Link
from argosy.model.load import Load
from argosy.model.policy import Policy
from argosy.model.pool import Pool
from argosy.model.project import Project, Team
from argosy.model.region import Region
from argosy.model.scenario import Scenarios
from argosy.model.silicon import Silicon
from argosy.model.site import Site
from argosy.model.vendor import Vendor
from argosy.record import Id, Record, Text

AnyContract = Annotated[Agreement, Kinds("argosy.model.contract", "Contract")]
AnyWorkload = Annotated[Load, Kinds("argosy.model.workload", "Workload")]
AnyUncertainty = Annotated[Chance, Kinds("argosy.model.uncertainty", "Uncertainty")]


class Portfolio(Record):
    """Vendors, places, chips, contracts, work, limits and futures."""

    argosy: Literal[1]
    """Version of this file format."""
    name: Id
    """Short name of the portfolio."""
    title: Text | None = None
    """Name for people."""
    horizon: Horizon
    """Months that the plan covers."""
    vendors: tuple[Vendor, ...] = ()
    """Vendors beyond the bundled catalogue, or replacing its entries."""
    regions: tuple[Region, ...] = ()
    """Regions beyond the bundled catalogue, or replacing its entries."""
    silicon: tuple[Silicon, ...] = ()
    """Chips beyond the bundled catalogue, or replacing its entries."""
    links: tuple[Link, ...] = ()
    """Ways for data; they come before the bundled catalogue's."""
    pools: tuple[Pool, ...] = ()
    """Interchangeable capacity that contracts and work refer to."""
    sites: tuple[Site, ...] = ()
    """Own sites."""
    datasets: tuple[Dataset, ...] = ()
    """Data that work must read."""
    contracts: tuple[AnyContract, ...] = ()
    """Signed contracts, candidates, and what can be had without a commitment."""
    workloads: tuple[AnyWorkload, ...] = ()
    """Demand."""
    teams: tuple[Team, ...] = ()
    """People of each skill who are free for projects."""
    projects: tuple[Project, ...] = ()
    """One-off work that makes workloads cheaper to run, or opens other silicon to them."""
    policy: Policy = Policy()
    """Limits and attitudes."""
    uncertainties: tuple[AnyUncertainty, ...] = ()
    """What scenarios are drawn from."""
    scenarios: Scenarios = Scenarios()
    """How many scenarios are drawn, and those given."""

    def with_catalogue(self, catalogue: Catalogue) -> Portfolio:
        """This portfolio with what it leaves out filled in from the catalogue; own entries win."""
        own_vendors = {v.id for v in self.vendors}
        own_regions = {r.id for r in self.regions}
        own_silicon = {s.id for s in self.silicon}
        return self.model_copy(
            update={
                "vendors": self.vendors + tuple(v for v in catalogue.vendors if v.id not in own_vendors),
                "regions": self.regions + tuple(r for r in catalogue.regions if r.id not in own_regions),
                "silicon": self.silicon + tuple(s for s in catalogue.silicon if s.id not in own_silicon),
                "links": self.links + catalogue.links,
            }
        )
