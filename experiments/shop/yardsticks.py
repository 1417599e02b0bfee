"""Yardsticks of a run: what policies without knowledge are worth, and what perfect knowledge would be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from decision.records import CONTROL
from experiments.shop.truth import Truth


@dataclass(frozen=True, slots=True)
class ConstantValues:
    """Mean value per decision, in currency units, of policies that know nothing, and of the oracle that knows all."""

    by_action: Mapping[str, float]
    uniform: float
    business_as_usual: float
    oracle: float

    @property
    def control(self) -> float:
        """Return the value of leaving everybody alone."""
        return self.by_action[CONTROL]

    @property
    def best_action(self) -> str:
        """Return the action that is best when everybody gets the same."""
        return max(self.by_action, key=lambda action_id: self.by_action[action_id])

    @property
    def best_constant(self) -> float:
        """Return the value of that action."""
        return self.by_action[self.best_action]


def constant_values(truth: Truth) -> ConstantValues:
    """Return the yardsticks of a run; guardrails are not applied."""
    rows = np.arange(len(truth.value))
    return ConstantValues(
        by_action=dict(zip(truth.actions, truth.value.mean(axis=0).tolist(), strict=True)),
        uniform=float(truth.value.mean()),
        business_as_usual=float(truth.value[rows, truth.business_as_usual].mean()),
        oracle=float(truth.value.max(axis=1).mean()),
    )
