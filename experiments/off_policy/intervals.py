"""Intervals around an estimate, from its sums alone; one rule each and one line in `INTERVALS`.

All are two-sided; the lower end at level 0.9 is a lower bound of confidence 0.95. The bootstrap, which needs
the rounds again, is in `bootstrap.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from experiments.off_policy.estimate import half_width, two_sided
from experiments.off_policy.rounds import FloatArray
from experiments.off_policy.sums import Sums

Interval = Callable[[float, FloatArray, Sums, float], tuple[float, float]]
"""(value, its gradient float[p] in the columns' means, sums, level) -> (low, high)."""


def careful(value: float, gradient: FloatArray, sums: Sums, level: float) -> tuple[float, float]:
    """Student's t with a standard error of at least what it were if errors fell on all weights alike.

    Under a logger that is near-greedy the few rounds of large weight often hold no purchase at all: then the
    sample's own standard error is far too small (Student's 95 % interval covers 40 to 90 %). The mean squared
    weight times the error's variance over the whole log, divided by n, does not depend on where the purchases
    fell. Degrees of freedom are `careful_degrees`. The rule is ours; `python -m experiments.bench.off_policy`
    prints its coverage.
    """
    error = max(standard_error(gradient, sums), pooled_error(sums))
    weights = sums.total_of_squares(0) / sums.n, sums.total_of_cubes(0) / sums.n
    errors = float(sums.scatter[0, -1, -1]) / sums.n, float(sums.third[0, -1, -1, -1]) / sums.n
    half = half_width(error, careful_degrees(sums.n, weights, errors), two_sided(level))
    return value - half, value + half


def careful_degrees(n: int, weights: tuple[float, float], errors: tuple[float, float]) -> float:
    """Student's degrees of freedom where few rounds decide: twice the number of equal rewards, at most n - 1.

    A sum of N rewards of equal weight has a variance known with a squared coefficient of variation of 1 / N, which
    is worth 2 N degrees of freedom (Satterthwaite 1946). N is n divided by the squared skewness of the weights and
    by that of the errors, as in `Overlap.effective_rewards`; at least one degree is left.

    Parameters
    ----------
    weights : means of the squares and the cubes of the weights, as used.
    errors : second and third central moment of the errors.
    """
    equal = float(n)
    if weights[1] > 0:
        equal *= weights[0] ** 3 / weights[1] ** 2
    if errors[0] > 0:
        equal *= min(1.0, errors[0] ** 3 / max(errors[1] ** 2, 1e-300))
    return min(n - 1.0, max(2 * equal, 1.0))


def pooled_error(sums: Sums) -> float:
    """sqrt(mean squared weight * variance of the error / n), from the first and the last column."""
    if sums.n < 2:
        return math.inf
    mean_square = sums.total_of_squares(0) / sums.n
    return math.sqrt(mean_square * float(sums.scatter[0, -1, -1]) / (sums.n - 1) / sums.n)


def asymptotic(value: float, gradient: FloatArray, sums: Sums, level: float) -> tuple[float, float]:
    """Student's t with the delta method's standard error."""
    half = half_width(standard_error(gradient, sums), sums.n - 1, two_sided(level))
    return value - half, value + half


def skewness_corrected(value: float, gradient: FloatArray, sums: Sums, level: float) -> tuple[float, float]:
    """Student's t after Hall's (1992) cubic transformation, which takes out the skewness of the mean.

    Rare rewards under large weights are skewed to the right: Student's interval then misses high truths too
    often. Here the upper end moves out and the lower one in, so that each is missed about as often as it says.
    """
    half = half_width(1.0, sums.n - 1, two_sided(level))
    error = standard_error(gradient, sums)
    skew = sums.skewness_along(gradient) / math.sqrt(sums.n)
    if math.isinf(half) or abs(skew) < 1e-9:
        return asymptotic(value, gradient, sums, level)
    return value - error * _without_skew(half, skew), value - error * _without_skew(-half, skew)


def _without_skew(quantile: float, skew: float) -> float:
    return 3 / skew * (float(np.cbrt(1 + skew * (quantile - skew / 6))) - 1)


def empirical_bernstein(value: float, gradient: FloatArray, sums: Sums, level: float) -> tuple[float, float]:
    """Maurer and Pontil (2009), theorem 4, at both ends; it assumes no shape, and holds for every n.

    The range of one round's term is the one seen in the log, as nothing else is known here; it is the whole
    range only where rewards and weights are bounded and both extremes have been seen.
    """
    if sums.n < 2:
        return -math.inf, math.inf
    log_term = math.log(4 / (1 - level))
    half = math.sqrt(2 * sums.variance_along(gradient) * log_term / sums.n)
    half += 7 * sums.range_along(gradient) * log_term / (3 * (sums.n - 1))
    return value - half, value + half


def standard_error(gradient: FloatArray, sums: Sums) -> float:
    """The delta method's; infinite for one round."""
    return math.sqrt(sums.variance_along(gradient) / sums.n)


INTERVALS: dict[str, Interval] = {
    "careful": careful,
    "asymptotic": asymptotic,
    "skewness_corrected": skewness_corrected,
    "empirical_bernstein": empirical_bernstein,
}
