"""Mostly the action of the highest mean value, now and then any: a contrast to exploring by belief.

Exploration neither fades nor looks at what is known; it costs the same share for ever. Sutton and Barto, "Reinforcement
learning" (2018), section 2.2.
"""

from __future__ import annotations

from decision.errors import EncoreError
from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit, best
from decision.policies.base import Situation
from decision.policies.posterior import Posterior
from decision.records import FloatArray

# One decision of twenty explores.
EPSILON = 0.05


class EpsilonGreedy(Bandit):
    """Greedy on the belief's mean, with a share of the decisions spread over all allowed actions."""

    def __init__(self, features: ActionFeatures, posterior: Posterior, *, epsilon: float = EPSILON) -> None:
        """`epsilon` is the share of decisions that is spread evenly; the exploration floor comes on top.

        Raises
        ------
        EncoreError : epsilon lies outside 0 to 1.
        """
        if not 0.0 <= epsilon <= 1.0:
            raise EncoreError(f"Expected epsilon between 0 and 1, found {epsilon}.")
        super().__init__(features, posterior)
        self.epsilon = epsilon

    def distribution(self, situation: Situation) -> FloatArray:
        """Return epsilon / K for each allowed action, shape [K], and the rest for the best mean value."""
        values = self.value(situation.foreseen())
        return (1.0 - self.epsilon) * best(values) + self.epsilon / len(values)
