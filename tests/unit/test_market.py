"""The prices and the catalogue loader: what matches, how it is sorted, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from argosy.errors import BadInput
from argosy.market import catalogue as market
from argosy.market.prices import SORT_KEYS, Query, find, regions_named, silicon_named, unknown
from argosy.model.catalogue import Catalogue
from argosy.model.offer import Offer
from argosy.model.region import Region
from argosy.model.silicon import Silicon, Throughput
from argosy.model.source import Source
from argosy.model.vendor import Vendor

SOURCE = Source(url="https://example.com/prices", date="2026-01-01")


def offer(vendor: str, region: str, silicon: str, usd: float, **more: object) -> Offer:
    fields = {"vendor": vendor, "region": region, "silicon": silicon, "tier": "on_demand"}
    return Offer.model_validate(fields | {"usd_per_accelerator_hour": usd, "source": SOURCE} | more)


@pytest.fixture
def small() -> Catalogue:
    def chip(id: str, ratio: float | None) -> Silicon:
        known = () if ratio is None else (Throughput(profile="pretraining", ratio=ratio, source=SOURCE),)
        return Silicon(id=id, name=id.upper(), maker="x", family="cuda", throughput=known)

    return Catalogue(
        vendors=tuple(Vendor(id=name, name=name, jurisdiction="US") for name in ("one", "two")),
        regions=(
            Region(id="one/paris", vendor="one", jurisdiction="FR", zones=("EU", "EEA")),
            Region(id="one/ohio", vendor="one", jurisdiction="US"),
            Region(id="two/neuss", vendor="two", jurisdiction="DE", zones=("EU", "EEA")),
            Region(id="two/zug", vendor="two", jurisdiction="CH"),
        ),
        silicon=(chip("fast", 2.0), chip("slow", 0.5), chip("new", None)),
        offers=(
            offer("one", "one/paris", "fast", 6.0),
            offer("one", "one/ohio", "slow", 2.0),
            offer("two", "*", "fast", 5.0),
            offer("two", "two/zug", "new", 1.0),
            offer("two", "two/neuss", "slow", 1.5, tier="reserved", term_months=12),
        ),
    )


def test_no_query_gives_every_offer_once_and_cheapest_first(small: Catalogue) -> None:
    quotes = find(small, Query())
    assert len(quotes) == len(small.offers)
    prices = [quote.offer.usd_per_accelerator_hour for quote in quotes]
    assert prices == sorted(prices)
    assert [quote.region for quote in quotes if quote.offer.region == "*"] == [None]


def test_a_zone_means_its_countries_and_not_ids_with_these_letters(small: Catalogue) -> None:
    assert {region.id for region in regions_named(small, "eu")} == {"one/paris", "two/neuss"}
    assert {region.id for region in regions_named(small, "neu")} == {"two/neuss"}
    assert {region.id for region in regions_named(small, "CH")} == {"two/zug"}


def test_an_offer_for_all_regions_is_quoted_in_each_that_matches(small: Catalogue) -> None:
    quotes = find(small, Query(silicon="fast", region="eu"))
    found = {(quote.offer.vendor, quote.region.id) for quote in quotes if quote.region}
    assert found == {("one", "one/paris"), ("two", "two/neuss")}


def test_price_per_unit_divides_by_the_ratio_and_unknown_goes_last(small: Catalogue) -> None:
    quotes = find(small, Query(profile="pretraining"), "unit_price")
    assert [quote.usd_per_unit_hour for quote in quotes] == [2.5, 3.0, 3.0, 4.0, None]
    assert quotes[-1].offer.silicon == "new"


def test_filters_narrow(small: Catalogue) -> None:
    assert {q.offer.vendor for q in find(small, Query(vendor="ONE"))} == {"one"}
    assert [q.offer.term_months for q in find(small, Query(tier="reserved"))] == [12]
    assert len(find(small, Query(max_usd_per_accelerator_hour=1.5))) == 2
    assert find(small, Query(silicon="new", region="FR")) == ()


def test_names_are_taken_loosely_and_unknown_ones_come_with_close_matches(small: Catalogue) -> None:
    assert [chip.id for chip in silicon_named(small, " FAST ")] == ["fast"]
    names = {name.field: name for name in unknown(small, Query(silicon="fest", region="pariss", vendor="tow"))}
    assert names["silicon"].close == ("fast",)
    assert "paris" in names["region"].close
    assert names["vendor"].close == ("two",)
    assert unknown(small, Query(silicon="fast", region="eea", vendor="two")) == ()
    assert unknown(small, Query(region=" "))[0].name == " "


@given(
    silicon=st.sampled_from([None, "h100", "tpu-v6e", "cpu-server"]),
    region=st.sampled_from([None, "eu", "us", "aws/us", "gb", "north"]),
    profile=st.sampled_from([None, "pretraining", "agents"]),
    sort=st.sampled_from(SORT_KEYS),
)
def test_laws_of_find(silicon: str | None, region: str | None, profile: str | None, sort: str) -> None:
    known = market.bundled()
    query = Query.model_validate({"silicon": silicon, "region": region, "profile": profile})
    quotes = find(known, query, sort)  # type: ignore[arg-type]
    places = {place.id for place in regions_named(known, region)}
    for quote in quotes:
        assert quote.offer in known.offers
        assert silicon is None or quote.offer.silicon == silicon
        assert quote.region is None or (quote.region.id in places and quote.region.vendor == quote.offer.vendor)
        assert quote.region is not None or (quote.offer.region == "*" and region is None)
        assert profile is not None or quote.usd_per_unit_hour is None
    assert len(set(quotes)) == len(quotes)
    assert find(known, query, sort) == quotes  # type: ignore[arg-type]


def test_bundled_is_loaded_once() -> None:
    assert market.bundled() is market.bundled()


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    source = Path(market.__file__).parent / "data"
    shutil.copytree(source, tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        ("vendors/nebius.yaml", "usd_per_accelerator_hour: 1.25", "usd_per_accelerator_hour: 2500.0", "nebius.yaml"),
        ("vendors/nebius.yaml", "silicon: l40s", "silicon: l40z", "'l40z'"),
        ("vendors/nebius.yaml", "region: nebius/eu-west1, silicon", "region: nebius/eu-west9, silicon", "eu-west9"),
        ("vendors/nebius.yaml", "vendor:\n", "vendor: [\n", "nebius.yaml"),
        ("silicon.yaml", "ratio: 1.1\n", "ratio: .nan\n", "silicon.yaml"),
        ("silicon.yaml", "- id: h200\n", "- id: h100\n", "stands there twice"),
        ("links.yaml", "end: internet,", "end: moon,", "'moon'"),
    ],
)
def test_a_broken_file_is_an_error_that_names_it(copy: Path, file: str, old: str, new: str, expected: str) -> None:
    path = copy / file
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(BadInput) as error:
        market.load(copy)
    assert expected in str(error.value)


def test_problems_of_several_files_come_at_once(copy: Path) -> None:
    (copy / "vendors" / "oci.yaml").write_text("vendor: 3\n")
    (copy / "links.yaml").unlink()
    with pytest.raises(BadInput) as error:
        market.load(copy)
    assert {problem.file for problem in error.value.problems} == {"oci.yaml", "links.yaml"}
