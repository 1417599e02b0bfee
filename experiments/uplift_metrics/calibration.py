"""Is a predicted uplift of 0.05 an uplift of 0.05?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput
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

    `expected_error` is the mean over customers of |predicted - observed| by bin; chance alone makes it
    positive, and `error_by_chance` is what a perfectly calibrated model would show here.
    """

    bins: tuple[Bin, ...]
    expected_error: float
    error_by_chance: float


def calibration(trial: Trial, *, bins: int = 10, level: float = 0.95) -> Calibration:
    """Compare by quantile bins of the prediction (deciles by default), after Leng and Dimmery (2024).

    Equal predictions share a bin, so a model with few distinct ones gives fewer bins.

    Raises
    ------
    InvalidInput : fewer than one bin. NotEnoughData : a bin with fewer than two treated or control customers.
    """
    if bins < 1:
        raise InvalidInput(f"bins must be at least 1, found {bins}.", hint="10 gives deciles.")
    edges = np.unique(np.quantile(trial.cate, np.arange(1, bins) / bins))
    place = np.searchsorted(edges, trial.cate, side="right")
    found = tuple(_bin(trial, place == number, level) for number in np.unique(place))
    noise = sum(one.share * one.observed.standard_error for one in found)
    return Calibration(
        bins=found,
        expected_error=sum(one.share * abs(one.predicted - one.observed.uplift) for one in found),
        error_by_chance=noise * math.sqrt(2 / math.pi),
    )


def _bin(trial: Trial, inside: BoolArray, level: float) -> Bin:
    return Bin(
        share=float(inside.mean()),
        predicted=float(trial.cate[inside].mean()),
        observed=difference(trial, inside.astype(np.float64), level=level),
    )
