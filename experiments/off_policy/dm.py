"""The direct method: trust the reward model."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimator import MeanOfOne
from experiments.off_policy.rounds import FloatArray, Rounds, beside


@dataclass(frozen=True)
class Dm(MeanOfOne):
    """Mean of sum_a target(a) q_hat(a) (Beygelzimer and Langford 2009).

    Its interval holds the sampling of customers only: it takes q_hat for the truth, so a wrong
    model gives a narrow interval in the wrong place.
    """

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, what the model expects of the target, and no error: the model is believed."""
        return beside(rounds.weight, rounds.expected("dm"), np.zeros(len(rounds)))
