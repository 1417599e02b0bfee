"""Effects: recomputed by hand, their laws, and right where peers are known to be wrong."""

import math

import numpy as np
import pytest
from scipy import stats

from decision.errors import InvalidInput, NotEnoughData
from experiments.ab.arm_figure import adjusted_figures, mean_figure, ratio_figure, share_figure
from experiments.ab.clusters import by_cluster
from experiments.ab.effect import Confidence, RelativeMethod, Spread, absolute_effect, relative_effect
from experiments.ab.moments import Moments
from experiments.ab.quantiles import quantile_figure
from experiments.ab.strata import post_stratified
from experiments.ab.tails import Alternative, _log_far_tail, log_p_value, p_value_in_words


def arm(n: int, mean: float, variance: float) -> Moments:
    return Moments(n, np.array([mean]), np.array([[variance * (n - 1)]]))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(11)


def test_a_less_bound_lies_above_the_estimate() -> None:
    """gbstats of PyPI puts it below."""
    found = absolute_effect(
        mean_figure(arm(8000, -4.0, 30.0)), mean_figure(arm(8100, -3.7, 33.0)), Confidence(0.05, Alternative.LESS)
    )
    assert found.low == -math.inf
    assert found.high > found.estimate > 0


def test_a_gain_from_a_negative_baseline_is_a_positive_share() -> None:
    """gbstats of PyPI says -7.5 %."""
    found = relative_effect(mean_figure(arm(8000, -4.0, 30.0)), mean_figure(arm(8100, -3.7, 33.0)))
    assert found.estimate == pytest.approx(0.075)
    assert 0 < found.low < found.high


def test_welchs_degrees_of_freedom_are_scipys(rng: np.random.Generator) -> None:
    """ambrosia's interval is twice as wide."""
    a, b = rng.normal(20, 10, 24), rng.normal(29, 14, 17)
    found = absolute_effect(mean_figure(Moments.of(a)), mean_figure(Moments.of(b)))
    theirs = stats.ttest_ind(b, a, equal_var=False)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-10)
    assert (found.low, found.high) == pytest.approx(tuple(theirs.confidence_interval(0.95)), rel=1e-10)


def test_p_values_beyond_doubles_keep_their_size() -> None:
    assert log_p_value(50.0, math.inf, Alternative.TWO_SIDED) / math.log(10) == pytest.approx(-544.66, abs=0.01)
    far = log_p_value(60.0, 1e9, Alternative.TWO_SIDED)
    assert far == pytest.approx(log_p_value(60.0, math.inf, Alternative.TWO_SIDED), rel=1e-4)
    assert p_value_in_words(far).startswith("10^-78")


@pytest.mark.parametrize("degrees", [3.0, 40.0, 1e5])
def test_the_far_tail_continues_the_near_one(degrees: float) -> None:
    t = 6.0
    near = log_p_value(t, degrees, Alternative.GREATER)
    assert _log_far_tail(t, degrees) == pytest.approx(near, rel=1e-10)


def test_ten_units_beside_ten_million_are_judged_by_the_ten() -> None:
    found = absolute_effect(mean_figure(arm(10_000_000, 1.0, 4.0)), mean_figure(arm(10, 2.0, 4.0)))
    assert found.degrees_of_freedom == pytest.approx(9.0, abs=0.01)


@pytest.mark.parametrize("variance", [0.0])
def test_no_variance_is_refused(variance: float) -> None:
    with pytest.raises(NotEnoughData, match="vary"):
        absolute_effect(mean_figure(arm(10, 1.0, variance)), mean_figure(arm(10, 2.0, variance)))


def test_one_unit_is_refused() -> None:
    with pytest.raises(NotEnoughData, match="two units"):
        mean_figure(arm(1, 1.0, 1.0))


def test_all_zeros_are_refused() -> None:
    with pytest.raises(NotEnoughData, match="vary"):
        absolute_effect(share_figure(100, 0), share_figure(100, 0))
    with pytest.raises(NotEnoughData, match="denominator"):
        ratio_figure(Moments.of(np.ones(5), np.zeros(5)))


def test_nothing_is_relative_to_a_baseline_that_may_be_zero() -> None:
    with pytest.raises(NotEnoughData, match="away from 0"):
        relative_effect(mean_figure(arm(100, 0.1, 4.0)), mean_figure(arm(100, 1.0, 4.0)))
    with pytest.raises(NotEnoughData, match="above 0"):
        relative_effect(
            mean_figure(arm(100, -4.0, 4.0)), mean_figure(arm(100, 1.0, 4.0)), method=RelativeMethod.LOG_RATIO
        )


def test_cuped_is_the_regression_it_says(rng: np.random.Generator) -> None:
    n = 4_000
    x = rng.normal(size=(n, 3))
    t = rng.random(n) < 0.5
    y = 2 + x @ [1.0, -2.0, 0.0] + 0.3 * t + rng.normal(size=n)
    arms = [Moments.of(y[t == k], *x[t == k].T) for k in (0, 1)]
    a, b = adjusted_figures(*arms)
    theta = np.linalg.lstsq(np.column_stack([np.ones(n), x]), y, rcond=None)[0][1:]
    expected = [y[t == k].mean() - theta @ (x[t == k].mean(axis=0) - x.mean(axis=0)) for k in (0, 1)]
    assert (a.value, b.value) == pytest.approx(tuple(expected), rel=1e-10)
    residual = y - x @ theta
    assert b.variance == pytest.approx(residual[t].var(ddof=1) / t.sum(), rel=1e-10)
    plain = absolute_effect(mean_figure(arms[0]), mean_figure(arms[1]))
    assert absolute_effect(a, b).standard_error < plain.standard_error / 2


