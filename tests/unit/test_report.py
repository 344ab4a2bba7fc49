"""The report page: sound HTML, nothing from outside, nothing escaped wrongly, numbers that can be recomputed."""

from __future__ import annotations

import json
import os
import re
import stat
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest
from tests.support import plans

from argosy.errors import ArgosyError, CheckFailed, OutsideError
from argosy.model.decision import Plan
from argosy.report import html, svg, write_html
from argosy.report.charts import heat_class
from argosy.report.format import MINUS, Scale, clean, clip, count, listing, number, percent, quantity, usd, width, words
from argosy.report.periods import Periods, largest
from argosy.report.plan_page import headline
from argosy.report.supply_sections import served

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "golden" / "report-structure.json"
VOID = {"meta", "link", "br", "hr", "img", "input"}


ALL = {
    "small": plans.small,
    "frontier": plans.frontier,
    "large": plans.large,
    "bare": plans.bare,
    "hostile": plans.hostile,
    "infeasible": plans.infeasible,
}


class Outline(HTMLParser):
    """Checks that tags nest and collects what the tests ask about."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.headings: list[tuple[str, str]] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("h1", "h2", "h3", "h4"):
            self.headings.append((tag, ""))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag, f"</{tag}> is out of order"

    def handle_data(self, data: str) -> None:
        self.text.append(data)
        if self.open and self.open[-1] in ("h1", "h2", "h3", "h4"):
            tag, text = self.headings[-1]
            self.headings[-1] = (tag, text + data)


def outline(page: str) -> Outline:
    parser = Outline()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    return {name: html(make()) for name, make in ALL.items()}


@pytest.mark.parametrize("name", ALL)
def test_page_is_well_formed_and_self_contained(pages: dict[str, str], name: str) -> None:
    page = pages[name]
    assert page.startswith("<!DOCTYPE html>")
    seen = outline(page)
    assert len(page.encode()) < 1_000_000
    tags = [tag for tag, _ in seen.tags]
    assert not {"script", "link", "iframe", "object", "img", "base", "form"} & set(tags)
    for tag, attributes in seen.tags:
        for key in ("src", "href", "xlink:href", "action", "style", "onload", "onclick"):
            value = attributes.get(key)
            assert value is None or (key == "href" and value.startswith("#")), (tag, key, value)
    assert "http:" not in page
    assert "https:" not in page
    assert "@import" not in page
    assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))


@pytest.mark.parametrize("name", ALL)
def test_page_can_be_read_aloud(pages: dict[str, str], name: str) -> None:
    seen = outline(pages[name])
    tags = [tag for tag, _ in seen.tags]
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    for tag in ("main", "header", "footer", "h1", "title"):
        assert tags.count(tag) >= 1
    assert tags.count("main") == tags.count("h1") == 1
    levels = [int(tag[1]) for tag, _ in seen.headings]
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in pairwise(levels)), levels
    for tag, attributes in seen.tags:
        for key in ("aria-labelledby", "aria-describedby"):
            assert set((attributes.get(key) or "").split()) <= set(ids), (tag, attributes)
        if tag == "a":
            assert (attributes["href"] or "")[1:] in ids
        if tag == "th":
            assert attributes.get("scope") in ("col", "row")
        if tag == "svg" and attributes.get("aria-hidden") != "true":
            assert attributes.get("role") == "img"
            assert attributes.get("aria-labelledby")
    assert tags.count("caption") == tags.count("table")
    assert tags.count("details") == tags.count("figure")
    assert tags.count("figcaption") == tags.count("figure")


@pytest.mark.parametrize("name", ALL)
def test_rows_have_as_many_cells_as_heads(pages: dict[str, str], name: str) -> None:
    for table in re.findall(r"<table.*?</table>", pages[name], re.DOTALL):
        rows = [len(re.findall(r"<t[hd][ >]", row)) for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)]
        assert len(set(rows)) == 1, table[:300]


def test_structure_is_the_golden_one(pages: dict[str, str]) -> None:
    found = [[tag, text] for tag, text in outline(pages["small"]).headings]
    captions = re.findall(r"<caption[^>]*>(.*?)</caption>", pages["small"])
    made = {"headings": found, "captions": captions}
    if os.environ.get("ARGOSY_WRITE_GOLDEN"):
        GOLDEN.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n")
    assert made == json.loads(GOLDEN.read_text()), "run once with ARGOSY_WRITE_GOLDEN=1 if this is meant"


def test_names_of_users_stay_text(pages: dict[str, str]) -> None:
    page = pages["hostile"]
    assert "<script" not in page.lower()
    assert "&lt;script&gt;" in page
    assert "\x1b" not in page
    assert "\u202e" not in page
    assert "{{" in page
    assert "49" not in re.findall(r"evil (\S+)", page)


def test_same_plan_same_bytes() -> None:
    assert html(plans.small()) == html(plans.small())


def test_headline_says_cost_commitment_and_risk() -> None:
    plan = plans.frontier()
    cost, signed, risk = headline(plan)
    assert usd(plan.expected_usd) in cost
    assert usd(sum(d.committed_usd for d in plan.decisions if d.signed)) in signed
    worst = max(plan.scenarios, key=lambda s: s.cost_present_value_usd)
    assert usd(worst.cost_present_value_usd - plan.expected_usd) in risk
    assert "most of it unserved work" in risk


def test_one_price_is_recomputed_from_its_terms(pages: dict[str, str]) -> None:
    assert "the published price exactly" in pages["small"]
    plan = plans.small()
    terms = tuple(t.model_copy(update={"usd_per_accelerator_hour": 99.0}) for t in plan.price_terms)
    assert "they do not agree" in html(plan.model_copy(update={"price_terms": terms}))


def test_empty_sections_are_left_out_and_named(pages: dict[str, str]) -> None:
    seen = [text for tag, text in outline(pages["bare"]).headings if tag == "h2"]
    assert seen == ["Certificate", "How to recompute"]
    assert "Left out because the plan has no data for it: decisions" in pages["bare"]
    assert "Left out" not in pages["small"]


def test_everything_served_is_said(pages: dict[str, str]) -> None:
    plan = plans.small()
    work = tuple(
        w.model_copy(update={"unserved_units": 0.0, "unserved_high_units": 0.0, "served_units": w.demand_units})
        for w in plan.work
    )
    page = html(plan.model_copy(update={"work": work}))
    assert "All mean demand of every workload is served." in page
    assert set(served(plan.model_copy(update={"work": work})).values()) == {1.0}


@pytest.mark.parametrize("count_", [1, 2, 30, 31, 300])
def test_any_number_of_futures(count_: int) -> None:
    page = html(plans.invented(months=24, step=3, pools=3, scenarios=count_, contracts=4, works=1, size=100, scale=1.0))
    outline(page)
    assert ("groups" in page) == (count_ > 30)


def test_infeasible_names_every_limit_and_its_relaxation(pages: dict[str, str]) -> None:
    page = pages["infeasible"]
    assert "these 2 cannot hold together" in page
    for excuse in plans.infeasible().excuses:
        assert excuse.remedy in page
    assert "USD 1.25 billion" in page
    assert "&lt;script&gt;" in html(plans.infeasible("<script>"))
    outline(html(plans.infeasible().model_copy(update={"excuses": ()})))


@pytest.mark.parametrize(
    ("field", "value"),
    [("gap_fraction", float("nan")), ("lower_usd", float("nan")), ("upper_usd", float("inf")), ("gap_fraction", -0.1)],
)
def test_plan_without_certificate_is_refused(tmp_path: Path, field: str, value: float) -> None:
    plan = plans.small()
    broken = plan.model_copy(update={"certificate": plan.certificate.model_copy(update={field: value})})
    target = tmp_path / "plan.html"
    with pytest.raises(ArgosyError):
        write_html(broken, target)
    assert list(tmp_path.iterdir()) == []


def test_lower_bound_above_upper_bound_is_refused() -> None:
    plan = plans.small()
    upside = plan.certificate.model_copy(update={"lower_usd": plan.certificate.upper_usd * 1.001})
    with pytest.raises(CheckFailed, match="lower bound"):
        html(plan.model_copy(update={"certificate": upside}))
    with pytest.raises(CheckFailed):
        html(plan.model_copy(update={"gap_fraction": float("nan")}))


def test_bounds_that_touch_are_fine() -> None:
    plan = plans.small()
    exact = plan.certificate.model_copy(update={"lower_usd": plan.certificate.upper_usd, "gap_fraction": 0.0})
    assert "better by more than 0 %" in html(plan.model_copy(update={"certificate": exact}))


def test_write_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    target = tmp_path / "new" / "plan.html"
    write_html(plans.small(), target)
    first = target.read_text(encoding="utf-8")
    write_html(plans.infeasible(), target)
    assert target.read_text(encoding="utf-8") != first
    assert [p.name for p in target.parent.iterdir()] == ["plan.html"]
    assert stat.S_IMODE(target.stat().st_mode) & 0o400


def test_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutsideError, match="it is a folder"):
        write_html(plans.small(), tmp_path)


def test_unwritable_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutsideError, match="cannot write the report"):
        write_html(plans.small(), tmp_path / "file" / "plan.html")


def test_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: str, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("argosy.report.os.replace", refuse)
    with pytest.raises(OutsideError, match="Permission denied"):
        write_html(plans.small(), tmp_path / "plan.html")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (38.2e9, "USD 38.2 billion"), (999.96e6, "USD 1.00 billion"),
        (412e6, "USD 412 million"), (56321.0, "USD 56,300"),
        (7.25, "USD 7.25"), (0.0, "USD 0"), (-2.3e9, f"{MINUS}USD 2.30 billion"), (1.24e12, "USD 1.24 trillion"),
        (0.001, "USD 0"), (None, "–"), (-0.001, "USD 0"),
    ],
)  # fmt: skip
def test_usd(value: float | None, text: str) -> None:
    assert usd(value) == text


def test_other_formats() -> None:
    assert [percent(v) for v in (0.0, 1.0, 0.123, 0.000043, None)] == ["0 %", "100 %", "12.3 %", "0.0043 %", "–"]
    assert [number(v) for v in (12400.0, 3.251, 0.0412, 0.0, None)] == ["12,400", "3.25", "0.0412", "0", "–"]
    assert count(4_000_123.0) == "4.00 million"
    assert quantity(0.37, "usd_per_accelerator_hour") == "USD 0.37 per accelerator-hour"
    assert quantity(4200.0, "units") == "4,200 units"
    assert words("take_or_pay") == "take or pay"
    assert listing(["a", "b", "c", "d", "e"], 3) == "a, b and 3 more"
    assert [Scale.of([4e11, 4e7]).write(v) for v in (4e11, 4e7, 0.0, None, 1e6)] == ["400.0", "<0.1", "0", "–", "<0.1"]
    assert Scale.of([2.5e6], "units").word == "million units"
    assert clean("a\x1b[31m\u202eb\n") == "a�[31m�b "
    assert width(clip("漢字" * 50, 20)) <= 20


def test_axis_covers_its_values() -> None:
    for low, high in ((0.0, 0.0), (0.0, 1e-9), (0.0, 7.3e11), (-5.0, 100.0), (-100.0, 3.0)):
        marks, bottom, top = svg.axis(low, high)
        assert bottom <= low
        assert top >= high
        assert len(marks) >= 2
        assert 0.0 in marks
    assert [heat_class(v, 6.0) for v in (0.0, 0.1, 3.1, 6.0)] == ["h0", "h1", "h5", "h6"]


def test_labels_never_overlap() -> None:
    placed = svg.spread([10.0, 10.0, 11.0, 200.0], 18.0, 0.0, 200.0)
    assert all(b - a >= 18 - 1e-9 for a, b in pairwise(sorted(placed)))
    assert max(placed) <= 200


def test_periods_are_whole_steps() -> None:
    plan: Plan = plans.frontier()
    periods = Periods.of(plan, 14)
    assert (periods.lasts, len(periods.starts), periods.word) == (6, 14, "half-year")
    means = periods.means((p.pool, p.month, 2.0) for p in plan.prices)
    assert all(v == pytest.approx(2.0) for values in means.values() for v in values)
    assert largest({"a": [1.0], "b": [2.0], "c": [3.0]}, 1) == (["c"], ["b", "a"])
    assert largest({"a": [1.0], "b": [2.0]}, 1) == (["b", "a"], [])


def themes() -> list[dict[str, str]]:
    style = (ROOT.parent / "src" / "argosy" / "report" / "templates" / "report.css").read_text()
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    found = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    assert len(found) == 2
    return found


def contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    high, low = sorted((light(one), light(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("theme", [0, 1])
def test_contrast_is_enough_in_both_themes(theme: int) -> None:
    colour = themes()[theme]
    for name in ("ink", "quiet", "accent", "yes", "no"):
        assert contrast(colour[name], colour["paper"]) >= 4.5, name
    for i in range(7):
        text = colour["h-low" if i < 4 else "h-high"]
        assert contrast(text, colour[f"h{i}"]) >= 4.5, f"h{i}"
    for i in range(1, 13):
        assert contrast(colour[f"s{i}"], colour["paper"]) >= 3, f"s{i}"
