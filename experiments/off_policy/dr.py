"""Doubly robust: the reward model, corrected by the weighted errors it makes on the log."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.off_policy.estimator import MeanOfOne
from experiments.off_policy.rounds import FloatArray, Rounds, beside
from experiments.off_policy.shrinkage import Shrink, unchanged


@dataclass(frozen=True)
class Dr(MeanOfOne):
    """Mean of sum_a target(a) q_hat(a) + w * (reward - q_hat(logged)) (Dudik et al. 2011).

    Unbiased whatever q_hat, when q_hat is out of fold, the propensities are right and `shrink` leaves
    w unchanged; where `shrink` takes weight away, the reward model speaks in its place.
    """

    shrink: Shrink = unchanged

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, the corrected expectation, and the model's error."""
        weight = self.shrink(rounds.weight)
        error = rounds.residual("dr")
        return beside(weight, rounds.expected("dr") + weight * error, error)
