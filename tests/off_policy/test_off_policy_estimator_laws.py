"""The contract of every estimator; one that is added to ESTIMATORS is held to all of it.

An estimator that breaks a law by design is named at the law, with the reason.
"""

from dataclasses import replace

import numpy as np
import pytest

from experiments.off_policy import ESTIMATORS, Estimator, Rounds


@pytest.fixture(params=sorted(ESTIMATORS))
def estimator(request: pytest.FixtureRequest) -> Estimator:
    return ESTIMATORS[request.param]


def all_but(*exempt: str) -> pytest.MarkDecorator:
    """Hold every estimator to a law but those that break it by design."""
    return pytest.mark.parametrize("estimator", sorted(set(ESTIMATORS) - set(exempt)), indirect=True)


def with_constant_model(rounds: Rounds, value: float = 0.7) -> Rounds:
    return replace(rounds, q_hat=np.full_like(rounds.target, value))


@all_but("dm", "dros")
def test_the_logging_policy_is_worth_the_mean_reward(estimator: Estimator, rounds: Rounds) -> None:
    """dm answers its model's mean instead, and dros shrinks weights of 1 too."""
    spread = (1 - rounds.propensity) / (rounds.n_actions - 1)
    target = np.repeat(spread[:, None], rounds.n_actions, axis=1)
    target[np.arange(len(rounds)), rounds.action] = rounds.propensity
    value = estimator.estimate(with_constant_model(rounds).with_target(target)).value
    assert value == pytest.approx(rounds.reward.mean(), rel=1e-12)


@all_but("ips", "clipped_ips", "subgaussian_ips")
def test_shifting_all_rewards_shifts_the_value_as_much(estimator: Estimator, rounds: Rounds) -> None:
    """ips in all its forms shifts by the mean weight instead, which is 1 only on average."""
    assert rounds.q_hat is not None
    shifted = replace(rounds, reward=rounds.reward + 5, q_hat=rounds.q_hat + 5)
    before, after = estimator.estimate(rounds), estimator.estimate(shifted)
    assert after.value - before.value == pytest.approx(5, rel=1e-12)
    assert after.standard_error == pytest.approx(before.standard_error, rel=1e-9)


def test_scaling_rewards_scales_everything(estimator: Estimator, rounds: Rounds) -> None:
    assert rounds.q_hat is not None
    scaled = replace(rounds, reward=rounds.reward * 100, q_hat=rounds.q_hat * 100)
    before, after = estimator.estimate(rounds), estimator.estimate(scaled)
    assert after.value == pytest.approx(100 * before.value, rel=1e-12)
    assert (after.low, after.high) == pytest.approx((100 * before.low, 100 * before.high), rel=1e-9)


def test_no_reward_is_worth_nothing(estimator: Estimator, rounds: Rounds) -> None:
    nothing = replace(with_constant_model(rounds, 0.0), reward=np.zeros(len(rounds)))
    assert estimator.estimate(nothing).value == 0


def test_merged_parts_equal_the_whole(estimator: Estimator, rounds: Rounds) -> None:
    parts = [rounds.take(np.arange(first, last)) for first, last in ((0, 1), (1, 90), (90, 300))]
    merged = estimator.sums(parts[0]) + estimator.sums(parts[1]) + estimator.sums(parts[2])
    whole, together = estimator.estimate(rounds), estimator.from_sums(merged)
    for field in ("value", "standard_error", "low", "high", "n", "effective_sample_size"):
        assert getattr(together, field) == pytest.approx(getattr(whole, field), rel=1e-10)


def test_the_order_of_rounds_does_not_matter(estimator: Estimator, rounds: Rounds) -> None:
    shuffled = rounds.take(np.random.default_rng(3).permutation(len(rounds)))
    before, after = estimator.estimate(rounds), estimator.estimate(shuffled)
    assert (after.value, after.low) == pytest.approx((before.value, before.low), rel=1e-12)


def test_relabelling_actions_does_not_matter(estimator: Estimator, rounds: Rounds) -> None:
    assert rounds.q_hat is not None
    new = np.array([2, 0, 3, 1])
    old = np.argsort(new)
    renamed = Rounds(new[rounds.action], rounds.reward, rounds.propensity, rounds.target[:, old], rounds.q_hat[:, old])
    assert estimator.estimate(renamed).value == pytest.approx(estimator.estimate(rounds).value, rel=1e-12)


def test_terms_have_the_value_as_mean_and_the_error_as_spread(estimator: Estimator, rounds: Rounds) -> None:
    terms, whole = estimator.terms(rounds), estimator.estimate(rounds)
    assert terms.mean() == pytest.approx(whole.value, rel=1e-12)
    assert terms.std(ddof=1) / np.sqrt(len(terms)) == pytest.approx(whole.standard_error, rel=1e-9)


def test_a_log_that_comes_twice_keeps_its_value(estimator: Estimator, rounds: Rounds) -> None:
    twice = rounds.take(np.tile(np.arange(len(rounds)), 2))
    once, both = estimator.estimate(rounds), estimator.estimate(twice)
    assert both.value == pytest.approx(once.value, rel=1e-12)
    assert both.effective_sample_size == pytest.approx(2 * once.effective_sample_size, rel=1e-12)


@pytest.mark.parametrize("estimator", ["snips"], indirect=True)
def test_a_weighted_mean_stays_within_the_rewards(estimator: Estimator, rounds: Rounds) -> None:
    """Only self-normalised weights of logged rewards make one."""
    assert rounds.reward.min() <= estimator.estimate(rounds).value <= rounds.reward.max()


def test_one_round_leaves_everything_open(estimator: Estimator, rounds: Rounds) -> None:
    one = estimator.estimate(rounds.take(np.array([0])))
    assert np.isfinite(one.value)
    assert (one.low, one.high, one.standard_error) == (-np.inf, np.inf, np.inf)


def test_more_confidence_is_a_wider_interval(estimator: Estimator, rounds: Rounds) -> None:
    narrow, wide = estimator.estimate(rounds, level=0.8), estimator.estimate(rounds, level=0.99)
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_the_log_is_left_as_it_was(estimator: Estimator, rounds: Rounds) -> None:
    before = rounds.reward.copy(), rounds.target.copy()
    estimator.estimate(rounds)
    assert (rounds.reward == before[0]).all()
    assert (rounds.target == before[1]).all()
