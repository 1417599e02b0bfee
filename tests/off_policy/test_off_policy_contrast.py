import numpy as np
import pytest

from decision.errors import InvalidInput
from experiments.off_policy import ESTIMATORS, Rounds, contrast


@pytest.fixture(params=sorted(ESTIMATORS))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def champion(rounds: Rounds) -> np.ndarray:
    return np.full_like(rounds.target, 1 / rounds.n_actions)


def test_the_gain_is_the_difference_of_the_two_values(name: str, rounds: Rounds, champion: np.ndarray) -> None:
    estimator = ESTIMATORS[name]
    apart = estimator.estimate(rounds).value - estimator.estimate(rounds.with_target(champion)).value
    assert contrast(rounds, champion, estimator=estimator).gain == pytest.approx(apart, rel=1e-9)


def test_a_policy_gains_nothing_over_itself(name: str, rounds: Rounds) -> None:
    found = contrast(rounds, rounds.target, estimator=ESTIMATORS[name])
    assert (found.gain, found.standard_error, found.lower_bound) == (0, 0, 0)


def test_swapping_the_policies_turns_the_gain_round(name: str, rounds: Rounds, champion: np.ndarray) -> None:
    there = contrast(rounds, champion, estimator=ESTIMATORS[name])
    back = contrast(rounds.with_target(champion), rounds.target, estimator=ESTIMATORS[name])
    assert (back.gain, back.low, back.high) == pytest.approx((-there.gain, -there.high, -there.low), rel=1e-9)


def test_the_one_sided_bound_lies_between_the_intervals_end_and_the_gain(
    name: str, rounds: Rounds, champion: np.ndarray
) -> None:
    found = contrast(rounds, champion, estimator=ESTIMATORS[name])
    assert found.low < found.lower_bound < found.gain < found.high
    assert found.n == found.clusters == len(rounds)
    assert found.lower_bound == pytest.approx(contrast(rounds, champion, estimator=ESTIMATORS[name], level=0.9).low)


def test_pairing_is_narrower_than_two_values_apart(rounds: Rounds) -> None:
    nearly = 0.9 * rounds.target + 0.1 / rounds.n_actions
    dr = ESTIMATORS["dr"]
    paired = contrast(rounds, nearly, estimator=dr).standard_error
    assert paired < 0.25 * dr.estimate(rounds).standard_error


def test_one_cluster_a_round_changes_nothing(name: str, rounds: Rounds, champion: np.ndarray) -> None:
    ids = np.random.default_rng(0).permutation(len(rounds))
    plain = contrast(rounds, champion, estimator=ESTIMATORS[name])
    clustered = contrast(rounds, champion, estimator=ESTIMATORS[name], cluster=ids)
    assert clustered.standard_error == pytest.approx(plain.standard_error, rel=1e-12)


def test_a_log_copied_under_the_same_customers_proves_nothing_more(rounds: Rounds, champion: np.ndarray) -> None:
    ids = np.array([f"customer-{i}" for i in range(len(rounds))])
    twice = rounds.take(np.tile(np.arange(len(rounds)), 2))
    once = contrast(rounds, champion, estimator=ESTIMATORS["dr"], cluster=ids)
    both = contrast(twice, np.tile(champion, (2, 1)), estimator=ESTIMATORS["dr"], cluster=np.tile(ids, 2))
    assert both.standard_error == pytest.approx(once.standard_error, rel=1e-12)
    assert both.clusters == len(rounds)


def test_a_single_customer_proves_nothing(rounds: Rounds, champion: np.ndarray) -> None:
    found = contrast(rounds, champion, estimator=ESTIMATORS["dr"], cluster=np.zeros(len(rounds)))
    assert (found.lower_bound, found.high) == (-np.inf, np.inf)


def test_clusters_must_name_every_round(rounds: Rounds, champion: np.ndarray) -> None:
    with pytest.raises(InvalidInput, match=r"cluster must have shape \[300\], found \[2\]"):
        contrast(rounds, champion, estimator=ESTIMATORS["dr"], cluster=np.zeros(2))
