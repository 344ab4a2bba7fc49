"""`argosy offers`: what is for sale, where, at which price, and what a unit of work costs there.

Translates options into a query on the bundled catalogue (and catalogue files of the user) and the answer
into a table or JSON. Registered by `cli/main.py`; holds no prices and no rules of its own.

With `--json` the answer is a list of objects with the keys vendor, region, jurisdiction, silicon, tier,
term_months, usd_per_accelerator_hour, usd_per_unit_hour (only with `--profile`; null where unmeasured),
instance, source_url, date. `region` is `*` and `jurisdiction` null when the price holds in every region of the
vendor and no region was asked for.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table
from rich.text import Text

from argosy.errors import ArgosyError, BadInput, Problem
from argosy.files.importers import gpuhunt_catalogue, plain_catalogue, skypilot_catalogue
from argosy.files.importers._table import read_lines
from argosy.market.catalogue import bundled, identity
from argosy.market.prices import SORT_KEYS, TIERS, Query, Quote, SortKey, find, unknown
from argosy.model.catalogue import Catalogue
from argosy.model.offer import Offer
from argosy.model.region import Region
from argosy.model.silicon import PROFILES
from argosy.model.vendor import Vendor

FORMATS = ("auto", "plain", "skypilot", "gpuhunt")
WIDTH = 100
ROWS = 50

# ISO 3166-1 reserves XX to its users for "unknown"; it is shown as absent.
UNKNOWN_PLACE = "XX"

EXIT_NO = 1
EXIT_BAD_INPUT = 2
EXIT_OUTSIDE = 3


def offers(
    silicon: Annotated[str | None, typer.Option(help="Chip, for example h100 or tpu-v6e.")] = None,
    region: Annotated[str | None, typer.Option(help="Country code, zone such as eu, or part of a region's id.")] = None,
    vendor: Annotated[str | None, typer.Option(help="Vendor id, for example aws.")] = None,
    tier: Annotated[str | None, typer.Option(help=f"One of {', '.join(TIERS)}.")] = None,
    profile: Annotated[
        str | None, typer.Option(help=f"Also price one unit of this work: {', '.join(PROFILES)}.")
    ] = None,
    max_price: Annotated[float | None, typer.Option(min=0, help="Highest USD per accelerator-hour.")] = None,
    sort: Annotated[
        str | None, typer.Option(help="price, unit_price, vendor or region; unit_price with --profile.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help=f"Most rows; else {ROWS} in a table and all with --json.")
    ] = None,
    catalogue: Annotated[list[Path] | None, typer.Option(help="Prices of your own; may be repeated.")] = None,
    format: Annotated[str, typer.Option("--format", help=f"Of these files: {', '.join(FORMATS)}.")] = "auto",
    catalogue_vendor: Annotated[
        str | None, typer.Option(help="Vendor of a SkyPilot file; else the name of its folder.")
    ] = None,
    catalogue_date: Annotated[
        str | None,
        typer.Option(help="Day that the files are from, YYYY-MM-DD; else when they were last changed."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="A list of objects instead of a table.")] = False,
) -> None:
    """List offers for accelerators: list, reserved and spot prices with their sources.

    Exit code 0 with offers, 1 when nothing matches, 2 for unknown names or bad files, 3 when something outside
    failed.
    """
    by_price: SortKey = "unit_price" if profile is not None else "price"
    order = next((key for key in SORT_KEYS if key == sort), None) if sort is not None else by_price
    if order is None:
        _stop(EXIT_BAD_INPUT, f"--sort {sort} is not known; use one of {', '.join(SORT_KEYS)}")
    if order == "unit_price" and profile is None:
        _stop(EXIT_BAD_INPUT, "--sort unit_price needs --profile: a unit of which work?")
    if format not in FORMATS:
        _stop(EXIT_BAD_INPUT, f"--format {format} is not known; use one of {', '.join(FORMATS)}")
    query = _query(
        silicon=silicon,
        region=region,
        vendor=vendor,
        tier=tier,
        profile=profile,
        max_usd_per_accelerator_hour=max_price,
    )
    try:
        known = bundled()
        for path in catalogue or []:
            silicon_ids = {chip.id for chip in known.silicon}
            found = read_catalogue(path, format, vendor=catalogue_vendor, date=catalogue_date, silicon=silicon_ids)
            known = merged(known, found)
    except BadInput as error:
        _stop(EXIT_BAD_INPUT, *(str(problem) for problem in error.problems))
    except ArgosyError as error:
        _stop(EXIT_OUTSIDE, str(error))
    if names := unknown(known, query):
        _stop(EXIT_BAD_INPUT, *(_unknown_message(name.field, name.name, name.close) for name in names))
    quotes = find(known, query, order)
    shown = quotes[: limit or (len(quotes) if as_json else ROWS)]
    if as_json:
        typer.echo(json.dumps([as_object(quote, query) for quote in shown], indent=2))
    elif quotes:
        _print(shown, len(quotes), query)
    if not quotes:
        _stop(EXIT_NO, _nothing_message(known, query))


def read_catalogue(
    path: Path,
    format: str = "auto",
    *,
    vendor: str | None = None,
    date: str | None = None,
    silicon: Collection[str] | None = None,
) -> tuple[Offer, ...]:
    """The offers of a user's file, in the given format or in the one that its header shows.

    BadInput with every problem; a header that belongs to no format is one, and a chip that is not among `silicon`.
    """
    found = detected_format(path) if format == "auto" else format
    if found == "plain":
        return plain_catalogue.read(path, silicon=silicon)
    day = date or _changed(path)
    if found == "skypilot":
        return skypilot_catalogue.read(path, (vendor or path.resolve().parent.name).lower(), day)
    return gpuhunt_catalogue.read(path, day)


def detected_format(path: Path) -> str:
    """The format that has all its columns in the file's header; BadInput when none has."""
    lines = read_lines(path)
    header = {name.strip() for name in next(csv.reader(lines[:1]), [])}
    for name, columns in (
        ("plain", plain_catalogue.COLUMNS),
        ("skypilot", skypilot_catalogue.COLUMNS),
        ("gpuhunt", gpuhunt_catalogue.COLUMNS),
    ):
        if header.issuperset(columns):
            return name
    message = (
        "the header belongs to no known format; write "
        f"{','.join(plain_catalogue.COLUMNS)} or say which it is with --format"
    )
    raise BadInput([Problem(str(path), 1, 0, "import.format", "", message)])


