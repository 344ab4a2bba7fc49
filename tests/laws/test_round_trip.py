"""Files keep what they hold: load(dump(p)) == p, dump is a fixed point, and no text makes load fail otherwise."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from argosy.errors import BadInput
from argosy.files import dump, load
from argosy.files.example import example
from argosy.files.yaml_tree import read
from argosy.market.catalogue import bundled
from argosy.model.catalogue import Catalogue
from argosy.model.contract.on_demand import Contract as OnDemand
from argosy.model.contract.take_or_pay import Contract as TakeOrPay
from argosy.model.demand import Path as Demand
from argosy.model.horizon import Horizon
from argosy.model.pool import Pool
from argosy.model.portfolio import Portfolio
from argosy.model.region import Region
from argosy.model.silicon import Silicon, Throughput
from argosy.model.source import Source
from argosy.model.terms import ExpansionOption, MakeUp, OpenTier, Prepayment
from argosy.model.uncertainty.demand_growth import Uncertainty as DemandGrowth
from argosy.model.vendor import Vendor
from argosy.model.workload.service import Workload as Service
from argosy.settings import Settings
from argosy.units import Month

GOLDEN = Path(__file__).parents[1] / "golden"
BASE = (GOLDEN / "portfolio.yaml").read_text(encoding="utf-8")

# Words that are an id to us and a number, a date or a truth to some YAML.
TRICKY = ["1e6", "007", "0", "12_000", "1.5", "1e-3", "null", "true", "no", "y", "on", "0x1f", "2026-01", "2026-01-01"]
IDS = st.one_of(st.sampled_from(TRICKY), st.from_regex(r"\A[a-z0-9][a-z0-9._/-]{0,20}\Z"))
TEXTS = st.one_of(
    st.text(min_size=1, max_size=40),
    st.sampled_from(
        [
            "null",
            "~",
            "1e6",
            " x ",
            "a: b",
            "- a",
            "#",
            "é\u2028\x85\x00",
            "'\"",
            "line\n\n line ",
            "NO",
            ".nan",
            "=",
            "<<",
        ]
    ),
)
PRICES = st.one_of(st.floats(0, 250), st.integers(0, 250), st.sampled_from([1e-7, 0.1 + 0.2, 5e-324, -0.0]))
AMOUNTS = st.one_of(st.floats(0, 1e12), st.integers(0, 10**12))


@st.composite
def portfolios(draw: st.DrawFn) -> Portfolio:
    """Worlds in order, with tricky ids, texts and numbers, and clauses that may be absent, set or set to nothing."""
    vendor, region, chip, pool, deal, offer, work = draw(st.lists(IDS, min_size=7, max_size=7, unique=True))
    source = Source(url=draw(TEXTS), date="2026-01-01")
    clauses: dict[str, Any] = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "prepayment": st.builds(Prepayment, fraction=st.floats(0, 1), credit_months=st.integers(1, 24)),
                "make_up": st.one_of(st.none(), st.builds(MakeUp, fraction=st.floats(0, 1))),
                "expansion_option": st.just(ExpansionOption(max_fraction=0.5, first_exercise=Month(2027, 1))),
                "name": st.one_of(st.none(), TEXTS),
                "source": st.just(source),
            },
        )
    )
    return Portfolio(
        argosy=1,
        name=draw(IDS),
        title=draw(TEXTS),
        horizon=Horizon(start=Month(2026, 1), months=24),
        vendors=(Vendor(id=vendor, name=draw(TEXTS), jurisdiction="NO"),),
        regions=(Region(id=region, vendor=vendor, jurisdiction="NO", zones=draw(st.lists(TEXTS).map(tuple))),),
        silicon=(
            Silicon(
                id=chip,
                name=draw(TEXTS),
                maker="m",
                family="cuda",
                peak_teraflops=draw(st.dictionaries(st.text(min_size=1), st.floats(1, 1e6), max_size=3)),
                throughput=(Throughput(profile="interactive_inference", ratio=1.0, source=source),),
            ),
        ),
        pools=(Pool(id=pool, region=region, silicon=chip, existing_accelerators={Month(2026, 2): draw(AMOUNTS)}),),
        contracts=(
            TakeOrPay(
                id=deal,
                vendor=vendor,
                pools=(pool,),
                start=Month(2026, 6),
                term_months=24,
                max_accelerators=draw(AMOUNTS),
                usd_per_accelerator_hour=draw(PRICES),
                take_or_pay_fraction=draw(st.floats(0, 1)),
                **clauses,
            ),
            OnDemand(
                id=offer,
                vendor=vendor,
                pool=pool,
                tiers=tuple(
                    OpenTier(accelerators=draw(AMOUNTS), usd_per_accelerator_hour=draw(PRICES))
                    for _ in range(draw(st.integers(1, 10)))
                ),
            ),
        ),
        workloads=(
            Service(
                id="w" if work == "all" else work,
                homes={region: 1},
                h100_accelerators=Demand(points={Month(2026, m): 1.0 + draw(AMOUNTS) / 2 for m in range(1, 4)}),
                unserved_usd_per_unit=draw(AMOUNTS),
            ),
        ),
        uncertainties=(DemandGrowth(),),
    )


def loaded(text: str | bytes, catalogue: Catalogue) -> Portfolio:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "p.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(path, Settings(), catalogue=catalogue)


@given(portfolios())
@settings(max_examples=80, deadline=None)
def test_dump_and_load_keep_a_portfolio(portfolio: Portfolio) -> None:
    text = dump(portfolio)
    again = loaded(text, Catalogue())
    assert again == portfolio
    assert dump(again) == text


@given(portfolios())
@settings(max_examples=25, deadline=None)
def test_other_readers_of_yaml_understand_the_text_alike(portfolio: Portfolio) -> None:
    text = dump(portfolio)
    ours = read("p", text, max_nodes=10**6)
    assert ours.top is not None
    theirs = yaml.load(text, Loader=yaml.BaseLoader)
    assert [v["id"] for v in theirs["vendors"]] == [v["id"] for v in ours.top.value["vendors"]]


@pytest.mark.parametrize("text", [BASE, example()], ids=["base", "example"])
def test_only_what_was_set_is_written(text: str) -> None:
    portfolio = loaded(text, bundled())
    dumped = dump(portfolio)
    assert loaded(dumped, bundled()) == portfolio
    written = read("p", dumped, max_nodes=10**6).top
    original = read("p", text, max_nodes=10**6).top
    assert written is not None
    assert original is not None
    assert written.value == original.value


def test_a_portfolio_with_its_catalogue_is_kept_too() -> None:
    whole = loaded(example(), bundled()).with_catalogue(bundled())
    assert loaded(dump(whole), Catalogue()) == whole


def test_layout_is_for_readers() -> None:
    contract = dump(loaded(BASE, Catalogue())).split("contracts:\n")[1].splitlines()
    assert contract[:4] == ["  - id: big", "    kind: take_or_pay", "    vendor: acme", "    start: 2026-04"]
    assert "    max_accelerators: 1000" in contract


# --- whatever the text, load returns or raises BadInput -----------------------------------------------------------

LINES = BASE.splitlines(keepends=True)
SCRAPS = st.sampled_from(
    [
        "[",
        "]",
        "{",
        "}",
        ":",
        "- ",
        "\t",
        "&a ",
        "*a",
        "|",
        ">",
        "!!python/object:os.system x",
        "'",
        '"',
        "#",
        "~",
        "<<: *made-up",
        "...",
        "---",
        "\ufeff",
        "\r",
        ".nan",
        "9" * 400,
        "1e400",
        "é",
        "%YAML 1.2",
        "? ",
        "kind: spot",
        "\u2028",
    ]
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-10, 10**30), st.floats(allow_nan=False), st.text(max_size=8), IDS),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=4,
)


def loads_or_tells(text: str | bytes) -> None:
    try:
        problems = None
        assert isinstance(loaded(text, Catalogue()), Portfolio)
    except BadInput as error:
        problems = error.problems
    assert problems is None or problems
    for problem in problems or ():
        assert problem.code
        assert problem.message
        assert "\n" not in str(problem)
        assert problem.line >= 0
        assert (problem.line == 0) == (problem.column == 0)


@given(st.lists(st.tuples(st.integers(0, len(BASE)), SCRAPS | st.text(max_size=3)), min_size=1, max_size=4))
@settings(max_examples=200, deadline=None)
def test_scraps_anywhere(edits: list[tuple[int, str]]) -> None:
    text = BASE
    for place, scrap in edits:
        text = text[:place] + scrap + text[place:]
    loads_or_tells(text)


@given(st.sets(st.integers(0, len(LINES) - 1), min_size=1, max_size=6), st.booleans())
@settings(max_examples=150, deadline=None)
def test_lines_gone_or_doubled(lines: set[int], gone: bool) -> None:
    loads_or_tells("".join(line * (0 if gone else 2) if i in lines else line for i, line in enumerate(LINES)))


@given(st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_values_changed_anywhere(data: st.DataObject) -> None:
    tree = yaml.safe_load(BASE.replace("2026-01-01", "'2026-01-01'"))
    for _ in range(data.draw(st.integers(1, 3))):
        holder: Any = tree
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = data.draw(st.sampled_from(keys))
            if isinstance(holder[key], (dict, list)) and data.draw(st.integers(0, 3)):
                holder = holder[key]
                continue
            action = data.draw(st.sampled_from(["delete", "replace", "add"]))
            if action == "delete":
                del holder[key]
            elif action == "replace":
                holder[key] = data.draw(VALUES)
            elif isinstance(holder, dict):
                holder[data.draw(st.text(max_size=6) | IDS)] = data.draw(VALUES)
            else:
                holder.append(data.draw(VALUES))
            break
    loads_or_tells(yaml.safe_dump(tree, allow_unicode=True))


@given(st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
def test_any_bytes(data: bytes) -> None:
    loads_or_tells(data)
    loads_or_tells(BASE.encode()[:300] + data)
