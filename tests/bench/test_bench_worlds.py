from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from experiments.bench.protocol import past_trial, setting_of, terms_of
from experiments.bench.worlds import bandit, uplift

SHORT = 4_000


class Acts:
    """A policy that is told what to do; `probability` is what it says it did that with."""

    def __init__(self, choose: Any, probability: float | None = None) -> None:
        self.choose, self.probability = choose, probability
        self.learned: list[NDArray[Any]] = []

    def act(self, x: NDArray[Any], idx: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any] | None]:
        known = None if self.probability is None else np.full(len(idx), self.probability)
        return self.choose(idx), known

    def update(self, *arrived: Any) -> None:
        self.learned.append(arrived[-1])


class _Noted(list[NDArray[Any]]):
    """Keeps with everything learned which decision had been made last."""

    def __init__(self, told_when: list[int], decided: list[int]) -> None:
        super().__init__()
        self.told_when, self.decided = told_when, decided

    def append(self, idx: NDArray[Any]) -> None:
        self.told_when.append(self.decided[-1])
        super().append(idx)


def test_the_truth_of_the_uplift_world_is_the_mean_of_what_it_draws() -> None:
    drawn = uplift.make(300_000, 3)
    for action in range(len(uplift.ARMS)):
        given = drawn["t"] == action
        for seen, expected in (("profit", drawn["mu"]), ("conv", drawn["p"])):
            error = drawn[seen][given] - expected[given, action]
            # Four standard errors: one run in a thousand would fail over all twelve, and the seed is fixed.
            assert abs(error.mean()) < 4 * error.std() / given.sum() ** 0.5, (action, seen)


def test_profit_follows_from_the_terms() -> None:
    drawn = uplift.make(5_000, 1)
    profit = terms_of(uplift).profit(drawn["t"], drawn["conv"].astype(float), drawn["order"])
    np.testing.assert_allclose(profit, drawn["profit"])
    law = uplift.truth(drawn["X"])
    np.testing.assert_allclose(terms_of(uplift).value(law.p, law.basket[:, None] * uplift.BASK), drawn["mu"])


def test_the_uplift_world_has_sleeping_dogs_and_no_action_for_everybody() -> None:
    drawn = uplift.make(20_000, 2)
    shares = np.bincount(drawn["mu"].argmax(axis=1), minlength=len(uplift.ARMS)) / 20_000
    assert shares.min() > 0.05
    assert shares.max() < 0.5
    assert ((drawn["p"][:, 1:] < drawn["p"][:, :1]).all(axis=1)).mean() > 0.02


def test_the_truth_of_the_bandit_world_is_the_mean_of_what_it_pays() -> None:
    env = bandit.make_env(5, 150_000)
    idx = np.arange(env["T"])
    for action in (0, 1, 6, 12):
        bought = (env["luck"] < env["P"][:, action]).astype(int)
        error = bandit.payoff(env, idx, np.full(len(idx), action), bought) - env["mu"][:, action]
        assert abs(error.mean()) < 4 * error.std() / len(idx) ** 0.5, action


@pytest.mark.parametrize("mode", ["delay", "daily"])
def test_regret_is_nothing_for_the_oracle_and_all_for_chance(mode: str) -> None:
    env = bandit.make_env(1, SHORT)
    oracle = bandit.run(Acts(lambda idx: env["mu"][idx].argmax(axis=1)), env, mode)
    assert oracle["pct"] == 0.0
    assert len(oracle["curve"]) == 10
    rng = np.random.default_rng(0)
    chance = bandit.run(Acts(lambda idx: rng.integers(13, size=len(idx))), env, mode)
    assert chance["pct"] == pytest.approx(100.0, abs=5.0)


def test_outcomes_are_told_once_and_not_before_they_arrive() -> None:
    env = bandit.make_env(1, SHORT, mean_delay=200.0)
    decided: list[int] = []
    policy = Acts(lambda idx: (decided.append(int(idx[-1])), np.zeros(len(idx), dtype=int))[1])
    told_when: list[int] = []
    policy.learned = _Noted(told_when, decided)
    bandit.run(policy, env, "delay")
    told = np.concatenate(policy.learned)
    assert len(set(told.tolist())) == len(told) > 0.9 * SHORT
    for idx, last in zip(policy.learned, told_when, strict=True):
        assert (idx + env["delay"][idx] <= last + 1).all()


def test_a_shift_changes_the_second_half_alone() -> None:
    before, after = (bandit.make_env(2, SHORT, shift) for shift in (False, True))
    half = SHORT // 2
    np.testing.assert_array_equal(before["mu"][:half], after["mu"][:half])
    assert (before["mu"][half:].argmax(axis=1) != after["mu"][half:].argmax(axis=1)).mean() > 0.2


def test_a_past_trial_is_uniform_in_the_same_shop_on_other_customers() -> None:
    env = bandit.make_env(3, SHORT)
    past = past_trial(bandit, seed=3, decisions=2_000, after=SHORT)
    assert past.x.shape == (2_000, bandit.WIDTH)
    assert past.net.shape == (2_000, 13)
    assert (past.probability == 1 / 13).all()
    assert np.bincount(past.action, minlength=13).min() > 100
    assert not {row.tobytes() for row in past.x} & {row.tobytes() for row in env["X"]}
    setting = setting_of(bandit, env, past)
    assert setting.actions == 13
    assert setting.best_constant == env["mu"].mean(axis=0).argmax()
