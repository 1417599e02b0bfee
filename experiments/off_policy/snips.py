"""Self-normalised inverse propensity scoring: a weighted mean of logged rewards."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from decision.errors import NotEnoughData
from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, Rounds, beside


@dataclass(frozen=True)
class Snips(SmoothOfMeans):
    """sum(w * reward) / sum(w) (Swaminathan and Joachims 2015).

    Raises NotEnoughData when no logged action has any probability under the target policy.
    """

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, weight * reward, and reward."""
        weight = rounds.weight
        return beside(weight, weight * rounds.reward, rounds.reward)

    def contributions(self, rounds: Rounds) -> FloatArray:
        """float[n], weight * reward / mean weight."""
        weight = rounds.weight
        return weight * rounds.reward / positive_weight(np.array([weight.mean()]), "snips")

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """Their ratio."""
        weight = positive_weight(mean, "snips")
        value = float(mean[1]) / weight
        return value, np.array([-value / weight, 1 / weight, 0.0])


def positive_weight(mean: FloatArray, reader: str) -> float:
    """The mean weight, column 0; raises NotEnoughData when it is 0."""
    if not mean[0] > 0:
        raise NotEnoughData(
            f"{reader} divides by the total weight, found 0: the target would never do what was logged.",
            hint="Log with an exploration floor, or use dr, which falls back on its reward model.",
        )
    return float(mean[0])
