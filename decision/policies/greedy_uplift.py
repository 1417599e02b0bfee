"""The action with the highest value that the uplift models predict; control wins ties."""

from __future__ import annotations

import numpy as np

from decision.policies.base import Policy, Situation
from decision.records import FloatArray


class GreedyUplift(Policy):
    """Exploits only: good as a challenger in evaluation, blind to its own mistakes in service."""

    def distribution(self, situation: Situation) -> FloatArray:
        """Return all probability on the best predicted value; control is first and so wins a tie."""
        outlook = situation.foreseen()
        values = outlook.worth.value(outlook.components.repurchase)
        distribution = np.zeros(len(values))
        distribution[int(np.argmax(values))] = 1.0
        return distribution
