from typing import Any

import numpy as np
import pytest

from decision.errors import InvalidInput
from experiments.off_policy import ESTIMATORS, Rounds
from experiments.uplift_metrics import Trial, policy_value

GOOD: dict[str, Any] = {
    "outcome": np.array([0.0, 1.0, 2.0]),
    "treated": np.array([True, False, True]),
    "cate": np.array([0.1, 0.2, 0.3]),
    "treatment_probability": np.array([0.5, 0.5, 0.5]),
}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("treated", np.array([1, 0, 1]), "booleans of shape"),
        ("treated", np.array([True, True, True]), "both groups in it, .* 3 of them true"),
        ("outcome", np.array([0.0, np.nan, 1.0]), "outcome must be 3 finite numbers, .* 1 not finite"),
        ("cate", np.array([0.0, 1.0]), r"cate must be 3 finite numbers, found shape \[2\]"),
        ("treatment_probability", np.array([0.5, 1.0, 0.5]), r"must lie in \(0, 1\), found 1.0 \(1 such\)"),
    ],
)
def test_an_impossible_trial_is_refused(field: str, value: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Trial(**{**GOOD, field: value})
    assert caught.value.hint


@pytest.fixture
def log() -> Rounds:
    rng = np.random.default_rng(1)
    action = rng.integers(3, size=900)
    reward = action + rng.normal(size=900)
    return Rounds(action, reward, np.full(900, 1 / 3), np.full((900, 3), 1 / 3), np.tile([0.0, 1, 2], (900, 1)))


def test_one_action_for_all_is_worth_its_mean_by_hand(log: Rounds) -> None:
    without_model = Rounds(log.action, log.reward, log.propensity, log.target)
    found = policy_value(without_model, np.full(900, 2))
    assert found.value == pytest.approx(sum(log.reward[log.action == 2]) * 3 / 900)


def test_a_model_sharpens_the_value(log: Rounds) -> None:
    without_model = Rounds(log.action, log.reward, log.propensity, log.target)
    assigned = np.arange(900) % 3
    found = policy_value(log, assigned)
    assert found == ESTIMATORS["dr"].estimate(log.with_target(np.eye(3)[assigned]))
    assert found.standard_error < 0.8 * policy_value(without_model, assigned).standard_error


@pytest.mark.parametrize("assigned", [np.zeros(3, dtype=int), np.zeros(900), np.full(900, 3)])
def test_actions_that_do_not_exist_are_refused(log: Rounds, assigned: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match=r"900 actions in 0\.\.2"):
        policy_value(log, assigned)
