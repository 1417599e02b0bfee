"""What an estimator answers: a value with its uncertainty."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import stdtrit

from decision.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Estimate:
    """The value of a policy, in reward units per round, with a two-sided interval.

    `effective_sample_size` is Kish's, of the importance weights as the estimator uses them (the
    logged ones for dm, which ignores them). With one round nothing is known of the spread:
    `standard_error` is infinite.
    """

    value: float
    standard_error: float
    low: float
    high: float
    n: int
    effective_sample_size: float
    level: float = 0.95


def half_width(standard_error: float, degrees_of_freedom: float, probability: float) -> float:
    """Student's quantile at `probability` in (0.5, 1) times the standard error.

    Infinite when there are no degrees of freedom. Raises InvalidInput for another probability.
    """
    if not 0.5 < probability < 1:
        raise InvalidInput(
            f"A confidence level must leave a quantile in (0.5, 1), found {probability:g}.",
            hint="Give level=0.95 for 95 % confidence.",
        )
    if degrees_of_freedom < 1 or math.isinf(standard_error):
        return math.inf
    return float(stdtrit(degrees_of_freedom, probability)) * standard_error


def two_sided(level: float) -> float:
    """The quantile that bounds a two-sided interval of this level: 0.95 gives 0.975."""
    return 0.5 + level / 2


def kish(total: float, total_of_squares: float) -> float:
    """Kish's effective sample size (1965) of weights with this sum and sum of squares; 0 without weight."""
    return total * total / total_of_squares if total_of_squares > 0 else 0.0
