"""Soundness: each check stays quiet on a sound trial, and finds the fault it is for."""

import numpy as np
import pytest

from experiments.ab.arm_figure import mean_figure
from experiments.ab.effect import absolute_effect
from experiments.ab.moments import Moments, by_arm
from experiments.ab.outliers import skewness_of_difference
from experiments.ab.soundness import (
    Finding,
    balance,
    contamination,
    duplicates,
    logging_loss,
    outliers,
    sample_ratio,
    sample_ratio_within,
    skewness,
)

N = 20_000


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


def test_a_lost_twentieth_of_an_arm_is_a_mismatch() -> None:
    design = {"a": 0.5, "b": 0.5}
    assert sample_ratio({"a": 10_010, "b": 9_990}, design).finding is Finding.SOUND
    assert sample_ratio({"a": 10_000, "b": 9_500}, design).finding is Finding.UNSOUND


def test_a_mismatch_in_one_segment_is_found_there(rng: np.random.Generator) -> None:
    arm, zone = rng.integers(2, size=N), rng.choice(["north", "south", "rare"], size=N, p=[0.5, 0.4999, 0.0001])
    assert sample_ratio_within(zone, arm, [0.5, 0.5], "zone").finding is Finding.SOUND
    kept = (zone != "south") | (arm == 0) | (rng.random(N) < 0.85)
    found = sample_ratio_within(zone[kept], arm[kept], [0.5, 0.5], "zone")
    assert found.finding is Finding.UNSOUND
    assert "zone south" in found.sentence
    assert "north" not in found.sentence


def test_balance_alarms_rarely_and_finds_what_was_not_randomised(rng: np.random.Generator) -> None:
    p_values = []
    for _ in range(300):
        x = rng.gamma(1.0, 5.0, (2, 900))
        found = balance(by_arm([x[0], x[0] + x[1]], rng.integers(3, size=900), 3), ["x", "y"])
        p_values.append(found.p_value)
    assert np.mean(np.array(p_values) < 0.1) == pytest.approx(0.1, abs=0.055)
    arm = rng.integers(2, size=N)
    x = rng.normal(size=N) + 0.1 * arm
    assert balance(by_arm([x, np.ones(N), 2 * x], arm, 2), ["x", "one", "twice"]).finding is Finding.UNSOUND
    assert balance(by_arm([np.ones(N)], arm, 2), ["one"]).finding is Finding.SOUND


def test_customers_in_two_arms_are_counted_once() -> None:
    found = contamination(np.array(["a", "a", "a", "b", "c"]), np.array([0, 1, 0, 1, 1]))
    assert found.finding is Finding.UNSOUND
    assert found.sentence.startswith("1 unit of 3 ")
    assert "left out" in found.sentence
    assert contamination(np.array(["a", "a", "b"]), np.array([0, 0, 1])).finding is Finding.SOUND


def test_duplicated_units_are_refused_unless_they_are_clusters() -> None:
    ids = np.array(["a", "a", "b"])
    assert duplicates(ids, clustered=False).finding is Finding.UNSOUND
    assert duplicates(ids, clustered=True).finding is Finding.SOUND


def test_loss_that_differs_between_arms_is_unsound() -> None:
    assigned = {"a": 10_000, "b": 10_000}
    assert logging_loss(assigned, {"a": 9_900, "b": 9_905}).finding is Finding.SOUND
    assert logging_loss(assigned, assigned).finding is Finding.SOUND
    assert logging_loss(assigned, {"a": 9_000, "b": 9_010}).finding is Finding.CAREFUL
    assert logging_loss(assigned, {"a": 9_900, "b": 9_800}).finding is Finding.UNSOUND
    assert logging_loss(assigned, {"a": 10_001, "b": 9_800}).finding is Finding.UNSOUND


def test_a_few_large_customers_are_named(rng: np.random.Generator) -> None:
    values = rng.gamma(1.0, 5.0, N)
    assert outliers("spend", values).finding is Finding.SOUND
    values[:20] = 5_000.0
    assert outliers("spend", values).finding is Finding.CAREFUL
    assert outliers("spend", np.zeros(N)).finding is Finding.SOUND


def test_skewed_means_of_unlike_arms_are_named_before_their_interval_is_too_short(rng: np.random.Generator) -> None:
    """One in twenty buys: with 3,000 beside 300 units intervals of 95 % cover .89, with arms of 3,000 they do."""

    def spend(n: int) -> np.ndarray:
        return (rng.random(n) < 0.05) * np.exp(rng.normal(3, 1, n))

    def covered(n: int, m: int) -> float:
        pairs = [(mean_figure(Moments.of(spend(n))), mean_figure(Moments.of(spend(m)))) for _ in range(1_200)]
        return float(np.mean([one.low <= 0 <= one.high for one in (absolute_effect(*pair) for pair in pairs)]))

    found = skewness("spend", spend(3_300), [3_000, 300])
    assert found.finding is Finding.CAREFUL
    assert "Winsorise it" in found.sentence
    assert covered(3_000, 300) < 0.92
    assert skewness("spend", spend(2_000), [1_000, 1_000]).finding is Finding.SOUND
    assert covered(1_000, 1_000) > 0.935
    assert skewness("spend", np.zeros(20), [10, 10]).finding is Finding.SOUND
    # By hand: an exponential's skewness is 2.
    by_hand = 2 * (1 / 400 - 1 / 4e6) / (1 / 20 + 1 / 2_000) ** 1.5
    assert skewness_of_difference(rng.exponential(1.0, 400_000), (2_000, 20)) == pytest.approx(by_hand, rel=0.1)