def merged(catalogue: Catalogue, offers: tuple[Offer, ...]) -> Catalogue:
    """The catalogue with a user's offers, which replace the same offers and bring their vendors and regions.

    A region that only the user knows gets no country: absent, not guessed. Queries by its id find it.
    """
    replaced = {identity(offer) for offer in offers}
    kept = tuple(offer for offer in catalogue.offers if identity(offer) not in replaced)
    vendors = {vendor.id for vendor in catalogue.vendors}
    regions = {region.id for region in catalogue.regions}
    new_vendors = sorted({offer.vendor for offer in offers} - vendors)
    new_regions = sorted({(offer.region, offer.vendor) for offer in offers if offer.region not in regions | {"*"}})
    return catalogue.model_copy(
        update={
            "offers": kept + offers,
            "vendors": catalogue.vendors
            + tuple(Vendor(id=name, name=name, jurisdiction=UNKNOWN_PLACE) for name in new_vendors),
            "regions": catalogue.regions
            + tuple(Region(id=name, vendor=owner, jurisdiction=UNKNOWN_PLACE) for name, owner in new_regions),
        }
    )


def as_object(quote: Quote, query: Query) -> dict[str, Any]:
    """One quote as the object that `--json` documents."""
    offer = quote.offer
    place = quote.region
    found: dict[str, Any] = {
        "vendor": offer.vendor,
        "region": place.id if place else offer.region,
        "jurisdiction": place.jurisdiction if place and place.jurisdiction != UNKNOWN_PLACE else None,
        "silicon": offer.silicon,
        "tier": offer.tier,
        "term_months": offer.term_months,
        "usd_per_accelerator_hour": offer.usd_per_accelerator_hour,
    }
    if query.profile is not None:
        found["usd_per_unit_hour"] = quote.usd_per_unit_hour
    return found | {"instance": offer.instance, "source_url": offer.source.url, "date": offer.source.date}


