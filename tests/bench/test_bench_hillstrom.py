"""Hillstrom's bench: its halves, and its scores against a truth that is known."""

from __future__ import annotations

import numpy as np
import pytest

from experiments.bench.hillstrom import CONTACT, Log, gain, halves, robust_scores


def log(n: int, *, seed: int) -> Log:
    """Return a trial of three arms in which the second brings 0.1 more visits to everybody."""
    rng = np.random.default_rng(seed)
    x, action = rng.standard_normal((n, 2)), rng.integers(3, size=n)
    visit = (rng.random(n) < 0.2 + 0.1 * (action == 1)).astype(float)
    bought = visit * (rng.random(n) < 0.5)
    return Log(x, action, {"visit": visit, "conversion": bought, "spend": 30.0 * bought})


def test_halves_share_nobody_and_have_the_same_arms_and_outcomes() -> None:
    rows = log(3_001, seed=1)
    one, two = halves(rows, seed=3)
    assert sorted([*one, *two]) == list(range(3_001))
    for name, outcome in rows.outcomes.items():
        for k in range(3):
            counts = [(outcome[half][rows.action[half] == k] > 0).sum() for half in (one, two)]
            assert abs(counts[0] - counts[1]) <= 2, (name, k)


def test_scores_find_the_difference_between_arms() -> None:
    rows = log(20_000, seed=2)
    learn, judge = (rows.where(half).trial("visit", seed=1) for half in halves(rows, seed=1))
    found = gain(robust_scores(learn, judge), np.full(10_000, 1), np.full(10_000, 0))
    assert abs(found.difference - 0.1) < 4 * found.error
    assert 0.005 < found.error < 0.02


def test_spend_is_net_of_what_an_email_costs() -> None:
    rows = log(500, seed=3)
    np.testing.assert_allclose(
        rows.trial("spend", seed=1).profit, rows.outcomes["spend"] - CONTACT * (rows.action > 0), atol=1e-12
    )
    np.testing.assert_array_equal(rows.trial("visit", seed=1).profit, rows.outcomes["visit"])


def test_a_gain_by_hand() -> None:
    scores = np.array([[1.0, 3.0], [2.0, 2.5], [0.0, 1.0]])
    found = gain(scores, np.array([1, 1, 1]), np.array([0, 0, 0]))
    assert found[:3] == pytest.approx((6.5 / 3, 1.0, 3.5 / 3))
    assert found.error == pytest.approx(np.std([2.0, 0.5, 1.0], ddof=1) / 3**0.5)
