"""Valid at every look: the asymptotic confidence sequence of Waudby-Smith et al. (2021), by the normal mixture of
Robbins.

At n units the interval is estimate -+ standard error * sqrt(n) * boundary(n); it holds at all n together, however
often and for whatever reason one looks. It is tightest near the number of units it is tuned for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from decision.errors import InvalidInput
from experiments.ab.effect import Effect


@dataclass(frozen=True, slots=True)
class AlwaysValid:
    """A two-sided confidence sequence, tightest around `tuned_for` units of both arms together."""

    tuned_for: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not self.tuned_for > 0:
            raise InvalidInput(f"Expected a number of units to tune for, found {self.tuned_for:g}.")
        if not 0 < self.alpha < 1:
            raise InvalidInput(f"Expected an alpha between 0 and 1, found {self.alpha:g}.")

    @property
    def mixture_precision(self) -> float:
        """Return rho^2, the variance of the mixture over the drift that is tightest at `tuned_for`."""
        depth = -2 * math.log(self.alpha)
        return (depth + math.log(depth + 1)) / self.tuned_for

    def multiplier(self, n: float) -> float:
        """Return how many standard errors the interval reaches at n units; 1.96 is what a single look would have."""
        grown = n * self.mixture_precision
        return math.sqrt((grown + 1) / grown * (math.log1p(grown) - 2 * math.log(self.alpha)))

    def at(self, fixed: Effect, n: float) -> Effect:
        """Return the effect as it stands at n units, made from any estimate with a standard error."""
        half = fixed.standard_error * self.multiplier(n)
        grown = n * self.mixture_precision
        squared = (fixed.estimate / fixed.standard_error) ** 2
        log_mixture = 0.5 * squared * grown / (grown + 1) - 0.5 * math.log1p(grown)
        return Effect(
            fixed.estimate,
            fixed.standard_error,
            fixed.estimate - half,
            fixed.estimate + half,
            min(0.0, -log_mixture),
            math.inf,
            self.alpha,
        )
