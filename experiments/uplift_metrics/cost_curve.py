"""What treating more customers, or spending more, brings: value against share treated and against budget."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy import Estimate
from experiments.off_policy.estimate import two_sided
from experiments.off_policy.rounds import FloatArray, IntArray
from experiments.uplift_metrics.clusters import Customers, clustered_mean, members, resamples

GRID = 101


@dataclass(frozen=True, eq=False)
class ShareCurve:
    """Gain per decision against control when the best share is treated, best first; float[m] with pointwise band.

    `above_random` is the mean height over the straight line to the end, which is what treating the same number at
    random brings; with its interval.
    """

    share: FloatArray
    gain: FloatArray
    low: FloatArray
    high: FloatArray
    above_random: Estimate


@dataclass(frozen=True, eq=False)
class BudgetCurve:
    """Spend and gain per decision (gain is net of the spend), and share treated, as the budget grows; float[m]."""

    spend: FloatArray
    share: FloatArray
    gain: FloatArray
    low: FloatArray
    high: FloatArray


def share_curve(
    predicted: FloatArray,
    terms: FloatArray,
    customer: Customers | None,
    *,
    seed: int,
    replicates: int = 200,
    level: float = 0.95,
) -> ShareCurve:
    """Treat those with the highest predicted gain first; the Qini curve for any number of actions, in money.

    Its area above the diagonal is the rank-weighted average treatment effect with Qini weights (Yadlowsky, Fleming,
    Shah, Brunskill and Wager 2025). Equal predictions enter together. Band and interval: percentile bootstrap of
    customers.

    Parameters
    ----------
    predicted : float[n], the gain predicted for each decision's best treatment, out of fold; may be negative.
    terms : float[n], unbiased for the gain of that treatment against control.

    Raises
    ------
    InvalidInput : fewer than 50 replicates.
    """
    if replicates < 50:
        raise InvalidInput(f"A band needs 50 replicates, found {replicates}.", hint="200 give a 95 % band.")
    order = np.argsort(-predicted, kind="stable")
    last_of_equals = np.flatnonzero(np.append(np.diff(predicted[order]) != 0, True))
    ordered, member = terms[order], members(customer, len(terms))[order]
    here, above = _share_gain(np.ones(len(terms)), ordered, last_of_equals)
    drawn = [
        _share_gain(copies, ordered, last_of_equals) for copies in resamples(member, seed=seed, replicates=replicates)
    ]
    ends = [1 - two_sided(level), two_sided(level)]
    low, high = np.quantile(np.array([gain for gain, _ in drawn]), ends, axis=0)
    areas = np.array([area for _, area in drawn])
    area_low, area_high = np.quantile(areas, ends).tolist()
    found = Estimate(above, float(areas.std(ddof=1)), area_low, area_high, len(terms), float(len(terms)), level)
    return ShareCurve(np.linspace(0.0, 1.0, GRID), here, low, high, found)


def _share_gain(copies: FloatArray, ordered: FloatArray, last_of_equals: IntArray) -> tuple[FloatArray, float]:
    share = np.concatenate([[0.0], np.cumsum(copies)[last_of_equals]])
    gain = np.concatenate([[0.0], np.cumsum(copies * ordered)[last_of_equals]]) / share[-1]
    share /= share[-1]
    area = float(np.trapezoid(gain, share)) - float(gain[-1]) / 2
    return np.interp(np.linspace(0.0, 1.0, GRID), share, gain), area


def budget_curve(
    gain: FloatArray,
    cost: FloatArray,
    gain_scores: FloatArray,
    cost_scores: FloatArray,
    customer: Customers | None,
    *,
    points: int = 40,
    level: float = 0.95,
) -> BudgetCurve:
    """Spend where a unit of money brings most, until nothing pays any more.

    At a price of money lambda every customer gets the action of highest gain - lambda x cost; from a prohibitive price
    down to none this walks along the convex hulls of gain over cost, which is the best use of every budget with several
    actions (Sverdrup, Wu, Athey and Wager 2025). The band is pointwise, from cluster-robust standard errors, with the
    price of money held fixed.

    Parameters
    ----------
    gain, cost : float[n, K], predicted out of fold, against control at place 0; `gain` is net of `cost`, and minus
        infinity where an action is not allowed.
    gain_scores, cost_scores : float[n, K], unbiased for the same, see `scores.robust_scores`.
    """
    rows, member = np.arange(len(gain)), members(customer, len(gain))
    found: list[tuple[float, float, float, float, float]] = []
    for price in _prices(gain, cost, points):
        pick = (gain - price * cost).argmax(axis=1)
        terms = gain_scores[rows, pick]
        mean = clustered_mean(terms, member, level=level)
        found.append((float(cost_scores[rows, pick].mean()), float((pick > 0).mean()), mean.value, mean.low, mean.high))
    spend, share, value, low, high = (np.array(column) for column in zip(*found, strict=True))
    return BudgetCurve(spend, share, value, low, high)


def _prices(gain: FloatArray, cost: FloatArray, points: int) -> FloatArray:
    """Return prices of money, highest first, the last 0: quantiles of what a unit of cost brings where it brings."""
    pays = (gain > 0) & (cost > 0)
    if not pays.any():
        return np.zeros(1)
    efficiency = gain[pays] / cost[pays]
    return np.concatenate(
        [[efficiency.max() * 1.01], np.quantile(efficiency, np.linspace(1.0, 0.0, points - 2)), [0.0]]
    )
