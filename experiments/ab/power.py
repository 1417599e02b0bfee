"""Sample size, power and smallest detectable effect of a single look, for figures with a known spread."""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.optimize import brentq
from scipy.special import ndtr

from decision.errors import InvalidInput
from experiments.ab.tails import quantile

_MOST = 1e15
# Nine standard deviations on the wrong side there is nothing left that a double would add to the right one.
_NOTHING = -9.0
# An effect of more standard errors than this is no answer.
_FAR = 1e5


@dataclass(frozen=True, slots=True)
class Design:
    """What is asked of a comparison of two arms.

    Parameters
    ----------
    control_sd, treatment_sd : of a unit, in the metric's unit.
    ratio : units of treatment for each of control.
    """

    control_sd: float
    treatment_sd: float
    ratio: float = 1.0
    alpha: float = 0.05
    two_sided: bool = True

    def __post_init__(self) -> None:
        if not (self.control_sd >= 0 and self.treatment_sd >= 0 and self.control_sd + self.treatment_sd > 0):
            raise InvalidInput(
                f"Expected standard deviations above 0, found {self.control_sd:g} and {self.treatment_sd:g}."
            )
        if not self.ratio > 0 or not 0 < self.alpha < 1:
            raise InvalidInput(
                f"Expected a ratio above 0 and an alpha between 0 and 1, found {self.ratio:g} and {self.alpha:g}."
            )

    @classmethod
    def of_share(cls, share: float, ratio: float = 1.0, alpha: float = 0.05) -> Design:
        """Return the design of a share, with the baseline's variance in both arms."""
        sd = math.sqrt(share * (1 - share))
        return cls(sd, sd, ratio, alpha)

    def standard_error(self, n_total: float) -> float:
        """Return that of the difference, with so many units in both arms together."""
        control = n_total / (1 + self.ratio)
        return math.sqrt(self.control_sd**2 / control + self.treatment_sd**2 / (control * self.ratio))


def power(design: Design, effect: float, n_total: float, *, student: bool = False) -> float:
    """Return the chance to find an effect of this size (both directions count where two-sided).

    Raises InvalidInput for too few units to know a spread from: none, or with Student's distribution two.
    """
    degrees = n_total - 2 if student else math.inf
    if not (n_total > 0 and degrees > 0):
        raise InvalidInput(f"Expected more than {2 if student else 0} units in both arms together, found {n_total:g}.")
    shift = effect / design.standard_error(n_total)
    critical = quantile(1 - design.alpha / (2 if design.two_sided else 1), degrees)
    return _beyond(critical, shift, degrees) + (_beyond(critical, -shift, degrees) if design.two_sided else 0.0)


def _beyond(critical: float, shift: float, degrees: float) -> float:
    """Return the chance that a statistic with this mean is above the critical value."""
    if math.isinf(degrees):
        return float(ndtr(shift - critical))
    if shift < _NOTHING:
        return 0.0
    # scipy.special's tail is no number for some far ones.
    from scipy.stats import nct

    return float(nct.sf(critical, degrees, shift))


def sample_size(design: Design, effect: float, wanted: float = 0.8, *, student: bool = False) -> float:
    """Return the units of both arms together that find an effect with this power, unrounded; see `whole`.

    Raises InvalidInput for an effect of 0, or for more than 10^15 units.
    """
    _require_power(design, wanted)
    if effect == 0 or not math.isfinite(effect):
        raise InvalidInput(f"Expected an effect other than 0, found {effect:g}.")

    def short(log_n: float) -> float:
        return power(design, abs(effect), math.exp(log_n), student=student) - wanted

    if short(math.log(_MOST)) < 0:
        raise InvalidInput(f"An effect of {effect:g} would take more than 10^15 units.")
    fewest = math.log(1.0000005 * fewest_units(design.ratio))
    if short(fewest) >= 0:
        return math.exp(fewest)
    return math.exp(float(brentq(short, fewest, math.log(_MOST), xtol=1e-14, rtol=1e-14)))


def detectable_effect(design: Design, n_total: float, wanted: float = 0.8, *, student: bool = False) -> float:
    """Return the smallest effect that so many units find with this power. Raises InvalidInput for too few units."""
    _require_power(design, wanted)
    error = design.standard_error(n_total)

    def short(shift: float) -> float:
        return power(design, shift * error, n_total, student=student) - wanted

    enough = 16.0
    while short(enough) < 0:
        enough *= 16
        if enough > _FAR:
            raise InvalidInput(
                f"With {n_total:g} units no effect is found with a power of {wanted:g}; take more units."
            )
    return float(brentq(short, 0.0, enough, xtol=1e-12, rtol=1e-14)) * error


def fewest_units(ratio: float) -> float:
    """Return how many units of both arms together leave two for each."""
    return 2 * max(1 + ratio, 1 + 1 / ratio)


def whole(n_total: float, ratio: float = 1.0) -> int:
    """Return units rounded up in each arm."""
    control = n_total / (1 + ratio)
    return math.ceil(control - 1e-9) + math.ceil(control * ratio - 1e-9)


def _require_power(design: Design, wanted: float) -> None:
    if not design.alpha < wanted < 1:
        raise InvalidInput(f"Expected a power between alpha ({design.alpha:g}) and 1, found {wanted:g}.")
