"""Intervals around an estimate, from its sums alone; one rule each and one line in `INTERVALS`.

All are two-sided; the lower end at level 0.9 is a lower bound of confidence 0.95. The bootstrap, which needs
the rounds again, is in `bootstrap.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimate import half_width, two_sided
from experiments.off_policy.rounds import FloatArray
from experiments.off_policy.sums import Sums

LARGEST_SKEWNESS = 2.0
"""Beyond it, a quarter of a reward, Hall's transformation would bend back."""

Interval = Callable[[float, FloatArray, Sums, float], tuple[float, float]]
"""(value, its gradient float[p] in the columns' means, sums, level) -> (low, high)."""


@dataclass(frozen=True, slots=True)
class Chance:
    """The spread and the skewness of an estimate if errors fell on all weights alike.

    Neither depends on where in the log the few rewards happened to fall, as the sample's own do.

    Parameters
    ----------
    n : rounds.
    error : sqrt(mean squared weight * variance of the errors / n), a standard error.
    skewness : of the mean: that of the weights around 0 times that of the errors, divided by sqrt(n).
    weight_share : n times the squared skewness of the weights is 1 / `weight_share`.
    """

    n: int
    error: float
    skewness: float
    weight_share: float

    @classmethod
    def of(cls, n: int, weights: tuple[float, float], errors: tuple[float, float]) -> Chance:
        """From the mean squares and cubes of the weights, as used, and the errors' central moments of order 2 and 3."""
        if not (weights[0] > 0 and errors[0] > 0):
            return cls(n, 0.0, 0.0, 1.0)
        of_weights, of_errors = weights[1] / weights[0] ** 1.5, errors[1] / errors[0] ** 1.5
        error = math.sqrt(weights[0] * errors[0] / n)
        return cls(n, error, of_weights * of_errors / math.sqrt(n), min(1.0, 1 / max(of_weights**2, 1e-300)))

    @property
    def degrees_of_freedom(self) -> float:
        """Student's, where few rounds decide: twice the number of equal rewards, at least 1 and at most n - 1.

        A sum of N rewards of equal weight has a variance known with a squared coefficient of variation of 1 / N,
        which is worth 2 N degrees of freedom (Satterthwaite 1946). N is 1 / skewness^2, as in
        `Overlap.effective_rewards`, and no more than what the weights alone leave of the rounds.
        """
        equal = self.n * self.weight_share
        if self.skewness:
            equal = min(equal, 1 / self.skewness**2)
        return min(self.n - 1.0, max(2 * equal, 1.0))

    def ends(self, value: float, error: float, degrees_of_freedom: float, probability: float) -> tuple[float, float]:
        """Lower and upper bound, each at Student's quantile of `probability` after Hall's correction."""
        half = half_width(1.0, degrees_of_freedom, probability)
        if math.isinf(half) or math.isinf(error):
            return -math.inf, math.inf
        skew = max(-LARGEST_SKEWNESS, min(self.skewness, LARGEST_SKEWNESS))
        return value - error * _without_skew(half, skew), value - error * _without_skew(-half, skew)


def careful(value: float, gradient: FloatArray, sums: Sums, level: float) -> tuple[float, float]:
    """Student's t, with the spread, skewness and degrees of freedom of rewards that fell on all weights alike.

    Under a logger that is near-greedy the few rounds of large weight often hold no purchase at all: then the
    sample's own standard error is far too small (Student's 95 % interval covers 40 to 90 %), and it knows
    nothing of the skewness. Here the standard error is at least `Chance.error`, the skewness is taken out by
    Hall's (1992) cubic transformation, and Student's quantile has `Chance.degrees_of_freedom`. The rule is ours;
    `python -m experiments.bench.off_policy` prints its coverage.
    """
    if sums.n < 2:
        return -math.inf, math.inf
    weights = sums.total_of_squares(0) / sums.n, sums.total_of_cubes(0) / sums.n
    errors = float(sums.scatter[0, -1, -1]) / (sums.n - 1), float(sums.third[0, -1, -1, -1]) / sums.n
    chance = Chance.of(sums.n, weights, errors)
    error = max(standard_error(gradient, sums), chance.error)
    return chance.ends(value, error, chance.degrees_of_freedom, two_sided(level))


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
    if math.isinf(half):
        return -math.inf, math.inf
    return value - error * _without_skew(half, skew), value - error * _without_skew(-half, skew)


def _without_skew(quantile: float, skew: float) -> float:
    if abs(skew) < 1e-9:
        return quantile
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