def _query(**options: str | float | None) -> Query:
    """The query; ends the command when a fixed word is not one of its choices."""
    for field, choices in (("tier", TIERS), ("profile", PROFILES)):
        if (word := options[field]) is not None and word not in choices:
            _stop(EXIT_BAD_INPUT, f"--{field} {word} is not known; use one of {', '.join(choices)}")
    try:
        return Query.model_validate(options)
    except ValidationError as error:
        _stop(EXIT_BAD_INPUT, *(f"--{item['loc'][0]}: {item['msg']}" for item in error.errors()))


def _changed(path: Path) -> str:
    """The day a file was last changed, UTC."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime, UTC).date().isoformat()
    except OSError as error:
        message = error.strerror or str(error)
        raise BadInput([Problem(str(path), 0, 0, "import.unreadable", "", message)]) from error


def _print(quotes: tuple[Quote, ...], found: int, query: Query) -> None:
    """The table, no wider than a page, and a line saying how much of the answer it is."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("Region", "Silicon", "Tier"):
        table.add_column(name, overflow="fold")
    table.add_column("USD/h", justify="right", no_wrap=True)
    if query.profile is not None:
        table.add_column("USD/unit-h", justify="right", no_wrap=True)
    table.add_column("Date", no_wrap=True)
    table.add_column("Source", overflow="fold")
    for quote in quotes:
        offer = quote.offer
        term = f" {offer.term_months} mo" if offer.term_months is not None else ""
        place = quote.region.id if quote.region else f"{offer.vendor}/*"
        cells = [place, offer.silicon, f"{offer.tier}{term}", f"{offer.usd_per_accelerator_hour:.3f}"]
        if query.profile is not None:
            cells.append("unknown" if quote.usd_per_unit_hour is None else f"{quote.usd_per_unit_hour:.3f}")
        table.add_row(*(Text(cell) for cell in [*cells, offer.source.date, _page(offer.source.url)]))
    console = Console(width=WIDTH, highlight=False)
    console.print(table)
    shown = f"{found} offers" if found == len(quotes) else f"{len(quotes)} of {found} offers; --limit shows more"
    console.print(Text(f"{shown}. USD per accelerator-hour; --json has the full sources."))
    if query.profile is not None and any(quote.usd_per_unit_hour is None for quote in quotes):
        console.print(Text(f"unknown: the catalogue has no {query.profile} throughput for that silicon."))


def _page(url: str) -> str:
    """The address without its scheme and path: enough to know who says so."""
    return url.split("://", 1)[-1].split("/", 1)[0].removeprefix("www.")


def _unknown_message(field: str, name: str, close: tuple[str, ...]) -> str:
    hint = f"; did you mean {', '.join(close)}?" if close else "; `argosy offers` without it shows what is known"
    return f"--{field} {name} is not known{hint}"


def _nothing_message(catalogue: Catalogue, query: Query) -> str:
    """Why nothing was found, naming the last option that left nothing over."""
    asked = query.model_dump(exclude_none=True)
    asked.pop("profile", None)
    names = {"max_usd_per_accelerator_hour": "max-price"}
    for field in ("max_usd_per_accelerator_hour", "tier", "region", "vendor"):
        if field in asked and (others := find(catalogue, query.model_copy(update={field: None}))):
            cheapest = others[0].offer
            place = others[0].region.id if others[0].region else f"{cheapest.vendor}/*"
            return (
                f"no offer matches; without --{names.get(field, field)} {asked[field]} there are {len(others)}, "
                f"the cheapest {cheapest.silicon} {cheapest.tier} in {place} "
                f"at {cheapest.usd_per_accelerator_hour:.3f} USD an hour"
            )
    wanted = " ".join(f"--{names.get(field, field)} {value}" for field, value in asked.items())
    return f"no offer matches {wanted}: the catalogue has no public price for it; add yours with --catalogue"


def _stop(code: int, *messages: str) -> NoReturn:
    """End the command with its reasons on standard error."""
    for message in messages:
        typer.echo(message, err=True)
    raise typer.Exit(code)
