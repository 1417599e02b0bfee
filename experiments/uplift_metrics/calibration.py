"""Is a predicted uplift of 0.05 an uplift of 0.05?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput, NotEnoughData
from experiments.off_policy.estimate import Estimate, half_width, kish, two_sided
from experiments.off_policy.rounds import FloatArray, IntArray
from experiments.uplift_metrics.clusters import standard_error
from experiments.uplift_metrics.difference import Difference, difference
from experiments.uplift_metrics.trial import BoolArray, Trial


@dataclass(frozen=True, slots=True)
class Bin:
    """Customers with similar predictions: their mean prediction and the uplift observed among them."""

    share: float
    predicted: float
    observed: Difference


@dataclass(frozen=True, slots=True)
class Calibration:
    """Predicted against observed uplift, lowest predictions first.

    `expected_error` is the mean over customers of |predicted - observed| by bin, in [error_low, error_high];
    chance alone makes it positive, and `error_by_chance` is what a perfectly calibrated model would show here.
    """

    bins: tuple[Bin, ...]
    expected_error: float
    error_low: float
    error_high: float
    error_by_chance: float


def calibration(trial: Trial, *, bins: int = 10, level: float = 0.95) -> Calibration:
    """Compare by quantile bins of the prediction (deciles by default), after Leng and Dimmery (2024).

    Equal predictions share a bin, so a model with few distinct ones gives fewer bins. The error moves by at most
    the mean over bins of |true - observed|, which by Cauchy and Schwarz stays below root(chi-square quantile x sum
    of (share x standard error)^2): an interval on the careful side, which reaches 0 unless the error is real.

    Raises
    ------
    InvalidInput : fewer than one bin. NotEnoughData : a bin with fewer than two treated or control customers.
    """
    from scipy.stats import chi2

    if bins < 1:
        raise InvalidInput(f"bins must be at least 1, found {bins}.", hint="10 gives deciles.")
    place = quantile_bins(trial.cate, bins)
    found = tuple(_bin(trial, place == number, level) for number in np.unique(place))
    spread = [one.share * one.observed.standard_error for one in found]
    error = sum(one.share * abs(one.predicted - one.observed.uplift) for one in found)
    reach = math.sqrt(float(chi2.ppf(level, len(found))) * sum(s * s for s in spread))
    return Calibration(
        bins=found,
        expected_error=error,
        error_low=max(error - reach, 0.0),
        error_high=error + reach,
        error_by_chance=sum(spread) * math.sqrt(2 / math.pi),
    )


def quantile_bins(prediction: FloatArray, bins: int) -> IntArray:
    """int[n], the quantile bin of each prediction, lowest first; equal ones share a bin, so numbers may be skipped."""
    edges = np.unique(np.quantile(prediction, np.arange(1, bins) / bins))
    return np.searchsorted(edges, prediction, side="right").astype(np.int64)


def calibration_slope(trial: Trial, *, level: float = 0.95) -> Estimate:
    """How much of a predicted difference in uplift is real: 1 is calibrated, 0 noise, below 1 promises too much.

    The best linear predictor of the uplift given the predicted one (Chernozhukov, Demirer, Duflo and Fernandez-Val
    2025): outcome on 1, prediction, treatment less its probability, and that times the centred prediction, weighted
    by 1 / p(1 - p). The interval is from the cluster-robust (by customer) variance of its influence.

    Raises
    ------
    NotEnoughData : predictions that don't differ, or fewer than ten customers.
    """
    cate, p = trial.cate, trial.treatment_probability
    if len(trial) < 10 or np.ptp(cate) < 1e-12:
        raise NotEnoughData(
            f"A slope needs ten customers with different predictions, found {len(trial)} with "
            f"{len(np.unique(cate))} different ones.",
            hint="A model that predicts the same for everybody has no slope.",
        )
    residual, scaled = trial.treated - p, (cate - cate.mean()) / cate.std()
    design = np.column_stack([np.ones(len(trial)), scaled, residual, residual * scaled])
    weight = 1.0 / (p * (1.0 - p))
    moments = (design * weight[:, None]).T @ design
    if np.linalg.cond(moments) > 1e12:
        raise NotEnoughData("A slope needs predictions that differ among treated and control customers alike.")
    inverse = np.linalg.inv(moments)
    coefficients = inverse @ (design.T @ (weight * trial.outcome))
    rest = trial.outcome - design @ coefficients
    influence = len(trial) * ((design * (weight * rest)[:, None]) @ inverse[3]) / float(cate.std())
    error, clusters = standard_error(influence, trial.member)
    slope, half = float(coefficients[3] / cate.std()), half_width(error, clusters - 1, two_sided(level))
    effective = kish(float(weight.sum()), float(weight @ weight))
    return Estimate(slope, error, slope - half, slope + half, len(trial), effective, level)


def _bin(trial: Trial, inside: BoolArray, level: float) -> Bin:
    return Bin(
        share=float(inside.mean()),
        predicted=float(trial.cate[inside].mean()),
        observed=difference(trial, inside.astype(np.float64), level=level),
    )
