from typing import Any

import numpy as np
import pytest

from decision.errors import EncoreError, InvalidInput
from experiments.off_policy import ESTIMATORS, Rounds

GOOD: dict[str, Any] = {
    "action": np.array([0, 1, 1]),
    "reward": np.array([0.0, 1.0, 2.0]),
    "propensity": np.array([0.5, 0.5, 1.0]),
    "target": np.array([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]]),
    "q_hat": np.zeros((3, 2)),
}


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("action", np.array([0.0, 1.0, 1.0]), "whole numbers"),
        ("action", np.array([], dtype=int), "n >= 1"),
        ("action", np.array([0, 1, 2]), r"action must lie in 0\.\.1.*found 2 in round 2"),
        ("action", np.array([0, -1, 1]), "found -1 in round 1"),
        ("reward", np.array([0.0, np.nan, 2.0]), "reward must be finite, found nan in round 1"),
        ("reward", np.array([0.0, 1.0]), r"reward must have shape \[3\], found \[2\]"),
        ("propensity", np.array([0.5, 0.0, 1.0]), r"propensity must lie in \(0, 1\], found 0.0 in round 1"),
        ("propensity", np.array([0.5, 0.5, 1.1]), r"found 1.1 in round 2 \(1 such\)"),
        ("target", np.array([[0.5, 0.4], [1.0, 0.0], [0.0, 1.0]]), "sum to 1 within 1e-06, found 0.9 in round 0"),
        ("target", np.array([[1.5, -0.5], [1.0, 0.0], [0.0, 1.0]]), "no negative probability, found -0.5"),
        ("target", np.array([1.0, 1.0, 1.0]), r"target must have shape \[3, K\], found \[3\]"),
        ("q_hat", np.zeros((3, 5)), r"q_hat must have shape \[3, 2\], found \[3, 5\]"),
        ("q_hat", np.full((3, 2), np.inf), "q_hat must be finite, found inf"),
    ],
)
def test_an_impossible_log_is_refused_with_its_place(field: str, value: object, message: str) -> None:
    with pytest.raises(InvalidInput, match=message) as caught:
        Rounds(**{**GOOD, field: value})
    assert caught.value.hint


def test_the_callers_arrays_stay_writable_and_the_records_do_not() -> None:
    reward = np.array([0.0, 1.0, 2.0])
    rounds = Rounds(**{**GOOD, "reward": reward})
    reward[0] = 0.0
    with pytest.raises(ValueError, match="read-only"):
        rounds.reward[0] = 7.0


@pytest.mark.parametrize("name", ["dm", "dr", "sndr"])
def test_an_estimator_that_needs_a_model_says_how_to_get_one(name: str) -> None:
    rounds = Rounds(**{**GOOD, "q_hat": None})
    with pytest.raises(InvalidInput, match=f"{name} needs q_hat.*cross_fit"):
        ESTIMATORS[name].estimate(rounds)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0])
def test_a_level_that_is_no_confidence_is_refused(level: float) -> None:
    with pytest.raises(EncoreError, match=r"level=0\.95"):
        ESTIMATORS["ips"].estimate(Rounds(**GOOD), level=level)


def test_sums_of_different_estimators_do_not_merge() -> None:
    rounds = Rounds(**GOOD)
    with pytest.raises(InvalidInput, match="same columns"):
        ESTIMATORS["ips"].sums(rounds) + ESTIMATORS["sndr"].sums(rounds)
