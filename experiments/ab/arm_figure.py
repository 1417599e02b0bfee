"""A figure of one arm with its sampling variance: a mean, a share, a ratio, each by the delta method; and CUPED.

One definition for all: a figure is a smooth function of the arm's column means; its variance is that of its
linearisation (Deng, Knoblich and Lu, KDD 2018). CUPED (Deng et al., WSDM 2013) subtracts theta' (x - centre), where x
are the covariates' means, `centre` their means over both arms, and theta regresses the linearised metric on the
covariates over both arms together. For a ratio, give the numerator and the denominator of the pre-period as two
covariates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput, NotEnoughData
from decision.records import FloatArray
from experiments.ab.moments import Moments

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class ArmFigure:
    """A figure of one arm.

    `value` is adjusted by covariates where there are any, `raw` is not: relative effects are relative to it.
    Variances are of these figures, not of units. `n` counts independent units.
    """

    value: float
    variance: float
    n: int
    raw: float
    raw_variance: float
    covariance: float

    @classmethod
    def plain(cls, value: float, variance: float, n: int) -> ArmFigure:
        """Return a figure without covariates."""
        return cls(value, variance, n, value, variance, variance)


def mean_figure(moments: Moments) -> ArmFigure:
    """Return the mean of the first column."""
    return _figure(moments, 1, np.zeros(0), np.zeros(0))


def ratio_figure(moments: Moments) -> ArmFigure:
    """Return the ratio of the means of the first two columns. Raises `NotEnoughData` where the second one's is 0."""
    return _figure(moments.take(0, 1), 2, np.zeros(0), np.zeros(0))


def share_figure(n: int, successes: int) -> ArmFigure:
    """Return a share with the variance p (1 - p) / n. Raises `NotEnoughData` without units."""
    if n < 1:
        raise NotEnoughData("A share needs at least one unit, found none.")
    share = Moments.of_successes(n, successes).mean[0]
    return ArmFigure.plain(float(share), float(share * (1 - share) / n), n)


def adjusted_figures(control: Moments, treatment: Moments, *, metric_columns: int = 1) -> tuple[ArmFigure, ArmFigure]:
    """Return both arms' figures, adjusted by all columns after the metric's (1: a mean, 2: a ratio).

    Without covariates they are the plain figures. Raises `NotEnoughData` for an arm of fewer than two units.
    """
    _require_two(control)
    _require_two(treatment)
    both = control + treatment
    theta = coefficients(both, metric_columns)
    centre = both.mean[metric_columns:]
    return _figure(control, metric_columns, theta, centre), _figure(treatment, metric_columns, theta, centre)


def coefficients(both: Moments, metric_columns: int) -> FloatArray:
    """Return theta: the linearised metric regressed on the covariates, float[p - metric_columns].

    Covariates that don't vary, or repeat others, get nothing or share.
    """
    covariance = both.covariance()
    k = metric_columns
    inner, cross = covariance[k:, k:], _gradient(both, k) @ covariance[:k, k:]
    scale = np.sqrt(np.diag(inner))
    usable = scale > 1e-12 * np.maximum(np.abs(both.mean[k:]), 1e-300)
    safe = np.where(usable, scale, 1.0)
    correlation = np.where(np.outer(usable, usable), inner / np.outer(safe, safe), 0.0)
    theta: FloatArray = np.linalg.pinv(correlation, rcond=1e-10, hermitian=True) @ np.where(usable, cross / safe, 0.0)
    return theta / safe


def _figure(moments: Moments, k: int, theta: FloatArray, centre: FloatArray) -> ArmFigure:
    _require_two(moments)
    gradient = _gradient(moments, k)
    if k == 2:
        _require_denominator(moments)
    raw = float(moments.mean[0] if k == 1 else moments.mean[0] / moments.mean[1])
    if not len(theta):
        spread = _spread(moments, gradient, gradient, k)
        return ArmFigure.plain(raw, spread, moments.n)
    whole, plain = np.concatenate([gradient, -theta]), np.concatenate([gradient, 0 * theta])
    p = k + len(theta)
    left, all_of_it = _spread(moments, whole, whole, p), _spread(moments, plain, plain, p)
    return ArmFigure(
        raw - float(theta @ (moments.mean[k:] - centre)),
        # Where covariates explain all, what is left is rounding.
        left if left > _ROUNDING * all_of_it else 0.0,
        moments.n,
        raw,
        all_of_it,
        float(whole @ moments.covariance() @ plain) / moments.n,
    )


def _require_two(moments: Moments) -> None:
    if moments.n < 2:
        raise NotEnoughData(f"An arm needs at least two units to have an interval, found {moments.n}.")


def _require_denominator(moments: Moments) -> None:
    """The delta method takes the denominator's own error to be small; near 0 a ratio can be anything."""
    mean, error = float(moments.mean[1]), math.sqrt(moments.covariance()[1, 1] / moments.n)
    if abs(mean) <= 2 * error:
        raise NotEnoughData(
            f"A ratio needs a denominator away from 0, found {mean:g} a unit with a standard error of {error:g}.",
            hint="Wait for more units, or read the numerator's mean.",
        )


def _spread(moments: Moments, left: FloatArray, right: FloatArray, p: int) -> float:
    return max(float(left @ moments.covariance()[:p, :p] @ right), 0.0) / moments.n


def _gradient(moments: Moments, k: int) -> FloatArray:
    """Return the derivative of the unadjusted figure in the means of its own columns, float[k]."""
    if k == 1:
        return np.ones(1)
    if k != 2:
        raise InvalidInput(f"A metric has one column or two, found {k}.")
    numerator, denominator = float(moments.mean[0]), float(moments.mean[1])
    if abs(denominator) < 1e-300:
        raise NotEnoughData("A ratio needs a denominator, found 0 in total.")
    return np.array([1.0, -numerator / denominator]) / denominator
