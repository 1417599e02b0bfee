"""How much each decision of a bandit counts: Hadad, Hirshberg, Zhan, Wager and Athey, PNAS 2021.

A term of inverse propensities has the variance 1 / propensity. Weighed evenly, what an action earned while it was
seldom drawn drowns the rest, and no central limit theorem holds. Allocation rates say which share of the variance that
is left each decision spends; weights h follow from h^2 / e = (what is left) * rate.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from decision.errors import InvalidInput
from decision.records import FloatArray


class Weighing(StrEnum):
    """Even weights; a constant allocation rate (weights sqrt(e)); or the two-point rate, for floors that decay."""

    UNIFORM = "uniform"
    CONSTANT = "constant"
    TWO_POINT = "two_point"


def evaluation_weights(propensity: FloatArray, weighing: Weighing, floor_decay: float = 0.0) -> FloatArray:
    """Return float[T, K] weights from the logged probability of every action at every decision, in order of time.

    `floor_decay` is a, where the least probability falls like t^-a. With a constant floor, as Encore's is, a is 0 and
    the two-point rate is the constant one.
    """
    if not 0 <= floor_decay < 1:
        raise InvalidInput(f"Expected a decay of the exploration floor from 0 to below 1, found {floor_decay:g}.")
    if weighing is Weighing.UNIFORM:
        return np.ones_like(propensity)
    if weighing is Weighing.CONSTANT:
        return np.sqrt(propensity)
    horizon = len(propensity)
    t = np.arange(1, horizon + 1, dtype=np.float64)[:, None]
    chosen = 1 / (1 + horizon - t)
    avoided = (1 - floor_decay) / (1 - floor_decay + horizon * (t / horizon) ** floor_decay - t)
    rate = np.clip(propensity * chosen + (1 - propensity) * avoided, 0.0, 1.0)
    left = np.vstack([np.ones((1, rate.shape[1])), np.cumprod(1 - rate[:-1], axis=0)])
    weights: FloatArray = np.sqrt(left * rate * propensity)
    return weights
