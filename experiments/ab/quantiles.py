"""Quantiles, of units or of clustered units, without a density and without a bootstrap.

The share of units below the quantile has a known variance, by the delta method where units come in clusters. The
quantiles at that share -+ z standard errors enclose the truth (Woodruff 1952), and their distance, divided by 2 z, is
the standard error (Deng, Knoblich and Lu, KDD 2018, "outer confidence interval").
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from decision.errors import InvalidInput, NotEnoughData
from decision.records import FloatArray
from experiments.ab.arm_figure import ArmFigure, ratio_figure
from experiments.ab.clusters import by_cluster
from experiments.ab.moments import Moments
from experiments.ab.tails import quantile

# The distance is read where a 95 % interval of the share ends: nearer would depend on single units.
_Z = quantile(0.975)
_FEWEST = 10
_SHARED = 0.25
_LOPSIDED = 10.0


def quantile_figure(values: FloatArray, at: float, cluster: NDArray[np.generic] | None = None) -> ArmFigure:
    """Return the quantile `at` (0.5 is the median) of one arm's values float[n].

    Raises
    ------
    InvalidInput : `at` outside (0, 1), or values that are no numbers.
    NotEnoughData : fewer than ten units on either side of it, so that the tail is not known; or it lies among values
        that many share, or beside a gap, where its distance to others says nothing of how it varies.
    """
    if not 0 < at < 1:
        raise InvalidInput(f"Expected a quantile between 0 and 1, found {at:g}.", hint="0.5 is the median.")
    if not np.isfinite(values).all():
        raise InvalidInput("Expected a finite number for every unit, found values that are missing or infinite.")
    n = len(values)
    if n * min(at, 1 - at) < _FEWEST:
        raise NotEnoughData(
            f"The quantile {at:g} needs {_FEWEST} units on either side, found {n:,} units in all: "
            f"{math.ceil(_FEWEST / min(at, 1 - at)):,} would do."
        )
    value = float(np.quantile(values, at))
    variance, independent = at * (1 - at) / n, n
    if cluster is not None:
        rows = by_cluster(cluster, np.zeros(n, dtype=np.int8), [(values <= value).astype(np.float64)])
        share = ratio_figure(Moments.of(rows.sums[:, 0], rows.size))
        variance, independent = share.variance, share.n
    reach = _Z * math.sqrt(variance)
    low, high = np.quantile(values, [max(at - reach, 0.0), min(at + reach, 1.0)])
    _require_smooth(values[(values >= low) & (values <= high)], (low, value, high), 2 * reach * n)
    return ArmFigure.plain(value, (float(high - low) / (2 * _Z)) ** 2, independent)


def _require_smooth(near: FloatArray, around: tuple[float, float, float], units: float) -> None:
    """Refuse steps and gaps among the values near a quantile; the width that is read there is not its spread."""
    low, value, high = around
    _, counts = np.unique(near, return_counts=True)
    if not high > low or counts.max(initial=0) > max(_SHARED * units, 2):
        raise NotEnoughData(
            f"The quantile is {value:g}, at or near a value which many units share: nothing can be said of how it "
            "varies.",
            hint="Choose another quantile, or the share of units above a value.",
        )
    if max(high - value, value - low) > _LOPSIDED * min(high - value, value - low):
        raise NotEnoughData(
            f"The quantile is {value:g}, beside a gap between {low:g} and {high:g}: nothing can be said of how it "
            "varies.",
            hint="Choose another quantile, or the share of units above a value.",
        )
