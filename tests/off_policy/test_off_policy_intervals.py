"""Every interval of every estimator, by hand, by laws and by coverage."""

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from decision.errors import InvalidInput
from experiments.off_policy import ESTIMATORS, INTERVALS, Estimator, Rounds, bootstrap
from experiments.off_policy.bootstrap import APPEARANCES, Resamples, resampled_mean


@pytest.fixture(params=sorted(ESTIMATORS))
def estimator(request: pytest.FixtureRequest) -> Estimator:
    return ESTIMATORS[request.param]


@pytest.mark.parametrize("interval", sorted(INTERVALS))
def test_an_interval_holds_the_value_and_more_confidence_widens_it(
    estimator: Estimator, interval: str, rounds: Rounds
) -> None:
    narrow, wide = (estimator.estimate(rounds, level=level, interval=interval) for level in (0.8, 0.99))
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


@pytest.mark.parametrize("interval", sorted(INTERVALS))
def test_one_round_leaves_every_interval_open(estimator: Estimator, interval: str, rounds: Rounds) -> None:
    one = estimator.estimate(rounds.take(np.array([0])), interval=interval)
    assert (one.low, one.high) == (-math.inf, math.inf)


def test_an_unknown_interval_is_refused(estimator: Estimator, rounds: Rounds) -> None:
    with pytest.raises(InvalidInput, match="interval must be one of careful, asymptotic"):
        estimator.estimate(rounds, interval="wald")


def weighted(rounds: Rounds) -> np.ndarray:
    rows = np.arange(len(rounds))
    return rounds.target[rows, rounds.action] / rounds.propensity * rounds.reward


def test_empirical_bernstein_by_hand(rounds: Rounds) -> None:
    x, n, log_term = weighted(rounds), 300, math.log(2 / 0.025)
    spread = math.sqrt(2 * x.var(ddof=1) * log_term / n)
    half = spread + 7 * (x.max() - x.min()) * log_term / (3 * (n - 1))
    found = ESTIMATORS["ips"].estimate(rounds, interval="empirical_bernstein")
    assert (found.low, found.high) == pytest.approx((x.mean() - half, x.mean() + half), rel=1e-9)


def test_the_skewness_correction_inverts_halls_transformation(rounds: Rounds) -> None:
    """At each end, the transformed statistic is Student's quantile."""
    x, n = weighted(rounds), 300
    found = ESTIMATORS["ips"].estimate(rounds, interval="skewness_corrected")
    skew, quantile = stats.skew(x) / math.sqrt(n), stats.t(n - 1).ppf(0.975)
    for end, expected in ((found.low, quantile), (found.high, -quantile)):
        t = (x.mean() - end) / (x.std(ddof=1) / math.sqrt(n))
        assert t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6 == pytest.approx(expected, rel=1e-9)


def test_the_careful_interval_puts_errors_on_all_weights_alike() -> None:
    """All purchases fell on light rounds: Student's knows nothing of the heavy ones, the careful one does."""
    n = 1_000
    heavy = np.arange(n) % 100 == 0
    reward = np.where(~heavy & (np.arange(n) % 20 == 1), 10.0, 0.0)
    propensity = np.where(heavy, 0.01, 0.5)
    rounds = Rounds(np.zeros(n, dtype=int), reward, propensity, np.tile([0.5, 0.5], (n, 1)))
    weight = np.where(heavy, 50.0, 1.0)
    by_hand = math.sqrt((weight**2).mean() * reward.var(ddof=1) / n)
    deviation = reward - reward.mean()
    spread = (weight**2).mean() * reward.var(ddof=1)
    skew = (weight**3).mean() * (deviation**3).mean() / spread**1.5 / math.sqrt(n)
    assert skew == pytest.approx(1.23, abs=0.01)  # as if there were two thirds of a purchase

    found = ESTIMATORS["ips"].estimate(rounds)

    assert by_hand > 4 * found.standard_error
    quantile = stats.t(2 / skew**2).ppf(0.975)
    for end, expected in ((found.low, quantile), (found.high, -quantile)):
        t = (found.value - end) / by_hand
        assert t + skew * t**2 / 3 + skew**2 * t**3 / 27 + skew / 6 == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("name", ["ips", "snips", "dr", "sndr"])
