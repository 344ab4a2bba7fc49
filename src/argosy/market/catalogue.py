"""The bundled catalogue: our own curation of vendors, regions, silicon, links and offers, with their sources.

One file per vendor in `data/vendors/`, one for all silicon, one for all links. A vendor's file is about that
vendor only, so its regions and offers do not repeat the name. A broken file raises BadInput that names it.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, TypeVar

import yaml
from pydantic import ValidationError

from argosy.errors import BadInput, Problem
from argosy.model.catalogue import Catalogue
from argosy.model.link import Link
from argosy.model.offer import Offer
from argosy.model.region import Region
from argosy.model.silicon import Silicon
from argosy.model.source import Source
from argosy.model.vendor import Vendor
from argosy.record import Record

INTERNET = "internet"
SAME_VENDOR = "same_vendor"
ANY_REGION = "*"

FileKind = TypeVar("FileKind", bound=Record)


class VendorFile(Record):
    """One file of `data/vendors/`: a vendor with its regions and offers."""

    sources: tuple[Source, ...] = ()
    """Pages that the file points to by YAML anchor; kept so that each page is written once."""
    vendor: Vendor
    """The party itself."""
    regions: tuple[Region, ...] = ()
    """Its regions."""
    offers: tuple[Offer, ...] = ()
    """Its prices."""


class SiliconFile(Record):
    """`data/silicon.yaml`."""

    sources: tuple[Source, ...] = ()
    """Pages that the file points to by YAML anchor."""
    silicon: tuple[Silicon, ...]
    """Chips and CPU servers."""


class LinkFile(Record):
    """`data/links.yaml`."""

    sources: tuple[Source, ...] = ()
    """Pages that the file points to by YAML anchor."""
    links: tuple[Link, ...]
    """Ways for data."""


@cache
def bundled() -> Catalogue:
    """The catalogue that ships with Argosy, loaded once per process."""
    return load(files("argosy.market") / "data")


def load(folder: Traversable) -> Catalogue:
    """Load a catalogue folder; BadInput lists every problem of every file in it."""
    problems: list[Problem] = []
    vendors = [
        _read(path, VendorFile, problems)
        for path in sorted((folder / "vendors").iterdir(), key=lambda path: path.name)
        if path.name.endswith(".yaml")
    ]
    silicon = _read(folder / "silicon.yaml", SiliconFile, problems)
    links = _read(folder / "links.yaml", LinkFile, problems)
    if problems or silicon is None or links is None:
        raise BadInput(problems)
    read = [vendor for vendor in vendors if vendor is not None]
    catalogue = Catalogue(
        vendors=tuple(file.vendor for file in read),
        regions=tuple(region for file in read for region in file.regions),
        silicon=silicon.silicon,
        links=links.links,
        offers=tuple(offer for file in read for offer in file.offers),
    )
    if problems := _references(catalogue):
        raise BadInput(problems)
    return catalogue


def _read(path: Traversable, kind: type[FileKind], problems: list[Problem]) -> FileKind | None:
    """One file as a record; None after its problems were added."""
    name = path.name
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    except (OSError, UnicodeDecodeError) as error:
        problems.append(Problem(name, 0, 0, "catalogue.unreadable", "", str(error)))
        return None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line, column = (mark.line + 1, mark.column + 1) if mark else (0, 0)
        problems.append(Problem(name, line, column, "catalogue.yaml", "", str(error).split("\n", 1)[0]))
        return None
    try:
        return kind.model_validate(_named(_tuples(document)))
    except ValidationError as error:
        problems.extend(
            Problem(name, 0, 0, "catalogue.record", ".".join(map(str, item["loc"])), item["msg"])
            for item in error.errors()
        )
        return None


def _tuples(value: Any) -> Any:
    """The document with sequences as tuples, which strict records ask for."""
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return value


def _named(document: Any) -> Any:
    """A vendor's file with the vendor's id written into its regions and offers."""
    if not isinstance(document, dict) or not isinstance(vendor := document.get("vendor"), dict):
        return document
    return document | {
        part: tuple(
            {"vendor": vendor.get("id")} | item if isinstance(item, dict) else item for item in document.get(part) or ()
        )
        for part in ("regions", "offers")
    }


def _references(catalogue: Catalogue) -> list[Problem]:
    """What points to nothing, or stands there twice."""
    vendors = {vendor.id for vendor in catalogue.vendors}
    regions = {region.id: region.vendor for region in catalogue.regions}
    silicon = {chip.id for chip in catalogue.silicon}
    ends = vendors | regions.keys() | {INTERNET, SAME_VENDOR}
    problems: list[Problem] = []

    def add(file: str, code: str, field: str, message: str) -> None:
        problems.append(Problem(file, 0, 0, code, field, message))

    for offer in catalogue.offers:
        file = f"{offer.vendor}.yaml"
        if offer.region != ANY_REGION and regions.get(offer.region) != offer.vendor:
            add(file, "catalogue.region", "offers", f"{offer.region!r} is not a region of {offer.vendor!r}")
        if offer.silicon not in silicon:
            add(file, "catalogue.silicon", "offers", f"silicon {offer.silicon!r} is not in silicon.yaml")
    for region in catalogue.regions:
        if not region.id.startswith(f"{region.vendor}/"):
            add(
                f"{region.vendor}.yaml",
                "catalogue.region",
                "regions",
                f"{region.id!r} must start with {region.vendor!r}/",
            )
    for link in catalogue.links:
        if not {link.start, link.end} <= ends:
            add(
                "links.yaml",
                "catalogue.link",
                "links",
                f"{link.start!r} to {link.end!r} names an unknown end",
            )
    identities: dict[str, Iterable[object]] = {
        "vendors": [vendor.id for vendor in catalogue.vendors],
        "regions": [region.id for region in catalogue.regions],
        "silicon": [chip.id for chip in catalogue.silicon],
        "links": [(link.start, link.end) for link in catalogue.links],
        "offers": [identity(offer) for offer in catalogue.offers],
    }
    for part, keys in identities.items():
        seen: set[object] = set()
        for key in keys:
            if key in seen:
                add(part, "catalogue.twice", part, f"{key} stands there twice")
            seen.add(key)
    return problems


def identity(offer: Offer) -> tuple[str, str, str, str, int | None, str | None]:
    """What makes two offers the same offer at two prices."""
    return offer.vendor, offer.region, offer.silicon, offer.tier, offer.term_months, offer.instance
