"""A Bayesian summary where it is asked for: a normal posterior of the effect, and what a wrong choice would cost."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtr

from decision.errors import InvalidInput
from experiments.ab.effect import Effect
from experiments.ab.tails import quantile


@dataclass(frozen=True, slots=True)
class Prior:
    """A normal prior of the effect, in the unit of the effect. Without a spread nothing is assumed (flat)."""

    mean: float = 0.0
    standard_deviation: float = math.inf

    def __post_init__(self) -> None:
        if not self.standard_deviation > 0 or not math.isfinite(self.mean):
            raise InvalidInput(
                f"Expected a prior with a spread above 0, found N({self.mean:g}, {self.standard_deviation:g}^2)."
            )


@dataclass(frozen=True, slots=True)
class Posterior:
    """What is believed of the effect.

    `chance_to_win` is P(effect > 0). `loss_of_control` is what staying with control is expected to cost,
    `loss_of_treatment` what switching is, in the unit of the effect.
    """

    mean: float
    standard_deviation: float
    low: float
    high: float
    chance_to_win: float
    loss_of_control: float
    loss_of_treatment: float


FLAT = Prior()


def posterior(effect: Effect, prior: Prior = FLAT) -> Posterior:
    """Return the posterior of an effect whose estimate is normal around the truth (large samples)."""
    precision = effect.standard_error**-2
    known = 0.0 if math.isinf(prior.standard_deviation) else prior.standard_deviation**-2
    mean = (precision * effect.estimate + known * prior.mean) / (precision + known)
    sd = (precision + known) ** -0.5
    half = quantile(1 - effect.alpha / 2) * sd
    z = mean / sd
    density = math.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    wins = float(ndtr(z))
    return Posterior(
        mean,
        sd,
        mean - half,
        mean + half,
        wins,
        sd * density + mean * wins,
        sd * density - mean * float(ndtr(-z)),
    )
