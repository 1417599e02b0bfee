"""Doubly robust scores, deciles and cost curves: by hand, by laws, and against a known world."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from decision.errors import InvalidInput
from experiments.uplift_metrics import budget_curve, by_decile, clustered_mean, robust_scores, share_curve


@dataclass
class World:
    """Three actions: control, a cheap one and a dear one; `gain` and `cost` [n, 3] are the truth, against control."""

    gain: np.ndarray
    cost: np.ndarray
    scores: np.ndarray
    customer: np.ndarray


def world(n: int, *, seed: int) -> World:
    rng = np.random.default_rng(seed)
    taste = rng.normal(size=n)
    cost = np.tile([0.0, 0.2, 1.0], (n, 1))
    gain = np.column_stack([np.zeros(n), 0.5 * taste, 2.0 * taste - 1.0])
    scores = gain + rng.normal(size=(n, 3))
    scores -= scores[:, :1]
    return World(gain, cost, scores, np.arange(n) // 2)


def test_scores_equal_a_computation_on_paper() -> None:
    found = robust_scores(
        outcome=np.array([5.0, 2.0]),
        action=np.array([1, 0]),
        propensity=np.array([0.5, 0.25]),
        predicted=np.array([[1.0, 2.0, 4.0], [1.0, 9.0, 3.0]]),
        allowed=np.array([[True, True, True], [True, False, True]]),
    )
    # 2 + (5 - 2) / 0.5; 1 + (2 - 1) / 0.25, which stands in where the second action was not allowed.
    np.testing.assert_allclose(found, [[1.0, 8.0, 4.0], [5.0, 5.0, 3.0]])


def test_scores_average_to_the_truth_whatever_was_predicted() -> None:
    rng = np.random.default_rng(1)
    n = 40_000
    action = rng.integers(3, size=n)
    outcome = np.array([1.0, 3.0, 2.0])[action] + rng.normal(size=n)
    wrong = rng.normal(size=(n, 3))
    found = robust_scores(outcome, action, np.full(n, 1 / 3), wrong, np.ones((n, 3), dtype=bool))
    np.testing.assert_allclose(found.mean(axis=0), [1.0, 3.0, 2.0], atol=0.08)


def test_scores_without_control_are_refused() -> None:
    with pytest.raises(InvalidInput, match="allowed must hold control"):
        robust_scores(np.ones(1), np.array([1]), np.ones(1), np.ones((1, 2)), np.array([[False, True]]))


def test_customers_who_come_twice_count_once() -> None:
    """Every customer in two equal rows: the standard error is that of the customers, not of the rows."""
    once = np.random.default_rng(1).normal(size=500)
    twice, ids = np.repeat(once, 2), np.repeat(np.arange(500), 2)
    found = clustered_mean(twice, ids)
    assert found.value == pytest.approx(once.mean())
    assert found.standard_error == pytest.approx(once.std(ddof=1) / np.sqrt(500))
    assert found.effective_sample_size == pytest.approx(500)
    assert clustered_mean(twice, None).standard_error < 0.75 * found.standard_error


def test_a_mean_needs_two_customers_for_an_interval() -> None:
    found = clustered_mean(np.array([1.0, 2.0]), np.array(["a", "a"]))
    assert (found.value, found.low, found.high) == (1.5, -np.inf, np.inf)


def test_clustered_intervals_cover() -> None:
    covered = 0
    for seed in range(400):
        rng = np.random.default_rng(seed)
        customer = rng.integers(80, size=240)
        terms = rng.normal(size=80)[customer] + rng.normal(size=240)
        found = clustered_mean(terms, customer)
        covered += found.low <= 0.0 <= found.high
    # 400 trials have a Monte-Carlo error of 1.1 points; unequal clusters cost about a point.
    assert 0.91 <= covered / 400 <= 0.98


def test_deciles_hold_everybody_once_and_average_to_the_whole() -> None:
    w = world(2_000, seed=1)
    found = by_decile(w.gain[:, 2], w.scores[:, 2], w.customer)
    assert len(found) == 10
    assert sum(part.share for part in found) == pytest.approx(1.0)
    assert sum(part.share * part.observed.value for part in found) == pytest.approx(w.scores[:, 2].mean())
    assert [part.predicted for part in found] == sorted(part.predicted for part in found)
    assert len(by_decile(np.zeros(2_000), w.scores[:, 2], None)) == 1


def test_share_curve_equals_a_computation_on_paper() -> None:
    """Gains 4, 2, 0, -2 in that order: cumulated over four 1, 1.5, 1.5, 1; the area 1.125, half the end 0.5."""
    found = share_curve(np.array([0.1, 0.9, 0.5, 0.3]), np.array([-2.0, 4.0, 2.0, 0.0]), None, seed=1)
    np.testing.assert_allclose(found.gain[[0, 25, 50, 75, 100]], [0.0, 1.0, 1.5, 1.5, 1.0])
    assert found.above_random.value == pytest.approx(1.125 - 0.5)


def test_no_ranking_beats_the_truth() -> None:
    w = world(4_000, seed=2)
    perfect = share_curve(w.gain[:, 2], w.gain[:, 2], None, seed=1, replicates=50)
    for seed in range(20):
        noisy = w.gain[:, 2] + np.random.default_rng(1_000 + seed).normal(size=4_000)
        other = share_curve(noisy, w.gain[:, 2], None, seed=1, replicates=50)
        assert other.above_random.value < perfect.above_random.value
        assert (other.gain <= perfect.gain + 1e-12).all()


def test_a_random_ranking_gains_nothing_within_its_interval() -> None:
    covered = 0
    for seed in range(100):
        w = world(600, seed=seed)
        found = share_curve(np.random.default_rng(1_000 + seed).random(600), w.scores[:, 2], w.customer, seed=seed)
        covered += found.above_random.low <= 0.0 <= found.above_random.high
    assert covered >= 90


def test_equal_predictions_rank_nobody() -> None:
    w = world(500, seed=3)
    found = share_curve(np.zeros(500), w.scores[:, 2], w.customer, seed=1)
    assert found.above_random.value == pytest.approx(0.0, abs=1e-12)


def test_the_same_seed_gives_the_same_curve() -> None:
    w = world(500, seed=3)
    once, again, other = (share_curve(w.gain[:, 2], w.scores[:, 2], w.customer, seed=s) for s in (1, 1, 2))
    assert once.above_random == again.above_random
    np.testing.assert_array_equal(once.low, again.low)
    assert (once.low != other.low).any()
    with pytest.raises(InvalidInput, match="50 replicates"):
        share_curve(w.gain[:, 2], w.scores[:, 2], None, seed=1, replicates=10)


def test_a_budget_buys_the_best_first_and_the_last_unit_pays() -> None:
    """Each step along the true hulls costs more and brings more, but less for each unit of money."""
    w = world(5_000, seed=4)
    found = budget_curve(w.gain, w.cost, w.gain, w.cost, w.customer)
    assert found.spend[0] == 0.0
    assert found.gain[-1] == pytest.approx(w.gain.max(axis=1).mean())
    assert (np.diff(found.spend) >= -1e-12).all()
    assert (np.diff(found.gain) >= -1e-12).all()
    steps = np.diff(found.spend) > 1e-9
    slopes = np.diff(found.gain)[steps] / np.diff(found.spend)[steps]
    assert (np.diff(slopes) <= 1e-6).all()
    assert (found.low <= found.gain).all()
    assert (found.gain <= found.high).all()


def test_a_budget_equals_a_computation_on_paper() -> None:
    """Two customers: 4 for 1 and 2 for 1 are bought in that order, 1 for 2 last; the third action never pays."""
    gain = np.array([[0.0, 4.0, -1.0], [0.0, 2.0, 3.0]])
    cost = np.array([[0.0, 1.0, 5.0], [0.0, 1.0, 3.0]])
    found = budget_curve(gain, cost, gain, cost, None, points=200)
    bought = sorted(set(zip(found.spend.tolist(), found.gain.tolist(), strict=True)))
    assert bought == [(0.0, 0.0), (0.5, 2.0), (1.0, 3.0), (2.0, 3.5)]


def test_where_nothing_pays_nothing_is_spent(simulate: Any) -> None:
    gain = np.array([[0.0, -1.0], [0.0, -np.inf]])
    found = budget_curve(gain, np.array([[0.0, 1.0], [0.0, 1.0]]), np.zeros((2, 2)), np.zeros((2, 2)), None)
    assert (found.spend.tolist(), found.share.tolist(), found.gain.tolist()) == ([0.0], [0.0], [0.0])
