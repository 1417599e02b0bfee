"""The direct method: trust the reward model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, Rounds


@dataclass(frozen=True)
class Dm(SmoothOfMeans):
    """Mean of sum_a target(a) q_hat(a) (Beygelzimer and Langford 2009).

    Its interval holds the sampling of customers only: it takes q_hat for the truth, so a wrong
    model gives a narrow interval in the wrong place.
    """

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, and what the model expects of the target."""
        return np.column_stack([rounds.weight, predicted_value(rounds, "dm")])

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The mean expectation."""
        return float(mean[1]), np.array([0.0, 1.0])


def predicted_value(rounds: Rounds, reader: str) -> FloatArray:
    """float[n], what the reward model expects of the target policy in each round."""
    expected: FloatArray = (rounds.target * rounds.require_q_hat(reader)).sum(axis=1)
    return expected
