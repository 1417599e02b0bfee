"""The contrasts to Thompson sampling: their probabilities by hand, and the laws of each."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.errors import EncoreError
from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit, best
from decision.policies.base import Outlook, Situation
from decision.policies.epsilon_greedy import EpsilonGreedy
from decision.policies.greedy_uplift import GreedyUplift
from decision.policies.inverse_gap import InverseGap
from decision.policies.linucb import LinUcb
from decision.policies.posterior import Posterior, logit, sigmoid
from decision.policies.thompson import Thompson
from decision.records import CONTROL_ACTION, Action, Components, FloatArray
from decision.stages.valuation import Worth

ACTIONS = (CONTROL_ACTION, Action("bogo", "email"), Action("gift", "email"), Action("points", "sms"))
K, WIDTH = len(ACTIONS), 2
FEATURES = ActionFeatures(ACTIONS, WIDTH)
PRIOR = Posterior.prior(np.full(FEATURES.size, 0.04))
X = np.array([0.5, -1.0])


def situation(odds: list[float], *, fixed: list[float] | None = None, each: float | list[float] = 10.0) -> Situation:
    """Return a situation in which repurchases of so many odds are worth `each` more than `fixed`."""
    k, zero = len(odds), np.zeros(len(odds))
    components = Components(visit=zero, repurchase=np.array(odds), basket=zero, redemption=zero)
    worth = Worth(np.array(fixed) if fixed else zero, np.broadcast_to(np.asarray(each, dtype=float), (k,)))
    return Situation("purchase", ACTIONS[:k], Outlook(X, np.arange(k), components, worth))


def belief(seed: int, *, n: int = 300) -> Posterior:
    """Return what n outcomes of random actions teach."""
    rng = np.random.default_rng(seed)
    design = FEATURES.design(rng.integers(K, size=n), rng.standard_normal((n, WIDTH)))
    return PRIOR.updated(design, np.full(n, -1.5), (rng.random(n) < 0.2).astype(float))


def after(mean: FloatArray, *, n: int = 0) -> Posterior:
    return Posterior(mean, PRIOR.precision, n)


def offers_up(bogo: float) -> FloatArray:
    """Return weights that lift the log-odds of bogo@email alone: those of the pair."""
    weights = np.zeros(FEATURES.size)
    own, *others = FEATURES.design(np.array([1, 0, 2, 3]), np.zeros(WIDTH))
    weights[np.flatnonzero(own * ~np.any(others, axis=0))[-1]] = bogo
    return weights


# --- what they share -------------------------------------------------------------------------------------------------


def test_the_best_of_values_and_who_shares_with_whom() -> None:
    for values, expected in (
        ([1.0, 2.0, 0.0], [0, 1, 0]),
        ([2.0, 2.0, 1.0], [1, 0, 0]),
        ([1.0, 2.0, 2.0], [0, 0.5, 0.5]),
        ([3.0], [1]),
    ):
        assert best(np.array(values)).tolist() == expected


@pytest.mark.parametrize("make", [EpsilonGreedy, InverseGap, LinUcb])
def test_all_believe_the_same_of_the_same_posterior(make: Callable[..., Bandit]) -> None:
    held, asked = belief(1), situation([0.1, 0.12, 0.08, 0.2]).foreseen()
    thompson = Thompson(FEATURES, held, draws=2, exploration=1.0, seed=1)
    np.testing.assert_array_equal(make(FEATURES, held).repurchase(asked), thompson.repurchase(asked))
    log_odds = logit(asked.components.repurchase) + FEATURES.design(asked.index, X) @ held.mean
    np.testing.assert_allclose(make(FEATURES, held).value(asked), 10.0 * sigmoid(log_odds), rtol=1e-12)


@pytest.mark.parametrize("make", [EpsilonGreedy, InverseGap, LinUcb])
def test_what_was_learned_moves_the_choice(make: Callable[..., Bandit]) -> None:
    asked = situation([0.10, 0.10, 0.14, 0.10])
    before, now = (make(FEATURES, p).distribution(asked) for p in (PRIOR, after(offers_up(1.0))))
    assert before.argmax() == 2
    assert now.argmax() == 1


# --- epsilon-greedy --------------------------------------------------------------------------------------------------


def test_epsilon_is_spread_evenly_and_the_best_gets_the_rest() -> None:
    p = EpsilonGreedy(FEATURES, PRIOR, epsilon=0.2).distribution(situation([0.1, 0.3, 0.2, 0.1]))
    np.testing.assert_allclose(p, [0.05, 0.85, 0.05, 0.05], rtol=1e-15)


def test_without_epsilon_it_is_greedy_on_the_belief() -> None:
    rng = np.random.default_rng(3)
    for _ in range(100):
        asked = situation(rng.uniform(0.05, 0.3, K).tolist(), fixed=rng.normal(size=K).tolist())
        p = EpsilonGreedy(FEATURES, PRIOR, epsilon=0.0).distribution(asked)
        np.testing.assert_array_equal(p, GreedyUplift().distribution(asked))


def test_with_epsilon_one_it_is_uniform() -> None:
    p = EpsilonGreedy(FEATURES, belief(2), epsilon=1.0).distribution(situation([0.1, 0.3, 0.2, 0.1]))
    assert p.tolist() == [0.25] * K


def test_it_explores_as_much_whatever_is_known() -> None:
    asked = situation([0.1, 0.3, 0.2, 0.1])
    few, many = (EpsilonGreedy(FEATURES, after(np.zeros(FEATURES.size), n=n)).distribution(asked) for n in (1, 10**6))
    np.testing.assert_array_equal(few, many)


# --- inverse gap -----------------------------------------------------------------------------------------------------


def test_inverse_gaps_by_hand() -> None:
    """Ranges from 0 to 10: gaps of 2, 0, 1 and 2 are shares 0.2, 0, 0.1 and 0.2 of it."""
    p = InverseGap(FEATURES, PRIOR, gamma=30.0).distribution(situation([0.1, 0.3, 0.2, 0.1]))
    np.testing.assert_allclose(p, [1 / 10, 1 - 1 / 10 - 1 / 7 - 1 / 10, 1 / 7, 1 / 10], rtol=1e-12)


def test_the_range_is_from_the_worst_to_the_best_that_an_outcome_may_bring() -> None:
    """Values 1, 2.4 and -1; outcomes from -2 (an order of the third) to 10 (one of the first)."""
    asked = situation([0.1, 0.2, 0.5], fixed=[0.0, 1.0, 0.0], each=[10.0, 7.0, -2.0])
    p = InverseGap(FEATURES, PRIOR, gamma=11.0).distribution(asked)
    first, third = (1 / (3 + 11.0 * gap / 12.0) for gap in (2.4 - 1.0, 2.4 + 1.0))
    np.testing.assert_allclose(p, [first, 1 - first - third, third], rtol=1e-12)


@pytest.mark.parametrize("each", [10.0, 0.0])
def test_equal_values_are_taken_equally_often(each: float) -> None:
    p = InverseGap(FEATURES, PRIOR).distribution(situation([0.2] * K, each=each))
    np.testing.assert_allclose(p, [0.25] * K, rtol=1e-12)


def test_the_best_share_the_rest() -> None:
    p = InverseGap(FEATURES, PRIOR, gamma=30.0).distribution(situation([0.1, 0.3, 0.3, 0.1]))
    np.testing.assert_allclose(p, [0.1, 0.4, 0.4, 0.1], rtol=1e-12)


def test_a_larger_gamma_is_greedier_from_uniform_to_certain() -> None:
    asked = situation([0.1, 0.3, 0.2, 0.15])
    chances = [InverseGap(FEATURES, PRIOR, gamma=g).distribution(asked) for g in (0.0, 1.0, 100.0, 1e4, 1e12)]
    np.testing.assert_allclose(chances[0], [0.25] * K)
    assert (np.diff([p[1] for p in chances]) > 0.0).all()
    assert (np.diff([p[[0, 2, 3]] for p in chances], axis=0) < 0.0).all()
    assert chances[-1][1] == pytest.approx(1.0)


def test_gamma_grows_with_the_root_of_the_outcomes() -> None:
    asked = situation([0.1, 0.3, 0.2, 0.15])
    many = InverseGap(FEATURES, after(np.zeros(FEATURES.size), n=400), gamma=3.0).distribution(asked)
    np.testing.assert_allclose(many, InverseGap(FEATURES, PRIOR, gamma=60.0).distribution(asked), rtol=1e-12)


@given(st.floats(1e-6, 1e6))
def test_the_currency_does_not_matter(rate: float) -> None:
    odds, fixed = [0.1, 0.3, 0.2, 0.15], [0.0, -1.5, 0.3, 0.2]
    here = InverseGap(FEATURES, PRIOR).distribution(situation(odds, fixed=fixed))
    there = InverseGap(FEATURES, PRIOR).distribution(
        situation(odds, fixed=[rate * value for value in fixed], each=10.0 * rate)
    )
    np.testing.assert_allclose(there, here, rtol=1e-6)


# --- upper confidence bounds -----------------------------------------------------------------------------------------


def test_bounds_by_hand() -> None:
    """Against the covariance itself; where an order costs more than it brings, the bound is that of few orders."""
    held, asked = belief(4), situation([0.1, 0.3, 0.2, 0.15], fixed=[0.0, -1.0, 2.0, 0.5], each=[10.0, 9.0, -4.0, 8.0])
    outlook = asked.foreseen()
    design = FEATURES.design(outlook.index, X)
    sd = np.sqrt(np.diag(design @ np.linalg.inv(held.precision) @ design.T))
    z = logit(outlook.components.repurchase) + design @ held.mean
    ends = [outlook.worth.value(sigmoid(z + side * 1.5 * sd)) for side in (-1.0, 1.0)]
    policy = LinUcb(FEATURES, held, alpha=1.5)
    np.testing.assert_allclose(policy.bound(outlook), np.maximum(*ends), rtol=1e-9)
    assert policy.distribution(asked).argmax() == np.maximum(*ends).argmax()


def test_of_two_equals_the_uncertain_one_is_preferred() -> None:
    """Control is not among the best; bogo's pair has been seen often, gift's never."""
    seen = np.diag(PRIOR.precision.diagonal() + 400.0 * (offers_up(1.0) > 0.0))
    asked = situation([0.05, 0.2, 0.2, 0.05])
    p = LinUcb(FEATURES, Posterior(np.zeros(FEATURES.size), seen)).distribution(asked)
    assert p.tolist() == [0.0, 0.0, 1.0, 0.0]


def test_it_is_certain_except_among_equals() -> None:
    asked = situation([0.05, 0.2, 0.2, 0.05])
    assert LinUcb(FEATURES, PRIOR).distribution(asked).tolist() == [0.0, 0.5, 0.5, 0.0]
    rng = np.random.default_rng(5)
    for seed in range(20):
        p = LinUcb(FEATURES, belief(seed)).distribution(situation(rng.uniform(0.05, 0.3, K).tolist()))
        assert sorted(p.tolist()) == [0.0, 0.0, 0.0, 1.0]


def test_without_width_or_with_certainty_it_is_greedy_on_the_belief() -> None:
    rng = np.random.default_rng(6)
    for seed in range(20):
        held, asked = belief(seed), situation(rng.uniform(0.05, 0.3, K).tolist())
        greedy = EpsilonGreedy(FEATURES, held, epsilon=0.0).distribution(asked)
        certain = Posterior(held.mean, 1e12 * held.precision)
        np.testing.assert_array_equal(LinUcb(FEATURES, held, alpha=0.0).distribution(asked), greedy)
        np.testing.assert_array_equal(LinUcb(FEATURES, certain, alpha=1.0).distribution(asked), greedy)


def test_a_wider_bound_lies_higher() -> None:
    outlook = situation([0.1, 0.3, 0.2, 0.15], each=[10.0, 9.0, -4.0, 8.0]).foreseen()
    bounds = [LinUcb(FEATURES, belief(7), alpha=alpha).bound(outlook) for alpha in (0.0, 0.5, 1.0, 3.0)]
    assert (np.diff(bounds, axis=0) > 0.0).all()


@pytest.mark.parametrize(
    "made",
    [
        *(lambda e=e: EpsilonGreedy(FEATURES, PRIOR, epsilon=e) for e in (-0.1, 1.1, math.nan)),
        *(lambda g=g: InverseGap(FEATURES, PRIOR, gamma=g) for g in (-1.0, math.inf, math.nan)),
        *(lambda a=a: LinUcb(FEATURES, PRIOR, alpha=a) for a in (-1.0, math.inf, math.nan)),
    ],
)
def test_settings_that_make_no_sense_are_refused(made: Callable[[], Bandit]) -> None:
    with pytest.raises(EncoreError, match=r"Expected .*(epsilon|gamma|alpha)"):
        made()
