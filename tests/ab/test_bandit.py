"""Contrasts of actions on what a bandit collected: the formulas by hand, and coverage where naive means fail."""

import math

import numpy as np
import pytest
from scipy.special import ndtr

from decision.errors import InvalidInput, NotEnoughData
from experiments.ab.bandit_contrasts import (
    BanditLog,
    action_values,
    adaptive_values,
    aipw_scores,
    contextual_contrast,
    ipw_scores,
)
from experiments.ab.bandit_evidence import FEWEST_REWARDED, enough_rewarded, rewarded_decisions
from experiments.ab.bandit_weights import Weighing, evaluation_weights
from experiments.ab.effect import Confidence, Spread
from experiments.ab.soundness import Finding


def thompson(replicates: int, rounds: int, gap: float, seed: int) -> list[BanditLog]:
    """Two actions worth 1 and 1 + gap with deviation 1, drawn by Thompson sampling with a floor of .05."""
    rng, row = np.random.default_rng(seed), np.arange(replicates)
    n, total = np.zeros((replicates, 2)), np.zeros((replicates, 2))
    action, reward = np.empty((rounds, replicates), dtype=np.int64), np.empty((rounds, replicates))
    propensity = np.empty((rounds, replicates, 2))
    for t in range(rounds):
        mean, variance = total / (n + 1), 1 / (n + 1)
        p = 0.05 + 0.9 * ndtr((mean[:, 1] - mean[:, 0]) / np.sqrt(variance.sum(axis=1)))
        action[t] = rng.random(replicates) < p
        reward[t] = 1 + gap * action[t] + rng.normal(size=replicates)
        propensity[t] = np.stack([1 - p, p]).T
        n[row, action[t]] += 1
        total[row, action[t]] += reward[t]
    return [BanditLog(action[:, k], reward[:, k], propensity[:, k]) for k in range(replicates)]


def test_the_weights_are_those_of_the_paper_step_by_step() -> None:
    rng = np.random.default_rng(2)
    e = rng.dirichlet([2, 2, 2], size=30)
    decay, horizon = 0.7, len(e)
    expected = np.empty_like(e)
    for k in range(3):
        left = 1.0
        for t in range(1, horizon + 1):
            rest = (horizon ** (1 - decay) - t ** (1 - decay)) / (1 - decay)
            rate = e[t - 1, k] / (1 + horizon - t) + (1 - e[t - 1, k]) * t**-decay / (t**-decay + rest)
            expected[t - 1, k] = math.sqrt(left * rate * e[t - 1, k])
            left -= left * rate
    np.testing.assert_allclose(evaluation_weights(e, Weighing.TWO_POINT, decay), expected, rtol=1e-9)
    constant = evaluation_weights(e, Weighing.TWO_POINT, 0.0) / evaluation_weights(e, Weighing.CONSTANT)
    np.testing.assert_allclose(constant, constant[0, 0], rtol=1e-9)


def test_values_and_contrasts_recomputed_by_hand() -> None:
    log = BanditLog(np.array([0, 1, 1]), np.array([2.0, 1.0, 3.0]), np.array([[0.5, 0.5], [0.2, 0.8], [0.25, 0.75]]))
    scores = aipw_scores(log)
    np.testing.assert_allclose(scores, [[4.0, 0.0], [2.0, 1 / 0.8], [2.0, 1.0 + 2 / 0.75]])
    np.testing.assert_allclose(ipw_scores(log), [[4.0, 0.0], [0.0, 1.25], [0.0, 4.0]])
    h = evaluation_weights(log.propensity, Weighing.CONSTANT)
    value = (h * scores).sum(axis=0) / h.sum(axis=0)
    error = sum(
        (h[t, 1] * (scores[t, 1] - value[1]) / h[:, 1].sum() - h[t, 0] * (scores[t, 0] - value[0]) / h[:, 0].sum()) ** 2
        for t in range(3)
    )
    found = adaptive_values(log).contrast(1, 0, Confidence(spread=Spread.NORMAL))
    assert (found.estimate, found.standard_error) == pytest.approx((value[1] - value[0], math.sqrt(error)))


@pytest.mark.parametrize("gap", [0.0, 0.2])
def test_contrasts_cover_and_are_hardly_biased(gap: float) -> None:
    logs = thompson(1_500, 600, gap, seed=4)
    adaptive = [adaptive_values(log).contrast(1, 0) for log in logs]
    assert np.mean([one.low <= gap <= one.high for one in adaptive]) >= 0.94
    assert abs(np.mean([one.estimate for one in adaptive]) - gap) <= 0.03
    naive = np.array([log.reward[log.action == 1].mean() - log.reward[log.action == 0].mean() for log in logs])
    if gap:
        assert naive.mean() - gap > 2 * abs(np.mean([one.estimate for one in adaptive]) - gap)
    even = np.array([np.subtract(*action_values(aipw_scores(log), np.ones((600, 2))).value[::-1]) for log in logs])
    assert abs(even.mean() - gap) < 3.5 * even.std() / math.sqrt(len(even))


