"""Inverse-gap weighting: the further an action's mean value lies behind the best, the seldomer it is taken.

Foster and Rakhlin, "Beyond UCB: optimal and efficient contextual bandits with regression oracles" (2020), where it is
SquareCB; after Abe and Long, "Associative reinforcement learning using linear probabilistic concepts" (1999). It looks
at means alone: unlike Thompson sampling, it explores no more where the belief is less sure.
"""

from __future__ import annotations

import math

import numpy as np

from decision.errors import EncoreError
from decision.policies.action_features import ActionFeatures
from decision.policies.bandit import Bandit, best
from decision.policies.base import Situation
from decision.policies.posterior import Posterior
from decision.records import FloatArray
from decision.stages.valuation import Worth

# After 10,000 outcomes an action that lies 2 % of the range behind is taken once in K + 200 decisions.
GAMMA = 100.0


class InverseGap(Bandit):
    """p(a) = 1 / (K + gamma * sqrt(n) * gap(a)) for all but the best action, which gets the rest."""

    def __init__(self, features: ActionFeatures, posterior: Posterior, *, gamma: float = GAMMA) -> None:
        """`gamma` says how greedy to be after one outcome: 0 is uniform, infinitely much would be greedy.

        It grows with the root of the n outcomes in the belief, which balances exploring and exploiting at a regret of
        order sqrt(n); so it falls when a shift makes the belief young again.

        Raises
        ------
        EncoreError : gamma is negative or not finite.
        """
        if not 0.0 <= gamma < math.inf:
            raise EncoreError(f"Expected a finite gamma of 0 or more, found {gamma}.")
        super().__init__(features, posterior)
        self.gamma = gamma * math.sqrt(max(posterior.n, 1))

    def distribution(self, situation: Situation) -> FloatArray:
        """Return the weights of the gaps in mean value, shape [K]; equally good actions share the rest."""
        outlook = situation.foreseen()
        values = self.value(outlook)
        gap = (values.max() - values) / (_range(outlook.worth) or 1.0)
        first = best(values)
        others = np.where(first > 0.0, 0.0, 1.0 / (len(values) + self.gamma * gap))
        # Summed exactly, so that the order of the programme changes nothing.
        return np.asarray(others + (1.0 - math.fsum(others)) * first)


def _range(worth: Worth) -> float:
    """Return how far apart outcomes may lie, in currency units: a gap is a share of it, in whatever currency.

    The paper's rewards lie between 0 and 1. Here the best is a repurchase under one action, the worst none under
    another, or one that costs more than it brings.
    """
    most = worth.fixed + np.maximum(worth.per_repurchase, 0.0)
    least = worth.fixed + np.minimum(worth.per_repurchase, 0.0)
    return float(most.max() - least.min())
