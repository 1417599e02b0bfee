"""Doubly robust scores: what each action would have brought in each logged decision, unbiased though noisy."""

from __future__ import annotations

import numpy as np

from decision.errors import InvalidInput
from experiments.off_policy.rounds import FloatArray, IntArray
from experiments.uplift_metrics.trial import BoolArray


def robust_scores(
    outcome: FloatArray, action: IntArray, propensity: FloatArray, predicted: FloatArray, allowed: BoolArray
) -> FloatArray:
    """Return float[n, K]: predicted + 1{action logged} x (outcome - predicted) / propensity (Robins et al. 1994).

    The mean of a column over any customers chosen without looking at their outcomes is what that action would bring
    them (Athey and Wager 2021; Zhou, Athey and Wager 2023, for several actions). Where an action is not allowed the
    score is control's, which is what a policy that names it gives.

    Parameters
    ----------
    outcome : float[n], as logged.
    action, propensity : int[n] and float[n], the logged action, with control at place 0, and its probability.
    predicted : float[n, K], out of fold, in the unit of `outcome`; not read where an action is not allowed.
    allowed : bool[n, K]; control always is.

    Raises
    ------
    InvalidInput : control is not always allowed, or a logged action isn't.
    """
    rows = np.arange(len(action))
    if not allowed[:, 0].all() or not allowed[rows, action].all():
        raise InvalidInput(
            "allowed must hold control and the logged action in every row.",
            hint="Control is at place 0; leave out decisions whose action the programme has dropped.",
        )
    scores = np.where(allowed, predicted, 0.0)
    scores[rows, action] += (outcome - scores[rows, action]) / propensity
    return np.where(allowed, scores, scores[:, :1])
