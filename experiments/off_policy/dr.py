"""Doubly robust: the reward model, corrected by the weighted errors it makes on the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.dm import predicted_value
from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.shrinkage import Shrink, unchanged


@dataclass(frozen=True)
class Dr(SmoothOfMeans):
    """Mean of sum_a target(a) q_hat(a) + w * (reward - q_hat(logged)) (Dudik et al. 2011).

    Unbiased whatever q_hat, when q_hat is out of fold, the propensities are right and `shrink` leaves
    w unchanged; where `shrink` takes weight away, the reward model speaks in its place.
    """

    shrink: Shrink = unchanged

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, and the corrected expectation."""
        expected = predicted_value(rounds, "dr")
        weight = self.shrink(rounds.weight)
        return np.column_stack([weight, expected + weight * residual(rounds, "dr")])

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The mean corrected expectation."""
        return float(mean[1]), np.array([0.0, 1.0])


def residual(rounds: Rounds, reader: str) -> FloatArray:
    """float[n], the logged reward less the reward model's prediction for the logged action."""
    return rounds.reward - rounds.of_logged(rounds.require_q_hat(reader))
