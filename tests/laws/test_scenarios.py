"""Laws of scenarios, for any portfolio and any parameters: S0 to S15."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from argosy import kinds
from argosy.model import effects
from argosy.model.chance import Streams, Subjects, combine
from argosy.model.effects import Party, Place
from argosy.model.futures import futures
from argosy.model.horizon import Horizon
from argosy.model.portfolio import Portfolio
from argosy.model.scenario import Scenario
from argosy.units import Month

KINDS = kinds.load("argosy.model.uncertainty", "Uncertainty")
START = Month(2026, 1)
ALL_KINDS: list[dict[str, Any]] = [
    {"kind": kind} | ({"vendors": ["acme", "zenith"], "default_per_year_fraction": 0.2} if kind == "default" else {})
    for kind in KINDS
]


def world(
    *, months: int = 36, step: int = 3, extra: int = 0, uncertainties: list[dict[str, Any]] | None = None, **rest: Any
) -> Portfolio:
    """Two vendors, two contracts of every sort, one site; `extra` adds that many more of each."""
    names = ["one", "two", *(f"extra-{i}" for i in range(extra))]
    contracts = []
    for i, name in enumerate(names):
        vendor, pool = (("acme", "a"), ("zenith", "z"))[i % 2]
        sized = {"vendor": vendor, "pools": [pool], "start": "2026-06", "term_months": 36, "max_accelerators": 100}
        contracts += [
            {"kind": "reservation", "id": f"deal-{name}", **sized, "usd_per_accelerator_hour": 2.0}
            | {"backstop": {"max_fraction": 0.5, "expected_unsold_fraction": 0.3}}
            | {"right_of_first_refusal": {"holder": "third", "pool": "t", "match_fraction": 0.4}},
            {"kind": "spot", "id": f"spot-{name}", "vendor": vendor, "pool": pool}
            | {"tiers": [{"accelerators": 10, "usd_per_accelerator_hour": 1.0}]},
        ]
    regions = {"a": "acme", "z": "zenith", "t": "third"}
    raw = {
        "argosy": 1,
        "name": "law",
        "horizon": {"start": "2026-01", "months": months, "step_months": step},
        "regions": [{"id": f"{v}/r", "vendor": v, "jurisdiction": "SE"} for v in regions.values()],
        "pools": [{"id": p, "region": f"{v}/r", "silicon": "h100"} for p, v in regions.items()],
        "sites": [{"id": f"site-{name}", "region": "acme/r", "max_mw": 1, "energised": "2026-02"} for name in names],
        "contracts": contracts,
        "workloads": [
            {"kind": "training", "id": f"work-{name}", "homes": {"acme/r": 1.0}, "unserved_usd_per_unit": 1.0}
            | {"h100_accelerators": {"points": {"2026-01": 1}}}
            for name in names
        ],
        "uncertainties": ALL_KINDS if uncertainties is None else uncertainties,
        **rest,
    }
    return Portfolio.model_validate_json(json.dumps(raw))


def draws(kind: str, count: int, known: Subjects, **fields: Any) -> list[Scenario]:
    uncertainty = KINDS[kind].model_validate_json(json.dumps({"kind": kind, **fields}))
    return [combine("s", 1.0, [uncertainty.draw(Streams(20260101, (str(k),)), known)]) for k in range(count)]


def means_one(samples: np.ndarray[Any, Any]) -> None:
    """The mean over draws of every month is 1 within four standard errors."""
    error = samples.std(axis=0, ddof=1) / math.sqrt(len(samples))
    assert np.all(np.abs(samples.mean(axis=0) - 1) <= 4 * error + 1e-6)


class TestS0:
    @settings(deadline=None, max_examples=60)
    @given(
        weights=st.lists(st.floats(0.01, 1), max_size=5),
        share=st.floats(0.05, 0.95),
        count=st.integers(0, 12),
    )
    def test_probabilities_sum_to_one(self, weights: list[float], share: float, count: int) -> None:
        total = math.fsum(weights)
        written = [{"id": f"g{i}", "probability": share * w / total} for i, w in enumerate(weights)]
        portfolio = world(scenarios={"count": count, "given": written})
        found = futures(portfolio)
        assert math.fsum(s.probability for s in found) == pytest.approx(1, abs=1e-12)
        assert [s.id for s in found[: len(written)]] == [f"g{i}" for i in range(len(weights))]
        assert [s.probability for s in found[: len(written)]] == [s["probability"] for s in written]
        assert len({s.id for s in found}) == len(found)

    @settings(deadline=None, max_examples=15)
    @given(seed=st.integers(0, 2**63 - 1), few=st.integers(1, 6), more=st.integers(1, 6))
    def test_scenario_k_does_not_depend_on_how_many_follow(self, seed: int, few: int, more: int) -> None:
        portfolio = world()
        short = futures(portfolio, seed=seed, count=few)
        long = futures(portfolio, seed=seed, count=few + more)
        without = {"probability"}
        assert [s.model_dump(exclude=without) for s in short] == [s.model_dump(exclude=without) for s in long[:few]]

    @settings(deadline=None, max_examples=15)
    @given(seed=st.integers(0, 2**32), extra=st.integers(1, 4))
    def test_adding_subjects_leaves_the_draws_of_others(self, seed: int, extra: int) -> None:
        before = futures(world(), seed=seed, count=4)
        after = futures(world(extra=extra), seed=seed, count=4)
        for a, b in zip(before, after, strict=True):
            assert a.outages == b.outages
            assert a.default_month == b.default_month
            for field in Scenario.model_fields:
                effect = getattr(a, field)
                if isinstance(effect, dict):
                    now = getattr(b, field)
                    assert {k: v for k, v in now.items() if "extra" not in k} == effect

    def test_adding_an_uncertainty_leaves_the_draws_of_others(self) -> None:
        before = futures(world(uncertainties=ALL_KINDS[:3]), count=10)
        after = futures(world(uncertainties=[ALL_KINDS[5], *ALL_KINDS[:3], ALL_KINDS[7]]), count=10)
        for a, b in zip(before, after, strict=True):
            assert a.capacity_factor == b.capacity_factor
            assert a.default_month == b.default_month

    def test_the_same_on_every_hash_seed_and_in_every_process(self) -> None:
        code = textwrap.dedent(
            """
            import hashlib, importlib.util, sys
            spec = importlib.util.spec_from_file_location("laws", sys.argv[1])
            laws = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(laws)
            print(laws.fingerprint())
            """
        )
        prints = {fingerprint()}
        for hash_seed in ("0", "1", "4711"):
            environment = os.environ | {"PYTHONHASHSEED": hash_seed}
            done = subprocess.run(
                [sys.executable, "-c", code, __file__], env=environment, capture_output=True, text=True, check=True
            )
            prints.add(done.stdout.strip())
        assert len(prints) == 1


def fingerprint() -> str:
    """Digest of everything that a fixed seed draws."""
    text = "\n".join(s.model_dump_json() for s in futures(world(extra=3), seed=11, count=12))
    return hashlib.sha256(text.encode()).hexdigest()


class TestRange:
    @settings(deadline=None, max_examples=20)
    @given(
        seed=st.integers(0, 2**32),
        shape=st.sampled_from([(12, 1), (24, 2), (36, 3), (84, 6), (240, 12)]),
    )
    def test_every_effect_is_possible(self, seed: int, shape: tuple[int, int]) -> None:
        portfolio = world(months=shape[0], step=shape[1])
        horizon = portfolio.horizon
        for scenario in futures(portfolio, seed=seed, count=3):
            for path in [*scenario.demand_factor.values(), *scenario.price_factor.values()]:
                assert all(0 < value < math.inf for value in path.values())
            for path in scenario.capacity_factor.values():
                assert all(0 <= value <= 1 for value in path.values())
            every = [*scenario.demand_factor.values(), *scenario.price_factor.values()]
            for path in [*every, *scenario.capacity_factor.values()]:
                assert list(path) == sorted(path)
                assert all(horizon.start <= m < horizon.end for m in path)
                assert all((m - horizon.start) % horizon.step_months == 0 for m in path)
            delays = [*scenario.delivery_delay_months.values(), *scenario.energisation_delay_months.values()]
            assert all(0 < months <= max(horizon.months, 18) for months in delays)
            for outage in scenario.outages:
                assert horizon.start <= outage.start < horizon.end
                assert 0 <= outage.available_fraction <= 0.5
            assert all(horizon.start <= m < horizon.end for m in scenario.default_month.values())
            assert set(scenario.matched_fraction.values()) <= {0.0, 1.0}
            assert all(0 <= share <= 1 for share in scenario.unsold_fraction.values())
            assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario

    @settings(deadline=None, max_examples=25)
    @given(
        growth=st.builds(
            dict,
            kind=st.just("demand_growth"),
            trend_per_year_ratio=st.floats(0, 5),
            walk_per_month_ratio=st.floats(0, 1),
            common_fraction=st.floats(0, 1),
        ),
        shock=st.builds(
            dict,
            kind=st.just("demand_shock"),
            events_per_year_ratio=st.floats(0, 12),
            up_fraction=st.floats(0, 1),
            half_life_months=st.none() | st.floats(0.1, 100),
            together=st.booleans(),
        ),
    )
    def test_wild_parameters_still_give_legal_scenarios(self, growth: dict[str, Any], shock: dict[str, Any]) -> None:
        portfolio = world(uncertainties=[growth, growth, shock, shock])
        for scenario in futures(portfolio, count=2):
            factors = effects.demand_array([scenario], ["work-one", "work-two"], portfolio.horizon)
            assert np.all(np.isfinite(factors))
            assert np.all(factors >= 0)


class TestStatistics:
    """On a fixed seed, so that a pass stays a pass."""

    monthly = Horizon(start=START, months=48)

    @pytest.mark.parametrize("fields", [{}, {"common_fraction": 0.3}, {"trend_per_year_ratio": 0.25}])
    def test_s2_mean_growth_is_as_written(self, fields: dict[str, Any]) -> None:
        found = draws("demand_growth", 3000, Subjects(horizon=self.monthly, workloads=("w",)), **fields)
        factors = effects.demand_array(found, ["w"], self.monthly)[:, 0]
        means_one(factors)
        trend = fields.get("trend_per_year_ratio", 0.15)
        spread = np.log(factors[:, -1]).std()
        assert spread == pytest.approx(math.sqrt((trend * 47 / 12) ** 2 + 0.03**2 * 48), rel=0.05)

    def test_s2_common_share_of_the_variance(self) -> None:
        known = Subjects(horizon=self.monthly, workloads=("a", "b"))
        logs = np.log(
            effects.demand_array(draws("demand_growth", 2000, known, common_fraction=0.6), "ab", self.monthly)
        )
        assert np.corrcoef(logs[:, 0, -1], logs[:, 1, -1])[0, 1] == pytest.approx(0.6, abs=0.05)

    @pytest.mark.parametrize("fields", [{}, {"half_life_months": 6.0}])
    def test_s3_default_shocks_leave_the_mean(self, fields: dict[str, Any]) -> None:
        found = draws("demand_shock", 3000, Subjects(horizon=self.monthly, workloads=("w",)), **fields)
        factors = effects.demand_array(found, ["w"], self.monthly)[:, 0]
        means_one(factors)
        assert (factors.max(axis=1) > 1).mean() > 0.1
        assert (factors.min(axis=1) < 1).mean() > 0.3

    def test_s4_marginals_and_correlation(self) -> None:
        known = Subjects(horizon=self.monthly, vendors=("v",), sized={"a": "v", "b": "v", "c": "u"})
        found = draws("delivery_slip", 4000, known)
        table = effects.delay_array(found, [Party("a", "v"), Party("b", "v"), Party("c", "u")])
        assert (table == 48).mean(axis=0) == pytest.approx([2 / 22] * 3, abs=0.015)
        late = (table > 0) & (table < 48)
        assert late.mean(axis=0) == pytest.approx([6 / 22] * 3, abs=0.02)
        for months in (3, 6, 9, 12, 18):
            assert (table == months).mean() == pytest.approx(6 / 22 / 5, abs=0.01)
        bad = table > 0
        assert np.corrcoef(bad[:, 0], bad[:, 1])[0, 1] > 0.2, "one vendor's contracts share their luck"
        assert abs(np.corrcoef(bad[:, 0], bad[:, 2])[0, 1]) < 0.06, "two vendors do not"

    def test_s4_shared_fraction_one_moves_all_alike(self) -> None:
        known = Subjects(horizon=self.monthly, sized={"a": "v", "b": "v"})
        for scenario in draws("delivery_slip", 200, known, shared_fraction=1.0):
            assert len({scenario.delivery_delay_months.get(c, 0) for c in "ab"}) == 1

    def test_s5_mean_price_is_as_written_and_levels_are_few(self) -> None:
        found = draws("price_jump", 4000, Subjects(horizon=self.monthly, open={"s": "v"}))
        party = Party("s", "v")
        means_one(np.array([effects.price_factors(s, party, self.monthly) for s in found]))
        assert effects.price_levels(found, party, self.monthly).tolist() == [0.56, 1.0, 1.5, 2.5]

    def test_s6_share_of_scarce_time_is_the_same_from_the_first_month(self) -> None:
        fields = {"scarce_fraction": 0.3, "mean_scarce_months": 5, "low_fraction": 0.0, "high_fraction": 0.5}
        found = draws("capacity", 3000, Subjects(horizon=self.monthly, open={"s": "v"}), **fields)
        factors = np.array([effects.capacity_factors(s, Party("s", "v"), self.monthly) for s in found])
        scarce = (factors < 1).mean(axis=0)
        assert np.all(np.abs(scarce - 0.3) < 0.035)
        assert factors.mean() == pytest.approx(1 - 0.3 * 0.75, abs=0.01)

    def test_s7_rate_length_and_share(self) -> None:
        found = draws("outage", 3000, Subjects(horizon=self.monthly, regions=("r",)), events_per_year_ratio=0.5)
        every = [o for s in found for o in s.outages]
        assert len(every) / 3000 == pytest.approx(0.5 * 4, rel=0.05)
        assert np.mean([o.months for o in every]) == pytest.approx(2, abs=0.05)
        assert np.mean([o.available_fraction for o in every]) == pytest.approx(0.25, abs=0.01)

    def test_s8_survival(self) -> None:
        found = draws("default", 4000, Subjects(horizon=self.monthly, vendors=("v",)), vendors=["v"])
        first = np.mean([s.default_month.get("v", self.monthly.end) < START.plus(12) for s in found])
        assert first == pytest.approx(0.037, abs=0.01)
        assert np.mean([bool(s.default_month) for s in found]) == pytest.approx(1 - 0.963**4, abs=0.02)

    def test_s9_s10_means_are_the_written_ones(self) -> None:
        known = Subjects(horizon=self.monthly, first_refusals={"d": 0.3}, backstops={"d": 0.2})
        matched = [s.matched_fraction["d"] for s in draws("first_refusal", 3000, known)]
        assert np.mean(matched) == pytest.approx(0.3, abs=0.03)
        unsold = np.array([s.unsold_fraction["d"] for s in draws("unsold", 3000, known)])
        assert unsold.mean() == pytest.approx(0.2, abs=0.015)
        assert unsold.var() == pytest.approx(0.2 * 0.8 / 5, rel=0.1)


class TestResolution:
    @settings(deadline=None, max_examples=15)
    @given(seed=st.integers(0, 2**32), shape=st.sampled_from([(12, 1), (36, 3), (60, 12)]))
    def test_one_month_and_all_months_agree(self, seed: int, shape: tuple[int, int]) -> None:
        portfolio = world(
            months=shape[0], step=shape[1], uncertainties=[*ALL_KINDS, {"kind": "outage", "events_per_year_ratio": 2}]
        )
        horizon = portfolio.horizon
        months = [horizon.start.plus(m) for m in range(horizon.months)]
        place, party = Place("a", "acme/r", "acme"), Party("spot-one", "acme")
        for s in futures(portfolio, seed=seed, count=2):
            pairs: tuple[tuple[Any, Any], ...] = (
                (
                    effects.demand_factors(s, "work-one", horizon),
                    lambda m, s=s: effects.demand_factor(s, "work-one", m),
                ),
                (
                    effects.available_fractions(s, place, horizon),
                    lambda m, s=s: effects.available_fraction(s, place, m),
                ),
                (effects.price_factors(s, party, horizon), lambda m, s=s: effects.price_factor(s, party, m)),
                (effects.capacity_factors(s, party, horizon), lambda m, s=s: effects.capacity_factor(s, party, m)),
            )
            for vector, one in pairs:
                assert vector.tolist() == pytest.approx([one(m) for m in months], rel=1e-12)

    @settings(deadline=None, max_examples=15)
    @given(seed=st.integers(0, 2**32))
    def test_tiers_carry_exactly_the_capacity_at_the_price_of_the_month(self, seed: int) -> None:
        portfolio = world()
        horizon, party = portfolio.horizon, Party("spot-one", "acme")
        found = futures(portfolio, seed=seed, count=5)
        levels = effects.price_levels(found, party, horizon)
        tiers = effects.tier_array(found, party, horizon, levels)
        for s, scenario in enumerate(found):
            capacity = effects.capacity_factors(scenario, party, horizon)
            assert tiers[s].sum(axis=0).tolist() == capacity.tolist()
            worth = (tiers[s] * levels[:, None]).sum(axis=0)
            assert worth.tolist() == pytest.approx(
                (capacity * effects.price_factors(scenario, party, horizon)).tolist()
            )

    def test_a_thousand_futures_of_a_long_horizon_resolve_to_their_shapes(self) -> None:
        horizon = Horizon(start=START, months=84)
        scenario = combine(
            "s",
            1.0,
            [
                KINDS["price_jump"]().draw(Streams(1), Subjects(horizon=horizon, open={"s": "v"})),
                KINDS["demand_growth"]().draw(Streams(1), Subjects(horizon=horizon, workloads=("w",))),
            ],
        )
        found = [scenario] * 1000
        assert effects.demand_array(found, ["w"] * 5, horizon).shape == (1000, 5, 84)
        levels = effects.price_levels(found, Party("s", "v"), horizon)
        for _ in range(10):
            assert effects.tier_array(found, Party("s", "v"), horizon, levels).shape[::2] == (1000, 84)
