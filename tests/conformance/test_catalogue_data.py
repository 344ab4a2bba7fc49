"""Laws of the bundled catalogue: every figure has a page and a day, and stands in a sensible range."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from argosy.market import catalogue as market
from argosy.model.silicon import PROFILES
from argosy.model.source import Source

ROOT = Path(__file__).parents[2]
SHARED = ROOT.parent / "shared" / "data"
DATA = Path(market.__file__).parent / "data"
FILES = sorted(DATA.rglob("*.yaml"))
GIB = 2**30

catalogue = market.bundled()

# Chips with no ratio for a profile, and why. A gap that is not here is a mistake in the file.
UNKNOWN = {
    ("l40s", "pretraining"): "no fast links between cards",
    ("inferentia2", "pretraining"): "made for inference",
    ("inferentia2", "finetuning"): "made for inference",
}


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there; it is not part of the repository")
    return path


def sources(value: Any) -> Iterator[Source]:
    if isinstance(value, Source):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from sources(item)
    elif hasattr(type(value), "model_fields"):
        for name in type(value).model_fields:
            yield from sources(getattr(value, name))


def test_every_part_has_a_source_with_a_public_page_and_a_day_not_ahead() -> None:
    for part in (catalogue.vendors, catalogue.regions, catalogue.silicon, catalogue.links, catalogue.offers):
        for record in part:
            found = list(sources(record))
            assert found, record
            for source in found:
                assert re.fullmatch(r"https?://[a-z0-9.-]+\.[a-z]+(/\S*)?", source.url), source
                assert "2020" < source.date <= date.today().isoformat(), source
                assert "/" + "work/" not in str(source), source


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_named_source_is_used(path: Path) -> None:
    text = path.read_text()
    names = re.findall(r"^  - &(\w+)$", text, re.MULTILINE)
    unused = [name for name in names if not re.search(rf"source: \*{name}\b", text)]
    assert unused == []
    assert yaml.load(text, Loader=yaml.CSafeLoader)


def test_counts() -> None:
    assert {vendor.id for vendor in catalogue.vendors} >= {
        "aws", "azure", "gcp", "oci", "coreweave", "lambda", "nebius", "crusoe", "runpod", "self", "nvidia", "amd",
    }  # fmt: skip
    assert 120 <= len(catalogue.offers) <= 300
    for vendor in ("aws", "azure", "gcp", "oci"):
        assert sum(region.vendor == vendor for region in catalogue.regions) >= 5


def test_offers_are_in_range_and_not_twice() -> None:
    seen = set()
    for offer in catalogue.offers:
        assert 0.05 <= offer.usd_per_accelerator_hour <= 25, offer
        assert (offer.term_months is None) or offer.tier == "reserved", offer
        key = market.identity(offer)
        assert key not in seen, offer
        seen.add(key)


def test_spot_costs_no_more_and_longer_terms_cost_no_more_than_on_demand() -> None:
    demand = {
        (offer.vendor, offer.region, offer.silicon, offer.instance): offer.usd_per_accelerator_hour
        for offer in catalogue.offers
        if offer.tier == "on_demand"
    }
    # RunPod asked more for a B200 spot pod than for a secure one on that day.
    known = {("runpod", "b200", "spot")}
    for offer in catalogue.offers:
        price = demand.get((offer.vendor, offer.region, offer.silicon, offer.instance))
        if price is not None and offer.tier in {"spot", "reserved"}:
            dearer = offer.usd_per_accelerator_hour > price
            assert dearer == ((offer.vendor, offer.silicon, offer.tier) in known), offer


def test_every_chip_has_every_ratio_or_a_reason() -> None:
    for chip in catalogue.silicon:
        for profile in PROFILES:
            if chip.family == "cpu":
                expected = profile == "agents"
            else:
                expected = profile != "agents" and (chip.id, profile) not in UNKNOWN
            assert (chip.ratio(profile) is not None) == expected, (chip.id, profile)
        for throughput in chip.throughput:
            assert throughput.source.note, (chip.id, throughput.profile)
            assert 0.1 <= throughput.ratio <= 15


def test_no_chip_is_one_factor() -> None:
    for chip in catalogue.silicon:
        ratios = {throughput.ratio for throughput in chip.throughput}
        if chip.id not in {"h100", "cpu-server", "inferentia2"}:
            assert len(ratios) > 1, chip.id


def test_references_are_one() -> None:
    by_id = {chip.id: chip for chip in catalogue.silicon}
    assert {by_id["h100"].ratio(profile) for profile in PROFILES if profile != "agents"} == {1}
    assert by_id["cpu-server"].ratio("agents") == 1


def test_domains_families_and_what_is_not_shipping_yet() -> None:
    by_id = {chip.id: chip for chip in catalogue.silicon}
    domains = {"h100": 8, "b200": 8, "gb200": 72, "gb300": 72, "vr200": 72, "trainium2": 64, "mi300x": 8, "l40s": 1}
    assert {name: by_id[name].domain_accelerators for name in domains} == domains
    assert {chip.family for chip in catalogue.silicon} == {"cuda", "rocm", "neuron", "tpu", "cpu"}
    ahead = {chip.id: str(chip.available_from) for chip in catalogue.silicon if chip.available_from}
    assert set(ahead) == {"vr200", "mi450", "trainium3", "tpu-v7"}
    assert min(ahead.values()) >= "2025-11"
    for chip in catalogue.silicon:
        assert chip.memory_gib
        if chip.power_watts and chip.facility_kw:
            assert 1.3 <= chip.facility_kw * 1000 / chip.power_watts <= 3, chip.id


def test_regions() -> None:
    europe = {"IE", "DE", "FR", "NL", "SE", "FI", "IT", "ES", "BE", "PL", "RO", "CZ", "DK", "AT", "PT"}
    for region in catalogue.regions:
        assert re.fullmatch(r"[A-Z]{2}", region.jurisdiction), region
        assert ("EU" in region.zones) == (region.jurisdiction in europe), region
        assert ("EEA" in region.zones) == (region.jurisdiction in europe | {"NO", "IS", "LI"}), region
        assert (region.latitude_degrees is None) == (region.longitude_degrees is None)
        if region.pue_ratio is not None:
            assert region.pue_ratio < 1.5


def test_link_prices_are_per_gib() -> None:
    for link in catalogue.links:
        assert link.source is not None
        assert link.source.note is not None
        if "No charge" in link.source.note:
            assert link.usd_per_gib == 0
            continue
        match = re.search(r"([0-9.]+) USD per (GB|GiB)", link.source.note)
        assert match, link
        factor = GIB / 1e9 if match[2] == "GB" else 1
        assert link.usd_per_gib == pytest.approx(float(match[1]) * factor, abs=1e-6), link
        if link.p50_gbit_per_second:
            assert (link.p10_gbit_per_second or 0) <= link.p50_gbit_per_second <= (link.p90_gbit_per_second or 0)


def mean(values: list[float]) -> float:
    return math.exp(sum(map(math.log, values)) / len(values))


def ratio(chip: str, profile: Any) -> float:
    found = next(silicon for silicon in catalogue.silicon if silicon.id == chip).ratio(profile)
    assert found is not None
    return found


def test_training_ratios_against_mlperf() -> None:
    folder = shared("mlperf_training")
    runs = pl.concat(
        [pl.read_csv(folder / f"{v}_time_to_train.csv", infer_schema_length=None) for v in ("v4.1", "v5.0")],
        how="vertical_relaxed",
    ).filter(pl.col("division") == "closed")

    def hours(benchmark: str, chip: str, accelerators: int) -> float:
        found = runs.filter(
            (pl.col("benchmark") == benchmark)
            & pl.col("accelerator").str.contains(chip, literal=True)
            & (pl.col("accelerators") == accelerators)
        )["accelerator_hours"].min()
        assert isinstance(found, float), (benchmark, chip)
        return found

    for name, chip in (("h200", "H200-SXM5"), ("gb200", "(GB200)")):
        expected = hours("llama31_405b", "H100-SXM5", 512) / hours("llama31_405b", chip, 512)
        assert ratio(name, "pretraining") == pytest.approx(expected, abs=0.01), name
    expected = hours("gpt3", "H100-SXM5", 256) / hours("gpt3", "B200", 64)
    assert ratio("b200", "pretraining") == pytest.approx(expected, abs=0.01)
    expected = hours("gpt3", "H100-SXM5", 512) / hours("gpt3", "TPU-trillium", 512)
    assert ratio("tpu-v6e", "pretraining") == pytest.approx(expected, abs=0.01)
    near, far = hours("gpt3", "H100-SXM5", 1536), hours("gpt3", "H100-SXM5", 3072)
    between = near * (far / near) ** (math.log(2048 / 1536) / math.log(2))
    assert ratio("tpu-v5p", "pretraining") == pytest.approx(between / hours("gpt3", "TPU-v5p", 2048), abs=0.01)
    tuned = {"h200": "H200-SXM5", "b200": "B200-SXM", "gb200": "(GB200)", "mi300x": "MI300X", "mi325x": "MI325X"}
    for name, chip in tuned.items():
        expected = hours("llama2_70b_lora", "H100-SXM5", 8) / hours("llama2_70b_lora", chip, 8)
        assert ratio(name, "finetuning") == pytest.approx(expected, abs=0.01), name


def test_inference_ratios_against_mlperf() -> None:
    path = shared("mlperf_inference") / "v5.1_datacenter.csv"
    rows = pl.read_csv(path, infer_schema_length=None).filter(pl.col("Category") == "closed")
    chips = {
        "h100": "NVIDIA H100-SXM-80GB", "h200": "NVIDIA H200-SXM-141GB", "b200": "NVIDIA B200-SXM-180GB",
        "gb200": "NVIDIA GB200", "gb300": "NVIDIA GB300", "l40s": "NVIDIA L40S",
        "mi300x": "AMD Instinct MI300X 192GB HBM3", "mi325x": "AMD Instinct MI325X 256GB HBM3e",
    }  # fmt: skip
    best: dict[tuple[str, str, str], float] = {}
    for row in rows.select("Model", "Scenario", "Accelerator", "per_accelerator").iter_rows():
        for name, accelerator in chips.items():
            if row[2] == accelerator and row[3]:
                key = (row[0], row[1], name)
                best[key] = max(best.get(key, 0.0), row[3])

    def over(chip: str, other: str, pairs: list[tuple[str, str]]) -> list[float]:
        return [best[m, s, chip] / best[m, s, other] for m, s in pairs if {(m, s, chip), (m, s, other)} <= set(best)]

    llamas = ["llama2-70b-99", "llama3.1-405b", "llama3.1-8b"]
    offline, server = [(m, "Offline") for m in llamas], [(m, "Server") for m in llamas]
    interactive = [(m, "Interactive") for m in llamas]
    for name in ("h200", "l40s"):
        assert ratio(name, "batch_inference") == pytest.approx(mean(over(name, "h100", offline)), abs=0.01)
        assert ratio(name, "interactive_inference") == pytest.approx(mean(over(name, "h100", server)), abs=0.01)
    step = mean(over("h200", "h100", server))
    for name in ("b200", "gb200"):
        assert ratio(name, "batch_inference") == pytest.approx(mean(over(name, "h100", offline)), abs=0.01)
        values = over(name, "h100", server) + [step * value for value in over(name, "h200", interactive)]
        assert ratio(name, "interactive_inference") == pytest.approx(mean(values), abs=0.01)
    for name in ("mi300x", "mi325x"):
        pairs = [("mixtral-8x7b", "Server"), ("llama2-70b-99", "Interactive")]
        values = over(name, "h100", server) + [step * value for value in over(name, "h200", pairs)]
        assert ratio(name, "interactive_inference") == pytest.approx(mean(values), abs=0.01)
        steps = [mean(over("h200", "h100", offline)) * v for v in over(name, "h200", [("mixtral-8x7b", "Offline")])]
        assert ratio(name, "batch_inference") == pytest.approx(mean(over(name, "h100", offline) + steps), abs=0.01)


def test_serving_ratios_against_the_measured_points() -> None:
    folder = shared("llm_serving_measured")
    times = pl.read_csv(folder / "splitwise_perf_a100_h100.csv.gz", infer_schema_length=None)
    keys = ["model", "tensor_parallel", "prompt_size", "batch_size", "token_size"]
    middle = times.group_by([*keys, "hardware"]).agg(pl.col("e2e_time").median())
    pairs = middle.filter(pl.col("hardware") == "a100-80gb").join(
        middle.filter(pl.col("hardware") == "h100-80gb"), on=keys, suffix="_h100"
    )
    for profile, least in (("interactive_inference", 0), ("batch_inference", 16)):
        chosen = pairs.filter(pl.col("batch_size") >= least)
        values = (chosen["e2e_time_h100"] / chosen["e2e_time"]).to_list()
        assert ratio("a100-80gb", profile) == pytest.approx(mean(values), abs=0.01)

    rows = pl.read_csv(folder / "trainium2_vs_gpu.csv", infer_schema_length=None).filter(
        pl.col("output_tok_s").is_not_null()
    )
    rate = {
        (r["hardware"], r["devices"], r["dtype"], r["concurrency"]): r["output_tok_s"] / r["devices"]
        for r in rows.iter_rows(named=True)
    }
    against = [(4.0, (2.0, "bf16")), (2.0, (2.0, "bf16")), (2.0, (1.0, "fp8"))]
    for profile, loads in (("interactive_inference", (20, 40)), ("batch_inference", (40,))):
        values = [
            rate["Trainium2", chips, "bf16", load] / rate["H100", gpus, dtype, load]
            for chips, (gpus, dtype) in against
            for load in loads
        ]
        assert ratio("trainium2", profile) == pytest.approx(mean(values), abs=0.01)


def test_prices_against_the_recorded_list() -> None:
    rows = pl.read_csv(shared("gpu_prices") / "list_reserved_spot_2026-06-15.csv", infer_schema_length=None)
    recorded = {
        (r["provider"], r["region"], r["sku"]): r["per_gpu_hourly_usd"]
        for r in rows.filter(pl.col("price_tier") == "on_demand").iter_rows(named=True)
    }
    checked = 0
    for offer in catalogue.offers:
        provider = {"aws": "AWS EC2", "azure": "Azure"}.get(offer.vendor)
        if provider is None or offer.tier != "on_demand" or offer.region == "*":
            continue
        price = recorded.get((provider, offer.region.split("/", 1)[1], offer.instance))
        if price is not None:
            assert offer.usd_per_accelerator_hour == pytest.approx(price, rel=1e-3), offer
            checked += 1
    assert checked >= 10


def test_egress_against_the_recorded_list() -> None:
    recorded = json.loads((shared("interregion_network") / "egress_prices_2026-05.json").read_text())
    for link in catalogue.links:
        if link.end == "internet" and link.start in {"aws", "azure", "oci"}:
            last = recorded[link.start]["tiers"][-1]["price_per_gb_usd"]
            assert link.usd_per_gib == pytest.approx(last * GIB / 1e9, abs=1e-6)


def test_throughput_between_vendors_against_the_measurements() -> None:
    """Quantiles over all pairs from a vendor to regions of others, as the notes say."""
    measured = pl.read_csv(shared("interregion_network") / "throughput_2022-01.csv.gz").filter(
        pl.col("src_tier") == "PREMIUM",
        pl.col("src_region").str.split(":").list.first() != pl.col("dst_region").str.split(":").list.first(),
    )
    checked = 0
    for link in catalogue.links:
        rows = measured.filter(pl.col("src_region").str.starts_with(f"{link.start}:"))["throughput_sent"] / 1e9
        if link.end == "internet" and len(rows):
            checked += 1
            assert f"{len(rows):,} pairs" in (link.source.note or "" if link.source else "")
            for share, told in (
                (0.1, link.p10_gbit_per_second),
                (0.5, link.p50_gbit_per_second),
                (0.9, link.p90_gbit_per_second),
            ):
                assert told == pytest.approx(rows.quantile(share), abs=0.006), link
    assert checked == 3
