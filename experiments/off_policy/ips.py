"""Inverse propensity scoring: weight what was logged."""

from __future__ import annotations

from dataclasses import dataclass

from experiments.off_policy.estimator import MeanOfOne
from experiments.off_policy.rounds import FloatArray, Rounds, beside
from experiments.off_policy.shrinkage import Shrink, unchanged


@dataclass(frozen=True)
class Ips(MeanOfOne):
    """Mean of w * reward (Horvitz and Thompson 1952); unbiased while `shrink` leaves w unchanged."""

    shrink: Shrink = unchanged

    def columns(self, rounds: Rounds) -> FloatArray:
        """Weight, weight * reward, and reward."""
        weight = self.shrink(rounds.weight)
        return beside(weight, weight * rounds.reward, rounds.reward)
