"""Every allowed action with the same probability: what the `random` group gets."""

from __future__ import annotations

import numpy as np

from decision.policies.base import Policy, Situation
from decision.records import FloatArray


class Uniform(Policy):
    """Unbiased training data, at a price."""

    def distribution(self, situation: Situation) -> FloatArray:
        """Return 1 / K for each of the K allowed actions."""
        k = len(situation.actions)
        return np.full(k, 1.0 / k)
