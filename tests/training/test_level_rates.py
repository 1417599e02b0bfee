"""Categories of a thousand levels: worth their column where they tell something, and never by their own outcome."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
from msgspec import structs

from decision.policies.action_features import ActionFeatures
from decision.policies.posterior import sigmoid
from decision.programme.model import Programme
from decision.records import ContextValue, FloatArray, action_named
from decision.stages.context import Column
from experiments.challenger import Settings, build_challenger
from experiments.dataset import Dataset
from experiments.encoding import encode_all, fit_encoder
from experiments.learners import LEARNERS
from experiments.learners.base import Rows
from experiments.level_rates import MOST_RATES, Rated, rate_levels
from tests import trials

FEATURES = ("control", "discount@email")


def drawn(
    n: int, *, seed: int, spread: float = 0.8, levels: int = 1_000
) -> tuple[list[dict[str, ContextValue]], FloatArray, FloatArray]:
    """Return contexts with a postcode, outcomes, and true log-odds, which differ by postcode."""
    rng = np.random.default_rng(seed)
    effect = spread * rng.standard_normal(levels)
    code, age = rng.integers(levels, size=n), rng.standard_normal(n)
    truth = -1.0 + effect[code] + 0.3 * age
    outcome = (rng.random(n) < sigmoid(truth)).astype(float)
    return [{"age": float(a), "postcode": f"P{c:04d}"} for a, c in zip(age, code, strict=True)], outcome, truth


def rated(contexts: list[dict[str, ContextValue]], outcome: FloatArray) -> Rated:
    return rate_levels(fit_encoder(contexts), contexts, outcome, np.arange(len(outcome)))


def test_a_postcode_that_tells_something_beats_dropping_it_out_of_sample() -> None:
    """By log-likelihood of the pooled model on as many rows that nobody trained on."""
    for seed in (401, 402, 403):
        contexts, outcome, _ = drawn(12_000, seed=seed)
        train, test = contexts[:8_000], contexts[8_000:]
        with_rates, without = rated(train, outcome[:8_000]), fit_encoder(train)
        everybody = np.ones(8_000, dtype=bool)
        scores = []
        for x, encoder in ((with_rates.x_for(everybody), with_rates.encoder), (encode_all(without, train), without)):
            features = ActionFeatures([action_named(a) for a in FEATURES], encoder.width)
            action = np.arange(8_000) % 2
            fit = LEARNERS["pooled_sparse"].fit(Rows(x, action, outcome[:8_000], features), seed=1)
            p = fit.predict(encode_all(encoder, test), in_sample=False)[:, 0]
            scores.append(np.log(np.where(outcome[8_000:] > 0, p, 1.0 - p)))
        gain = scores[0] - scores[1]
        assert gain.mean() > 3.0 * gain.std() / np.sqrt(len(gain)), seed


def test_nobody_sees_a_rate_with_her_own_outcome_in_it() -> None:
    contexts, outcome, _ = drawn(4_000, seed=1, levels=300)
    found, train = rated(contexts, outcome), np.arange(4_000) < 3_000
    x = found.x_for(train)
    for row in (0, 7, 2_999, 3_500):
        other = outcome.copy()
        other[row] = 1.0 - other[row]
        rates = tuple(replace(one, outcome=other) for one in found.rates)
        changed = replace(found, rates=rates).x_for(train)
        np.testing.assert_array_equal(changed[row], x[row])
        # Others of her level see it if, and only if, it may be learned from.
        assert (changed != x).any() == train[row]


def test_a_postcode_that_tells_nothing_gets_no_rates() -> None:
    kept = sum(bool(rated(*drawn(6_000, seed=seed, spread=0.0)[:2]).rates) for seed in range(410, 420))
    assert kept <= 2


def test_few_levels_need_no_rates() -> None:
    contexts, outcome, _ = drawn(6_000, seed=1, levels=20)
    assert not rated(contexts, outcome).rates


def test_a_rate_by_hand_new_levels_are_average_and_absence_has_its_own_number() -> None:
    contexts, outcome, _ = drawn(6_000, seed=1)
    for context in contexts[:100]:
        context["postcode"] = None
    found = rated(contexts, outcome)
    (rates,) = found.rates
    column = next(c for c in found.encoder.columns if c.name == "postcode")
    assert column.labels == ("postcode by rate", "postcode is missing")
    mine = np.array([context["postcode"] == "P0007" for context in contexts])
    expected = (outcome[mine] - outcome.mean()).sum() / (mine.sum() + rates.weight) / rates.scale
    at = found.encoder.labels.index("postcode by rate")
    assert np.isclose(found.encoder.encode({"postcode": "P0007"})[at], expected)
    assert found.encoder.encode({"postcode": "brand new"})[at] == 0.0
    assert found.encoder.encode({"postcode": None})[at : at + 2].tolist() == [0.0, 1.0]


def test_a_bundle_keeps_at_most_five_thousand_rates() -> None:
    contexts, outcome, _ = drawn(20_000, seed=1, levels=8_000, spread=2.0)
    column = next(c for c in rated(contexts, outcome).encoder.columns if c.name == "postcode")
    assert isinstance(column.rates, dict)
    assert 0 < len(column.rates) <= MOST_RATES


def test_columns_without_rates_are_written_as_they_always_were() -> None:
    """So that the hash of bundles made before stays right."""
    assert b"rates" not in msgspec.json.encode(Column("age"))
    again = msgspec.json.decode(msgspec.json.encode(Column("code", rates={"a": 0.5})), type=Column)
    assert again.rates == {"a": 0.5}


def test_a_challenger_serves_the_rates(data: Dataset, shop: Programme) -> None:
    rng = np.random.default_rng(1)
    towns = rng.integers(400, size=len(data))
    likely = 0.8 * rng.random(400)
    bought = (rng.random(len(data)) < likely[towns]).astype(float)
    decisions = tuple(
        structs.replace(d, context={**d.context, "town": f"T{t}"}) for d, t in zip(data.decisions, towns, strict=True)
    )
    only = {name: LEARNERS[name] for name in ("constant", "pooled_sparse")}
    changed = replace(data, decisions=decisions, repurchased=bought)
    built = build_challenger(changed, shop, Settings(1, 3, 1), now=trials.NOW, learners=only)
    assert any(isinstance(column.rates, dict) for column in built.manifest.columns)
    assert np.corrcoef(built.candidates[1].odds[:, 0], likely[towns])[0, 1] > 0.5
