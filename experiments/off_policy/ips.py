"""Inverse propensity scoring: weight what was logged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.estimator import SmoothOfMeans
from experiments.off_policy.rounds import FloatArray, Rounds
from experiments.off_policy.shrinkage import Shrink, unchanged


@dataclass(frozen=True)
class Ips(SmoothOfMeans):
    """Mean of w * reward (Horvitz and Thompson 1952); unbiased while `shrink` leaves w unchanged."""

    shrink: Shrink = unchanged

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, and weight * reward."""
        weight = self.shrink(rounds.weight)
        return np.column_stack([weight, weight * rounds.reward])

    def value(self, mean: FloatArray) -> tuple[float, FloatArray]:
        """The mean weighted reward."""
        return float(mean[1]), np.array([0.0, 1.0])
