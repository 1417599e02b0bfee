"""Shares that few reviews can't swing: by hand, and by simulated shops whose truth is known."""

import numpy as np
import pytest

from experiments.complaints.rates import Verdict, prior_strength, rates


def test_the_posterior_by_hand() -> None:
    """One group alone says nothing of how far groups differ: any strength fits; the posterior follows it."""
    group, complaint = np.repeat([0, 1], [10, 30]), np.array([1.0] * 4 + [0.0] * 6 + [1.0] * 3 + [0.0] * 27)
    prior = np.array([0.2, 0.2])
    found = rates(group, complaint, prior_share=prior, limit=0.3)
    strength = prior_strength(np.array([10, 30]), np.array([4.0, 3.0]), prior)
    assert found.share == pytest.approx(
        [(0.2 * strength + 4) / (strength + 10), (0.2 * strength + 3) / (strength + 30)]
    )
    assert (found.low < found.share).all()
    assert (found.share < found.high).all()


def test_three_bad_reviews_do_not_condemn_a_product() -> None:
    """Thirty products at 20 %, one with three reviews, all bad, and one that is bad over a hundred."""
    rng = np.random.default_rng(1)
    group = np.concatenate([np.repeat(np.arange(30), 50), [30] * 3, [31] * 100])
    complaint = np.concatenate([rng.random(1_500) < 0.2, [True] * 3, np.arange(100) < 60]).astype(float)
    found = rates(group, complaint, prior_share=np.full(32, 0.2), limit=0.2)
    verdicts = [found.verdict(p) for p in range(32)]
    assert verdicts[30] is Verdict.UNKNOWN
    assert verdicts[31] is Verdict.PROBLEM
    assert verdicts.count(Verdict.PROBLEM) <= 2
    # Drawn down, and still far from certain.
    assert found.share[30] < 0.7
    assert found.high[30] - found.low[30] > 0.3


def test_how_far_products_differ_is_found() -> None:
    rng = np.random.default_rng(2)
    truth = rng.beta(0.2 * 40, 0.8 * 40, size=600)
    n = rng.integers(5, 80, size=600)
    assert 25 < prior_strength(n, rng.binomial(n, truth).astype(float), np.full(600, 0.2)) < 65
    same = rng.binomial(n, 0.2).astype(float)
    assert prior_strength(n, same, np.full(600, 0.2)) > 300


def test_intervals_cover_and_flags_are_mostly_right() -> None:
    rng = np.random.default_rng(3)
    truth = rng.beta(0.2 * 20, 0.8 * 20, size=800)
    n = rng.integers(8, 60, size=800)
    group = np.repeat(np.arange(800), n)
    complaint = (rng.random(len(group)) < truth[group]).astype(float)
    found = rates(group, complaint, prior_share=np.full(800, 0.2), limit=0.2)
    covered = ((found.low <= truth) & (truth <= found.high)).mean()
    # Four standard errors of 800 draws at 95 %.
    assert 0.92 < covered < 0.98
    flagged = np.array([found.verdict(p) is Verdict.PROBLEM for p in range(800)])
    assert flagged.sum() > 50
    assert (truth[flagged] > 0.2).mean() > 0.95
