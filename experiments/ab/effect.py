"""Treatment minus control, absolute and relative: estimate, interval, p-value."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum

from decision.errors import InvalidInput, NotEnoughData
from experiments.ab.arm_figure import ArmFigure
from experiments.ab.tails import Alternative, log_p_value, quantile


class Spread(StrEnum):
    """How the spread of a difference is known: unequal variances (Welch), one pooled variance, or large samples."""

    WELCH = "welch"
    POOLED = "pooled"
    NORMAL = "normal"


class RelativeMethod(StrEnum):
    """Relative effects: the delta method on treatment / control - 1, or an interval of log(treatment / control)."""

    DELTA = "delta"
    LOG_RATIO = "log_ratio"


@dataclass(frozen=True, slots=True)
class Confidence:
    """What an interval promises. `alpha` 0.05 gives 95 %."""

    alpha: float = 0.05
    alternative: Alternative = Alternative.TWO_SIDED
    spread: Spread = Spread.WELCH

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1:
            raise InvalidInput(f"Expected an alpha between 0 and 1, found {self.alpha:g}.", hint="0.05 gives 95 %.")


USUAL = Confidence()


@dataclass(frozen=True, slots=True)
class Effect:
    """An effect with its interval. `p_value` is 0 below 1e-308, `log_p_value` (natural) is not."""

    estimate: float
    standard_error: float
    low: float
    high: float
    log_p_value: float
    degrees_of_freedom: float
    alpha: float

    @property
    def p_value(self) -> float:
        """Return the chance of a difference at least as large, had there been none."""
        return math.exp(self.log_p_value)


def absolute_effect(control: ArmFigure, treatment: ArmFigure, confidence: Confidence = USUAL) -> Effect:
    """Return treatment minus control. Raises `NotEnoughData` where nothing varies, or too little beside the level."""
    estimate = treatment.value - control.value
    variance, degrees = _spread(control, treatment, confidence.spread)
    require_digits(max(abs(control.value), abs(treatment.value)), math.sqrt(variance))
    return interval(estimate, math.sqrt(variance), degrees, confidence)


def relative_effect(
    control: ArmFigure,
    treatment: ArmFigure,
    confidence: Confidence = USUAL,
    method: RelativeMethod = RelativeMethod.DELTA,
) -> Effect:
    """Return the effect as a share of control's unadjusted figure, whose own error is part of the interval.

    Below 0 the share is of its size: from -4.0 to -3.7 is +7.5 %.

    Raises
    ------
    NotEnoughData : control's figure is not told from 0, so that there is nothing to be relative to.
    """
    if method is RelativeMethod.LOG_RATIO:
        return from_logs(log_ratio(control, treatment, confidence))
    _require_baseline(control)
    variance, degrees = _spread(control, treatment, confidence.spread)
    del variance
    estimate = (treatment.value - control.value) / abs(control.raw)
    # Both figures estimate what an arm would be at the covariates' common mean, so the raw ones stand for them here.
    slope = treatment.raw / control.raw - 1
    squared = treatment.variance + control.variance + slope**2 * control.raw_variance + 2 * slope * control.covariance
    return interval(estimate, math.sqrt(max(squared, 0.0)) / abs(control.raw), degrees, confidence)


def interval(estimate: float, standard_error: float, degrees: float, confidence: Confidence) -> Effect:
    """Return an estimate with Student's interval. Raises `NotEnoughData` where nothing varies."""
    if not standard_error > 0 or not math.isfinite(standard_error):
        raise NotEnoughData(
            f"An interval needs figures that vary between units, found a standard error of {standard_error:g}.",
            hint="All units have the same value: nothing can be said of chance.",
        )
    sided = confidence.alternative
    probability = 1 - confidence.alpha / 2 if sided is Alternative.TWO_SIDED else 1 - confidence.alpha
    half = quantile(probability, degrees) * standard_error
    return Effect(
        estimate,
        standard_error,
        -math.inf if sided is Alternative.LESS else estimate - half,
        math.inf if sided is Alternative.GREATER else estimate + half,
        log_p_value(estimate / standard_error, degrees, sided),
        degrees,
        confidence.alpha,
    )


def log_ratio(control: ArmFigure, treatment: ArmFigure, confidence: Confidence = USUAL) -> Effect:
    """Return log(treatment / control). Katz et al. (1978) for shares; the same delta method of the log for all else.

    It is here that a plan widens an interval; `from_logs` makes a share of it. Raises `NotEnoughData` as
    `relative_effect` does, and for figures that are not above 0.
    """
    _require_baseline(control)
    if control.value <= 0 or treatment.value <= 0:
        raise NotEnoughData(
            f"A log-ratio needs figures above 0 in both arms, found {control.value:g} and {treatment.value:g}.",
            hint="Use the delta method.",
        )
    logs = [ArmFigure.plain(math.log(arm.value), arm.variance / arm.value**2, arm.n) for arm in (control, treatment)]
    variance, degrees = _spread(logs[0], logs[1], confidence.spread)
    return interval(logs[1].value - logs[0].value, math.sqrt(variance), degrees, confidence)


def from_logs(found: Effect) -> Effect:
    """Return an effect on the logarithm as a share of control."""
    estimate = math.expm1(found.estimate)
    return replace(
        found,
        estimate=estimate,
        standard_error=found.standard_error * (1 + estimate),
        low=math.expm1(found.low),
        high=_grown(found.high),
    )


def _grown(log: float) -> float:
    return math.expm1(log) if log < 700 else math.inf


def require_digits(level: float, error: float) -> None:
    """A level keeps sixteen digits; where the error is beyond them, so is the effect."""
    if 0 < error < 100 * math.ulp(level):
        raise NotEnoughData(
            f"An effect needs figures whose differences are not lost beside their level, found {level:g} with a "
            f"standard error of {error:g}.",
            hint="Take the common level off first, and see whether this is a metric and not an id.",
        )


def _require_baseline(control: ArmFigure) -> None:
    if abs(control.raw) <= 2 * math.sqrt(control.raw_variance):
        raise NotEnoughData(
            f"A relative effect needs a control figure away from 0, found {control.raw:g} with a standard error of "
            f"{math.sqrt(control.raw_variance):g}.",
            hint="Read the absolute effect.",
        )


def _spread(control: ArmFigure, treatment: ArmFigure, spread: Spread) -> tuple[float, float]:
    """Return the variance of the difference and its degrees of freedom."""
    a, b = control.variance, treatment.variance
    if spread is Spread.NORMAL:
        return a + b, math.inf
    if min(control.n, treatment.n) < 2:
        found = min(control.n, treatment.n)
        raise NotEnoughData(f"An arm needs at least two units to have an interval, found {found}.")
    if spread is Spread.POOLED:
        degrees = control.n + treatment.n - 2
        unit = (a * control.n * (control.n - 1) + b * treatment.n * (treatment.n - 1)) / degrees
        return unit * (1 / control.n + 1 / treatment.n), float(degrees)
    if not a + b > 0:
        return 0.0, math.inf
    # Squares of variances may underflow, shares of them don't.
    share = a / (a + b)
    return a + b, 1 / (share**2 / (control.n - 1) + (1 - share) ** 2 / (treatment.n - 1))