def test_under_a_near_greedy_logger_the_careful_interval_covers_and_students_does_not(name: str) -> None:
    """Purchases of 5 % under a floor of 0.01: a twentieth of the heavy rounds, some twenty, holds one."""
    rng = np.random.default_rng(31)
    replicates, n, floor = 400, 2_000, 0.01
    held = {"careful": 0, "asymptotic": 0}
    target = np.tile([0.3, 0.7], (n, 1))
    for _ in range(replicates):
        action = (rng.random(n) < floor).astype(int)
        reward = (rng.random(n) < np.where(action == 1, 0.06, 0.05)).astype(float)
        log = Rounds(action, reward, np.where(action == 1, floor, 1 - floor), target, np.full((n, 2), 0.05))
        for interval in held:
            found = ESTIMATORS[name].estimate(log, interval=interval)
            held[interval] += found.low <= 0.3 * 0.05 + 0.7 * 0.06 <= found.high
    assert held["careful"] / replicates >= 0.94
    assert held["asymptotic"] / replicates < 0.85


def test_the_bootstrap_agrees_with_the_asymptotic_interval(rounds: Rounds, population: Any) -> None:
    log = population.log(3_000, seed=2)
    found = bootstrap(ESTIMATORS, log, seed=1, replicates=1_600)
    for name, estimate in found.items():
        whole = ESTIMATORS[name].estimate(log, interval="asymptotic")
        assert estimate.value == whole.value
        # 1,600 replicates tell a standard error to about 2 %.
        assert estimate.standard_error == pytest.approx(whole.standard_error, rel=0.08), name
        assert estimate.high - estimate.low == pytest.approx(whole.high - whole.low, rel=0.12), name


def test_the_bootstrap_is_its_seeds(rounds: Rounds) -> None:
    one, same, other = (bootstrap(ESTIMATORS, rounds, seed=seed, replicates=64) for seed in (1, 1, 2))
    assert one == same
    assert one["ips"].low != other["ips"].low


def test_the_bootstrap_of_one_round_is_open(rounds: Rounds) -> None:
    one = bootstrap(ESTIMATORS, rounds.take(np.array([0])), seed=1, replicates=16)
    assert all((found.low, found.high) == (-math.inf, math.inf) for found in one.values())


def test_rounds_appear_as_often_as_poissons_law_says() -> None:
    assert APPEARANCES.mean() == pytest.approx(1, abs=2e-4)
    assert APPEARANCES.var() == pytest.approx(1, abs=1e-3)
    for k in range(5):
        assert (k == APPEARANCES).mean() == pytest.approx(stats.poisson(1).pmf(k), abs=2e-5)


def test_resamples_of_parts_are_those_of_the_whole(rounds: Rounds) -> None:
    columns = np.arange(60.0).reshape(20, 3)
    whole = Resamples.of(columns, seed=3, replicates=32)
    parts = Resamples.of(columns[:7], seed=3, replicates=32) + Resamples.of(columns[7:], seed=3, replicates=32, start=7)
    assert parts.totals == pytest.approx(whole.totals, rel=1e-12)
    with pytest.raises(InvalidInput, match="same shape"):
        whole + Resamples.of(columns, seed=3, replicates=16)
    with pytest.raises(InvalidInput, match="multiple of 16"):
        Resamples.of(columns, seed=3, replicates=100)


def test_a_mean_resampled_by_numpys_old_generator_is_obps() -> None:
    values = np.random.default_rng(0).normal(size=50)
    random = np.random.RandomState(9)
    means = [np.mean(random.choice(values, size=50)) for _ in range(40)]
    expected = np.percentile(means, [5, 95])
    assert resampled_mean(values, seed=9, replicates=40, level=0.9) == pytest.approx(expected, rel=1e-12)
