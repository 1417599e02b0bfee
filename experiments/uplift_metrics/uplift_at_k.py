"""Observed uplift among the customers that a model ranks highest."""

from __future__ import annotations

import math

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.rounds import FloatArray
from experiments.uplift_metrics.difference import Difference, difference
from experiments.uplift_metrics.trial import Trial


def uplift_at_k(trial: Trial, *, share: float, level: float = 0.95) -> Difference:
    """Treated minus control mean outcome in the top `share` of customers by predicted uplift.

    Customers with equal predictions at the cut count in part, as if ties were broken at random, so the
    order of rows never matters.

    Raises
    ------
    InvalidInput : share outside (0, 1]. NotEnoughData : fewer than two treated or control customers.
    """
    if not 0 < share <= 1:
        raise InvalidInput(f"share must lie in (0, 1], found {share:g}.", hint="0.2 is the top fifth.")
    return difference(trial, _membership(trial.cate, round(share * len(trial), 9)), level=level)


def _membership(cate: FloatArray, wanted: float) -> FloatArray:
    place = len(cate) - math.ceil(wanted)
    edge = np.partition(cate, place)[place]
    above, tied = cate > edge, cate == edge
    part = (wanted - float(above.sum())) / float(tied.sum())
    return np.where(above, 1.0, np.where(tied, part, 0.0))