def test_a_logger_that_follows_the_context_misleads_naive_means_and_not_ours() -> None:
    """Regulars are worth 4 more and mostly get action 1, which does nothing."""
    rng, covered, naive = np.random.default_rng(8), [], []
    for _ in range(300):
        regular = rng.random(2_000) < 0.5
        p = np.where(regular, 0.9, 0.1)
        action = (rng.random(2_000) < p).astype(np.int64)
        reward = 4.0 * regular + rng.normal(size=2_000)
        log = BanditLog(action, reward, np.stack([1 - p, p]).T)
        found = contextual_contrast(log, (1, 0), cluster=np.arange(2_000))
        covered.append(found.low <= 0 <= found.high)
        naive.append(reward[action == 1].mean() - reward[action == 0].mean())
    assert np.mean(covered) >= 0.92
    assert np.mean(naive) > 3


def test_only_decisions_with_a_choice_between_both_count() -> None:
    rng = np.random.default_rng(1)
    p = np.tile([0.5, 0.5, 0.0], (400, 1))
    p[200:] = [0.5, 0.0, 0.5]
    action = np.where(rng.random(400) < 0.5, 0, np.where(np.arange(400) < 200, 1, 2))
    reward = rng.normal(size=400) + 10.0 * (np.arange(400) >= 200)
    found = contextual_contrast(BanditLog(action, reward, p), (1, 0), cluster=np.arange(400))
    assert abs(found.estimate) < 1
    with pytest.raises(NotEnoughData, match="both actions"):
        contextual_contrast(BanditLog(action, reward, p), (1, 2), cluster=np.arange(400))


def test_repeated_customers_are_one() -> None:
    log = thompson(1, 400, 0.0, seed=1)[0]
    twice = BanditLog(np.repeat(log.action, 2), np.repeat(log.reward, 2), np.repeat(log.propensity, 2, axis=0))
    alone = contextual_contrast(twice, (1, 0), cluster=np.arange(800)).standard_error
    assert contextual_contrast(twice, (1, 0), cluster=np.repeat(np.arange(400), 2)).standard_error > 1.3 * alone


def test_rewarded_decisions_by_hand() -> None:
    """Rewards 6, 3 and 3 of action 0 at one propensity count as 12^2 / 54; of one customer, 3 and 3 are one 6."""
    action = np.array([0] * 7 + [1] * 7)
    reward = np.array([6.0, 3.0, 3.0, 0.0, 0.0, 0.0, 0.0] + [-1.0] * 7)
    log = BanditLog(action, reward, np.full((14, 2), 0.5))
    assert rewarded_decisions(log, (0, 1), cluster=np.arange(14)) == (pytest.approx(144 / 54), 0.0)
    together = np.array([0, 1, 1, *range(3, 14)])
    assert rewarded_decisions(log, (0, 1), cluster=together) == (pytest.approx(2.0), 0.0)
    check = enough_rewarded(log, (0, 1), ("tea", "control"), cluster=together)
    assert (check.name, check.finding) == ("rewarded decisions", Finding.UNSOUND)
    assert check.sentence.startswith("Too early: 25 rewarded decisions are needed as weighed, found 2 of tea and 0 of")


def rare_rewards(rng: np.random.Generator, decisions: int, floor: float) -> BanditLog:
    """One of ten decisions brings something, and action 0 is drawn with the probability `floor`."""
    action = (rng.random(decisions) > floor).astype(np.int64)
    reward = (rng.random(decisions) < 0.1) * rng.lognormal(-0.32, 0.8, decisions) * 10
    return BanditLog(action, reward, np.tile([floor, 1 - floor], (decisions, 1)))


@pytest.mark.parametrize(("decisions", "floor", "enough"), [(600, 0.05, False), (3_000, 0.4, True)])
def test_intervals_that_are_shown_hold_and_those_that_would_not_are_too_early(
    decisions: int, floor: float, enough: bool
) -> None:
    rng, covered, sound = np.random.default_rng(3), [], []
    for _ in range(250):
        log, everybody = rare_rewards(rng, decisions, floor), np.arange(decisions)
        found = contextual_contrast(log, (1, 0), cluster=everybody)
        covered.append(found.low <= 0 <= found.high)
        sound.append(min(rewarded_decisions(log, (1, 0), cluster=everybody)) >= FEWEST_REWARDED)
    assert np.mean(sound) == enough
    assert np.mean(covered) > 0.92 if enough else np.mean(covered) < 0.9


def test_logs_that_cannot_be_are_refused() -> None:
    with pytest.raises(InvalidInput, match="sum to 1"):
        BanditLog(np.array([0]), np.array([1.0]), np.array([[0.5, 0.4]]))
    with pytest.raises(InvalidInput, match="above 0"):
        BanditLog(np.array([1]), np.array([1.0]), np.array([[1.0, 0.0]]))
    with pytest.raises(InvalidInput, match="missing"):
        BanditLog(np.array([0]), np.array([np.nan]), np.array([[0.5, 0.5]]))