def test_covariates_that_repeat_or_never_vary_change_nothing(rng: np.random.Generator) -> None:
    x, y = rng.normal(size=500), rng.normal(size=500)
    once = adjusted_figures(Moments.of(y[:250], x[:250]), Moments.of(y[250:], x[250:]))
    more = [Moments.of(y[s], x[s], 2 * x[s], np.full(250, 7.0)) for s in (slice(250), slice(250, None))]
    again = adjusted_figures(*more)
    for one, other in zip(once, again, strict=True):
        assert (other.value, other.variance) == pytest.approx((one.value, one.variance), rel=1e-9)


def test_cuped_for_a_ratio_with_a_constant_denominator_is_cuped_for_the_mean(rng: np.random.Generator) -> None:
    y, x, one = rng.gamma(1, 5, 600), rng.normal(size=600), np.ones(600)
    halves = (slice(300), slice(300, None))
    means = adjusted_figures(*(Moments.of(y[s], x[s]) for s in halves))
    ratios = adjusted_figures(*(Moments.of(y[s], one[s], x[s]) for s in halves), metric_columns=2)
    for a, b in zip(means, ratios, strict=True):
        assert (b.value, b.variance) == pytest.approx((a.value, a.variance), rel=1e-9)


def test_cuped_for_a_ratio_narrows_it_and_keeps_it(rng: np.random.Generator) -> None:
    n = 20_000
    rate = rng.gamma(4, 0.25, n)
    d, d0 = rng.poisson(5, n) + 1.0, rng.poisson(5, n) + 1.0
    m, m0 = rng.poisson(rate * d).astype(float), rng.poisson(rate * d0).astype(float)
    halves = (slice(n // 2), slice(n // 2, None))
    plain = absolute_effect(*(ratio_figure(Moments.of(m[s], d[s])) for s in halves))
    found = absolute_effect(
        *adjusted_figures(*(Moments.of(m[s], d[s], m0[s], d0[s]) for s in halves), metric_columns=2)
    )
    assert found.standard_error < 0.9 * plain.standard_error
    assert abs(found.estimate) < 3.5 * found.standard_error


def test_clusters_are_the_units(rng: np.random.Generator) -> None:
    """Every cluster twice is the same data, and no more of it."""
    y = rng.normal(size=300)
    ids = np.repeat(np.arange(300), 2)
    found = by_cluster(ids, np.zeros(600, dtype=int), [np.repeat(y, 2)])
    doubled = ratio_figure(Moments.of(found.sums[:, 0], found.size))
    single = mean_figure(Moments.of(y))
    assert (doubled.value, doubled.variance) == pytest.approx((single.value, single.variance), rel=1e-9)
    with pytest.raises(InvalidInput, match="1 cluster in two or more"):
        by_cluster(np.array([1, 1, 2]), np.array([0, 1, 1]), [])


def test_post_stratification_recomputed_by_hand(rng: np.random.Generator) -> None:
    stratum, t = rng.integers(2, size=900), rng.random(900) < 0.4
    y = 10.0 * stratum + 1.0 * t + rng.normal(size=900)
    arms = [{str(s): Moments.of(y[(stratum == s) & (t == k)]) for s in (0, 1)} for k in (0, 1)]
    found = post_stratified(*arms).effect
    effect = variance = 0.0
    for s in (0, 1):
        weight = (stratum == s).mean()
        a, b = y[(stratum == s) & ~t], y[(stratum == s) & t]
        effect += weight * (b.mean() - a.mean())
        variance += weight**2 * (a.var(ddof=1) / len(a) + b.var(ddof=1) / len(b))
    assert (found.estimate, found.standard_error) == pytest.approx((effect, math.sqrt(variance)), rel=1e-10)
    with pytest.raises(NotEnoughData, match="'1'"):
        post_stratified(arms[0], {"0": arms[1]["0"]})


def test_the_median_has_the_standard_error_of_theory(rng: np.random.Generator) -> None:
    n = 40_000
    y = rng.normal(size=n)
    found = quantile_figure(y, 0.5)
    # It is read from the 400 units between two quantiles: known to a twentieth.
    assert math.sqrt(found.variance) == pytest.approx(math.sqrt(math.pi / 2 / n), rel=0.15)
    twice = quantile_figure(np.repeat(y, 2), 0.5, np.repeat(np.arange(n), 2))
    assert twice.variance == pytest.approx(found.variance, rel=0.05)
    with pytest.raises(NotEnoughData, match=r"1,000 would do"):
        quantile_figure(y[:500], 0.99)


def test_large_samples_of_means_are_normal() -> None:
    figures = mean_figure(arm(500, 1.0, 4.0)), mean_figure(arm(500, 1.5, 4.0))
    wide, narrow = absolute_effect(*figures), absolute_effect(*figures, Confidence(spread=Spread.NORMAL))
    assert narrow.low > wide.low
