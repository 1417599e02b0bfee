"""What a test says in money: margin that was added, what the incentives cost, their return, and the price of the
holdout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from decision.records import FloatArray
from experiments.ab.arm_figure import mean_figure
from experiments.ab.effect import USUAL, Confidence, Effect, absolute_effect
from experiments.ab.moments import Moments
from experiments.ab.tails import quantile


@dataclass(frozen=True, slots=True)
class Bounded:
    """A figure with its interval."""

    estimate: float
    low: float
    high: float

    @classmethod
    def of(cls, effect: Effect, times: float = 1.0) -> Bounded:
        """Return an effect on so many units, times > 0."""
        return cls(effect.estimate * times, effect.low * times, effect.high * times)


@dataclass(frozen=True, slots=True)
class Money:
    """Treatment against control, in currency units.

    Parameters
    ----------
    net_per_unit : margin less what incentives cost, added for each unit.
    net_total : the same over the units of the treated arm.
    cost_per_unit, cost_total : what the incentives cost more than in control.
    return_on_cost : net gain for each unit of money that incentives cost; None with `no_return` where the cost is not
        told from 0.
    holdout_cost : what the control arm missed by not being treated; below 0 where it was better off.
    """

    net_per_unit: Effect
    net_total: Bounded
    cost_per_unit: Effect | None
    cost_total: Bounded | None
    return_on_cost: Bounded | None
    no_return: str
    holdout_cost: Bounded


def money(control: Moments, treatment: Moments, confidence: Confidence = USUAL) -> Money:
    """Return what a test says in money.

    Parameters
    ----------
    control, treatment : moments of two columns, the margin before the cost of incentives and that cost.
    """
    net = absolute_effect(mean_figure(_net(control)), mean_figure(_net(treatment)), confidence)
    cost, back, reason = _cost(control, treatment, confidence)
    return Money(
        net,
        Bounded.of(net, treatment.n),
        cost,
        None if cost is None else Bounded.of(cost, treatment.n),
        back,
        reason,
        Bounded.of(net, control.n),
    )


def _net(moments: Moments) -> Moments:
    less = np.array([1.0, -1.0])
    return Moments(moments.n, np.array([less @ moments.mean]), np.array([[less @ moments.scatter @ less]]))


def _cost(control: Moments, treatment: Moments, confidence: Confidence) -> tuple[Effect | None, Bounded | None, str]:
    try:
        cost = absolute_effect(mean_figure(control.take(1)), mean_figure(treatment.take(1)), confidence)
    except NotEnoughData:
        same = float(treatment.mean[1] - control.mean[1])
        return (
            None,
            None,
            f"Every unit of an arm costs the same; the difference is {same:g}." if same else "Nothing was spent.",
        )
    gap = treatment.mean - control.mean
    covariance = control.covariance() / control.n + treatment.covariance() / treatment.n
    z = quantile(1 - confidence.alpha / 2)
    return cost, *_fieller(gap[0], gap[1], covariance, z)


def _fieller(margin: float, cost: float, covariance: FloatArray, z: float) -> tuple[Bounded | None, str]:
    """Return margin / cost - 1 with the interval of Fieller (1954), bounded where the cost is told from 0."""
    a = cost**2 - z**2 * covariance[1, 1]
    if a <= 0 or cost <= 0:
        return None, "The cost of the incentives is not told from 0, so that nothing can be returned on it."
    b = margin * cost - z**2 * covariance[0, 1]
    c = margin**2 - z**2 * covariance[0, 0]
    root = math.sqrt(max(b * b - a * c, 0.0))
    return Bounded(margin / cost - 1, (b - root) / a - 1, (b + root) / a - 1), ""
