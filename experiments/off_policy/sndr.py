"""Self-normalised doubly robust."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, Rounds, beside
from experiments.off_policy.snips import positive_weight


@dataclass(frozen=True)
class Sndr(SmoothOfMeans):
    """Mean of sum_a target(a) q_hat(a), plus sum(w * (reward - q_hat(logged))) / sum(w).

    Thomas and Brunskill (2016), weighted doubly robust for one step. Raises NotEnoughData when the
    target policy would never do what was logged.
    """

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, the expectation, the weighted residual, and the residual."""
        weight, error = rounds.weight, rounds.residual("sndr")
        return beside(weight, rounds.expected("sndr"), weight * error, error)

    def contributions(self, rounds: Rounds) -> FloatArray:
        """float[n], the expectation plus weight * residual / mean weight."""
        weight = rounds.weight / positive_weight(np.array([rounds.weight.mean()]), "sndr")
        return rounds.expected("sndr") + weight * rounds.residual("sndr")

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The mean expectation plus the ratio of weighted residual to weight."""
        weight = positive_weight(mean, "sndr")
        correction = float(mean[2]) / weight
        return float(mean[1]) + correction, np.array([-correction / weight, 1.0, 1 / weight, 0.0])
