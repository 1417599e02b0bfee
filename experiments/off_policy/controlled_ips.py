"""Inverse propensity scoring with the weight as control variate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.controlled import Controlled, controlled_columns
from experiments.off_policy.rounds import FloatArray, Rounds


@dataclass(frozen=True)
class ControlledIps(Controlled):
    """ips less its regression on the weight: the regression estimator of Hesterberg (1995)."""

    def columns(self, rounds: Rounds) -> FloatArray:
        """The weight and weight * reward, with their products, and the reward."""
        return controlled_columns(rounds.weight, rounds.weight * rounds.reward, rounds.reward)

    def contributions(self, rounds: Rounds) -> FloatArray:
        """float[n], the terms: there is nothing that it divides by."""
        return np.asarray(self.terms(rounds))
