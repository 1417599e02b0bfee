"""Doubly robust with the weight as control variate."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiments.off_policy.controlled import Controlled, controlled_columns
from experiments.off_policy.rounds import FloatArray, Rounds


@dataclass(frozen=True)
class ControlledDr(Controlled):
    """dr less its regression on the weight, which takes out a reward model that is wrong everywhere alike."""

    def columns(self, rounds: Rounds) -> FloatArray:
        """The weight and dr's term, with their products, and the model's error."""
        error = rounds.residual("controlled_dr")
        return controlled_columns(rounds.weight, rounds.expected("controlled_dr") + rounds.weight * error, error)

    def contributions(self, rounds: Rounds) -> FloatArray:
        """float[n], the terms: there is nothing that it divides by."""
        return np.asarray(self.terms(rounds))
