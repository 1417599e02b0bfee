"""The pooled test of two shares, the same as Pearson's chi-square without correction."""

from __future__ import annotations

import math

from decision.errors import NotEnoughData
from experiments.ab.effect import USUAL, Confidence, Effect, interval
from experiments.ab.moments import Moments


def pooled_share_test(control: Moments, treatment: Moments, confidence: Confidence = USUAL) -> Effect:
    """Return the difference of two shares with the variance that one common share would have.

    Its p-value is the test; its interval is not one of the difference, read `absolute_effect` for that.
    Raises `NotEnoughData` where nobody or everybody succeeded.
    """
    both = control + treatment
    if min(control.n, treatment.n) < 1:
        raise NotEnoughData("Two shares need a unit in each arm, found an empty one.")
    share = float(both.mean[0])
    error = math.sqrt(max(share * (1 - share), 0.0) * (1 / control.n + 1 / treatment.n))
    return interval(float(treatment.mean[0] - control.mean[0]), error, math.inf, confidence)
