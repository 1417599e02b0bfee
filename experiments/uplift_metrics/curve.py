"""A gain curve over the share of customers treated, with a bootstrap band."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.estimate import two_sided
from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.clusters import resamples
from experiments.uplift_metrics.ranking import Ranking, Top
from experiments.uplift_metrics.trial import Trial

Gain = Callable[[Top], FloatArray]


@dataclass(frozen=True, eq=False)
class Curve:
    """A gain curve and the areas that summarise it, each with a two-sided bootstrap interval.

    fraction : float[m], share of customers treated, 0 to 1, in steps of 1 %.
    gain, low, high : float[m], in outcome units per customer, and its pointwise band.
    area : area under the curve over fraction; area_low, area_high its interval.
    above_random : area less the area under the straight line to the curve's end, which is what choosing
        customers at random gives; above_random_low, above_random_high its interval.
    """

    fraction: FloatArray
    gain: FloatArray
    low: FloatArray
    high: FloatArray
    area: float
    area_low: float
    area_high: float
    above_random: float
    above_random_low: float
    above_random_high: float
    level: float


def gain_curve(trial: Trial, gain: Gain, *, seed: int, replicates: int, level: float) -> Curve:
    """Measure `gain` down the ranking; customers are resampled (percentile bootstrap)."""
    if replicates < 50 or not 0 < level < 1:
        raise InvalidInput(
            f"A band needs 50 replicates and a level in (0, 1), found {replicates} and {level:g}.",
            hint="200 replicates give a 95 % band that is good enough to look at, 1,000 one to report.",
        )
    ranking = Ranking.of(trial)
    grid = np.linspace(0.0, 1.0, 101)
    here, area, above = _measure(ranking.top(), gain, grid)
    drawn = resamples(trial.member[ranking.order], seed=seed, replicates=replicates)
    points, areas, aboves = zip(*(_measure(ranking.top(copies), gain, grid) for copies in drawn), strict=True)
    ends = [1 - two_sided(level), two_sided(level)]
    low, high = np.quantile(np.array(points), ends, axis=0)
    area_low, area_high = np.quantile(areas, ends)
    above_low, above_high = np.quantile(aboves, ends)
    return Curve(
        grid,
        here,
        low,
        high,
        area,
        float(area_low),
        float(area_high),
        above,
        float(above_low),
        float(above_high),
        level,
    )


def _measure(top: Top, gain: Gain, grid: FloatArray) -> tuple[FloatArray, float, float]:
    height = gain(top)
    area = float(np.trapezoid(height, top.fraction))
    return np.interp(grid, top.fraction, height), area, area - float(height[-1]) / 2
