from typing import Any

import numpy as np
import pytest

from experiments.off_policy import Rounds, overlap


def uniform_log(n: int, n_actions: int, target: np.ndarray) -> Rounds:
    action = np.random.default_rng(5).integers(n_actions, size=n)
    return Rounds(action, np.zeros(n), np.full(n, 1 / n_actions), np.tile(target, (n, 1)))


def test_a_policy_judged_by_its_own_log_has_all_of_it() -> None:
    found = overlap(uniform_log(1_000, 4, np.full(4, 0.25)))
    assert found.effective_sample_size == pytest.approx(1_000)
    assert found.max_weight == pytest.approx(1)
    assert found.top1_weight_share == pytest.approx(0.01)
    assert found.missing_mass == found.excess_weight == found.clipped_share == 0


def test_a_single_action_keeps_the_rounds_that_took_it() -> None:
    rounds = uniform_log(1_000, 4, np.array([1.0, 0, 0, 0]))
    assert overlap(rounds).effective_sample_size == pytest.approx((rounds.action == 0).sum())


def test_an_action_the_log_never_took_is_named() -> None:
    rounds = Rounds(np.array([0, 1] * 50), np.zeros(100), np.full(100, 0.5), np.tile([0.4, 0.3, 0.3], (100, 1)))
    found = overlap(rounds)
    assert found.unsupported_actions == (2,)
    assert found.unsupported_mass == pytest.approx(0.3)
    assert any("never took action 2: 30%" in line for line in found.sentences())


def test_a_trace_of_an_action_never_logged_does_not_count() -> None:
    rounds = Rounds(np.array([0, 1] * 50), np.zeros(100), np.full(100, 0.5), np.tile([0.5, 0.4999, 1e-4], (100, 1)))
    assert overlap(rounds).unsupported_actions == ()


def test_a_context_in_which_the_log_lacks_an_action_shows_in_the_mean_weight() -> None:
    """Half of the customers were never offered action 1, though others were: no action is missing as a whole."""
    rng = np.random.default_rng(6)
    half = np.arange(2_000) % 2 == 0
    action = np.where(half, 0, rng.integers(2, size=2_000))
    propensity = np.where(half, 1.0, 0.5)
    found = overlap(Rounds(action, np.zeros(2_000), propensity, np.tile([0.0, 1.0], (2_000, 1))))
    assert found.unsupported_actions == ()
    assert 0.4 < found.missing_mass < 0.5
    assert any("has no counterpart in the log" in line for line in found.sentences())


def test_propensities_that_are_too_low_are_noticed() -> None:
    rounds = uniform_log(1_000, 2, np.full(2, 0.5))
    wrong = Rounds(rounds.action, rounds.reward, rounds.propensity / 2, rounds.target)
    assert overlap(wrong).excess_weight == pytest.approx(1)
    assert any("propensities are wrong" in line for line in overlap(wrong).sentences())


def test_clipping_is_accounted_for() -> None:
    propensity = np.array([0.01] + [0.5] * 99)
    rounds = Rounds(np.zeros(100, dtype=int), np.zeros(100), propensity, np.tile([0.5, 0.5], (100, 1)))
    found = overlap(rounds, clip=11)
    assert found.max_weight == 11
    assert found.top1_weight_share == pytest.approx(11 / 110)
    assert found.clipped_share == pytest.approx(39 / 149)
    assert found.mean_weight == pytest.approx(1.49)


def test_a_log_without_any_overlap_says_so() -> None:
    found = overlap(Rounds(np.zeros(9, dtype=int), np.ones(9), np.ones(9), np.tile([0.0, 1.0], (9, 1))))
    assert found.effective_sample_size == found.max_weight == found.top1_weight_share == 0
    assert found.missing_mass == 1
    assert found.sentences()


def test_with_equal_weights_effective_rewards_are_the_purchases() -> None:
    rounds = uniform_log(1_000, 4, np.full(4, 0.25))
    bought = np.where(np.arange(1_000) % 25 == 0, 30.0, 0.0)
    found = overlap(Rounds(rounds.action, bought, rounds.propensity, rounds.target))
    assert found.effective_rewards == pytest.approx(40)
    assert any("count as 40 of equal weight" in line for line in found.sentences())


def test_effective_rewards_do_not_depend_on_where_the_purchases_fell() -> None:
    """Half of the log has weight 2, the other 0: it says as much as half of the purchases."""
    rounds = uniform_log(1_000, 2, np.array([1.0, 0.0]))
    for lucky in (0, 1):
        reward = np.zeros(1_000)
        reward[np.flatnonzero(rounds.action == lucky)[:60]] = 1.0
        found = overlap(Rounds(rounds.action, reward, rounds.propensity, rounds.target))
        assert found.effective_rewards == pytest.approx(60 * (rounds.action == 0).mean(), rel=1e-9)


def test_the_heaviest_are_found_in_bins_as_by_sorting(population: Any) -> None:
    rounds = population.log(5_000, seed=4)
    heaviest = np.sort(rounds.weight)[-50:].sum() / rounds.weight.sum()
    assert overlap(rounds).top1_weight_share == pytest.approx(heaviest, rel=0.011)
